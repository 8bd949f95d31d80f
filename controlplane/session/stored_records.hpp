// SPDX-License-Identifier: BSD-3-Clause
//
// What the ResumeStore keeps of a connection and of a session, and its form there: CBOR, with
// contract::kStoreVersion. No keys. Reading trusts nothing: what is not a whole record of this
// version is none. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "controlplane/model/lease.hpp"
#include "controlplane/ppp/link.hpp"
#include "controlplane/pptp/control_connection.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::session {

struct StoredConnection {
  ConnectionId id;
  Ipv4Address local;
  Ipv4Address peer;
  std::uint16_t peer_port = 0;
  std::uint64_t opened_ns = 0;      // CLOCK_MONOTONIC
  std::uint64_t handled_up_to = 0;  // octets of the stream whose effect is in `machine`
  pptp::ConnectionSnapshot machine;
};

struct StoredSession {
  SlotId slot;
  std::uint32_t generation = 0;
  ConnectionId connection;
  OurCallId our_call_id;
  PeerCallId peer_call_id;
  model::Lease lease;
  std::uint64_t started_ns = 0;  // CLOCK_MONOTONIC
  std::uint64_t opened_ns = 0;
  std::uint16_t mtu = 0;
  std::optional<std::uint64_t> rate_bits_per_second;
  ppp::LinkSnapshot link;  // without keys
};

// A Call ID that no call may have yet (RFC 2637 §3.2.2: stale GRE must meet nobody).
struct RestingCallId {
  Ipv4Address local;
  OurCallId id;
  std::uint64_t until_ns = 0;  // CLOCK_MONOTONIC
  friend bool operator==(const RestingCallId&, const RestingCallId&) = default;
};

// A drain that goes on. Times are CLOCK_MONOTONIC.
struct StoredDrain {
  std::uint64_t since_ns = 0;
  std::optional<std::uint64_t> deadline_ns{};
  std::uint64_t calls_at_start = 0;
  friend bool operator==(const StoredDrain&, const StoredDrain&) = default;
};

[[nodiscard]] std::vector<std::uint8_t> encode(const StoredConnection& connection);
[[nodiscard]] std::vector<std::uint8_t> encode(const StoredSession& session);
[[nodiscard]] std::optional<StoredConnection> decode_connection(
    std::span<const std::uint8_t> record);
[[nodiscard]] std::optional<StoredSession> decode_session(std::span<const std::uint8_t> record);
[[nodiscard]] std::vector<std::uint8_t> encode(const StoredDrain& drain);
[[nodiscard]] std::optional<StoredDrain> decode_drain(std::span<const std::uint8_t> record);

}  // namespace pns::session
