// SPDX-License-Identifier: BSD-3-Clause
//
// The answer to a subscriber's DHCPINFORM (RFC 2131 §4.3.5). Windows asks after IPCP for the routes
// that lead into the tunnel, and for the domain. Nothing is kept for a session. Sans-I/O.
#pragma once

#include <string>
#include <vector>

#include "controlplane/model/link_actions.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::ppp {

// The configuration that DHCPINFORM yields beside the name servers of IPCP. Shared by all links.
struct InformSettings {
  struct Pool {
    std::vector<Ipv4Range> ranges;
    std::vector<Ipv4Prefix> routes;
  };
  std::string domain;  // at most wire::kMaxDhcpDomain octets; empty: none
  std::vector<Pool> pools;
  std::vector<Ipv4Prefix> outside_routes;  // of subscribers outside all pools

  [[nodiscard]] const std::vector<Ipv4Prefix>& routes_of(Ipv4Address subscriber) const noexcept;
};

// The PPP frame that answers `packet`, from the Address field on; empty when it is no DHCPINFORM of
// the subscriber. `inner_mtu`: octets of IP that the link carries.
[[nodiscard]] std::vector<std::byte> answer_dhcp_inform(Bytes packet,
                                                        const model::NetworkParameters& network,
                                                        const InformSettings& settings,
                                                        std::uint16_t inner_mtu);

}  // namespace pns::ppp
