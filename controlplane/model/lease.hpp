// SPDX-License-Identifier: BSD-3-Clause
//
// Lease: one subscriber address out of a pool, IPv6 prefixes where the pool has any, and the
// networks behind the subscriber, owned by one session until it is given back.
#pragma once

#include <optional>
#include <string>

#include "controlplane/model/delegation.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"

namespace pns::model {

struct Lease {
  Ipv4Address address;
  Ipv4Address gateway;                      // our side of the link, from the pool
  std::string pool;                         // name; empty for a fixed address outside every pool
  std::optional<Ipv6Prefix> ipv6_prefix{};  // a /64
  NetworksPointer networks{};
  SharedDelegation delegation{};

  void set_bindings(const Ipv6Bindings& bindings) {
    Delegation changed = *delegation;
    changed.bindings = bindings;
    delegation = changed;
  }
  // The address of DHCPv6 needs a route of its own: it is not of the session's /64.
  [[nodiscard]] bool has_address_elsewhere() const noexcept {
    const auto& fixed = delegation->address;
    return fixed && !(ipv6_prefix && ipv6_prefix->contains(*fixed));
  }
  // Whether there may be networks in force beside address and /64.
  [[nodiscard]] bool may_have_networks() const noexcept {
    const Ipv6Bindings& bindings = delegation->bindings;
    return networks || bindings.prefix || (bindings.address && has_address_elsewhere());
  }
};

}  // namespace pns::model
