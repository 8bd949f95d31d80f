// SPDX-License-Identifier: BSD-3-Clause
//
// ServiceTerms: the terms on which a subscriber is served, as the users file or a RADIUS server
// grants them: rates, filters, limits. ServiceChange: the terms that a CoA-Request changes (RFC
// 5176 §2.2). Upstream is from the subscriber to the network. Plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"

namespace pns::model {

// One direction.
struct RateLimit {
  std::uint64_t bits_per_second = 0;  // of inner IP packets; 0: no limit
  std::uint64_t burst_octets = 0;     // 0: as rates.*.burst says
  friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

struct ServiceRates {
  RateLimit upstream{};
  RateLimit downstream{};
  std::string group{};  // of the configuration, whose rates are shared; empty: none
  friend bool operator==(const ServiceRates&, const ServiceRates&) = default;
};

// Names of filters of the configuration; empty: no filter.
struct ServiceFilters {
  std::string upstream{};
  std::string downstream{};
  friend bool operator==(const ServiceFilters&, const ServiceFilters&) = default;
};

// Octets of inner IP packets that a session may move; empty: any number.
struct VolumeQuota {
  std::optional<std::uint64_t> upstream;
  std::optional<std::uint64_t> downstream;
  std::optional<std::uint64_t> total;
  friend bool operator==(const VolumeQuota&, const VolumeQuota&) = default;
};

struct ServiceLimits {
  std::optional<Seconds> session_time;  // since the link was open; then the call ends
  std::optional<Seconds> idle_time;     // without an inner packet of either direction
  VolumeQuota quota;
  friend bool operator==(const ServiceLimits&, const ServiceLimits&) = default;
};

struct ServiceTerms {
  ServiceRates rates{};
  ServiceFilters filters{};
  ServiceLimits limits{};
  friend bool operator==(const ServiceTerms&, const ServiceTerms&) = default;
};

// Empty: as before.
struct ServiceChange {
  std::optional<RateLimit> upstream_rate{};
  std::optional<RateLimit> downstream_rate{};
  std::optional<std::string> upstream_filter{};
  std::optional<std::string> downstream_filter{};
  std::optional<Seconds> session_time{};  // since the link was open, not since the change
  std::optional<Seconds> idle_time{};
  VolumeQuota quota{};                                           // of the session as a whole
  std::optional<std::vector<std::vector<std::byte>>> classes{};  // Class, RFC 2865 §5.25
};

}  // namespace pns::model
