// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/deferred_authenticator.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace pns;
using namespace pns::aaa;

namespace {

// Grants everybody, and remembers whom.
class Granter final : public Authenticator {
 public:
  void authenticate(model::AuthRequest request, Done done) override {
    asked.push_back(request.user);
    model::AuthGrant grant;
    grant.user = request.user;
    done(grant);
  }
  std::vector<std::string> asked;
};

}  // namespace

TEST_CASE("deferred authenticator: questions wait for the authenticator and are asked in order",
          "[aaa]") {
  DeferredAuthenticator deferred;
  std::vector<std::string> granted;
  const auto ask = [&](const char* user) {
    model::AuthRequest request;
    request.user = user;
    deferred.authenticate(std::move(request), [&granted](const model::AuthResult& result) {
      REQUIRE(result);
      granted.push_back(result->user);
    });
  };
  ask("first");
  ask("second");
  CHECK(granted.empty());
  CHECK(deferred.waiting_count() == 2);
  Granter granter;
  deferred.open(granter);
  CHECK(granter.asked == std::vector<std::string>{"first", "second"});
  CHECK(granted == granter.asked);
  CHECK(deferred.waiting_count() == 0);
  ask("third");
  CHECK(granted == std::vector<std::string>{"first", "second", "third"});
}
