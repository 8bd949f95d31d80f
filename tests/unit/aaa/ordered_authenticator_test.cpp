// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/ordered_authenticator.hpp"

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace pns;
using namespace pns::aaa;

namespace {

// Answers every question as it is told, and keeps what it is asked.
struct Source final : Authenticator {
  explicit Source(model::AuthResult result) : answer(std::move(result)) {}
  void authenticate(model::AuthRequest request, Done done) override {
    asked.push_back(std::move(request));
    done(answer);
  }
  model::AuthResult answer;
  std::vector<model::AuthRequest> asked;
};

model::AuthDenial denial(EndReason reason) { return {.reason = reason}; }

model::AuthRequest request_of(const std::string& user) {
  return {.user = user, .credentials = model::PapCredentials{}, .peer = {}};
}

struct Bench {
  model::AuthResult ask(model::AuthRequest request) {
    std::optional<model::AuthResult> result;
    order.authenticate(std::move(request),
                       [&](model::AuthResult verdict) { result = std::move(verdict); });
    REQUIRE(result);
    return std::move(*result);
  }
  Source first{model::AuthGrant{}};
  Source second{model::AuthGrant{}};
  OrderedAuthenticator order{
      {{.authenticator = first, .knows = [](std::string_view user) { return user == "known"; }},
       {.authenticator = second, .runs_eap = true}}};
};

}  // namespace

TEST_CASE("ordered authenticator: a source that knows the user has the last word", "[aaa]") {
  Bench bench;
  bench.first.answer = denial(EndReason::auth_failed);
  CHECK(bench.ask(request_of("known")).error().reason == EndReason::auth_failed);
  CHECK(bench.second.asked.empty());
}

TEST_CASE("ordered authenticator: a source that does not know the user is passed over", "[aaa]") {
  Bench bench;
  CHECK(bench.ask(request_of("stranger")));
  CHECK(bench.first.asked.empty());
  CHECK(bench.second.asked.size() == 1);
}

TEST_CASE("ordered authenticator: the next source decides what one cannot", "[aaa]") {
  Bench bench;
  bench.first.answer = denial(EndReason::auth_unavailable);
  CHECK(bench.ask(request_of("known")));
  REQUIRE(bench.second.asked.size() == 1);
  CHECK(bench.second.asked[0].user == "known");
  bench.second.answer = denial(EndReason::auth_unavailable);
  CHECK(bench.ask(request_of("known")).error().reason == EndReason::auth_unavailable);
}

TEST_CASE("ordered authenticator: a conversation stays with the source that began it", "[aaa]") {
  Bench bench;
  bench.second.answer = model::AuthChallenge{.message = {}, .state = {std::byte{9}}};
  model::AuthRequest request{
      .user = "stranger", .credentials = model::RelayedCredentials{}, .peer = {}};
  const auto challenge = bench.ask(request);
  REQUIRE(challenge.challenge() != nullptr);
  request.credentials =
      model::RelayedCredentials{.message = {}, .state = challenge.challenge()->state};
  request.user = "known";  // whatever the peer says now
  REQUIRE(bench.ask(request).challenge() != nullptr);
  CHECK(bench.first.asked.empty());
  REQUIRE(bench.second.asked.size() == 2);
  CHECK(std::get<model::RelayedCredentials>(bench.second.asked[1].credentials).state ==
        std::vector{std::byte{9}});
  // In the middle of a conversation nobody else can decide.
  bench.second.answer = denial(EndReason::auth_unavailable);
  CHECK(bench.ask(request).error().reason == EndReason::auth_unavailable);
  CHECK(bench.first.asked.empty());
}

TEST_CASE("ordered authenticator: EAP goes to a source that runs it", "[aaa][rfc3579-2.1]") {
  Bench bench;
  bench.second.answer = model::AuthChallenge{.message = {}, .state = {}};
  const model::AuthRequest request{
      .user = "known", .credentials = model::RelayedCredentials{}, .peer = {}};
  CHECK(bench.ask(request).challenge() != nullptr);
  CHECK(bench.first.asked.empty());
  // One that cannot run it does not stand in for one that is away.
  Source away{denial(EndReason::auth_unavailable)};
  Source local{model::AuthGrant{}};
  OrderedAuthenticator order{{{.authenticator = away, .runs_eap = true}, {.authenticator = local}}};
  EndReason reason = EndReason::kNone;
  order.authenticate(request, [&](model::AuthResult result) { reason = result.error().reason; });
  CHECK(reason == EndReason::auth_unavailable);
  CHECK(local.asked.empty());
}

TEST_CASE("ordered authenticator: a realm has an order of its own, by the name of the account",
          "[aaa][realms]") {
  Source local{model::AuthGrant{}};
  Source away{model::AuthGrant{}};
  OrderedAuthenticator order{
      {{.authenticator = local, .knows = [](std::string_view user) { return user == "alice"; }},
       {.authenticator = away, .runs_eap = true}},
      {0},
      {{"away", {1}}, {"both", {1, 0}}, {"mixed", {0, 1}}}};
  const auto ask = [&](const std::string& realm) {
    local.asked.clear();
    away.asked.clear();
    model::AuthRequest request = request_of("alice@" + realm);
    request.realm = realm;
    request.account = "alice";
    bool granted = false;
    order.authenticate(std::move(request),
                       [&](const model::AuthResult& result) { granted = result.has_value(); });
    return granted;
  };
  CHECK(ask("away"));
  CHECK((local.asked.empty() && away.asked.size() == 1));
  CHECK(ask("unlisted"));  // the order of all others
  CHECK((local.asked.size() == 1 && away.asked.empty()));
  CHECK(ask("mixed"));  // the users file knows the account, not the name with its realm
  CHECK((local.asked.size() == 1 && away.asked.empty()));
  away.answer = denial(EndReason::auth_unavailable);
  CHECK(ask("both"));
  CHECK((local.asked.size() == 1 && away.asked.size() == 1));
  CHECK_FALSE(ask("away"));  // and no other source is asked
  CHECK(local.asked.empty());
}
