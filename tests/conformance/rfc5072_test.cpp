// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 5072, IPv6 over PPP: IPV6CP as the peer sees it. Each case names the section and says the
// rule in our words.
#include <catch2/catch.hpp>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

constexpr const char* kClientId = "010a 0211 22ff fe33 4455";

struct Ipv6Pair : LinkPair {
  explicit Ipv6Pair(const LinkSettings& settings = {}) : LinkPair(settings) {
    network.ipv6 = model::Ipv6Parameters{.prefix = Ipv6Prefix::parse("2001:db8:100:7::/64").value(),
                                         .dns = {Ipv6Address::parse("2001:db8::53").value()}};
    client.ipv6cp_options = kClientId;
  }
  void run_frame(const Octets& f) { run(link.on_frame(f, clock.now())); }
};

}  // namespace

TEST_CASE("rfc5072 §4.1: both sides have an identifier and IPv6 flows", "[rfc5072-4.1]") {
  Ipv6Pair pair;
  pair.start();
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(pair.client.ipv6cp_open);
  CHECK(pair.client.interface_id == octets("021122fffe334455"));
  const auto* open = find<model::OpenIpv6>(pair.actions);
  REQUIRE(open != nullptr);
  CHECK(open->our_interface_id == 1);
  CHECK(open->peer_interface_id == 0x021122fffe334455);
  CHECK(pair.link.status().ipv6_prefix == pair.network.ipv6->prefix);
  // Data may flow before our Ack is there; the Advertisement comes when both Acks are.
  CHECK(position<model::OpenIpv6>(pair.actions) < position(pair.actions, kIpv6cp, kConfAck));
  REQUIRE(pair.client.advertisements.size() == 1);
}

TEST_CASE("rfc5072 §4.1: an identifier of zero, ours, or none is answered with a better one",
          "[rfc5072-4.1]") {
  for (const char* wanted : {"010a 0000 0000 0000 0000", "010a 0000 0000 0000 0001", " "}) {
    Ipv6Pair pair;
    pair.client.ipv6cp_options = wanted;
    pair.start();
    INFO(wanted);
    CHECK(pair.client.ipv6cp_open);
    CHECK(pair.client.interface_id.size() == 8);
    CHECK(pair.client.interface_id != octets("0000000000000000"));
    CHECK(pair.client.interface_id != octets("0000000000000001"));
    CHECK((pair.client.interface_id[0] & std::byte{0x02}) == std::byte{0});  // not universal
    CHECK(find<model::OpenIpv6>(pair.actions)->peer_interface_id != 0);
  }
}

TEST_CASE("rfc5072 §4.1: ours is changed when the peer asks, and IPv6 given up when it insists",
          "[rfc5072-4.1]") {
  Ipv6Pair pair;
  pair.drop_to_client = [](const Octets& f) {
    const auto p = parse(f);
    return p && p->protocol == kIpv6cp;
  };
  pair.start();
  REQUIRE(pair.link.phase() == LinkPhase::kOpen);
  auto asked = packets(pair.actions, kIpv6cp, kConfReq);
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].data == octets("010a 0000 0000 0000 0001"));
  pair.run_frame(frame(kIpv6cp, kConfNak, asked[0].identifier, "010a 0000 0000 0000 00aa"));
  asked = packets(pair.actions, kIpv6cp, kConfReq);
  REQUIRE(asked.size() == 2);
  CHECK(asked[1].data == octets("010a 0000 0000 0000 00aa"));
  // Zero is no suggestion: one of our own.
  pair.run_frame(frame(kIpv6cp, kConfNak, asked[1].identifier, "010a 0000 0000 0000 0000"));
  asked = packets(pair.actions, kIpv6cp, kConfReq);
  REQUIRE(asked.size() == 3);
  CHECK(asked[2].data != octets("010a 0000 0000 0000 0000"));
  for (int i = 0; i < 3 && packets(pair.actions, kIpv6cp, kTermReq).empty(); ++i)
    pair.run_frame(frame(kIpv6cp, kConfNak,
                         packets(pair.actions, kIpv6cp, kConfReq).back().identifier,
                         "010a 0000 0000 0000 00bb"));
  // Never a reason to end the call.
  pair.advance(Seconds(20));
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK_FALSE(pair.link.status().ipv6_prefix);
  CHECK(packets(pair.actions, kIpv6cp, kConfReq).size() <= 5);
}

TEST_CASE("rfc5072 §3: a peer without IPv6 has its IPv4 call", "[rfc5072-3]") {
  for (const bool silent : {false, true}) {
    Ipv6Pair pair;
    pair.client.ipv6cp_options.clear();  // Protocol-Reject
    if (silent)
      pair.drop_to_client = [](const Octets& f) {
        const auto p = parse(f);
        return p && p->protocol == kIpv6cp;
      };
    pair.start();
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    pair.advance(Seconds(60));
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    CHECK(find<model::OpenIpv6>(pair.actions) == nullptr);
    CHECK(pair.client.advertisements.empty());
    CHECK(packets(pair.actions, kIpv6cp, kConfReq).size() == (silent ? 4 : 1));
  }
}

TEST_CASE("rfc5072 §3: IPv6 is refused where no prefix was leased", "[rfc5072-3]") {
  Ipv6Pair pair;
  pair.network.ipv6.reset();
  pair.start();
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  const auto rejects = packets(pair.actions, kLcp, kProtRej);
  REQUIRE(rejects.size() == 1);
  CHECK(hex(rejects[0].data).starts_with("8057"));
  CHECK(packets(pair.actions, kIpv6cp, kConfReq).empty());
}

TEST_CASE("rfc5072 §3: IPv6 before IPV6CP is open is discarded; where there is none, rejected",
          "[rfc5072-3][rfc1661-3.5]") {
  for (const bool leased : {false, true}) {
    Ipv6Pair pair;
    if (!leased) pair.network.ipv6.reset();
    pair.client.ipv6cp_options.clear();
    pair.drop_to_client = [](const Octets& f) {
      const auto p = parse(f);
      return p && p->protocol == kIpv6cp;
    };
    pair.start();
    pair.run_frame(octets("0057 6000 0000 0000 3b40"));
    CHECK(packets(pair.actions, kLcp, kProtRej).size() == (leased ? 0 : 1));
  }
}

TEST_CASE("rfc5072 §3: with MPPE required, IPv6 waits for encryption as IPv4 does",
          "[rfc5072-3][conformance-50]") {
  Ipv6Pair pair;
  pair.start();
  CHECK(position<model::ArmMppe>(pair.actions) < position<model::OpenIpv6>(pair.actions));
  CHECK(position(pair.actions, kCcp, kConfAck) < position(pair.actions, kIpv6cp, kConfReq));
  CHECK(packets(pair.actions, kIpv6cp, kConfReq).size() == 1);
}

TEST_CASE("rfc5072 §3: the peer may close IPv6 alone, and open it again under another name",
          "[rfc5072-3]") {
  Ipv6Pair pair;
  pair.start();
  pair.actions.clear();
  pair.run_frame(frame(kIpv6cp, kTermReq, 0x50));
  CHECK(packets(pair.actions, kIpv6cp, kTermAck).size() == 1);
  CHECK(find<model::CloseIpv6>(pair.actions) != nullptr);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK_FALSE(pair.link.status().ipv6_prefix);

  Ipv6Pair again;
  again.start();
  again.actions.clear();
  again.run_frame(frame(kIpv6cp, kConfReq, 0x60, "010a 0000 0000 0000 0042"));
  CHECK(again.link.phase() == LinkPhase::kOpen);
  const auto* reopened = find<model::OpenIpv6>(again.actions);
  REQUIRE(reopened != nullptr);
  CHECK(reopened->peer_interface_id == 0x42);
  CHECK(position<model::CloseIpv6>(again.actions) < position<model::OpenIpv6>(again.actions));
}

TEST_CASE("rfc5072 §3: LCP that starts over takes IPv6 down with it",
          "[rfc5072-3][conformance-48]") {
  Ipv6Pair pair;
  pair.start();
  pair.actions.clear();
  pair.run_frame(frame(kLcp, kConfReq, 0x70, "01040578 0506aabbccdd"));
  CHECK(find<model::CloseIpv6>(pair.actions) != nullptr);
  CHECK(pair.link.phase() == LinkPhase::kOpen);  // the client logged in again at once
  CHECK(find<model::OpenIpv6>(pair.actions) != nullptr);
}

TEST_CASE("rfc5072: a link that is taken over keeps its IPv6", "[rfc5072]") {
  Ipv6Pair pair;
  pair.start();
  const auto snapshot = pair.link.snapshot();
  REQUIRE(snapshot);
  REQUIRE(snapshot->ipv6);
  CHECK(snapshot->ipv6->peers == 0x021122fffe334455);
  Link again(std::make_shared<const LinkSettings>(), Ipv4Address(), *snapshot, pair.random,
             pair.clock.now());
  CHECK(again.status().ipv6_prefix == pair.network.ipv6->prefix);
  const auto ended = again.close(EndReason::operator_cleared, pair.clock.now());
  CHECK(find<model::CloseIpv6>(ended) != nullptr);
}
