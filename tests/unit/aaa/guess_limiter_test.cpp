// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/guess_limiter.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <utility>

#include "tests/support/fake_clock.hpp"

using namespace pns;
using namespace pns::aaa;
using pns::test::FakeClock;

namespace {

constexpr Ipv4Address kGuesser(0xc6336401);
constexpr Ipv4Address kOther(0xc6336402);

// Lets the user "good" in, challenges "again" and refuses the rest; counts what it is asked.
class Judge final : public Authenticator {
 public:
  void authenticate(model::AuthRequest request, Done done) override {
    ++asked;
    if (request.user == good && right) return done(model::AuthGrant{});
    if (request.user == "again") return done(model::AuthChallenge{});
    done(std::unexpected(model::AuthDenial{.reason = reason}));
  }
  int asked = 0;
  std::string good = "good";
  bool right = true;  // the password of that user
  EndReason reason = EndReason::auth_failed;
};

struct Bench {
  explicit Bench(const GuessLimits& limits = {})
      : limiter(
            judge, statistics, [this] { return clock.now(); },
            [this](TimePoint at) { wake_at = at; }, limits) {}

  // Asks; the answers' reasons are collected.
  void ask(Ipv4Address peer, const char* user = "bad") {
    limiter.authenticate(
        {.user = user, .credentials = {}, .peer = peer}, [this](model::AuthResult result) {
          answers.push_back(result.denial() ? result.denial()->reason : EndReason::kNone);
          verdicts.push_back(!result.denial() || result.denial()->is_verdict);
        });
  }
  void fail(int times, Ipv4Address peer = kGuesser) {
    for (int i = 0; i < times; ++i) ask(peer);
  }
  void advance(Duration by) {
    const TimePoint until = clock.now() + by;
    while (wake_at && *wake_at <= until) {
      clock.advance_to(*std::exchange(wake_at, std::nullopt));
      limiter.on_deadline();
    }
    clock.advance_to(until);
  }

  FakeClock clock;
  model::Statistics statistics;
  Judge judge;
  std::optional<TimePoint> wake_at;
  GuessLimiter limiter;
  std::vector<EndReason> answers;
  std::vector<bool> verdicts;
};

}  // namespace

TEST_CASE("guess limiter: after ten failures an account waits at its source, and nobody else",
          "[aaa][conformance-46]") {
  Bench bench;
  bench.fail(10);
  CHECK(bench.answers.size() == 10);
  CHECK(bench.statistics.auth_delayed.get() == 0);
  bench.ask(kGuesser);
  CHECK(bench.judge.asked == 10);  // not even asked yet
  CHECK(bench.statistics.auth_delayed.get() == 1);
  bench.ask(kOther, "good");
  CHECK(bench.answers.size() == 11);
  CHECK(bench.answers.back() == EndReason::kNone);
  bench.advance(Seconds(1));
  CHECK(bench.answers.size() == 12);
  CHECK(bench.limiter.waiting_count() == 0);
}

TEST_CASE("guess limiter: the right password waits like a wrong one, and comes in", "[aaa]") {
  Bench bench;
  bench.judge.good = "forgetful";
  bench.judge.right = false;
  for (int i = 0; i < 10; ++i) bench.ask(kGuesser, "forgetful");
  bench.judge.right = true;
  bench.ask(kGuesser, "forgetful");
  CHECK(bench.answers.size() == 10);
  bench.advance(Seconds(1));
  CHECK(bench.answers.back() == EndReason::kNone);
}

TEST_CASE("guess limiter: another account behind the same address does not wait",
          "[aaa][conformance-46]") {
  Bench bench;
  bench.fail(900);
  bench.ask(kGuesser, "good");
  CHECK(bench.answers.back() == EndReason::kNone);
  // The same account under other domains is the same account.
  bench.fail(10);
  const int asked = bench.judge.asked;
  for (const char* name : {"bad", "A\\bad", "B\\bad"}) bench.ask(kGuesser, name);
  CHECK(bench.judge.asked == asked);
}

TEST_CASE("guess limiter: an address that guesses at many accounts waits, but for who logged in",
          "[aaa][conformance-46]") {
  GuessLimits limits;
  limits.per_source = 100;
  Bench bench(limits);
  bench.ask(kGuesser, "good");
  for (int i = 0; i < 1000; ++i) bench.ask(kGuesser, ("bad" + std::to_string(i)).c_str());
  CHECK(bench.judge.asked == 101);
  CHECK(bench.limiter.waiting_count() == 16);  // 0.6 s apart, at most 10 s
  bench.ask(kGuesser, "good");
  CHECK(bench.answers.back() == EndReason::kNone);
  bench.ask(kOther, "bad0");
  CHECK(bench.answers.back() == EndReason::auth_failed);
  bench.advance(Seconds(10));
  CHECK(bench.limiter.waiting_count() == 0);
}

TEST_CASE("guess limiter: who is throttled is told nothing of the password", "[aaa]") {
  Bench bench;
  bench.fail(21);
  CHECK(bench.answers.back() == EndReason::auth_throttled);
  CHECK_FALSE(bench.verdicts.back());
}

TEST_CASE("guess limiter: 0 turns a limit off", "[aaa]") {
  GuessLimits limits;
  limits.per_account = limits.per_source = 0;
  Bench bench(limits);
  bench.fail(5000);
  CHECK(bench.judge.asked == 5000);
}

TEST_CASE("guess limiter: questions of one source are a second apart; too many are refused",
          "[aaa][conformance-46]") {
  Bench bench;
  bench.fail(10);
  bench.fail(1000);
  CHECK(bench.limiter.waiting_count() == 10);
  CHECK(std::count(bench.answers.begin(), bench.answers.end(), EndReason::auth_throttled) == 990);
  bench.advance(Milliseconds(3500));
  CHECK(bench.judge.asked == 13);
  bench.advance(Seconds(10));
  CHECK(bench.judge.asked == 20);
  CHECK(bench.limiter.waiting_count() == 0);
}

TEST_CASE("guess limiter: ten thousand guesses a minute become some seventy",
          "[aaa][conformance-46]") {
  Bench bench;
  for (int i = 0; i < 10'000; ++i) {
    bench.ask(kGuesser);
    bench.advance(Milliseconds(6));
  }
  CHECK(bench.judge.asked <= 75);
  CHECK(bench.limiter.waiting_count() <= 10);
}

TEST_CASE("guess limiter: failures are forgotten a minute after the first", "[aaa]") {
  Bench bench;
  bench.fail(9);
  bench.advance(Seconds(60));
  bench.fail(9);
  CHECK(bench.statistics.auth_delayed.get() == 0);
  bench.fail(1);
  bench.advance(Seconds(60));
  bench.ask(kGuesser);
  CHECK(bench.statistics.auth_delayed.get() == 0);
}

TEST_CASE("guess limiter: what is no guess is not counted", "[aaa]") {
  Bench bench;
  bench.judge.reason = EndReason::auth_unavailable;
  bench.fail(100);
  for (int i = 0; i < 100; ++i) bench.ask(kGuesser, "good");
  CHECK(bench.limiter.source_count() == 0);
  CHECK(bench.statistics.auth_delayed.get() == 0);
}

TEST_CASE("guess limiter: sources and questions are bounded", "[aaa]") {
  GuessLimits limits;
  limits.max_entries = 100;
  limits.max_waiting = 5;
  Bench bench(limits);
  for (std::uint32_t i = 0; i < 1000; ++i) bench.ask(Ipv4Address(0x0a000000 + i));
  CHECK(bench.limiter.source_count() == 100);
  bench.advance(Seconds(61));
  bench.ask(kGuesser);  // those expired are forgotten for it
  CHECK(bench.limiter.source_count() == 1);
  bench.fail(9);
  bench.fail(50);
  CHECK(bench.limiter.waiting_count() == 5);
}

TEST_CASE("guess limiter: a challenge is no failure", "[aaa]") {
  Bench bench;
  for (int i = 0; i < 20; ++i) bench.ask(kGuesser, "again");
  CHECK(bench.answers.size() == 20);
  CHECK(bench.statistics.auth_delayed.get() == 0);
}

TEST_CASE("guess limiter: forms of one account's name share its failures", "[aaa][realms]") {
  Bench bench;
  for (const char* const user : {"alice", "alice@example.com", "EXAMPLE\\alice"})
    for (int i = 0; i < 4; ++i)
      bench.limiter.authenticate(
          {.user = user, .credentials = {}, .peer = kGuesser, .account = "alice"},
          [](const model::AuthResult&) {});
  CHECK(bench.judge.asked == 10);
  CHECK(bench.limiter.waiting_count() == 2);
  CHECK(bench.limiter.account_count() == 1);
}
