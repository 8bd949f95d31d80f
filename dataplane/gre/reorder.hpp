// SPDX-License-Identifier: BSD-3-Clause
//
// Reorder: GRE packets that came too early wait here, a few for each session and for a short time,
// for those that are missing (RFC 2637 §4.3), so that PPP and MPPE see them in order. The numbers
// themselves are judged by sequence_window.hpp; a packet waits with its outer headers off.
// Every packet that waits is 1 to kSpan ahead of the session's highest: whoever moves that further
// empties the queue first.
//
// The queues are HoldQueues; UpstreamState names the session's. Owns the packets it holds. One
// worker; allocates at construction only.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/gre/hold_queues.hpp"
#include "pns/base/ids.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

class Reorder {
 public:
  // Numbers ahead of the last delivered one that can wait; window::kTrustedJump is no larger.
  static constexpr std::uint32_t kSpan = kHoldSpan;

  struct Settings {
    std::uint16_t packets = 0;  // per session, at most kSpan; 0: nothing waits
    std::uint64_t wait_ns = 10'000'000;
    std::uint32_t packets_in_all = 8'192;  // of this worker
  };

  explicit Reorder(const Settings& settings);

  [[nodiscard]] bool enabled() const noexcept { return settings_.packets != 0; }

  enum class Outcome : std::uint8_t {
    kHeld,       // taken
    kDuplicate,  // one with this number waits already
    kFull,       // as many wait as may: skip the gap before the first of them and ask again
    kNoRoom,     // no queue or too many packets in all: deliver without waiting
  };
  // `sequence` is 2 to kSpan ahead of the session's highest.
  [[nodiscard]] Outcome hold(contract::SessionRecord& session, SlotId slot, rte_mbuf* packet,
                             std::uint32_t sequence, std::uint64_t now_ns) noexcept;
  // Whether a packet of this number waits.
  [[nodiscard]] bool holds(const contract::UpstreamState& up,
                           std::uint32_t sequence) const noexcept {
    return up.reorder_queue != 0 && queues_.queue(up.reorder_queue).packets.holds(sequence);
  }
  void prefetch(const contract::UpstreamState& up) const noexcept {
    if (up.reorder_queue != 0) queues_.prefetch(up.reorder_queue);
  }
  // Takes the packet that follows `highest` if it waits; null: it does not. The queue goes when
  // empty.
  [[nodiscard]] rte_mbuf* take_next(contract::UpstreamState& up, std::uint32_t highest) noexcept;
  // The lowest number that waits. Only when the session has a queue.
  [[nodiscard]] std::uint32_t first(const contract::UpstreamState& up,
                                    std::uint32_t highest) const noexcept;

  // --- time ---
  [[nodiscard]] bool empty() const noexcept { return queues_.empty(); }
  // When the first of all waiting packets has waited enough; UINT64_MAX: none waits. May be early.
  [[nodiscard]] std::uint64_t next_due_ns() const noexcept { return next_due_ns_; }
  struct Due {
    SlotId slot;
    std::uint32_t generation = 0;
    std::uint16_t queue = 0;  // 0: nothing is due
  };
  // The number for which the session's queue waits is there: the queue is due at once.
  // Precondition: the session has a queue.
  void mark_due(const contract::UpstreamState& up) noexcept {
    Queues::Queue& queue = queues_.queue(up.reorder_queue);
    queues_.since_ns(queue.active_at) = 0;
    queue.marked = true;
    next_due_ns_ = 0;
  }
  [[nodiscard]] bool has_marked() const noexcept { return next_due_ns_ == 0; }
  // A session whose oldest packet has waited enough, or that was marked: of that, only what
  // follows its highest number is due. Deal with it before asking for the next.
  [[nodiscard]] Due next_due(std::uint64_t now_ns) noexcept;
  // True while the oldest packet of a queue has waited enough.
  [[nodiscard]] bool is_due(const Due& due, std::uint64_t now_ns) const noexcept;
  // Takes any packet out of a queue whose session is gone or has moved on. Null: none was left, the
  // queue is taken back (UpstreamState must not name it any more).
  [[nodiscard]] rte_mbuf* take_any(std::uint16_t queue) noexcept;

 private:
  // since_ns() of an active queue: arrival of its oldest packet, perhaps of one that has left.
  using Queues = HoldQueues<NumberedPackets>;

  void release(std::uint16_t number) noexcept;

  Settings settings_;
  Queues queues_;
  std::size_t searched_ = 0;  // where in active() something was due last
  std::uint64_t next_due_ns_ = UINT64_MAX;
};

}  // namespace pns::dataplane
