// SPDX-License-Identifier: BSD-3-Clause
//
// GuessLimiter: an Authenticator in front of another that slows down who guesses passwords. An
// outer address with `failures` wrong passwords within `window` has its questions answered one by
// one, `spacing` apart, until its window is over; what would have to wait longer than
// `longest_delay` is refused unasked (auth_throttled). Nobody else waits. Addresses are those of
// TCP connections, so nobody can be slowed down by another's forgery; subscribers behind one NAT
// share their fate.
//
// Memory is bounded: `max_sources` addresses, forgotten when their window is over, and
// `max_waiting` questions. One wake-up serves all. Event-loop thread.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <unordered_map>

#include "controlplane/aaa/authenticator.hpp"
#include "controlplane/model/statistics.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"

namespace pns::aaa {

struct GuessLimits {
  unsigned failures = 10;
  Duration window = Seconds(60);
  Duration spacing = Seconds(1);
  Duration longest_delay = Seconds(10);
  std::size_t max_sources = 65'536;
  std::size_t max_waiting = 4'096;
};

class GuessLimiter final : public Authenticator {
 public:
  using Clock = std::function<TimePoint()>;
  // Asks for on_deadline() at this moment, instead of any asked for before.
  using Wake = std::function<void(TimePoint)>;

  // `inner` and `statistics` outlive this.
  GuessLimiter(Authenticator& inner, model::Statistics& statistics, Clock clock, Wake wake,
               const GuessLimits& limits = {});

  void authenticate(model::AuthRequest request, Done done) override;

  // Puts the questions whose time has come, and asks to be woken for the next.
  void on_deadline();

  [[nodiscard]] std::size_t source_count() const noexcept { return sources_.size(); }
  [[nodiscard]] std::size_t waiting_count() const noexcept { return waiting_.size(); }

 private:
  struct Source {
    TimePoint window_end;
    unsigned failures = 0;
    TimePoint next{};  // no answer before
  };
  struct Question {
    model::AuthRequest request;
    Done done;
  };

  void put(model::AuthRequest request, Done done);
  void count_failure(Ipv4Address peer);
  void forget_expired(TimePoint now);

  Authenticator& inner_;
  model::Statistics& statistics_;
  Clock clock_;
  Wake wake_;
  GuessLimits limits_;
  std::unordered_map<Ipv4Address, Source> sources_;
  TimePoint swept_{};
  std::multimap<TimePoint, Question> waiting_;  // by the moment they are put
};

}  // namespace pns::aaa
