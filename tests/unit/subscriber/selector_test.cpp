// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/selector.hpp"

#include <catch2/catch.hpp>

using namespace pns;
using subscriber::parse_selector;
using Kind = subscriber::Selector::Kind;

TEST_CASE("selector: each key selects by its own thing", "[selector]") {
  CHECK(parse_selector("id=00000000000000ff")->id == SessionId(255));
  CHECK(parse_selector("id=00000000000000ff")->kind == Kind::kId);
  CHECK(parse_selector("user=alice")->user == "alice");
  CHECK(parse_selector("address=10.64.0.2")->address == Ipv4Address(0x0a400002));
  CHECK(parse_selector("address=10.64.0.2")->kind == Kind::kAddress);
  CHECK(parse_selector("peer=203.0.113.5")->kind == Kind::kPeer);
}

TEST_CASE("selector: a bare word is a user, whatever it looks like", "[selector]") {
  for (const char* name : {"1234", "alice", "10.64.0.2", "00000000000000ff", "a=b", "ID=7"}) {
    const auto selector = parse_selector(name);
    REQUIRE(selector);
    CHECK(selector->kind == Kind::kUser);
    CHECK(selector->user == name);
  }
  CHECK(parse_selector("user=id=1")->user == "id=1");
}

TEST_CASE("selector: a word that cannot be meant is refused with a sentence", "[selector]") {
  for (const char* word : {"", "user=", "id=", "id=12", "id=0000000000000000",
                           "address=", "address=10.64.0", "address=alice", "peer=::1"}) {
    const auto selector = parse_selector(word);
    REQUIRE_FALSE(selector);
    CHECK_FALSE(selector.error().empty());
  }
}
