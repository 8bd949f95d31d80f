// SPDX-License-Identifier: BSD-3-Clause
//
// SessionIdentification: which sessions a request of dynamic authorization means (RFC 5176 §3). A
// session must match everything that is given. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::model {

struct SessionIdentification {
  // NAS-Port-Id, as our requests have it.
  struct PortId {
    Ipv4Address peer;
    PeerCallId peer_call_id;
    friend bool operator==(const PortId&, const PortId&) = default;
  };

  std::optional<SessionId> session{};       // Acct-Session-Id
  std::optional<SlotId> slot{};             // NAS-Port
  std::optional<Ipv4Address> address{};     // Framed-IP-Address
  std::optional<Ipv6Prefix> ipv6_prefix{};  // Framed-IPv6-Prefix
  // Framed-IPv6-Address: in the session's prefix, or the account's.
  std::optional<Ipv6Address> ipv6_address{};
  std::optional<Ipv6Prefix> delegated_prefix{};  // Delegated-IPv6-Prefix
  std::optional<std::string> user{};             // User-Name: of the account
  std::optional<PortId> port_id{};               // NAS-Port-Id
  std::optional<Ipv4Address> peer{};             // Calling-Station-Id
  std::optional<Ipv4Address> local{};            // Called-Station-Id
  std::optional<std::uint64_t> interface_id{};   // Framed-Interface-Id
  bool names_none = false;  // something was given that is no session's of this server

  // Something is given by which sessions are found. Framed-Interface-Id or Delegated-IPv6-Prefix
  // alone is not enough: there is no index of it.
  [[nodiscard]] bool selects() const noexcept {
    return names_none || session || slot || address || ipv6_prefix || ipv6_address || user ||
           port_id || peer || local;
  }
  friend bool operator==(const SessionIdentification&, const SessionIdentification&) = default;
};

}  // namespace pns::model
