// SPDX-License-Identifier: BSD-3-Clause
//
// HoldQueues: a fixed number of packet queues, given to the sessions that need one and taken back
// when empty. The session's record holds the number of its queue; 0 means none, which is all that a
// session without waiting packets ever looks at. Reorder and SendWindow decide when packets wait
// and when they leave; this class owns the packets until then.
//
// `Packets` is the layout of one queue. It holds at most kHoldSpan packets and has
//   bool empty() const;
//   void put(rte_mbuf*, …);
//   rte_mbuf* take(…);                    a packet that is there
//   template <F> void take_all(F free);   calls free(rte_mbuf*) for each, in any order
// NumberedPackets finds a packet by its sequence number, InOrderPackets gives them back as they
// came. One worker; allocates at construction only.
#pragma once

#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "pns/base/ids.hpp"

namespace pns::dataplane {

// Packets that one queue has room for.
inline constexpr std::uint32_t kHoldSpan = 64;

// By sequence number: no two packets whose numbers are equal modulo kHoldSpan.
class NumberedPackets {
 public:
  [[nodiscard]] bool empty() const noexcept { return present_ == 0; }
  [[nodiscard]] std::uint32_t count() const noexcept {
    return static_cast<std::uint32_t>(std::popcount(present_));
  }
  [[nodiscard]] bool holds(std::uint32_t sequence) const noexcept {
    return (present_ >> (sequence % kHoldSpan) & 1) != 0;
  }
  // The lowest number from `from` on, in serial order. Only when not empty().
  [[nodiscard]] std::uint32_t first_from(std::uint32_t from) const noexcept {
    return from + static_cast<std::uint32_t>(
                      std::countr_zero(std::rotr(present_, static_cast<int>(from % kHoldSpan))));
  }
  // When the packet came that has waited longest; UINT64_MAX: none waits.
  [[nodiscard]] std::uint64_t oldest_ns() const noexcept {
    std::uint64_t oldest = std::numeric_limits<std::uint64_t>::max();
    for (std::uint64_t left = present_; left != 0; left &= left - 1)
      oldest = std::min(oldest, arrived_ns_[static_cast<std::size_t>(std::countr_zero(left))]);
    return oldest;
  }

  void put(rte_mbuf* packet, std::uint32_t sequence, std::uint64_t now_ns) noexcept {
    const std::uint32_t index = sequence % kHoldSpan;
    packets_[index] = packet;
    arrived_ns_[index] = now_ns;
    present_ |= std::uint64_t{1} << index;
  }
  [[nodiscard]] rte_mbuf* take(std::uint32_t sequence) noexcept {
    const std::uint32_t index = sequence % kHoldSpan;
    present_ &= ~(std::uint64_t{1} << index);
    return packets_[index];
  }
  // Any one. Only when not empty().
  [[nodiscard]] rte_mbuf* take() noexcept {
    return take(static_cast<std::uint32_t>(std::countr_zero(present_)));
  }
  template <class Free>
  void take_all(Free free) noexcept {
    while (!empty()) free(take());
  }

 private:
  std::uint64_t present_ = 0;  // bit: sequence % kHoldSpan
  std::array<rte_mbuf*, kHoldSpan> packets_{};
  std::array<std::uint64_t, kHoldSpan> arrived_ns_{};
};

// First in, first out.
class InOrderPackets {
 public:
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }

  // Only when count() < kHoldSpan.
  void put(rte_mbuf* packet) noexcept {
    packets_[(head_ + count_) % kHoldSpan] = packet;
    ++count_;
  }
  // Only when not empty().
  [[nodiscard]] rte_mbuf* take() noexcept {
    rte_mbuf* const packet = packets_[head_];
    head_ = (head_ + 1) % kHoldSpan;
    --count_;
    return packet;
  }
  template <class Free>
  void take_all(Free free) noexcept {
    while (!empty()) free(take());
  }

 private:
  std::uint32_t head_ = 0;
  std::uint32_t count_ = 0;
  std::array<rte_mbuf*, kHoldSpan> packets_{};
};

template <class Packets>
class HoldQueues {
 public:
  static constexpr std::uint16_t kQueues = 512;

  struct Queue {
    SlotId slot;
    std::uint32_t generation = 0;
    std::uint16_t active_at = 0;  // index in active()
    bool marked = false;          // its owner wants to look at it before its time
    Packets packets;
  };

  // `enabled`: false: nothing is allocated, and acquire() has no queue. `max_packets`: in all
  // queues together.
  HoldQueues(bool enabled, std::uint32_t max_packets) : max_packets_(max_packets) {
    if (!enabled) return;
    queues_.resize(kQueues + 1);
    free_.reserve(kQueues);
    active_.reserve(kQueues);
    since_ns_.reserve(kQueues);
    for (std::uint16_t number = kQueues; number != 0; --number) free_.push_back(number);
  }
  ~HoldQueues() {
    for (Queue& queue : queues_) queue.packets.take_all(rte_pktmbuf_free);
  }
  HoldQueues(const HoldQueues&) = delete;
  HoldQueues& operator=(const HoldQueues&) = delete;

  // --- queues ---
  // An empty queue, unmarked, since `now_ns`. 0: all are in use.
  [[nodiscard]] std::uint16_t acquire(SlotId slot, std::uint32_t generation,
                                      std::uint64_t now_ns) noexcept {
    if (free_.empty()) return 0;
    const std::uint16_t number = free_.back();
    free_.pop_back();
    Queue& queue = queues_[number];
    queue.slot = slot;
    queue.generation = generation;
    queue.active_at = static_cast<std::uint16_t>(active_.size());
    queue.marked = false;
    active_.push_back(number);
    since_ns_.push_back(now_ns);
    return number;
  }
  // Takes an empty queue back; the session must not name it any more. The last of active() moves
  // to its place.
  void release(std::uint16_t number) noexcept {
    const std::uint16_t at = queues_[number].active_at;
    active_[at] = active_.back();
    since_ns_[at] = since_ns_.back();
    queues_[active_[at]].active_at = at;
    active_.pop_back();
    since_ns_.pop_back();
    free_.push_back(number);
  }
  [[nodiscard]] Queue& queue(std::uint16_t number) noexcept { return queues_[number]; }
  [[nodiscard]] const Queue& queue(std::uint16_t number) const noexcept { return queues_[number]; }
  void prefetch(std::uint16_t number) const noexcept { rte_prefetch0(&queues_[number]); }

  // Numbers of the queues in use. Their times lie together, apart from the queues, so that a search
  // for the oldest touches few cache lines.
  [[nodiscard]] std::span<const std::uint16_t> active() const noexcept { return active_; }
  [[nodiscard]] std::uint64_t& since_ns(std::size_t active_at) noexcept {
    return since_ns_[active_at];
  }
  [[nodiscard]] bool empty() const noexcept { return active_.empty(); }

  // --- packets ---
  [[nodiscard]] bool has_room() const noexcept { return held_ < max_packets_; }
  // Packets in all queues.
  [[nodiscard]] std::uint32_t held() const noexcept { return held_; }
  template <class... Where>
  void put(Queue& queue, rte_mbuf* packet, Where... where) noexcept {
    queue.packets.put(packet, where...);
    ++held_;
  }
  template <class... Where>
  [[nodiscard]] rte_mbuf* take(Queue& queue, Where... where) noexcept {
    --held_;
    return queue.packets.take(where...);
  }

 private:
  std::uint32_t max_packets_;
  std::vector<Queue> queues_;  // [0] stands for none
  std::vector<std::uint16_t> free_;
  std::vector<std::uint16_t> active_;
  std::vector<std::uint64_t> since_ns_;  // [i]: of active_[i]
  std::uint32_t held_ = 0;
};

}  // namespace pns::dataplane
