// SPDX-License-Identifier: BSD-3-Clause
//
// Counters of the control process. Written by the event loop, read by the metrics thread at scrape
// time and by the management interface: every field is a relaxed atomic with one writer.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "controlplane/model/call_kind.hpp"
#include "controlplane/model/dhcpv6_result.hpp"
#include "controlplane/model/link_actions.hpp"
#include "pns/base/end_reason.hpp"

namespace pns::model {

class Count {
 public:
  void add(std::int64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void set(std::int64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

inline constexpr std::size_t kLinkPhases = 6;

// How far a call's set-up came; each call passes each stage at most once.
enum class SetupStage : std::uint8_t {
  kOffered,
  kInstalled,
  kLcpOpen,
  kAuthenticated,
  kCcpOpen,
  kOpen,
  kCount
};
inline constexpr std::size_t kSetupStages = static_cast<std::size_t>(SetupStage::kCount);
inline constexpr std::array<std::string_view, kSetupStages> kSetupStageNames = {
    "offered", "installed", "lcp_open", "authenticated", "ccp_open", "open"};

// How long the phases of this process's start took: up to the open store, with configuration and
// grants; the take-over; the attachment of the dataplane; and, beside them, until the users were
// read.
enum class StartPhase : std::uint8_t { kStore, kTakeOver, kAttach, kUsers, kCount };
inline constexpr std::size_t kStartPhases = static_cast<std::size_t>(StartPhase::kCount);
inline constexpr std::array<std::string_view, kStartPhases> kStartPhaseNames = {
    "store", "take_over", "attach", "users"};

// The ground on which a new session got its worker: the predicted queue of its packets; the number
// of sessions alone, where nothing is predicted; that number, against the prediction.
enum class SteeredBy : std::uint8_t { kPrediction, kBalance, kAgainstPrediction, kCount };
inline constexpr std::size_t kSteeredBy = static_cast<std::size_t>(SteeredBy::kCount);
inline constexpr std::array<std::string_view, kSteeredBy> kSteeredByNames = {
    "prediction", "balance", "against_prediction"};

// The limits per source that hold something back (docs/limits.md).
enum class SourceLimit : std::uint8_t { kConnections, kIdle, kNewCalls, kMessages, kCount };
inline constexpr std::size_t kSourceLimits = static_cast<std::size_t>(SourceLimit::kCount);
inline constexpr std::array<std::string_view, kSourceLimits> kSourceLimitNames = {
    "connections", "idle", "new_calls", "messages"};

// Upper bounds of a TimeHistogram's buckets, milliseconds.
inline constexpr std::array<std::int64_t, 11> kTimeBoundsMs = {10,   25,   50,   100,   250,  500,
                                                               1000, 2500, 5000, 10000, 30000};

struct TimeHistogram {
  Count sum_ms;
  Count count;
  std::array<Count, kTimeBoundsMs.size()> buckets;  // cumulative is made by the exporter

  void add(std::int64_t ms) noexcept {
    sum_ms.add(ms);
    count.add();
    for (std::size_t i = 0; i < buckets.size(); ++i)
      if (ms <= kTimeBoundsMs[i]) return buckets[i].add();
  }
};

// Upper bounds of the buckets of TurnTimes, microseconds.
inline constexpr std::array<std::int64_t, 12> kTurnBoundsUs = {
    100, 250, 500, 1000, 2000, 5000, 10'000, 20'000, 50'000, 100'000, 250'000, 1'000'000};

// CPU time of the turns of the event loop.
struct TurnTimes {
  Count sum_ns;
  Count count;
  std::array<Count, kTurnBoundsUs.size()> buckets;  // cumulative is made by the exporter
  Count max_ns;                                     // since the last begin_window() but one

  void add(std::int64_t ns) noexcept {
    sum_ns.add(ns);
    count.add();
    if (ns > window_max_) {
      window_max_ = ns;
      max_ns.set(std::max(ns, before_));
    }
    for (std::size_t i = 0; i < buckets.size(); ++i)
      if (ns <= kTurnBoundsUs[i] * 1000) return buckets[i].add();
  }
  void begin_window() noexcept {
    before_ = std::exchange(window_max_, 0);
    max_ns.set(before_);
  }

 private:
  std::int64_t window_max_ = 0;  // the event loop's alone, as before_
  std::int64_t before_ = 0;
};

struct Statistics {
  std::array<Count, kStartPhases> start_ms;
  TurnTimes loop_turns;
  // control connections
  Count connections;           // open now
  Count connections_accepted;  // ever
  std::array<Count, kEndReasonCount> connection_ends;
  Count sources;                                    // known to subscriber::SourceLimits
  Count sources_forgotten;                          // ever, for want of room
  std::array<Count, kSourceLimits> source_limited;  // times that a source was held back
  std::array<Count, 16> messages_received;          // by control message type; 0: refused
  std::array<Count, 16> messages_sent;
  // calls
  std::array<Count, kLinkPhases> sessions_by_phase;  // now
  std::array<Count, kCallKinds> sessions_by_kind;    // now
  std::array<Count, kCallKinds> calls_by_kind;       // installed, ever
  std::array<Count, WanErrors::kCount> wan_errors;   // told by PACs
  std::array<Count, kSetupStages> setups;            // ever
  std::array<Count, kEndReasonCount> call_ends;
  std::array<Count, kSteeredBy> calls_steered;  // ever
  // By contract::PortRole: a contract::SteeringWay, of the dataplane that attached last.
  std::array<Count, 2> port_steering;
  TimeHistogram setup_time;                      // admission to IPCP open
  TimeHistogram admission_wait;                  // offer to admission
  Count admission_in_flight, admission_waiting;  // now
  Count draining;                                // 0 or 1
  Count drain_calls_left;                        // while draining
  // AAA
  Count auth_accepted, auth_denied, auth_pending;
  Count auth_delayed;  // held back by aaa::GuessLimiter
  // DHCPv6 messages of subscribers, by Dhcpv6Result
  std::array<Count, kDhcpv6Results> dhcpv6;
  // dataplane link
  Count dataplane_attached;  // 0 or 1
  Count dataplane_attaches;
  Count punted_frames_received, punted_frames_stale;
  Count dead_paths;  // reports that no encrypted packet of a session opens
  Count dataplane_commands, dataplane_commands_refused;
  // resources
  Count store_failures;      // turns of the event loop that could not be written
  Count store_transactions;  // turns that were
  Count store_records;       // written or erased in them
  Count store_failing;       // 0 or 1
  Count memory_octets;       // of this process's own
};

}  // namespace pns::model
