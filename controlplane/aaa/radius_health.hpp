// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusHealth: whether one server is alive, suspect or dead. It is suspect after `count`
// transmissions in a row without an answer. It is dead when, besides, it has said nothing for
// `time` and has not answered a Status-Server probe (RFC 5997) either: a server that is slow is not
// dead. Any verified answer revives it.
//
//   alive ──count unanswered──► suspect ──time has passed, and a probe was lost──► dead
//     ▲  ◄──── an answer, or the answer to a probe ────┘                             │
//     └──── an answer, or the answer to a probe; without probes: interval has passed ┘
//
// An answer to a probe says nothing of the data base behind the server. The next requests decide:
// one that is lost makes the server suspect again. Time is a parameter. One thread.
#pragma once

#include <cstdint>
#include <optional>

#include "controlplane/model/radius_counts.hpp"
#include "pns/base/time.hpp"

namespace pns::aaa {

struct RadiusHealthSettings {
  unsigned count = 3;
  Duration time = Seconds(10);
  Duration interval = Seconds(5);  // between probes; without them, until a dead server is tried
  Duration probe_timeout = Seconds(3);
  bool probes = true;  // Status-Server
};

class RadiusHealth {
 public:
  using State = model::RadiusState;
  enum class Todo : std::uint8_t { kNothing, kProbe, kDied, kRevived };

  explicit RadiusHealth(const RadiusHealthSettings& settings) noexcept : settings_(settings) {}

  void on_sent(TimePoint now) noexcept;  // a request, for the first time or again
  // True: it was not alive before.
  bool on_answer() noexcept;
  // A transmission of `sent_at` had no answer in time. One that was sent before the last answer
  // does not count.
  void on_lost(TimePoint sent_at, TimePoint now) noexcept;
  // True: as on_answer().
  bool on_probe_answer(TimePoint now) noexcept;
  void on_probe_lost(TimePoint now) noexcept;

  // The work that is due at `now`. kProbe: send one now. kDied and kRevived: the state has just
  // changed.
  [[nodiscard]] Todo advance(TimePoint now) noexcept;
  // When advance() has something to do next; empty: not before another event.
  [[nodiscard]] std::optional<TimePoint> next() const noexcept;

  [[nodiscard]] State state() const noexcept { return state_; }
  // It owes at least one answer since its last one.
  [[nodiscard]] bool is_doubtful() const noexcept { return unanswered_ != 0; }

 private:
  RadiusHealthSettings settings_;
  State state_ = State::kAlive;
  unsigned unanswered_ = 0;                  // transmissions since the last answer
  std::optional<TimePoint> silent_since_{};  // the first transmission since the last answer
  bool probe_lost_ = false;                  // since the last answer
  bool probing_ = false;                     // one is in flight
  TimePoint next_probe_{};                   // suspect and dead
};

}  // namespace pns::aaa
