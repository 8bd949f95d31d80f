// SPDX-License-Identifier: BSD-3-Clause
//
// The facts that `pns show` and the management API tell: copies, made on the event loop.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/call_kind.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"

namespace pns::subscriber {

// One direction of a session's service.
struct DirectionView {
  std::optional<std::uint64_t> rate{};        // bits a second of inner IP; empty: no limit
  std::optional<std::uint64_t> burst{};       // octets that pass at once after a pause
  std::string filter{};                       // name; empty: none
  std::optional<std::uint64_t> quota_left{};  // octets; empty: any number
};

// The terms that hold for a session now.
struct TermsView {
  std::string realm{};  // of the user's name; empty: none
  std::string pool{};   // of the lease; empty: a fixed address outside every pool, or no lease
  std::optional<std::uint64_t> session_left_s{};      // empty: no limit
  std::optional<std::uint64_t> idle_timeout_s{};      // empty: no limit
  std::optional<std::uint64_t> quota_left{};          // octets of both directions together
  std::optional<std::uint64_t> interim_interval_s{};  // empty: no reports
  DirectionView up{}, down{};
  std::vector<std::vector<std::byte>> classes{};  // Class, RFC 2865 §5.25
};

struct SessionView {
  SessionId id;
  SlotId slot;
  std::string user;          // the authenticated account; empty until then
  std::string claimed_user;  // the name that the peer gave last, proved or not
  Ipv4Address peer;
  Ipv4Address local;
  Ipv4Address address;                         // unspecified until IPCP is open
  std::optional<Ipv6Prefix> ipv6_prefix;       // empty until IPV6CP is open
  std::optional<Ipv6Prefix> delegated_prefix;  // of the session, in force or not
  Networks networks;                           // behind the subscriber, in force
  std::string state;  // dialling, establish, authenticate, network, open, terminate, removing
  std::string kind;   // subscriber, incoming, placed
  OurCallId our_call_id;
  PeerCallId peer_call_id;
  std::string auth;
  std::string mppe;
  std::uint16_t worker = 0;
  std::uint64_t connection = 0;
  std::uint64_t uptime_s = 0;
  std::uint64_t idle_s = 0;
  std::uint64_t setup_ms = 0;  // request to IPCP open; 0 until then
  std::uint16_t mtu = 0;
  // from the subscriber's packets: rx is upstream, tx is downstream; inner IP
  std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
  std::uint64_t rx_drops = 0, tx_drops = 0, sequence_gaps = 0;
  model::WanErrors wan_errors;  // as the PAC of the call told (RFC 2637 §2.14)
  TermsView terms;
};

struct ConnectionView {
  std::uint64_t id = 0;
  Ipv4Address peer;
  std::uint16_t peer_port = 0;
  Ipv4Address local;
  std::string state;
  std::string host_name;
  std::string vendor;
  std::string role;       // accepted, originated
  std::size_t calls = 0;  // with a session
  std::array<std::size_t, model::kCallKinds> calls_by_kind{};
  std::uint64_t uptime_s = 0;
};

struct DrainView {
  bool draining = false;
  std::optional<std::uint64_t> deadline_s;  // from now; empty: there is none
  std::size_t calls_left = 0;
  std::size_t calls_at_start = 0;
  std::size_t connections = 0;
  std::uint64_t since_s = 0;
};

struct EndView {  // one of the last calls that ended
  SessionId session;
  std::string user;          // as in SessionView
  std::string claimed_user;  // as in SessionView
  Ipv4Address peer;
  std::string reason;
  std::uint64_t ago_s = 0;
  std::uint64_t duration_s = 0;
};

// The counts of an audit, and every contradiction that it found.
struct AuditView {
  struct Finding {
    std::string what;  // as record_without_session
    std::string detail;
  };
  std::size_t sessions = 0;   // those on their way in or out included
  std::size_t in_motion = 0;  // of them: not compared with session memory now
  std::size_t installed = 0;  // records of session memory
  std::size_t leases = 0;
  std::size_t call_ids_in_use = 0;
  std::size_t call_ids_quarantined = 0;
  std::size_t connections = 0;
  std::size_t stored_sessions = 0;
  std::size_t stored_connections = 0;
  std::size_t findings_in_all = 0;
  std::vector<Finding> findings;  // the first hundred
};

}  // namespace pns::subscriber
