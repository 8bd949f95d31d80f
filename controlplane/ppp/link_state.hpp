// SPDX-License-Identifier: BSD-3-Clause
//
// A link as others see it: LinkStatus for `pns show`, LinkSnapshot for the next control process.
// Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/model/auth.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/compression.hpp"
#include "controlplane/ppp/lcp.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::ppp {

// The facts of a link that `pns show` prints.
struct LinkStatus {
  model::LinkPhase phase = model::LinkPhase::kDead;
  model::AuthMethod auth = model::AuthMethod::kNone;  // none until authenticated
  std::string user;                                   // the account; empty until authenticated
  std::string mppe = "none";                          // "mppe128-stateless", "mppe40-stateful", …
  Ipv4Address address;                                // the lease; unspecified until IPCP is open
  std::optional<Ipv6Prefix> ipv6_prefix;              // the lease; empty until IPV6CP is open
  std::uint16_t peer_mru = 1500;                      // octets
};

// A link whose peer may count it as up, as it must be known again after a restart of the control
// process. Plain data.
struct LinkSnapshot {
  // LCP or CCP was being negotiated anew: the next process begins with LCP. The rest does not count
  // then, but for mppe: whether the link was encrypted, and must be again.
  bool from_lcp = false;
  LcpAgreement lcp;
  std::string user;
  model::AuthMethod auth = model::AuthMethod::kNone;
  std::optional<MppeAgreement> mppe;  // absent: not encrypted
  // Start keys. Without them a CCP that the peer opens anew makes LCP start over: logging in again
  // gives new ones.
  std::optional<model::MppeKeys> keys;
  model::NetworkParameters network;
  struct InterfaceIds {
    std::uint64_t ours = 0;
    std::uint64_t peers = 0;
  };
  bool ipv4 = true;                    // false: the peer has rejected IPCP
  std::optional<InterfaceIds> ipv6{};  // absent: the peer may not count IPV6CP as open
};

}  // namespace pns::ppp
