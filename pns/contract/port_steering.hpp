// SPDX-License-Identifier: BSD-3-Clause
//
// PortSteering: what decides on which receive queue of a port, and so at which worker, an IPv4
// packet arrives. The dataplane reads it from the driver when the port has started and publishes it
// in session memory; the control process predicts with it, so that a session belongs to the worker
// that its packets reach anyway. Plain data, no DPDK.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::contract {

enum class SteeringWay : std::uint8_t {
  kHandOver = 0,  // nothing is known: workers hand packets over
  kRss = 1,       // the hash of the addresses, predictable
  kKey = 2,       // the bucket in the GRE key: every session's packets reach its owner
};
inline constexpr std::size_t kSteeringWays = 3;
inline constexpr std::array<std::string_view, kSteeringWays> kSteeringWayNames = {"hand_over",
                                                                                  "rss", "key"};

// Which addresses of the outermost IPv4 header are hashed, one after the other.
enum class HashedAddresses : std::uint8_t { kBoth = 0, kDestination = 1 };

struct PortSteering {
  // Two IPv4 addresses need eight octets of the key and the four that follow.
  static constexpr std::size_t kKeySize = 12;
  static constexpr std::size_t kLargestReta = 2048;  // the largest that a driver of DPDK 22.11 has

  SteeringWay way = SteeringWay::kHandOver;
  HashedAddresses hashed = HashedAddresses::kBoth;  // kRss only, and so is the rest
  std::uint16_t reta_size = 0;
  std::array<std::uint8_t, kKeySize> key{};       // the first octets of the RSS key
  std::array<std::uint8_t, kLargestReta> reta{};  // hash modulo reta_size → worker

  friend bool operator==(const PortSteering&, const PortSteering&) noexcept = default;
};

// As it was published, when every number is in range for so many workers; else kHandOver. For a
// copy: the other process may write meanwhile.
[[nodiscard]] PortSteering checked(const PortSteering& copy, std::uint32_t workers) noexcept;

// The worker at whose queue packets between these addresses arrive. Empty unless the way is kRss,
// and for a packet of which only the destination is known unless that alone is hashed. The
// PortSteering is a checked one.
[[nodiscard]] std::optional<WorkerId> predict(const PortSteering& steering, Ipv4Address source,
                                              Ipv4Address destination) noexcept;
[[nodiscard]] std::optional<WorkerId> predict(const PortSteering& steering,
                                              Ipv4Address destination) noexcept;

}  // namespace pns::contract
