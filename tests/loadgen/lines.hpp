// SPDX-License-Identifier: BSD-3-Clause
//
// Lines: the subscribers of a run, each with the connection that it has now: who dials first, again
// after a failure (--retry), again after a loss (--redial), and who hangs up to dial again
// (--churn). One thread.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tests/loadgen/dialer.hpp"
#include "tests/loadgen/pace.hpp"
#include "tests/loadgen/site.hpp"

namespace pns::loadgen {

class Lines {
 public:
  explicit Lines(Site& site) : site_(site) {}

  // One more subscriber dials for the first time.
  void launch(TimePoint now);
  void on_tick(TimePoint now);
  void start_churning(TimePoint now);
  void stop_churning() { churn_.reset(); }
  // From now on nobody dials.
  void stop_dialling();
  // Ends all politely.
  void hang_up(TimePoint now);
  [[nodiscard]] bool over() const;
  // The connection that this number has or had last.
  [[nodiscard]] Dialer& dialer(std::size_t number) const { return *lines_[number].dialer; }
  [[nodiscard]] std::size_t size() const noexcept { return lines_.size(); }

 private:
  struct Line {
    std::unique_ptr<Session> before;  // whom the dialer has served, when another one waits
    std::unique_ptr<Dialer> dialer;
    unsigned tries = 0;     // that failed, of this set-up
    bool given_up = false;  // it stays as it is
    TimePoint dial_at{};
  };

  void tend(std::size_t number, TimePoint now);
  void dial(std::size_t number, TimePoint now);
  void on_failed(std::size_t number, TimePoint now);
  void dial_later(std::size_t number, std::optional<TimePoint> first_try, Duration wait,
                  TimePoint now);
  void churn_one(TimePoint now);

  Site& site_;
  std::vector<Line> lines_;  // by number
  std::optional<Pace> churn_;
  bool closing_ = false;
};

}  // namespace pns::loadgen
