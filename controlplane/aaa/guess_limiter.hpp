// SPDX-License-Identifier: BSD-3-Clause
//
// GuessLimiter: an Authenticator in front of another that slows down who guesses passwords. It
// counts wrong passwords of the last `window`: for each account at each source (outer address), and
// for each source over all accounts, with a much higher bound. A question of an account or a source
// over its bound waits, so that answers come `spacing` apart (an account) or as often as the bound
// allows (a source). One that has to wait longer than `longest_delay` is denied unasked
// (auth_throttled); the peer is told nothing of its password then, so that a router dials again.
//
// Others behind the same NAT do not wait for the failures of one account. An account that logged in
// from a source before does not wait for the failures of that source either.
//
// Addresses are those of TCP connections, so nobody can be slowed down by another's forgery. Memory
// is bounded by `max_entries` in each table, forgotten when their window is over, and by
// `max_waiting` questions. One wake-up serves all. Event-loop thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "controlplane/aaa/authenticator.hpp"
#include "controlplane/model/statistics.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"

namespace pns::aaa {

struct GuessLimits {
  unsigned per_account = 10;   // failures in a window; 0: no limit
  unsigned per_source = 1000;  // likewise
  Duration window = Seconds(60);
  Duration spacing = Seconds(1);
  Duration longest_delay = Seconds(10);
  Duration remembered = Seconds(24 * 3600);  // an account that logged in from a source
  std::size_t max_entries = 65'536;
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
  [[nodiscard]] std::size_t account_count() const noexcept { return accounts_.size(); }
  [[nodiscard]] std::size_t waiting_count() const noexcept { return waiting_.size(); }

 private:
  // An account at a source. Names with equal hashes share their fate, which gives a guesser nothing
  // that it has not with the name itself.
  struct Account {
    Ipv4Address source;
    std::size_t name;  // hash
    friend bool operator==(const Account&, const Account&) = default;
  };
  struct Hash {
    std::size_t operator()(const Account& account) const noexcept {
      return account.name ^ account.source.value * 0x9e3779b97f4a7c15U;
    }
  };
  struct Failures {
    TimePoint window_end;
    unsigned count = 0;
    TimePoint next{};  // no answer before
  };
  struct Question {
    model::AuthRequest request;
    Done done;
  };

  [[nodiscard]] static Account account_of(const model::AuthRequest& request);
  // Null: it is not over its bound.
  template <class Table, class Key>
  [[nodiscard]] Failures* over(Table& table, const Key& key, unsigned bound, TimePoint now);
  template <class Table, class Key>
  void count(Table& table, const Key& key, TimePoint now);
  [[nodiscard]] bool logged_in_before(const Account& account, TimePoint now) const;
  void remember(const Account& account, TimePoint now);
  void put(model::AuthRequest request, Done done);
  void forget_expired(TimePoint now);

  Authenticator& inner_;
  model::Statistics& statistics_;
  Clock clock_;
  Wake wake_;
  GuessLimits limits_;
  std::unordered_map<Account, Failures, Hash> accounts_;
  std::unordered_map<Ipv4Address, Failures> sources_;
  std::unordered_map<Account, TimePoint, Hash> logged_in_;  // when it did last
  TimePoint swept_{};
  std::multimap<TimePoint, Question> waiting_;  // by the moment they are put
};

}  // namespace pns::aaa
