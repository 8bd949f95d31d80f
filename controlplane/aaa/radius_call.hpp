// SPDX-License-Identifier: BSD-3-Clause
//
// Attributes that Access-Requests and Accounting-Requests have in common: this server, and one call
// to it. Pure functions, any thread.
#pragma once

#include <optional>
#include <string>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/radius/packet_builder.hpp"

namespace pns::aaa {

// This server, as it names itself to RADIUS servers.
struct RadiusNas {
  std::string identifier;           // NAS-Identifier
  std::optional<Ipv4Address> ipv4;  // NAS-IP-Address
  std::optional<Ipv6Address> ipv6;  // NAS-IPv6-Address
};

struct RadiusCall {
  SessionId session{};  // Acct-Session-Id; 0: none
  SlotId slot{};        // NAS-Port
  PeerCallId peer_call_id{};
  Ipv4Address peer{};   // outer address of the subscriber
  Ipv4Address local{};  // the address that he has dialled
};

void add_nas(radius::PacketBuilder& packet, const RadiusNas& nas);
// RFC 2865 §5, and the tunnel of RFC 2868 §3.
void add_call(radius::PacketBuilder& packet, const RadiusCall& call);

}  // namespace pns::aaa
