// SPDX-License-Identifier: BSD-3-Clause
//
// Records of the resume store: plain structs, and their octets. Pure functions, any thread.
//
//   octets 0–1   version           contract::kStoreVersion of the program that wrote the record
//   octets 2–3   min_compatible    the oldest version whose programs can read it
//   octets 4–7   length            of the whole record, in octets
//   octets 8–    core              fields of fixed size, the same in every compatible version
//   then         optional fields   tag (2 octets), length (2 octets), value; in any order
//
// All numbers are little-endian. A reader skips tags that it does not know, and the octets of a
// value beyond those that it knows. A new field is a new tag or an addition at the end of a value;
// it raises kStoreVersion alone. Every other change raises kStoreMinCompatible too.
//
// Reading trusts nothing: octets that are not one whole record of a compatible version give an
// empty result. No keys are stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/model/auth.hpp"
#include "controlplane/model/lease.hpp"
#include "controlplane/model/session_conditions.hpp"
#include "controlplane/ppp/link.hpp"
#include "controlplane/pptp/control_connection.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::resume {

// A control connection. The store keeps it as one record for the connection, one for each of its
// calls and unanswered offers, and one for the place in its stream.
struct StoredConnection {
  ConnectionId id;
  Ipv4Address local;
  Ipv4Address peer;
  std::uint16_t peer_port = 0;
  std::uint64_t opened_ns = 0;       // CLOCK_MONOTONIC
  std::uint64_t handled_up_to = 0;   // octets of the stream whose effect is in `machine`
  pptp::ConnectionSnapshot machine;  // calls by number
};

struct StoredSession {
  SessionId id;
  SlotId slot;
  std::uint32_t generation = 0;
  ConnectionId connection;
  OurCallId our_call_id;
  PeerCallId peer_call_id;
  model::Lease lease;
  std::uint64_t started_ns = 0;  // CLOCK_MONOTONIC
  std::uint64_t opened_ns = 0;   // CLOCK_MONOTONIC
  std::uint16_t mtu = 0;         // octets
  model::ServiceRates rates{};
  model::ServiceFilters filters{};
  model::AuthOrigin origin{};
  model::SessionConditions conditions{};
  ppp::LinkSnapshot link;  // its keys are neither written nor read
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

using Octets = std::vector<std::byte>;

// The record of the connection alone: without handled_up_to and without machine.calls.
[[nodiscard]] Octets encode(const StoredConnection& connection);
[[nodiscard]] Octets encode(const pptp::KnownCall& call);
[[nodiscard]] Octets encode(const StoredSession& session);
[[nodiscard]] Octets encode(const StoredDrain& drain);
// One number alone: the place in a stream (octets), or the end of a Call ID's rest (nanoseconds).
[[nodiscard]] Octets encode_number(std::uint64_t number);

[[nodiscard]] std::optional<StoredConnection> decode_connection(Bytes record);
[[nodiscard]] std::optional<pptp::KnownCall> decode_call(Bytes record);
[[nodiscard]] std::optional<StoredSession> decode_session(Bytes record);
[[nodiscard]] std::optional<StoredDrain> decode_drain(Bytes record);
[[nodiscard]] std::optional<std::uint64_t> decode_number(Bytes record);

#ifdef PNS_CONTRACT_TRIAL  // pns/contract/build_contract.hpp
// Records of sessions with the trial's key that this process has read.
[[nodiscard]] std::uint64_t trial_keys_read() noexcept;
#endif

}  // namespace pns::resume
