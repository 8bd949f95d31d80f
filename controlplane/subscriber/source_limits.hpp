// SPDX-License-Identifier: BSD-3-Clause
//
// SourceLimits: what one source, the outer IPv4 address of a peer, may cost (docs/limits.md). It
// decides and counts; others carry out: ConnectionTable closes connections, CallControl refuses
// calls, MessageTurns lets messages wait. Failed logins are aaa::GuessLimiter's, set-ups in flight
// are Admission's.
//
// A source is known while it has a connection, and afterwards until kMaxResting others have come
// since. Memory is bounded by that and by the number of connections. Time is a parameter; every
// operation is O(log n), and Top's work is divided. Event-loop thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/model/statistics.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"
#include "pns/base/token_bucket.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {

class SourceLimits {
 public:
  struct Settings {
    std::size_t connections = 2500;       // of one source
    std::size_t all_connections = 20000;  // of all sources
    TokenBucket::Settings new_calls{.rate = 100, .burst = 2000};
    TokenBucket::Settings messages{.rate = 1000, .burst = 10'000};
    Duration idle_connection_time = Seconds(60);  // 0: for ever
    std::vector<Ipv4Prefix> allow{};              // empty: everybody
    std::vector<Ipv4Prefix> deny{};
    std::vector<Ipv4Prefix> exempt{};
  };
  using Limit = model::SourceLimit;
  static constexpr std::size_t kLimits = model::kSourceLimits;

  struct View {
    Ipv4Address source;
    bool exempt = false;
    std::size_t connections = 0;
    std::size_t idle_connections = 0;
    std::array<std::uint64_t, kLimits> limited{};  // by Limit; times, since it is known
  };

  static constexpr std::size_t kMaxResting = 65'536;  // sources without a connection

  explicit SourceLimits(Settings settings) : settings_(std::move(settings)) {}

  // ---- Connections.
  // Why a new one is closed at once (source_denied, source_connections), or kNone.
  [[nodiscard]] EndReason admit(Ipv4Address source);
  void add(Ipv4Address source);
  void remove(Ipv4Address source, ConnectionId id);
  // A connection has no call since then; empty: it has one. Repeats are ignored.
  void set_idle(Ipv4Address source, ConnectionId id, std::optional<TimePoint> since);
  // The moment at which a connection without a call since then is closed; empty: never.
  [[nodiscard]] std::optional<TimePoint> idle_until(Ipv4Address source, TimePoint since) const;
  // A connection was closed because it had no call.
  void count_idle(Ipv4Address source);
  // More than nine tenths of all connections are in use: the one to be closed for a new one. It is
  // the oldest idle one of the source with most of them; empty: no source has two.
  [[nodiscard]] std::optional<ConnectionId> connection_to_shed(std::size_t connections) const;

  // ---- Calls and messages.
  // False: the source asks for too many new calls.
  [[nodiscard]] bool take_call(Ipv4Address source, TimePoint now);
  // Messages of the source that may be handled now.
  [[nodiscard]] std::size_t messages_allowed(Ipv4Address source, TimePoint now);
  void take_messages(Ipv4Address source, std::size_t messages, TimePoint now);
  // It has none left, and its messages wait.
  void count_paused(Ipv4Address source);

  // ---- The log. Whether a line that the source can cause without a password may be written;
  // suppressed: how many before it were not.
  struct LogVerdict {
    bool write = false;
    std::uint64_t suppressed = 0;
  };
  [[nodiscard]] LogVerdict log_line(Ipv4Address source, TimePoint now);

  [[nodiscard]] bool is_exempt(Ipv4Address source) const noexcept;
  [[nodiscard]] std::size_t sources() const noexcept { return sources_.size(); }
  // Sources that gave way to others; their token buckets would be full again now.
  [[nodiscard]] std::uint64_t forgotten() const noexcept { return forgotten_; }
  // Times that sources were held back, of all sources since the start.
  [[nodiscard]] const std::array<std::uint64_t, kLimits>& limited() const noexcept {
    return limited_;
  }
  // Finds the sources that were held back most often, then those with most connections, a part of
  // all sources at a time.
  class Top;

 private:
  struct Source {
    bool exempt = false;
    std::size_t connections = 0;
    std::set<std::pair<TimePoint, ConnectionId>> idle;  // the oldest first
    TokenBucket new_calls;
    TokenBucket messages;
    log::RateLimit lines{20, Seconds(1)};
    std::array<std::uint64_t, kLimits> limited{};
    std::list<Ipv4Address>::iterator resting;  // while it has no connection
  };
  using Sources = std::unordered_map<Ipv4Address, Source>;

  [[nodiscard]] Source& of(Ipv4Address source);
  void rest(Ipv4Address address, Source& source);
  void count(Source& source, Limit limit) noexcept;
  // Keeps by_idle_ in step with a change of the source's idle connections.
  template <class Change>
  void change_idle(Ipv4Address address, Source& source, Change change);

  Settings settings_;
  Sources sources_;
  std::uint64_t forgotten_ = 0;
  std::array<std::uint64_t, kLimits> limited_{};
  std::list<Ipv4Address> resting_;  // the one that was used longest ago first
  std::unordered_map<ConnectionId, TimePoint> idle_since_;
  std::set<std::pair<std::size_t, Ipv4Address>> by_idle_;  // sources, by number of idle connections
};

class SourceLimits::Top {
 public:
  Top(const SourceLimits& limits, std::size_t count) : limits_(limits), count_(count) {}
  // Looks at the next part. False: it was the last.
  bool turn();
  // After the last turn.
  [[nodiscard]] const std::vector<View>& views() const noexcept { return views_; }

 private:
  void keep_first();

  const SourceLimits& limits_;
  std::size_t count_;
  std::size_t buckets_ = 0;  // of the hash table when this began
  std::size_t next_bucket_ = 0;
  std::vector<View> views_;  // the first of those that were looked at
};

}  // namespace pns::subscriber
