// SPDX-License-Identifier: BSD-3-Clause
//
// The texts of Cisco-AVPair that this server acts on: "protocol:name=value", with "*" for "=" where
// the pair is optional, and perhaps "#number" behind the name. Pure functions, any thread, no
// allocation, no throw. Texts are views of the argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "pns/radius/routes.hpp"

namespace pns::radius {

enum class TrafficDirection : std::uint8_t { kUpload, kDownload };

// lcp:interface-config[#n]=rate-limit {input|output} BPS NORMAL-BURST MAX-BURST
//     conform-action {transmit|continue} exceed-action drop
struct CiscoRateLimit {
  TrafficDirection direction = TrafficDirection::kUpload;  // input: from the client
  std::uint64_t rate = 0;                                  // bits per second
  std::uint64_t normal_burst = 0;                          // octets
  std::uint64_t maximum_burst = 0;                         // octets
  friend bool operator==(const CiscoRateLimit&, const CiscoRateLimit&) noexcept = default;
};

// ip:sub-qos-policy-in=NAME, ip:sub-qos-policy-out=NAME
struct CiscoPolicy {
  TrafficDirection direction = TrafficDirection::kUpload;
  std::string_view name;
  friend bool operator==(const CiscoPolicy&, const CiscoPolicy&) noexcept = default;
};

// ip:addr-pool=NAME
struct CiscoAddressPool {
  std::string_view name;
  friend bool operator==(const CiscoAddressPool&, const CiscoAddressPool&) noexcept = default;
};

// ip:route=… is a FramedRoute. All other pairs, a rate limit of an access group among them, are
// unknown: the caller counts them.
struct CiscoUnknown {
  friend bool operator==(const CiscoUnknown&, const CiscoUnknown&) noexcept = default;
};

using CiscoAvPair =
    std::variant<CiscoUnknown, CiscoRateLimit, CiscoPolicy, CiscoAddressPool, FramedRoute>;

// Empty: a pair of a known name whose value is not of its form, or no pair at all.
[[nodiscard]] std::optional<CiscoAvPair> parse_cisco_avpair(std::string_view text) noexcept;

}  // namespace pns::radius
