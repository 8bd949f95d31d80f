// SPDX-License-Identifier: BSD-3-Clause
//
// AuthenticationPhase alone: its questions to AAA. auth_test.cpp has the methods.
#include "controlplane/ppp/authentication_phase.hpp"

#include <catch2/catch.hpp>

#include "tests/support/layer_events.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;

namespace {

struct Phase {
  Phase() { REQUIRE(begin()); }
  bool begin() { return phase.begin(model::AuthMethod::kPap, settings); }
  void ask(const std::string& user) {
    Context context = events.context();
    phase.ask({.user = user, .credentials = model::PapCredentials{}, .peer = {}}, settings,
              context);
  }
  bool take_answer() {
    Context context = events.context();
    return phase.take_answer(context);
  }
  // The users of the questions so far.
  std::vector<std::string> asked() const {
    std::vector<std::string> users;
    for (const auto& action : events.actions)
      if (const auto* question = std::get_if<model::Authenticate>(&action))
        users.push_back(question->request.user);
    return users;
  }
  LinkSettings settings;
  LayerEvents events;
  AuthenticationPhase phase;
};

using Users = std::vector<std::string>;

}  // namespace

TEST_CASE("authentication phase: a method that nobody speaks begins nothing", "[ppp]") {
  AuthenticationPhase phase;
  const LinkSettings settings;
  CHECK_FALSE(phase.begin(model::AuthMethod::kNone, settings));
  CHECK(phase.protocol() == 0);
}

TEST_CASE("authentication phase: one question is open, and the latest credentials wait", "[ppp]") {
  Phase link;
  link.ask("first");
  link.ask("second");
  link.ask("third");
  CHECK(link.asked() == Users{"first"});
  CHECK(link.take_answer());
  CHECK_FALSE(link.take_answer());  // nothing is asked
}

TEST_CASE("authentication phase: an answer to an earlier authentication does not count", "[ppp]") {
  Phase link;
  link.ask("before");
  link.phase.leave();
  CHECK_FALSE(link.phase.answer_by());
  REQUIRE(link.begin());
  link.ask("after");
  CHECK(link.asked() == Users{"before"});
  CHECK_FALSE(link.take_answer());
  // Only now is the other one asked, and its answer counts.
  CHECK(link.asked() == Users{"before", "after"});
  CHECK(link.take_answer());
}

TEST_CASE("authentication phase: a late answer is a failure, once", "[ppp]") {
  Phase link;
  link.ask("user");
  REQUIRE(link.phase.answer_by() == link.events.clock.now() + link.settings.auth_decision_timeout);
  link.events.clock.advance(link.settings.auth_decision_timeout);
  for (int i = 0; i < 2; ++i) {
    Context context = link.events.context();
    link.phase.on_answer_timer(context);
  }
  CHECK(link.events.heard == Users{"auth failed auth_unavailable"});
}

TEST_CASE("authentication phase: a denial that is no verdict ends without a word to the peer",
          "[ppp]") {
  Phase link;
  link.ask("user");
  REQUIRE(link.take_answer());
  link.events.actions.clear();
  Context context = link.events.context();
  link.phase.deny({.reason = EndReason::auth_unavailable, .is_verdict = false}, context);
  CHECK(link.events.actions.empty());
  CHECK(link.events.heard == Users{"auth failed auth_unavailable"});
  CHECK(link.phase.denied() == EndReason::auth_unavailable);
  // Other credentials count anew.
  link.ask("user");
  CHECK(link.phase.denied() == EndReason::kNone);
}
