// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/port_steering.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "pns/base/be.hpp"
#include "pns/base/toeplitz.hpp"

namespace pns::contract {
namespace {

template <std::size_t kCount>
WorkerId look_up(const PortSteering& steering, const std::array<be32, kCount>& addresses) noexcept {
  const auto octets = std::bit_cast<std::array<std::uint8_t, sizeof(addresses)>>(addresses);
  return WorkerId(steering.reta[toeplitz(steering.key, octets) % steering.reta_size]);
}

}  // namespace

PortSteering checked(const PortSteering& copy, std::uint32_t workers) noexcept {
  if (copy.way == SteeringWay::kKey) return {.way = SteeringWay::kKey};
  const bool sound = copy.way == SteeringWay::kRss &&
                     copy.hashed <= HashedAddresses::kDestination && copy.reta_size != 0 &&
                     copy.reta_size <= PortSteering::kLargestReta &&
                     std::all_of(copy.reta.begin(), copy.reta.begin() + copy.reta_size,
                                 [workers](std::uint8_t worker) { return worker < workers; });
  return sound ? copy : PortSteering();
}

std::optional<WorkerId> predict(const PortSteering& steering, Ipv4Address source,
                                Ipv4Address destination) noexcept {
  if (steering.way != SteeringWay::kRss) return std::nullopt;
  if (steering.hashed == HashedAddresses::kDestination) return predict(steering, destination);
  return look_up(steering, std::array{source.wire(), destination.wire()});
}

std::optional<WorkerId> predict(const PortSteering& steering, Ipv4Address destination) noexcept {
  if (steering.way != SteeringWay::kRss || steering.hashed != HashedAddresses::kDestination)
    return std::nullopt;
  return look_up(steering, std::array{destination.wire()});
}

}  // namespace pns::contract
