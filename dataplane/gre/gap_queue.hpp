// SPDX-License-Identifier: BSD-3-Clause
//
// GapQueue: packets of MPPE sessions that lie beyond a gap in the key chain. A packet waits here
// until its session's key chain has been stepped over the packets that were lost, on a copy and in
// slices between bursts (pipeline/mppe_gap.hpp does the stepping). Decision 0012.
//
// A fixed number of entries, one for each session that waits. The entries form two round-robin
// lists, for short and for long gaps, so that a session with a long gap does not keep others from
// short ones. Turns alternate between the lists, three of four for short gaps.
// UpstreamState::gap_entry names the session's entry; 0 means none, which is all that a session
// without a gap ever looks at. Owns the packets it holds. One worker; allocates at construction
// only.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "pns/base/ids.hpp"
#include "pns/base/secret.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

class GapQueue {
 public:
  static constexpr std::uint16_t kEntries = 2'048;
  // A packet that waited longer is dropped.
  static constexpr std::uint64_t kMaxWaitNs = 4'000'000'000;

  struct Settings {
    // Packets of this worker that may wait. One session has half of them at most. Each session that
    // waits has one besides.
    std::uint32_t packets_in_all = 8'192;
    std::uint32_t step_ns = 1'000;  // time of one key change on this CPU
  };

  // A session that waits, and the copy of its key chain.
  struct Entry {
    SlotId slot;
    std::uint32_t generation = 0;
    rte_mbuf* first = nullptr;  // by GRE sequence number; linked by rte_mbuf::next
    rte_mbuf* last = nullptr;
    std::uint32_t count = 0;  // packets
    bool stale = false;       // the session has other keys by now, and no longer names the entry
    // The key `steps` key changes after the session's own, when that has the count `base_count` and
    // the GRE number `base_sequence`.
    Secret<16> key;
    std::uint32_t steps = 0;
    std::uint16_t base_count = 0;
    std::uint32_t base_sequence = 0;
    std::uint32_t next_try = 0;  // missing packets, as open_with() is asked next for `first`
    bool tried = false;          // next_try is set
    std::uint32_t charged = 0;   // steps that the token buckets have paid for, in vain so far …
    bool explained = false;  // … among them that of gaps which the GRE numbers explain, or not
    std::uint32_t turn = 0;  // steps since the entry had its turn
    bool long_gap = false;   // in which list it is, or goes when its turn ends
    std::uint32_t released_in = 0;  // the slice in which packets in order were last taken out
    std::uint16_t next = 0;         // in the round-robin list or the free list
  };

  explicit GapQueue(const Settings& settings);
  ~GapQueue();
  GapQueue(const GapQueue&) = delete;
  GapQueue& operator=(const GapQueue&) = delete;

  [[nodiscard]] const Settings& settings() const noexcept { return settings_; }
  [[nodiscard]] bool empty() const noexcept { return used_ == 0; }

  // Takes a packet of a session. False when there is no room: the caller keeps it. The first packet
  // of a session needs a free entry only. A packet that may well be forged (`unverified`) finds
  // room only while the queue is less than half full.
  [[nodiscard]] bool hold(contract::SessionRecord& session, SlotId slot, rte_mbuf* packet,
                          bool unverified, std::uint64_t now_ns) noexcept;

  // The first packet of a session that waits; null: none does.
  [[nodiscard]] rte_mbuf* first_of(const contract::UpstreamState& up) const noexcept {
    return entries_[up.gap_entry].first;
  }
  // Packets that wait.
  [[nodiscard]] std::uint32_t packets() const noexcept { return packets_; }
  // A slice of work on the queue begins; result: its number, never 0.
  [[nodiscard]] std::uint32_t begin_slice() noexcept { return slice_ += slice_ + 1 == 0 ? 2 : 1; }
  // The entry whose turn it is. Only when not empty().
  [[nodiscard]] Entry& front() noexcept { return entries_[lists_[serving_].head]; }
  // Whether that one comes from the list for long gaps.
  [[nodiscard]] bool serves_long_gap() const noexcept { return serving_ == kLong; }
  // The turn of the front entry is over: it goes to the end of the list that it belongs to.
  void rotate() noexcept;
  // The turn goes to the other list for now. False: that one is empty.
  bool serve_other_list() noexcept;
  // Takes an entry's first packet; the next one has to be tried anew. Null: it had none left.
  [[nodiscard]] rte_mbuf* take_first(Entry& entry) noexcept;
  // Since when a packet has waited.
  [[nodiscard]] static std::uint64_t waits_since_ns(rte_mbuf* packet) noexcept;
  // An entry whose first packet has waited for too long, of the few that are looked at in one call;
  // null: none of them.
  [[nodiscard]] Entry* find_expired(std::uint64_t now_ns) noexcept;
  // The session's keys are other ones from now on: what waits was sealed with the old ones. It
  // would open with new keys that begin with the same start key, and count for packets to come.
  void on_new_keys(contract::UpstreamState& up) noexcept;
  // Gives the front entry back; it has no packets left. The caller clears gap_entry if the session
  // still lives.
  void release_front() noexcept;
  // Key chain of the front entry from its start: `state` is the session's receive state.
  static void restart(Entry& entry, const mppe::DirectionState& state) noexcept;

  // --- time ---
  // No key step may be paid for before this time.
  void pause_until(std::uint64_t when_ns) noexcept { paused_until_ns_ = when_ns; }
  [[nodiscard]] bool paused(std::uint64_t now_ns) const noexcept {
    return now_ns < paused_until_ns_;
  }
  // When there is something to do; UINT64_MAX: never.
  [[nodiscard]] std::uint64_t next_due_ns() const noexcept {
    return empty() ? UINT64_MAX : paused_until_ns_;
  }

 private:
  struct List {
    std::uint16_t head = 0, tail = 0;
  };
  static constexpr std::size_t kShort = 0, kLong = 1;
  static constexpr unsigned kExpiryChecks = 4;  // entries of one find_expired()

  void insert(Entry& entry, rte_mbuf* packet) noexcept;
  void append(std::uint16_t number) noexcept;
  std::uint16_t remove_front() noexcept;

  Settings settings_;
  std::vector<Entry> entries_;  // [0] stands for none
  std::uint16_t free_ = 0;
  std::array<List, 2> lists_;
  std::size_t serving_ = kShort;
  std::uint32_t turns_ = 0;
  std::uint32_t packets_ = 0;
  std::uint16_t used_ = 0;  // entries
  std::uint32_t slice_ = 0;
  std::uint16_t checked_ = 0;  // entry that find_expired() looked at last
  std::uint64_t paused_until_ns_ = 0;
};

}  // namespace pns::dataplane
