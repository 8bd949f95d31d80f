// SPDX-License-Identifier: BSD-3-Clause
//
// Distinct types for identifiers, so that a peer's Call ID cannot be passed where ours is meant.
// Plain values in host byte order unless said otherwise; fit for shared memory.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace pns {

template <class Tag, class Rep>
struct Id {
  Rep value = 0;
  constexpr Id() noexcept = default;
  constexpr explicit Id(Rep v) noexcept : value(v) {}
  friend constexpr auto operator<=>(const Id&, const Id&) noexcept = default;
};

// The Call ID we assigned: the peer writes it into the GRE Key field of what it sends to us
// (RFC 2637 §4.1). Never 0. Its low 8 bits name the steering bucket, and so the owning worker.
using OurCallId = Id<struct OurCallIdTag, std::uint16_t>;
// The Call ID the peer assigned: we write it into the GRE Key field. May be 0.
using PeerCallId = Id<struct PeerCallIdTag, std::uint16_t>;
// Index of a session record in session memory.
using SlotId = Id<struct SlotIdTag, std::uint32_t>;
// One TCP control connection, unique over the life of the supervisor.
using ConnectionId = Id<struct ConnectionIdTag, std::uint64_t>;
// One PPTP session: unique over restarts of the server's processes, never used again.
using SessionId = Id<struct SessionIdTag, std::uint64_t>;
// Index of a dataplane worker.
using WorkerId = Id<struct WorkerIdTag, std::uint16_t>;

// Bucket of a Call ID in the steering table; the owner is steering[our_call_id & 0xff].
inline constexpr std::uint16_t kSteeringBuckets = 256;
[[nodiscard]] constexpr std::uint8_t steering_bucket(OurCallId id) noexcept {
  return static_cast<std::uint8_t>(id.value & 0xff);
}

}  // namespace pns

template <class Tag, class Rep>
struct std::hash<pns::Id<Tag, Rep>> {
  std::size_t operator()(const pns::Id<Tag, Rep>& id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};
