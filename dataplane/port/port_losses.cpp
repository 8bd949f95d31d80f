// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/port_losses.hpp"

#include <algorithm>
#include <array>

namespace pns::dataplane {
namespace {

using contract::PortLosses;
using Name = std::array<char, PortLosses::kNameSize>;

// Cut where it is too long; always with a zero at its end.
Name fixed_name(std::string_view text) {
  Name name{};
  std::copy_n(text.begin(), std::min(text.size(), name.size() - 1), name.begin());
  return name;
}

}  // namespace

std::uint64_t counted_between(std::uint64_t before, std::uint64_t now) noexcept {
  if (now >= before) return now - before;
  constexpr std::uint64_t kRound = std::uint64_t{1} << 32;
  if (before < kRound && before >= kRound / 4 * 3 && now < kRound / 4) return now + kRound - before;
  return now;
}

PortLossBook::PortLossBook(PortLosses& shared, std::string_view device) : shared_(shared) {
  const Name name = fixed_name(device);
  same_device_ = shared_.source == name;
  shared_.source = name;
}

// `first`: this process has not read it before; `known`: an earlier one has.
void PortLossBook::take(PortLosses::Count& count, bool first, bool known, std::uint64_t value,
                        Since since) const {
  if (first && since == Since::kProcess) count.last = 0;
  if (first && since == Since::kHost && !known) count.last = value;
  // A process that is killed between the two lines has lost this step: never counted twice.
  const std::uint64_t step = counted_between(count.last, value);
  count.last = value;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  count.total.add(step);
}

void PortLossBook::take(const PortReading& reading) {
  for (const auto& [queue, loss, value, since] : reading.losses) {
    const bool whole = queue == PortReading::kWholePort;
    if (!whole && queue >= PortLosses::kQueues) continue;
    PortLosses::Place& place = whole ? shared_.port : shared_.queues[queue];
    const auto index = static_cast<std::size_t>(loss);
    const std::size_t bit = (whole ? kPlaces - 1 : queue) * kPortLossCount + index;
    const std::uint32_t told = place.told.load(std::memory_order_relaxed);
    const bool known = same_device_ && (told >> index & 1U) != 0;
    take(place.counts[index], !losses_read_.test(bit), known, value, since);
    losses_read_.set(bit);
    place.told.store(told | 1U << index, std::memory_order_relaxed);
  }
  for (const auto& [text, value, since] : reading.device) {
    const Name name = fixed_name(text);
    const std::uint32_t count = shared_.device_counters.load(std::memory_order_relaxed);
    std::uint32_t slot = 0;
    while (slot < count && shared_.device[slot].name != name) ++slot;
    if (slot == count) {
      if (value == 0 || slot == PortLosses::kDeviceCounters) continue;
      shared_.device[slot].name = name;
      // A name that is new among known ones stood at zero when it was read last.
      shared_.device[slot].count.last = 0;
      take(shared_.device[slot].count, true, same_device_ || read_before_, value, since);
      shared_.device_counters.store(slot + 1, std::memory_order_release);
    } else {
      take(shared_.device[slot].count, !device_read_.test(slot), same_device_, value, since);
    }
    device_read_.set(slot);
  }
  read_before_ = true;
}

}  // namespace pns::dataplane
