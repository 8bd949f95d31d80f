// SPDX-License-Identifier: BSD-3-Clause
#include "pns/import/lines.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "pns/import/chap_secrets.hpp"

using namespace pns::import;
using Words = std::vector<std::string>;

TEST_CASE("lines: comments and empty lines go, numbers stay", "[import]") {
  const auto lines = lines_of("# a comment\n\n  mtu=1400  # another\nsecret=a#b\n\"x # y\" z\n");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].number == 3);
  CHECK(lines[0].text == "mtu=1400");
  CHECK(lines[1].text == "secret=a#b");
  CHECK(lines[2].text == "\"x # y\" z");
  CHECK(lines_of("").empty());
  CHECK(lines_of("last line without end").size() == 1);
}

TEST_CASE("lines: words with quotes and backslashes", "[import]") {
  CHECK(words_of(R"(alice * "a secret" 10.0.0.1)") == Words{"alice", "*", "a secret", "10.0.0.1"});
  CHECK(words_of(R"(DOMAIN\\bob * 'it''s' *)") == Words{"DOMAIN\\bob", "*", "its", "*"});
  CHECK(words_of(R"(a "")") == Words{"a", ""});
  CHECK(words_of("  ").empty());
}

TEST_CASE("lines: a short range becomes a whole one", "[import]") {
  CHECK(whole_range("192.168.0.234-238") == "192.168.0.234-192.168.0.238");
  CHECK(whole_range("10.0.0.2-10.0.3.254") == "10.0.0.2-10.0.3.254");
  CHECK(whole_range("10.0.0.0/24") == "10.0.0.1-10.0.0.254");
  CHECK(whole_range("10.0.0.8/31") == "10.0.0.8-10.0.0.9");
  CHECK(whole_range("10.0.0.9") == "10.0.0.9");
}

TEST_CASE("chap-secrets: users, and why a line makes none", "[import]") {
  ImportedServer server;
  read_chap_secrets(
      "alice * wonderland *\n"
      "bob pptpd \"it's 100 %\" 10.64.0.9\n"
      "* * everybody *\n"
      "carol * @/etc/secret\n"
      "alice * again\n"
      "dave *\n"
      "erin * pass 10.0.0.0/24 10.0.0.1\n",
      {.file = "secrets"}, server);
  REQUIRE(server.users.size() == 3);
  CHECK(server.users[0].name == "alice");
  CHECK(server.users[0].password == "wonderland");
  CHECK(server.users[0].address.empty());
  CHECK(server.users[1].password == "it's 100 %");
  CHECK(server.users[1].address == "10.64.0.9");
  CHECK(server.users[2].name == "erin");
  CHECK(server.users[2].address.empty());
  REQUIRE(server.remarks.size() == 6);
  CHECK(server.remarks[0].starts_with("secrets:3: any client"));
  CHECK(server.remarks[2] == "secrets:5: alice is there already: the first line counts");
  for (const std::string& remark : server.remarks) {
    CAPTURE(remark);
    for (const char* secret : {"wonderland", "everybody", "again", "pass "})
      CHECK(remark.find(secret) == std::string::npos);
  }
}

TEST_CASE("chap-secrets: hashes, pools and rates of accel-ppp, and lines of other servers",
          "[import]") {
  ImportedServer server;
  read_chap_secrets(
      "alice * 8846f7eaee8fb117ad06bdd830b7586c gold 10240/20480\n"
      "bob * clear *\n",
      {.file = "s", .are_nt_hashes = true, .has_pools = true}, server);
  REQUIRE(server.users.size() == 1);
  CHECK(server.users[0].is_nt_hash);
  CHECK(server.users[0].pool == "gold");
  REQUIRE(server.remarks.size() == 2);
  CHECK(server.remarks[0] == "s:1: alice: write the rate 10240/20480 as `rate` of the user");
  CHECK(server.remarks[1].starts_with("s:2: bob: the secret is no NT hash"));

  ImportedServer other;
  read_chap_secrets("alice l2tpd one *\nalice pptpd two *\n", {.file = "s", .server = "pptpd"},
                    other);
  REQUIRE(other.users.size() == 1);
  CHECK(other.users[0].password == "two");
  CHECK(other.remarks.front() == "s:1: alice: of the server l2tpd");
}
