// SPDX-License-Identifier: BSD-3-Clause
//
// Addresses as libnl takes them. Any thread.
#pragma once

#include <netlink/addr.h>
#include <sys/socket.h>

#include <memory>

#include "pns/base/be.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::supervisor {

struct FreeNetlinkAddress {
  void operator()(nl_addr* address) const noexcept { nl_addr_put(address); }
};
using NetlinkAddress = std::unique_ptr<nl_addr, FreeNetlinkAddress>;

[[nodiscard]] inline NetlinkAddress make_address(Ipv4Address address, int prefix_length) {
  const be32 wire = address.wire();
  NetlinkAddress result(nl_addr_build(AF_INET, &wire, sizeof(wire)));
  nl_addr_set_prefixlen(result.get(), prefix_length);
  return result;
}

[[nodiscard]] inline NetlinkAddress make_address(const Ipv6Address& address, int prefix_length) {
  const auto wire = address.wire();
  NetlinkAddress result(nl_addr_build(AF_INET6, wire.data(), wire.size()));
  nl_addr_set_prefixlen(result.get(), prefix_length);
  return result;
}

}  // namespace pns::supervisor
