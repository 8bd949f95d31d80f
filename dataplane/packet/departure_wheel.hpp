// SPDX-License-Identifier: BSD-3-Clause
//
// DepartureWheel: packets that wait until a time that is known when they come (a timing wheel,
// after Varghese and Lauck). It has 2,048 slots of 262 µs. A packet leaves at the first end of a
// slot that is not before its time. Packets of one slot leave in the order in which they came. So
// packets whose times never decrease keep their order, whoever else waits. Owns the packets that it
// holds. One worker; allocates at construction only.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pns::dataplane {

class DepartureWheel {
 public:
  static constexpr unsigned kSlotBits = 18;
  static constexpr std::uint64_t kSlotNs = std::uint64_t{1} << kSlotBits;
  static constexpr std::uint32_t kSlots = 2048;
  // A packet can wait so long: 536 ms.
  static constexpr std::uint64_t kHorizonNs = (kSlots - 2) * kSlotNs;

  // max_packets 0: nothing is allocated, and it is full.
  explicit DepartureWheel(std::uint32_t max_packets);
  ~DepartureWheel();
  DepartureWheel(const DepartureWheel&) = delete;
  DepartureWheel& operator=(const DepartureWheel&) = delete;

  [[nodiscard]] bool full() const noexcept { return free_ == 0; }
  [[nodiscard]] std::uint32_t packets() const noexcept { return packets_; }

  // Takes the packet. Only when not full(). `due_ns` is at most kHorizonNs after `now_ns`.
  void put(rte_mbuf* packet, std::uint64_t due_ns, std::uint64_t now_ns) noexcept;
  // Packets whose time has come, the earliest slot first, at most out.size().
  [[nodiscard]] std::size_t take_due(std::span<rte_mbuf*> out, std::uint64_t now_ns) noexcept;
  // When take_due() has something; UINT64_MAX: nothing waits.
  [[nodiscard]] std::uint64_t next_due_ns() const noexcept { return next_due_ns_; }

 private:
  struct Entry {
    rte_mbuf* packet = nullptr;
    std::uint32_t next = 0;  // in its slot, or in the free list; 0: the last
  };
  struct Slot {
    std::uint32_t first = 0;  // 0: empty
    std::uint32_t last = 0;
  };

  // Slots have consecutive numbers since time 0. Only when a packet waits: the first one from
  // `cursor_` on that holds any.
  [[nodiscard]] std::uint64_t first_used() const noexcept;
  [[nodiscard]] rte_mbuf* pop(std::uint32_t index) noexcept;

  std::vector<Entry> entries_;  // [0] stands for none
  std::vector<Slot> slots_;     // by number modulo kSlots
  std::array<std::uint64_t, kSlots / 64> used_{};
  std::uint32_t free_ = 0;
  std::uint32_t packets_ = 0;
  std::uint64_t cursor_ = 0;  // no slot before this number holds anything
  std::uint64_t next_due_ns_ = UINT64_MAX;
};

}  // namespace pns::dataplane
