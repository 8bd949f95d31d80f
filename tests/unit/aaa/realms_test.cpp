// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/realms.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "controlplane/aaa/realm_servers.hpp"

using namespace pns;
using namespace pns::aaa;

namespace {

// Keeps what it is asked.
struct Asked final : Authenticator {
  void authenticate(model::AuthRequest request, Done) override { last = std::move(request); }
  model::AuthRequest last;
};

// The question about a name, as it comes out behind these realms.
model::AuthRequest asked(const std::string& user, bool with_others = false,
                         std::string_view by_default = "") {
  Asked inner;
  RealmAuthenticator realms(
      inner, Realms({{.name = "example.com", .strip = true}, {.name = "CORP", .strip = false}},
                    with_others ? std::optional(RealmSettings{.name = "DEFAULT", .strip = true})
                                : std::nullopt,
                    by_default));
  realms.authenticate({.user = user, .credentials = model::PapCredentials{}, .peer = {}},
                      [](const model::AuthResult&) {});
  CHECK(inner.last.user == user);
  return inner.last;
}

}  // namespace

TEST_CASE("realms: a name is divided at its last backslash, else at its last '@'",
          "[aaa][realms]") {
  CHECK(divide_name("alice").user == "alice");
  CHECK_FALSE(divide_name("alice").realm);
  CHECK(divide_name("alice@example.com").user == "alice");
  CHECK(divide_name("alice@example.com").realm == "example.com");
  CHECK(divide_name("a@b@example.com").user == "a@b");
  CHECK(divide_name("CORP\\alice").user == "alice");
  CHECK(divide_name("CORP\\alice").realm == "CORP");
  CHECK(divide_name("CORP\\alice@example.com").user == "alice@example.com");
  CHECK(divide_name("CORP\\alice@example.com").realm == "CORP");
  CHECK(divide_name("a\\b\\alice").realm == "a\\b");
  CHECK(divide_name("@example.com").user.empty());
}

TEST_CASE("realms: a configured realm is found in either form and case", "[aaa][realms]") {
  for (const char* const user : {"alice@example.com", "alice@EXAMPLE.com", "Example.com\\alice"}) {
    CHECK(asked(user).realm == "example.com");
    CHECK(asked(user).account_name() == "alice");
  }
  CHECK(asked("corp\\alice").realm == "CORP");
  CHECK(asked("corp\\alice").account_name() == "corp\\alice");  // not stripped
}

TEST_CASE("realms: a name of no configured realm is left alone", "[aaa][realms]") {
  for (const char* const user : {"alice", "alice@example.org", "OTHER\\alice", "alice@"}) {
    CHECK(asked(user).realm.empty());
    CHECK(asked(user).account_name() == user);
  }
}

TEST_CASE(
    "realms: DEFAULT stands for every realm that is not listed, and for names without one not",
    "[aaa][realms]") {
  CHECK(asked("alice@example.org", true).realm == "DEFAULT");
  CHECK(asked("alice@example.org", true).account_name() == "alice");
  CHECK(asked("alice@example.com", true).realm == "example.com");
  CHECK(asked("alice", true).realm.empty());
}

TEST_CASE("realms: a name without a realm is of the default realm, and stays as it is",
          "[aaa][realms]") {
  CHECK(asked("alice", false, "Example.COM").realm == "example.com");
  CHECK(asked("alice", false, "example.com").account_name() == "alice");
  CHECK(asked("alice@corp", false, "example.com").realm == "CORP");
  CHECK(asked("alice@example.org", false, "example.com").realm.empty());
}

TEST_CASE("realms: nothing is stripped that leaves no name", "[aaa][realms]") {
  CHECK(asked("@example.com").realm == "example.com");
  CHECK(asked("@example.com").account_name() == "@example.com");
  CHECK(asked("example.com\\").account_name() == "example.com\\");
}

TEST_CASE("realms: the servers of a realm, by kind; every server where it has none",
          "[aaa][realms]") {
  RealmServers servers;
  servers.add("example.com", model::RadiusKind::kAuthentication, 2);
  servers.add("example.com", model::RadiusKind::kAuthentication, 4);
  servers.add("CORP", model::RadiusKind::kAccounting, 1);
  CHECK(servers.of("example.com", model::RadiusKind::kAuthentication) == 0b10100U);
  CHECK(servers.of("example.com", model::RadiusKind::kAccounting) == kEveryRadiusServer);
  CHECK(servers.of("CORP", model::RadiusKind::kAccounting) == 0b10U);
  CHECK(servers.of("CORP", model::RadiusKind::kAuthentication) == kEveryRadiusServer);
  CHECK(servers.of("", model::RadiusKind::kAuthentication) == kEveryRadiusServer);
}
