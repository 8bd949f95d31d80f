// SPDX-License-Identifier: BSD-3-Clause
//
// AckList: sessions of one worker that owe their peer an acknowledgement (RFC 2637 §4.2, §4.4). The
// debt itself is in session memory; this is only the order in which to look. A queue: the delay is
// the same for all, so the first in is the first due. A session is in it at most once; of those
// that ended something may be left until its time. When it is full, the session's next packet tries
// again. One worker; allocates at construction only.
#pragma once

#include <rte_prefetch.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "pns/base/ids.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

// A session that must wait again is put at the end, behind others that wait at most as long: so an
// ack is at most twice this late, 100 ms.
inline constexpr std::uint64_t kAckDelayNs = 50'000'000;
// The window we advertise, in packets; half of it unacknowledged makes an ack leave at once.
inline constexpr std::uint16_t kAdvertisedWindow = 64;

class AckList {
 public:
  explicit AckList(std::span<contract::SessionRecord> sessions)
      : sessions_(sessions), entries_(sessions.size() + 1) {}

  // The session owes an ack by due_ns.
  void arm(SlotId slot, std::uint64_t due_ns) noexcept {
    contract::SessionRecord& session = sessions_[slot.value];
    if (session.ack_listed || next(tail_) == head_) return;
    session.ack_listed = true;
    entries_[tail_] = {due_ns, slot, session.generation.load(std::memory_order_relaxed)};
    tail_ = next(tail_);
  }
  // Half of the window is unacknowledged: look at it after this burst. At most one burst's worth.
  void request_now(SlotId slot) noexcept {
    if (urgent_count_ != 0 && urgent_[urgent_count_ - 1] == slot) return;
    if (urgent_count_ < urgent_.size()) urgent_[urgent_count_++] = slot;
  }

  [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
  [[nodiscard]] std::uint64_t next_due_ns() const noexcept {
    return empty() ? UINT64_MAX : entries_[head_].due_ns;
  }
  // Fetches what the next pop() and the look at its session will read.
  void prefetch_next(std::uint32_t count) const noexcept {
    for (std::uint32_t at = head_; count != 0 && at != tail_; --count, at = next(at)) {
      const contract::SessionRecord& session = sessions_[entries_[at].slot.value];
      rte_prefetch0(&session);
      rte_prefetch0(&session.upstream);
      rte_prefetch0(&session.downstream);
    }
  }
  // The next due session leaves the list; null: it has ended since. Only when !empty().
  [[nodiscard]] std::optional<SlotId> pop() noexcept {
    const Entry entry = entries_[head_];
    head_ = next(head_);
    contract::SessionRecord& session = sessions_[entry.slot.value];
    if (session.state.load(std::memory_order_acquire) != contract::SlotState::kInstalled ||
        session.generation.load(std::memory_order_relaxed) != entry.generation)
      return std::nullopt;
    session.ack_listed = false;
    return entry.slot;
  }
  [[nodiscard]] std::span<const SlotId> urgent() const noexcept {
    return {urgent_.data(), urgent_count_};
  }
  void clear_urgent() noexcept { urgent_count_ = 0; }

 private:
  struct Entry {
    std::uint64_t due_ns = 0;
    SlotId slot;
    std::uint32_t generation = 0;
  };

  [[nodiscard]] std::uint32_t next(std::uint32_t at) const noexcept {
    return at + 1 == entries_.size() ? 0 : at + 1;
  }

  std::span<contract::SessionRecord> sessions_;
  std::vector<Entry> entries_;
  std::uint32_t head_ = 0;
  std::uint32_t tail_ = 0;
  std::array<SlotId, 32> urgent_{};
  std::uint32_t urgent_count_ = 0;
};

}  // namespace pns::dataplane
