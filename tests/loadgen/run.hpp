// SPDX-License-Identifier: BSD-3-Clause
//
// Run: one load, from the first connection to the report: set-up of all sessions, so many at a
// time; traffic, churn and hold; the deaths, if any; the polite end. Two timers drive it: a coarse
// one for everything that waits, a fine one for traffic. One thread.
#pragma once

#include <asio/ip/tcp.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <fstream>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "tests/loadgen/connection.hpp"
#include "tests/loadgen/deaths.hpp"
#include "tests/loadgen/disturber.hpp"
#include "tests/loadgen/lines.hpp"
#include "tests/loadgen/pac_connection.hpp"
#include "tests/loadgen/report.hpp"
#include "tests/loadgen/site.hpp"
#include "tests/loadgen/timeline.hpp"

namespace pns::loadgen {

class Run {
 public:
  // Throws std::runtime_error when a source address cannot be used.
  explicit Run(const Options& options);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() = default;

  // Returns when all is over, the time limit is, or SIGINT or SIGTERM came.
  [[nodiscard]] Outcome go();

 private:
  enum class Phase : std::uint8_t {
    kSettingUp,
    kHolding,
    kSettling,  // churn is over; the last ones dial
    kDying,
    kClosing
  };

  void listen(std::size_t source);
  void accept(std::size_t listener);
  void open_pac_connections();
  void launch(TimePoint now);
  [[nodiscard]] bool settled() const;
  void tick();
  void begin_holding(TimePoint now);
  [[nodiscard]] bool holds(TimePoint now) const;
  void begin_dying(TimePoint now);
  void begin_closing(TimePoint now);
  [[nodiscard]] bool all_closed() const;
  void begin_timeline();
  void write_timeline(TimePoint now);
  void write_sessions();
  void await_view_signal();
  void pace_traffic();
  void report_progress(TimePoint now);
  void stop(std::string_view why);

  Site site_;
  AnswerCounts answers_;
  std::vector<asio::ip::tcp::acceptor> listeners_;  // one for each source
  Lines lines_;                                     // of subscribers
  bool launch_posted_ = false;  // more of them are to dial when the loop comes round
  Deaths deaths_;
  Disturber disturber_;
  std::vector<std::unique_ptr<Connection>> connections_;  // of PACs
  std::size_t next_connection_ = 0;                       // of a PAC, to announce a call

  Phase phase_ = Phase::kSettingUp;
  TimePoint begun_{};
  TimePoint settled_{};
  TimePoint traffic_until_{};
  TimePoint next_progress_{};
  std::string stopped_;  // why, if not at its end

  struct Turn {
    TimePoint at;
    std::size_t session;
    friend bool operator>(const Turn& a, const Turn& b) noexcept { return a.at > b.at; }
  };
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns_;  // of traffic

  std::ofstream timeline_file_;
  std::optional<Timeline> timeline_;

  asio::steady_timer tick_;
  asio::steady_timer pace_;
  asio::steady_timer limit_;
  asio::signal_set signals_;
  asio::signal_set view_signal_;  // --sessions-file
};

}  // namespace pns::loadgen
