// SPDX-License-Identifier: BSD-3-Clause
//
// SessionFacts: what accounting tells of a session, and the RADIUS attributes that say it
// (RFC 2866, RFC 2867, RFC 2869, RFC 3162). Plain values; pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/accounting/record.hpp"
#include "controlplane/accounting/terminate_cause.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"
#include "pns/radius/numbers.hpp"

namespace pns::accounting {

using Authentic = radius::AcctAuthentic;

struct SessionFacts {
  SessionId session{};
  std::string user;
  SlotId slot{};        // NAS-Port
  Ipv4Address peer{};   // outer address of the subscriber
  Ipv4Address local{};  // the address that he has dialled
  OurCallId our_call_id{};
  PeerCallId peer_call_id{};
  Authentic authentic = Authentic::kLocal;
  std::optional<Ipv4Address> address{};
  std::optional<Ipv6Prefix> ipv6_prefix{};
  std::optional<Ipv6Prefix> delegated_prefix{};  // of the session, asked for or not
  std::optional<Ipv6Address> ipv6_address{};     // likewise
  Networks networks{};                           // behind the subscriber
  std::vector<Octets> classes{};                 // of the Access-Accept, unchanged and in order
  std::string realm{};                           // configured realm of the user; empty: none
};

// From the subscriber's point of view: input is what he has sent (RFC 2866 §5.3).
struct SessionCounters {
  std::uint64_t seconds = 0;  // since the link was open
  std::uint64_t input_octets = 0;
  std::uint64_t output_octets = 0;
  std::uint64_t input_packets = 0;
  std::uint64_t output_packets = 0;
};

// Attributes that every record of the session has.
[[nodiscard]] Octets identity_attributes(const SessionFacts& facts);
// Octets beyond 2^32 go into the Gigawords (RFC 2869 §5.1); packets beyond it cannot be told, and
// are shown modulo 2^32.
[[nodiscard]] Octets counter_attributes(const SessionCounters& counters);
[[nodiscard]] Octets cause_attributes(TerminateCause cause);

}  // namespace pns::accounting
