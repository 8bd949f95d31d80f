// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/packet/departure_wheel.hpp"

#include <algorithm>
#include <bit>

namespace pns::dataplane {

DepartureWheel::DepartureWheel(std::uint32_t max_packets) {
  if (max_packets == 0) return;
  slots_.resize(kSlots);
  entries_.resize(std::size_t{max_packets} + 1);
  for (std::uint32_t entry = max_packets; entry != 0; --entry) {
    entries_[entry].next = free_;
    free_ = entry;
  }
}

DepartureWheel::~DepartureWheel() {
  for (std::uint32_t index = 0; index < slots_.size(); ++index)
    while (slots_[index].first != 0) rte_pktmbuf_free(pop(index));
}

void DepartureWheel::put(rte_mbuf* packet, std::uint64_t due_ns, std::uint64_t now_ns) noexcept {
  if (packets_ == 0) cursor_ = now_ns >> kSlotBits;
  // A worker that was stopped for long has a cursor far behind. The wheel does not lap it.
  const std::uint64_t number =
      std::clamp((due_ns + kSlotNs - 1) >> kSlotBits, cursor_, cursor_ + kSlots - 1);
  const auto index = static_cast<std::uint32_t>(number % kSlots);
  const std::uint32_t entry = free_;
  free_ = entries_[entry].next;
  entries_[entry] = {packet, 0};
  Slot& slot = slots_[index];
  if (slot.first == 0)
    slot.first = entry;
  else
    entries_[slot.last].next = entry;
  slot.last = entry;
  used_[index / 64] |= std::uint64_t{1} << index % 64;
  ++packets_;
  next_due_ns_ = std::min(next_due_ns_, number << kSlotBits);
}

std::uint64_t DepartureWheel::first_used() const noexcept {
  const auto start = static_cast<std::uint32_t>(cursor_ % kSlots);
  std::uint64_t word = used_[start / 64] >> start % 64;
  if (word != 0) return cursor_ + static_cast<std::uint64_t>(std::countr_zero(word));
  std::uint64_t number = cursor_ + 64 - start % 64;
  for (std::size_t n = 0; n < used_.size(); ++n, number += 64) {
    word = used_[number % kSlots / 64];
    if (word != 0) return number + static_cast<std::uint64_t>(std::countr_zero(word));
  }
  return UINT64_MAX;
}

rte_mbuf* DepartureWheel::pop(std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  const std::uint32_t entry = slot.first;
  slot.first = entries_[entry].next;
  if (slot.first == 0) used_[index / 64] &= ~(std::uint64_t{1} << index % 64);
  entries_[entry].next = free_;
  free_ = entry;
  --packets_;
  return entries_[entry].packet;
}

std::size_t DepartureWheel::take_due(std::span<rte_mbuf*> out, std::uint64_t now_ns) noexcept {
  std::size_t taken = 0;
  while (packets_ != 0) {
    cursor_ = first_used();
    if (cursor_ << kSlotBits > now_ns || taken == out.size()) break;
    out[taken++] = pop(static_cast<std::uint32_t>(cursor_ % kSlots));
  }
  next_due_ns_ = packets_ == 0 ? UINT64_MAX : cursor_ << kSlotBits;
  // A packet that comes now may leave before all those that wait.
  cursor_ = std::min(cursor_, now_ns >> kSlotBits);
  return taken;
}

}  // namespace pns::dataplane
