// SPDX-License-Identifier: BSD-3-Clause
//
// NeighbourRequests: asks the kernel for the MAC address of a neighbour (RTM_NEWNEIGH), which the
// kernel then keeps fresh until it is told to forget the neighbour (RTM_DELNEIGH). Needs
// CAP_NET_ADMIN: the supervisor does it for the dataplane. One thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "pns/base/ip_address.hpp"
#include "pns/netlink/route_socket.hpp"

namespace pns::netlink {

enum class NeighbourVerb : std::uint8_t { kAsk, kForget };

class NeighbourRequests {
 public:
  // A socket in this process's network namespace. Error: netlink's reason.
  [[nodiscard]] static std::expected<NeighbourRequests, std::string> open();

  // Does not wait. The answer to kAsk is an entry of the kernel's neighbour table.
  void send(NeighbourVerb verb, int interface_index, Ipv4Address neighbour) const noexcept;
  void send(NeighbourVerb verb, int interface_index, const Ipv6Address& neighbour) const noexcept;

 private:
  RouteSocket socket_;
};

}  // namespace pns::netlink
