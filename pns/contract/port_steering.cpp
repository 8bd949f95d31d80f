// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/port_steering.hpp"

#include <algorithm>
#include <span>

#include "pns/base/toeplitz.hpp"

namespace pns::contract {
namespace {

void put_address(std::uint8_t* out, Ipv4Address address) noexcept {
  for (int shift = 24; shift >= 0; shift -= 8)
    *out++ = static_cast<std::uint8_t>(address.value >> shift);
}

WorkerId look_up(const PortSteering& steering, std::span<const std::uint8_t> addresses) noexcept {
  return WorkerId(steering.reta[toeplitz(steering.key, addresses) % steering.reta_size]);
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
  std::array<std::uint8_t, 8> addresses;
  put_address(addresses.data(), source);
  put_address(addresses.data() + 4, destination);
  return look_up(steering, addresses);
}

std::optional<WorkerId> predict(const PortSteering& steering, Ipv4Address destination) noexcept {
  if (steering.way != SteeringWay::kRss || steering.hashed != HashedAddresses::kDestination)
    return std::nullopt;
  std::array<std::uint8_t, 4> address;
  put_address(address.data(), destination);
  return look_up(steering, address);
}

}  // namespace pns::contract
