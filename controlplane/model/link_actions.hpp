// SPDX-License-Identifier: BSD-3-Clause
//
// The actions that a ppp::Link asks of its caller (subscriber::Session), in order. It does no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "controlplane/model/auth.hpp"
#include "controlplane/model/delegation.hpp"
#include "controlplane/model/dhcpv6_result.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::model {

enum class LinkPhase : std::uint8_t {
  kDead,
  kEstablish,
  kAuthenticate,
  kNetwork,
  kOpen,
  kTerminate
};

[[nodiscard]] constexpr std::string_view name_of(LinkPhase phase) noexcept {
  constexpr std::array<std::string_view, 6> kNames = {"dead",    "establish", "authenticate",
                                                      "network", "open",      "terminate"};
  return kNames[static_cast<std::size_t>(phase)];
}

// Send one PPP frame in the clear, from the Address field on (FF 03 protocol …); at most 1,504
// octets.
struct SendFrame {
  std::vector<std::byte> frame;
};

// The dataplane must know this of LCP. Sent when LCP opens (open = true) and when it leaves Opened.
struct ConfigureLink {
  bool open = false;
  std::uint32_t our_magic = 0;  // for Echo-Reply; 0 when not negotiated
  std::uint32_t peer_magic = 0;
  std::uint16_t peer_mru = 1500;  // octets: the most the peer takes
  bool send_acfc = false;         // peer agreed: we may leave out FF 03
  bool send_pfc = false;          // peer agreed: we may send one-octet protocols
};

// Arm both MPPE directions. Comes before the CCP Configure-Ack that lets the peer start.
struct ArmMppe {
  MppeKeys keys;                // RFC 3079 master session keys; the dataplane derives the rest
  std::uint8_t key_bits = 128;  // 40, 56 or 128
  bool stateless = true;
};

struct DisarmMppe {};

// IPCP is open: data may flow for this address.
struct OpenIpv4 {
  Ipv4Address subscriber;
};

struct CloseIpv4 {};

// IPv6CP is open: data may flow for the leased prefix. Identifiers as in RFC 5072 §4.1, host order.
struct OpenIpv6 {
  std::uint64_t our_interface_id = 0;
  std::uint64_t peer_interface_id = 0;
  friend bool operator==(const OpenIpv6&, const OpenIpv6&) = default;
};

struct CloseIpv6 {};

// DHCPv6 has brought the delegated prefix or the address of the session into force, or has taken
// them out of it. The store must know it before the peer.
struct Ipv6BindingsChanged {
  Ipv6Bindings bindings;
};

// A DHCPv6 message of the peer was handled (for counters).
struct Dhcpv6Handled {
  Dhcpv6Result result;
};

// Ask AAA; the answer comes back as Link::on_auth_result.
struct Authenticate {
  AuthRequest request;
};

// The phase has changed (for counters and `pns show`).
struct PhaseChanged {
  LinkPhase phase;
};

// The link is over; nothing follows.
struct LinkEnded {
  EndReason reason;
};

using LinkAction = std::variant<SendFrame, ConfigureLink, ArmMppe, DisarmMppe, OpenIpv4, CloseIpv4,
                                OpenIpv6, CloseIpv6, Ipv6BindingsChanged, Dhcpv6Handled,
                                Authenticate, PhaseChanged, LinkEnded>;
using LinkActions = std::vector<LinkAction>;

// For Router Advertisements (RFC 4861, RFC 8106) and DHCPv6 (RFC 8415) to the subscriber.
struct Ipv6Parameters {
  Ipv6Prefix prefix;                 // a /64, the session's own
  std::array<Ipv6Address, 3> dns{};  // unspecified: not offered
  SharedDelegation delegation{};     // of DHCPv6
  friend bool operator==(const Ipv6Parameters&, const Ipv6Parameters&) = default;
};

// The offer of the network phase to the subscriber. From the pool and the configuration.
struct NetworkParameters {
  Ipv4Address our_address;               // the gateway's address in IPCP
  Ipv4Address subscriber_address;        // the lease
  std::array<Ipv4Address, 2> dns{};      // unspecified: not offered (RFC 1877 options 129, 131)
  std::array<Ipv4Address, 2> wins{};     // unspecified: not offered (RFC 1877 options 130, 132)
  std::optional<Ipv6Parameters> ipv6{};  // absent: IPv6CP is not spoken
  std::uint16_t mtu = 0;                 // octets of inner IP at most; 0: as much as fits
};

}  // namespace pns::model
