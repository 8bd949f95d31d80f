// SPDX-License-Identifier: BSD-3-Clause
//
// PortLosses: what the device, the socket or the TAP of a port counted outside the workers, in
// session memory. Main polls the sources about once a second and writes; control reads. The totals
// go on over a restart of the dataplane; only session memory that is made anew begins at zero.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "pns/base/port_loss.hpp"
#include "pns/contract/counter.hpp"

namespace pns::contract {

struct PortLosses {
  static constexpr std::size_t kQueues = 64;          // a port has no more than there are workers
  static constexpr std::size_t kDeviceCounters = 64;  // further ones are not shown
  static constexpr std::size_t kNameSize = 64;        // octets, as in rte_eth_xstat_name
  static constexpr std::size_t kRoom = 32;            // PortLosses; Place::told has a bit for each

  struct Count {
    Counter total;           // main: writes; control: reads
    std::uint64_t last = 0;  // main only: the source's own number when it was last read
  };
  // The port as a whole, or one receive queue. A bit of `told`: the source has this PortLoss.
  struct Place {
    std::atomic<std::uint32_t> told{0};  // main: writes; control: reads
    std::array<Count, kRoom> counts;     // by PortLoss
  };
  // A counter under the name that the driver or the kernel gives it.
  struct DeviceCounter {
    std::array<char, kNameSize> name{};  // fixed once device_counters covers it
    Count count;
    [[nodiscard]] std::string_view name_view() const noexcept {
      return {name.data(), ::strnlen(name.data(), name.size())};
    }
  };

  Place port;
  std::array<Place, kQueues> queues;
  std::array<DeviceCounter, kDeviceCounters> device;
  std::atomic<std::uint32_t> device_counters{0};  // main: writes; control: reads
  // Main only: the device whose numbers `last` are.
  std::array<char, kNameSize> source{};

  static_assert(kPortLossCount <= kRoom);
};

// Calls visit(queue, loss, count) for all that is known of a port, also to this program; no queue:
// of the port whole.
template <class Visit>
void for_each_loss(const PortLosses& losses, Visit&& visit) {
  const auto visit_place = [&](std::optional<std::size_t> queue, const PortLosses::Place& place) {
    const std::uint32_t told = place.told.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < kPortLossCount; ++i)
      if ((told >> i & 1U) != 0)
        visit(queue, static_cast<PortLoss>(i), place.counts[i].total.get());
  };
  visit_place(std::nullopt, losses.port);
  for (std::size_t queue = 0; queue < PortLosses::kQueues; ++queue)
    visit_place(queue, losses.queues[queue]);
}

// Calls visit(name, count) for the device's own counters.
template <class Visit>
void for_each_device_counter(const PortLosses& losses, Visit&& visit) {
  const std::size_t count = std::min<std::size_t>(
      losses.device_counters.load(std::memory_order_acquire), PortLosses::kDeviceCounters);
  for (std::size_t i = 0; i < count; ++i)
    visit(losses.device[i].name_view(), losses.device[i].count.total.get());
}

// Packets of one kind, of all queues.
[[nodiscard]] inline std::uint64_t sum_of(const PortLosses& losses, PortLossKind kind) {
  std::uint64_t sum = 0;
  for_each_loss(losses, [&](std::optional<std::size_t>, PortLoss loss, std::uint64_t count) {
    if (info_of(loss).kind == kind) sum += count;
  });
  return sum;
}

}  // namespace pns::contract
