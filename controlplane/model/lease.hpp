// SPDX-License-Identifier: BSD-3-Clause
//
// Lease: one subscriber address out of a pool, an IPv6 prefix where the pool has any, and the
// networks behind the subscriber, owned by one session until it is given back.
#pragma once

#include <optional>
#include <string>

#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"

namespace pns::model {

struct Lease {
  Ipv4Address address;
  Ipv4Address gateway;                      // our side of the link, from the pool
  std::string pool;                         // name; empty for a fixed address outside every pool
  std::optional<Ipv6Prefix> ipv6_prefix{};  // a /64
  NetworksPointer networks{};
};

}  // namespace pns::model
