// SPDX-License-Identifier: BSD-3-Clause
//
// Counters of the RADIUS client: for each server, and for datagrams of no server. The event loop
// writes them; the metrics thread reads them at scrape time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/model/statistics.hpp"

namespace pns::model {

enum class RadiusKind : std::uint8_t { kAuthentication, kAccounting, kCount };
inline constexpr std::size_t kRadiusKinds = static_cast<std::size_t>(RadiusKind::kCount);

[[nodiscard]] constexpr std::string_view name_of(RadiusKind kind) noexcept {
  constexpr std::array<std::string_view, kRadiusKinds> kNames = {"authentication", "accounting"};
  return kNames[static_cast<std::size_t>(kind)];
}

enum class RadiusDiscard : std::uint8_t {
#define PNS_RADIUS_DISCARD(name, help, reference) name,
#include "controlplane/model/radius_discards.def"
#undef PNS_RADIUS_DISCARD
  kCount
};
inline constexpr std::size_t kRadiusDiscards = static_cast<std::size_t>(RadiusDiscard::kCount);

struct RadiusDiscardInfo {
  std::string_view name;
  std::string_view help;
  std::string_view reference;
};

// Indexed by RadiusDiscard.
inline constexpr std::array<RadiusDiscardInfo, kRadiusDiscards> kRadiusDiscardInfos = {{
#define PNS_RADIUS_DISCARD(name, help, reference) {#name, help, reference},
#include "controlplane/model/radius_discards.def"
#undef PNS_RADIUS_DISCARD
}};

[[nodiscard]] constexpr std::string_view name_of(RadiusDiscard reason) noexcept {
  const auto index = static_cast<std::size_t>(reason);
  return index < kRadiusDiscards ? kRadiusDiscardInfos[index].name : "invalid";
}

// A server answers (alive), owes several answers (suspect), or has been given up (dead).
enum class RadiusState : std::uint8_t { kAlive, kSuspect, kDead };

[[nodiscard]] constexpr std::string_view name_of(RadiusState state) noexcept {
  constexpr std::array<std::string_view, 3> kNames = {"alive", "suspect", "dead"};
  return kNames[static_cast<std::size_t>(state)];
}

struct RadiusServerCounts {
  std::string name;  // address:port, for the label
  RadiusKind kind = RadiusKind::kAuthentication;
  Count requests;         // first transmissions
  Count retransmissions;  // of the same packet
  Count answers;          // verified
  Count timeouts;         // transmissions that had no answer in time
  Count fail_overs;       // requests that went on to another server
  Count send_failures;    // datagrams that the kernel did not take
  Count probes, probe_answers;
  Count deaths;  // ever
  std::array<Count, kRadiusDiscards> discards;
  Count state;                          // RadiusState, now
  Count window, outstanding, deferred;  // now; deferred: retransmissions that wait for the window
  Count round_trip_us;                  // smoothed
};

struct RadiusCounts {
  Count unknown_source;                        // RadiusDiscard::unknown_source: of no server
  std::array<Count, kRadiusKinds> waiting;     // now, for the window of a server
  std::array<Count, kRadiusKinds> refused;     // the queue was full
  std::array<Count, kRadiusKinds> expired;     // no answer before the deadline
  std::array<Count, kRadiusKinds> lost_state;  // the server of a conversation died
};

// One kind of attribute in Access-Accepts.
struct RadiusAttributeCounts {
  std::string_view name;  // static storage; "other": all that have no name here
  Count unreadable;       // its value is not of its form
  Count unsupported;      // this server does nothing with it
};

}  // namespace pns::model
