// SPDX-License-Identifier: BSD-3-Clause
//
// Dhcpv6Responder: the DHCPv6 server of one link (RFC 8415). It gives the delegated prefix that the
// session has (IA_PD), its address (IA_NA), name servers and the domain. The lease does not depend
// on identifiers: the link leads to one subscriber, and the lease lasts as long as the session. The
// state is therefore what is in force (model::Ipv6Bindings).
//
// Sans-I/O, one thread. Memory: the token bucket of kRate, which bounds the answers of a link.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "controlplane/model/dhcpv6_result.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/context.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/token_bucket.hpp"

namespace pns::ppp {

enum class Dhcpv6Mode : std::uint8_t {
  kOff,        // no message is answered
  kStateless,  // addresses come from Router Advertisements; an account may have a fixed one
  kStateful,   // IA_NA gives an address out of the session's /64
};

// Shared by all links.
struct Dhcpv6Settings {
  Dhcpv6Mode mode = Dhcpv6Mode::kOff;
  std::vector<std::byte> server_identifier{};  // DUID, 3 to wire::kMaxDuid octets
  std::vector<std::byte> domain_list{};        // as wire::write_dhcpv6_domain() has it; empty: none
};

// The flags of Router Advertisements (RFC 4861 §4.2).
struct Dhcpv6Flags {
  bool managed = false;  // M: addresses by DHCPv6
  bool other = false;    // O: other configuration by DHCPv6
};
[[nodiscard]] Dhcpv6Flags dhcpv6_flags(const Dhcpv6Settings& settings,
                                       const model::Ipv6Parameters& parameters) noexcept;

class Dhcpv6Responder {
 public:
  static constexpr TokenBucket::Settings kRate{.rate = 1, .burst = 8};
  // Lifetimes of prefixes and addresses, seconds. A client renews at half of the preferred
  // lifetime.
  static constexpr std::uint32_t kValidLifetime = 86'400;
  static constexpr std::uint32_t kPreferredLifetime = 14'400;

  // An IPv6 packet for a DHCPv6 server, from the peer. `parameters`: what the session has; their
  // bindings are brought up to date. `our_interface_id`: of our link-local address. Adds the answer
  // and a Dhcpv6Handled and, in front of both, Ipv6BindingsChanged when that is so.
  void on_packet(Bytes packet, model::Ipv6Parameters& parameters, std::uint64_t our_interface_id,
                 const Dhcpv6Settings& settings, Context& context);

 private:
  TokenBucket answers_;
};

}  // namespace pns::ppp
