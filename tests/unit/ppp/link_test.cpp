// SPDX-License-Identifier: BSD-3-Clause
//
// The whole link: what it does for a fast client, a slow one, a wrong one and a hostile one.
#include "controlplane/ppp/link.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <vector>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

LinkSettings with_policy(MppePolicy policy) {
  LinkSettings settings;
  settings.mppe = policy;
  return settings;
}

// A link that is up, and what it had done for it forgotten.
struct OpenPair : LinkPair {
  explicit OpenPair(const LinkSettings& settings = {}) : LinkPair(settings) {
    start();
    REQUIRE(link.phase() == LinkPhase::kOpen);
    actions.clear();
  }
};

// Actions in short, for the order of things.
std::string in_short(const model::LinkActions& actions) {
  struct Name {
    std::string operator()(const model::SendFrame& a) const {
      const Packet p = parse(a.frame).value();
      const char* protocol = p.protocol == kLcp    ? "lcp"
                             : p.protocol == kChap ? "chap"
                             : p.protocol == kCcp  ? "ccp"
                                                   : "ipcp";
      return std::string(protocol) + std::to_string(p.code);
    }
    std::string operator()(const model::ConfigureLink& a) const { return a.open ? "+lcp" : "-lcp"; }
    std::string operator()(const model::ArmMppe&) const { return "+mppe"; }
    std::string operator()(const model::DisarmMppe&) const { return "-mppe"; }
    std::string operator()(const model::OpenIpv4&) const { return "+ipv4"; }
    std::string operator()(const model::CloseIpv4&) const { return "-ipv4"; }
    std::string operator()(const model::OpenIpv6&) const { return "+ipv6"; }
    std::string operator()(const model::CloseIpv6&) const { return "-ipv6"; }
    std::string operator()(const model::Ipv6BindingsChanged&) const { return "bindings"; }
    std::string operator()(const model::Dhcpv6Handled&) const { return "dhcpv6"; }
    std::string operator()(const model::Authenticate&) const { return "ask"; }
    std::string operator()(const model::PhaseChanged& a) const {
      return std::string(model::name_of(a.phase));
    }
    std::string operator()(const model::LinkEnded& a) const {
      return "end:" + std::string(name_of(a.reason));
    }
  };
  std::string out;
  for (const auto& action : actions) out += (out.empty() ? "" : " ") + std::visit(Name{}, action);
  return out;
}

}  // namespace

TEST_CASE("link: a fast client comes up without any time passing", "[ppp][interop-lab-4]") {
  LinkPair pair;
  const TimePoint began = pair.clock.now();
  pair.start();
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(pair.clock.now() == began);
  CHECK(pair.client.authenticated);
  CHECK(pair.client.ccp_open);
  CHECK(pair.client.ipcp_open);
  CHECK(pair.client.address == octets("0a400005"));

  const auto status = pair.link.status();
  CHECK(status.auth == model::AuthMethod::kMsChapV2);
  CHECK(status.user == "User");
  CHECK(status.mppe == "mppe128-stateless");
  CHECK(status.address == Ipv4Address(0x0a400005));
  CHECK(status.peer_mru == 1400);

  const auto* configured = find<model::ConfigureLink>(pair.actions);
  REQUIRE(configured != nullptr);
  CHECK(configured->open);
  CHECK(configured->our_magic != 0);
  CHECK(configured->peer_magic == 0xaabbccdd);
  CHECK(configured->peer_mru == 1400);
  CHECK(configured->send_pfc);
  CHECK(configured->send_acfc);
  const auto* armed = find<model::ArmMppe>(pair.actions);
  REQUIRE(armed != nullptr);
  CHECK(armed->key_bits == 128);
  CHECK(armed->stateless);
  CHECK(find<model::OpenIpv4>(pair.actions)->subscriber == Ipv4Address(0x0a400005));
}

TEST_CASE("link: things happen in an order that no client can run ahead of",
          "[ppp][interop-lab-1][interop-lab-2][interop-lab-3]") {
  LinkPair pair;
  pair.start();
  const auto& actions = pair.actions;
  INFO(in_short(actions));
  // In the Network phase before Success leaves.
  std::size_t network = actions.size();
  for (std::size_t i = 0; i < actions.size(); ++i)
    if (const auto* phase = std::get_if<model::PhaseChanged>(&actions[i]))
      if (phase->phase == LinkPhase::kNetwork) network = i;
  CHECK(network < position(actions, kChap, kSuccess));
  // Success before any NCP packet of ours.
  CHECK(position(actions, kChap, kSuccess) < position(actions, kCcp, kConfReq));
  // MPPE armed before the Ack that lets the peer encrypt; IPCP only after CCP is open.
  CHECK(position<model::ArmMppe>(actions) < position(actions, kCcp, kConfAck));
  CHECK(position(actions, kCcp, kConfAck) < position(actions, kIpcp, kConfReq));
  CHECK(packets(actions, kIpcp, kConfReq).size() == 1);
  CHECK(packets(actions, kCcp, kConfReq).size() == 1);
  CHECK(packets(actions, kLcp, kConfReq).size() == 1);
}

TEST_CASE("link: an IPCP request that comes before CCP is open is answered when it is",
          "[ppp][interop-lab-3]") {
  LinkPair pair;
  pair.drop_from_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
  pair.start();
  CHECK(pair.link.phase() == LinkPhase::kNetwork);
  CHECK(packets(pair.actions, kIpcp, kConfReq).empty());
  CHECK(packets(pair.actions, kIpcp, kConfNak).empty());
  pair.drop_from_client = nullptr;
  pair.advance(Seconds(1));  // our CCP request again; now everything follows at once
  CHECK(pair.link.phase() == LinkPhase::kNetwork);
  pair.run(pair.link.on_frame(frame(kCcp, kConfReq, 1, "120601000040"), pair.clock.now()));
  CHECK(pair.client.ipcp_open);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
}

TEST_CASE("link: NCP packets and data before authentication do nothing",
          "[ppp][rfc1661-3.4][conformance-43]") {
  LinkPair pair;
  pair.answer_auth = false;
  pair.start();
  REQUIRE(pair.link.phase() == LinkPhase::kAuthenticate);
  for (const Octets& early :
       {frame(kIpcp, kConfReq, 1, "03060a400005"), frame(kCcp, kConfReq, 1, "120601000040"),
        frame(kIpcp, kTermReq, 1), frame(0x8057, kConfReq, 1), octets("ff03 0021 4500"),
        octets("ff03 00fd 9000"), frame(kLcp, kProtRej, 1, "8021"), frame(0xc023, 1, 1, "0000"),
        frame(0xc227, 1, 1, "01"), frame(0xc025, 1, 1)}) {
    INFO(hex(early));
    CHECK(pair.link.on_frame(early, pair.clock.now()).empty());
  }
  CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
}

TEST_CASE("link: a client that is silent is asked early, then every three seconds, then dropped",
          "[ppp][wire-facts-8]") {
  FakeClock clock;
  FakeRandom random;
  Link link(std::make_shared<const LinkSettings>(), Ipv4Address(), random, clock.now());
  const TimePoint began = clock.now();
  std::vector<Duration> sent;
  auto actions = link.start(clock.now());
  const Packet request = packet(actions, kLcp, kConfReq);
  sent.push_back(Duration::zero());
  while (!ended(actions)) {
    REQUIRE(link.deadline().has_value());
    clock.advance_to(*link.deadline());
    actions = link.on_deadline(clock.now());
    for (const Packet& again : packets(actions)) {
      CHECK(again == request);  // the same packet, identifier included
      sent.push_back(clock.now() - began);
    }
  }
  CHECK(ended(actions) == EndReason::lcp_timeout);
  REQUIRE(sent.size() == 10);  // Max-Configure
  CHECK(sent[1] == Seconds(1));
  CHECK(sent[2] == Seconds(4));
  CHECK(sent[9] == Seconds(25));
  CHECK_FALSE(link.deadline().has_value());
  CHECK(link.start(clock.now()).empty());
}

TEST_CASE("link: nothing follows LinkEnded", "[ppp]") {
  OpenPair pair;
  pair.run(pair.link.close(EndReason::operator_cleared, pair.clock.now()));
  REQUIRE(ended(pair.actions) == EndReason::operator_cleared);
  CHECK(std::holds_alternative<model::LinkEnded>(pair.actions.back()));
  const TimePoint now = pair.clock.now();
  CHECK(pair.link.on_frame(frame(kLcp, kConfReq, 1), now).empty());
  CHECK(pair.link.close(EndReason::idle_timeout, now).empty());
  CHECK(pair.link.on_grant_refused(EndReason::no_address, now).empty());
  CHECK(pair.link.on_auth_result(std::unexpected(model::AuthDenial{}), {}, now).empty());
  CHECK(pair.link.on_deadline(now + Seconds(100)).empty());
  CHECK_FALSE(pair.link.deadline().has_value());
  CHECK(pair.link.phase() == LinkPhase::kDead);
}

TEST_CASE("link: closing stops data, says goodbye and waits twice", "[ppp][rfc1661-5.5]") {
  OpenPair pair;
  auto actions = pair.link.close(EndReason::session_timeout, pair.clock.now());
  CHECK(in_short(actions) == "terminate -ipv4 -mppe -lcp lcp5");
  CHECK(pair.link.close(EndReason::operator_cleared, pair.clock.now()).empty());
  int asked = 0;
  while (pair.link.phase() != LinkPhase::kDead) {
    pair.clock.advance_to(pair.link.deadline().value());
    actions = pair.link.on_deadline(pair.clock.now());
    asked += static_cast<int>(packets(actions, kLcp, kTermReq).size());
  }
  CHECK(asked == 1);
  CHECK(ended(actions) == EndReason::session_timeout);
}

TEST_CASE("link: a peer's Terminate-Request is acknowledged and ends the link",
          "[ppp][rfc1661-5.5]") {
  OpenPair pair;
  auto actions = pair.link.on_frame(frame(kLcp, kTermReq, 9), pair.clock.now());
  CHECK(in_short(actions) == "terminate -ipv4 -mppe -lcp lcp6");
  CHECK(packet(actions, kLcp, kTermAck).identifier == 9);
  // Asked again, it answers again.
  actions = pair.link.on_frame(frame(kLcp, kTermReq, 10), pair.clock.now());
  CHECK(packet(actions, kLcp, kTermAck).identifier == 10);
  pair.clock.advance_to(pair.link.deadline().value());
  CHECK(ended(pair.link.on_deadline(pair.clock.now())) == EndReason::peer_disconnected);
}

// ---- Authentication

TEST_CASE("link: a wrong password gets Failure, Terminate-Request and no network",
          "[ppp][rfc2759-6]") {
  LinkSettings settings;
  settings.auth_retries = 0;
  LinkPair pair(settings);
  pair.client.password = "wrong";
  pair.start();
  CHECK(pair.client.failure.starts_with("E=691 R=0 C="));
  CHECK(pair.client.failure.find(" V=3 M=") == 12 + 32);
  CHECK(ended(pair.actions) == EndReason::auth_failed);
  CHECK(position(pair.actions, kChap, kFailure) < position(pair.actions, kLcp, kTermReq));
  CHECK(position(pair.actions, kCcp, kConfReq) == pair.actions.size());
  CHECK(find<model::ArmMppe>(pair.actions) == nullptr);
  CHECK(find<model::OpenIpv4>(pair.actions) == nullptr);
}

TEST_CASE("link: who was not judged is told nothing of the password", "[ppp][conformance-46]") {
  LinkPair pair;
  pair.answer_auth = false;
  pair.start();
  pair.run(pair.link.on_auth_result(
      std::unexpected(model::AuthDenial{.reason = EndReason::auth_throttled, .is_verdict = false}),
      {}, pair.clock.now()));
  CHECK(ended(pair.actions) == EndReason::auth_throttled);
  CHECK(position(pair.actions, kChap, kFailure) == pair.actions.size());
  CHECK(position(pair.actions, kLcp, kTermReq) < pair.actions.size());
}

TEST_CASE("link: a grant without keys ends the link when encryption is required",
          "[ppp][wire-facts-24]") {
  LinkPair pair;
  pair.answer_auth = false;
  pair.start();
  model::AuthGrant grant;
  grant.authenticator_response = "S=00";
  pair.run(pair.link.on_auth_result(grant, pair.network, pair.clock.now()));
  CHECK(ended(pair.actions) == EndReason::no_mppe_keys);
  CHECK(position(pair.actions, kChap, kSuccess) == pair.actions.size());
}

TEST_CASE("link: no address ends the link before Success", "[ppp][conformance-66]") {
  LinkPair pair;
  pair.answer_auth = false;
  pair.start();
  SECTION("told instead of the grant") {
    pair.run(pair.link.on_grant_refused(EndReason::no_address, pair.clock.now()));
  }
  SECTION("told with the grant") {
    model::AuthGrant grant;
    grant.mppe.emplace();
    pair.run(pair.link.on_auth_result(grant, std::nullopt, pair.clock.now()));
  }
  CHECK(ended(pair.actions) == EndReason::no_address);
  CHECK(position(pair.actions, kChap, kSuccess) == pair.actions.size());
}

TEST_CASE("link: a peer that leaves while it is shown out has been refused", "[ppp]") {
  LinkPair pair;
  pair.answer_auth = false;
  pair.start();
  CHECK(pair.link.refused() == EndReason::kNone);
  (void)pair.link.on_grant_refused(EndReason::no_address,
                                   pair.clock.now());  // the Terminate-Request is on its way
  CHECK(pair.link.phase() == LinkPhase::kTerminate);
  CHECK(pair.link.refused() == EndReason::no_address);
}

TEST_CASE("link: a decision that never comes ends the link", "[ppp][conformance-61]") {
  LinkPair pair;
  pair.answer_auth = false;
  pair.start();
  pair.advance(Seconds(29));
  CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
  pair.advance(Seconds(1));
  CHECK(ended(pair.actions) == EndReason::auth_unavailable);
}

TEST_CASE("link: an answer to a question of before a renegotiation does not count", "[ppp]") {
  LinkPair pair;
  pair.answer_auth = false;
  pair.start();
  REQUIRE(pair.asked.has_value());
  pair.asked.reset();
  // The peer starts over while AAA thinks; new credentials are held until the old answer is in.
  pair.run(pair.link.on_frame(frame(kLcp, kConfReq, 0x55, "0506aabbccdd"), pair.clock.now()));
  CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
  CHECK_FALSE(pair.asked.has_value());
  model::AuthGrant grant;
  grant.mppe.emplace();
  grant.user = "somebody else";
  pair.run(pair.link.on_auth_result(grant, pair.network, pair.clock.now()));
  CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
  CHECK(position(pair.actions, kChap, kSuccess) == pair.actions.size());
  CHECK(pair.asked.has_value());  // now they are put
  grant.user = "User";
  pair.run(pair.link.on_auth_result(grant, pair.network, pair.clock.now()));
  CHECK(pair.link.status().user == "User");
  CHECK(pair.link.phase() == LinkPhase::kOpen);
}

TEST_CASE("link: without a method there is no link", "[ppp]") {
  LinkSettings settings;
  settings.auth = {};
  LinkPair pair(settings);
  pair.start();
  CHECK(ended(pair.actions) == EndReason::auth_no_common_method);
}

// ---- MPPE

TEST_CASE("link: with encryption required a peer that refuses it is ended",
          "[ppp][wire-facts-17]") {
  LinkPair pair;
  pair.client.ncps_upon_success = false;
  SECTION("by Protocol-Reject") {
    pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
    pair.start();
    pair.run(pair.link.on_frame(frame(kLcp, kProtRej, 1, "80fd 01010004"), pair.clock.now()));
  }
  SECTION("by Configure-Reject") {
    pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
    pair.start();
    const Packet request = packet(pair.actions, kCcp, kConfReq);
    pair.run(pair.link.on_frame(frame(kCcp, kConfRej, request.identifier, request.data),
                                pair.clock.now()));
  }
  SECTION("by asking for nothing, again and again") {
    pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
    pair.start();
    for (std::uint8_t i = 0; i < 20; ++i)
      pair.run(pair.link.on_frame(frame(kCcp, kConfReq, i), pair.clock.now()));
  }
  SECTION("by insisting on 40 bit") {
    pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
    pair.start();
    for (std::uint8_t i = 0; i < 20; ++i)
      pair.run(pair.link.on_frame(frame(kCcp, kConfReq, i, "120601000020"), pair.clock.now()));
  }
  SECTION("by leaving CCP") {
    pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
    pair.start();
    pair.run(pair.link.on_frame(frame(kCcp, kTermReq, 1), pair.clock.now()));
    CHECK(packet(pair.actions, kCcp, kTermAck).identifier == 1);
    pair.advance(Seconds(1));
  }
  CHECK(ended(pair.actions) == EndReason::mppe_refused);
  CHECK(find<model::OpenIpv4>(pair.actions) == nullptr);
  CHECK(packets(pair.actions, kIpcp, kConfReq).empty());
}

TEST_CASE("link: with encryption required a peer without CCP times out", "[ppp]") {
  LinkPair pair;
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
  pair.drop_from_client = pair.drop_to_client;
  pair.start();
  pair.advance(Seconds(60));
  CHECK(ended(pair.actions) == EndReason::ccp_timeout);
  CHECK(find<model::OpenIpv4>(pair.actions) == nullptr);
}

TEST_CASE("link: with encryption preferred a peer that refuses it goes on in the clear", "[ppp]") {
  LinkPair pair(with_policy(MppePolicy::kPrefer));
  pair.client.ccp_options = "";
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
  pair.start();
  CHECK(pair.link.phase() == LinkPhase::kNetwork);
  SECTION("by Protocol-Reject: at once") {
    pair.run(pair.link.on_frame(frame(kLcp, kProtRej, 1, "80fd 01010004"), pair.clock.now()));
  }
  SECTION("by Configure-Reject: at once") {
    const Packet request = packet(pair.actions, kCcp, kConfReq);
    pair.run(pair.link.on_frame(frame(kCcp, kConfRej, request.identifier, request.data),
                                pair.clock.now()));
  }
  SECTION("by silence: after three tries") { pair.advance(Seconds(7)); }
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(pair.link.status().mppe == "none");
  CHECK(find<model::ArmMppe>(pair.actions) == nullptr);
  // Whatever comes of CCP later, the link stays.
  pair.advance(Seconds(20));
  CHECK(pair.link.phase() == LinkPhase::kOpen);
}

TEST_CASE("link: a peer whose encryption was acknowledged is never left to encrypt alone",
          "[ppp]") {
  LinkPair pair(with_policy(MppePolicy::kPrefer));
  // Its Acks of our request are lost; it is open by our Ack of its own.
  pair.drop_from_client = [](const Octets& f) {
    const auto p = parse(f);
    return p->protocol == kCcp && p->code == kConfAck;
  };
  pair.start();
  REQUIRE(find<model::ArmMppe>(pair.actions) != nullptr);
  SECTION("one that comes late is enough") {
    pair.advance(Seconds(15));
    CHECK(pair.link.phase() == LinkPhase::kNetwork);
    pair.drop_from_client = nullptr;
    pair.advance(Seconds(5));
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    CHECK(pair.link.status().mppe != "none");
  }
  SECTION("none comes: the link ends") {
    pair.advance(Seconds(60));
    CHECK(ended(pair.actions) == EndReason::ccp_timeout);
    CHECK(find<model::OpenIpv4>(pair.actions) == nullptr);
  }
}

TEST_CASE("link: an account may be stricter about encryption than the settings, not laxer",
          "[ppp][rfc2548-2.4.4]") {
  const auto with = [](model::MppeTerms terms) {
    auto user = LinkPair::make_users().front();
    user.link.mppe = terms;
    return user;
  };
  ppp::LinkSettings settings;
  const auto refuse = [](LinkPair& pair) {
    pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
    pair.client.ccp_options = "";
    pair.start();
    pair.run(pair.link.on_frame(frame(kLcp, kProtRej, 1, "80fd 01010004"), pair.clock.now()));
  };
  SECTION("required where the settings prefer it: a peer that refuses is out") {
    settings.mppe = ppp::MppePolicy::kPrefer;
    LinkPair pair(settings);
    pair.set_account(with({.required = true}));
    refuse(pair);
    CHECK(ended(pair.actions) == EndReason::mppe_refused);
  }
  SECTION("allowed where the settings require it: the same") {
    LinkPair pair(settings);
    pair.set_account(with({.required = false}));
    refuse(pair);
    CHECK(ended(pair.actions) == EndReason::mppe_refused);
  }
  SECTION("required where the settings have it off") {
    settings.mppe = ppp::MppePolicy::kOff;
    LinkPair pair(settings);
    pair.set_account(with({.required = true}));
    pair.start();
    CHECK(ended(pair.actions) == EndReason::mppe_not_permitted);
  }
  SECTION("no strength in common") {
    LinkPair pair(settings);
    pair.set_account(with({.bits128 = false}));
    pair.start();
    CHECK(ended(pair.actions) == EndReason::mppe_not_permitted);
  }
  SECTION("the strengths of both") {
    settings.mppe_strengths = {.bits40 = true, .bits56 = true, .bits128 = true};
    LinkPair pair(settings);
    pair.set_account(with({.bits40 = true, .bits56 = false, .bits128 = false}));
    pair.start();
    CHECK(pair.link.status().mppe == "mppe40-stateless");
  }
}

TEST_CASE("link: an account may lower the MTU of the subscriber, also after a restart",
          "[ppp][rfc2865-5.12]") {
  LinkPair pair;
  pair.network.mtu = 1200;
  pair.start();
  REQUIRE(pair.link.phase() == LinkPhase::kOpen);
  CHECK(pair.link.inner_mtu() == 1200);
  const auto snapshot = pair.link.snapshot();
  REQUIRE(snapshot);
  CHECK(LinkPair({}, *snapshot).link.inner_mtu() == 1200);
  LinkPair wide;
  wide.network.mtu = 1500;  // more than fits
  wide.start();
  CHECK(wide.link.inner_mtu() == 1396);
}

TEST_CASE("link: with encryption off CCP is rejected as unknown", "[ppp]") {
  LinkPair pair(with_policy(MppePolicy::kOff));
  pair.start();
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(packets(pair.actions, kCcp, kConfReq).empty());
  const Packet reject = packet(pair.actions, kLcp, kProtRej);
  CHECK(hex(reject.data).starts_with("80fd01"));
  CHECK(pair.link.status().mppe == "none");
}

TEST_CASE("link: the dataplane is told the strength that was agreed", "[ppp]") {
  LinkSettings settings;
  settings.mppe_strengths = {.bits40 = true, .bits56 = false, .bits128 = true};
  LinkPair pair(settings);
  pair.client.ccp_options = "120601000020";
  pair.start();
  REQUIRE(pair.link.phase() == LinkPhase::kOpen);
  CHECK(pair.link.status().mppe == "mppe40-stateless");
  CHECK(find<model::ArmMppe>(pair.actions)->key_bits == 40);
  // Both directions: what we ask for follows what the peer asked for.
  CHECK(packets(pair.actions, kCcp, kConfReq).back().data == octets("120601000020"));
}

TEST_CASE("link: a Windows offer is narrowed to one strength",
          "[ppp][rfc3078-2.1][wire-facts-17]") {
  LinkPair pair;
  pair.client.ccp_options = "1206010000e1";  // H, 56, 128, 40, MPPC
  pair.start();
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(packet(pair.actions, kCcp, kConfNak).data == octets("120601000040"));
  CHECK(packets(pair.actions, kLcp, kTermReq).empty());
}

TEST_CASE("link: CCP Terminate on an encrypted link ends it, whatever the policy",
          "[ppp][conformance-50]") {
  const MppePolicy policy = GENERATE(MppePolicy::kRequire, MppePolicy::kPrefer);
  OpenPair pair(with_policy(policy));
  const auto actions = pair.link.on_frame(frame(kCcp, kTermReq, 3), pair.clock.now());
  CHECK(find<model::CloseIpv4>(actions) != nullptr);
  CHECK(find<model::DisarmMppe>(actions) != nullptr);
  CHECK(packets(actions, kLcp, kTermReq).size() == 1);
  CHECK(position<model::CloseIpv4>(actions) < position<model::DisarmMppe>(actions));
  pair.run(actions);
  CHECK(ended(pair.actions) == EndReason::mppe_closed);
}

TEST_CASE("link: CCP that starts over closes data until it is open again",
          "[ppp][conformance-50]") {
  const MppePolicy policy = GENERATE(MppePolicy::kRequire, MppePolicy::kPrefer);
  OpenPair pair(with_policy(policy));
  const auto actions =
      pair.link.on_frame(frame(kCcp, kConfReq, 0x99, "120601000040"), pair.clock.now());
  CHECK(in_short(actions) == "-ipv4 network -mppe ccp1 +mppe ccp2");
  pair.run(actions);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(in_short(pair.actions).ends_with("+ipv4 open"));
}

TEST_CASE("link: a data path on which nothing opens gets new keys, once, and then ends",
          "[ppp][conformance-50]") {
  OpenPair pair;
  const auto actions = pair.link.on_path_dead(true, pair.clock.now());
  CHECK(in_short(actions) == "-ipv4 network -mppe ccp1");
  pair.run(actions);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(find<model::ArmMppe>(pair.actions) != nullptr);
  CHECK(in_short(pair.actions).ends_with("+ipv4 open"));
  pair.actions.clear();
  SECTION("packets opened since: it is another fault, later") {
    pair.run(pair.link.on_path_dead(true, pair.clock.now()));
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    CHECK_FALSE(ended(pair.actions).has_value());
  }
  SECTION("none has opened since") {
    pair.run(pair.link.on_path_dead(false, pair.clock.now()));
    CHECK(ended(pair.actions) == EndReason::dead_data_path);
  }
}

TEST_CASE("link: a report of a dead data path that comes too late changes nothing", "[ppp]") {
  OpenPair pair;
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
  pair.run(pair.link.on_path_dead(true, pair.clock.now()));
  CHECK(pair.link.phase() == LinkPhase::kNetwork);  // CCP is being negotiated
  CHECK(pair.link.on_path_dead(false, pair.clock.now()).empty());
  OpenPair clear(with_policy(MppePolicy::kOff));
  CHECK(clear.link.on_path_dead(false, clear.clock.now()).empty());
}

TEST_CASE("link: encryption once open is not given up by starting CCP over", "[ppp]") {
  OpenPair pair(with_policy(MppePolicy::kPrefer));
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
  pair.run(pair.link.on_frame(frame(kCcp, kConfReq, 0x99, "120601000040"), pair.clock.now()));
  CHECK(pair.link.phase() == LinkPhase::kNetwork);
  pair.run(pair.link.on_frame(frame(kLcp, kProtRej, 1, "80fd"), pair.clock.now()));
  CHECK(ended(pair.actions).has_value());
  CHECK(find<model::OpenIpv4>(pair.actions) == nullptr);
}

TEST_CASE("link: resets that stray to the control plane are not rejected", "[ppp][rfc1962-3]") {
  OpenPair pair;
  CHECK(pair.link.on_frame(frame(kCcp, 14, 1), pair.clock.now()).empty());
  CHECK(pair.link.on_frame(frame(kCcp, 15, 1), pair.clock.now()).empty());
}

// ---- Renegotiation, echo, rejects

TEST_CASE("link: an LCP request on an open link takes everything down and authenticates anew",
          "[ppp][conformance-48]") {
  OpenPair pair;
  const auto actions =
      pair.link.on_frame(frame(kLcp, kConfReq, 0x77, "0506aabbccdd"), pair.clock.now());
  CHECK(in_short(actions) == "establish -ipv4 -mppe -lcp lcp1 lcp2");
  CHECK(pair.link.status().user.empty());
  pair.run(actions);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(find<model::Authenticate>(pair.actions) != nullptr);
  CHECK(pair.link.status().mppe == "mppe128-stateless");
}

TEST_CASE("link: a client that renegotiates with a wrong password is out",
          "[ppp][conformance-48]") {
  OpenPair pair;
  pair.client.password = "wrong";
  pair.run(pair.link.on_frame(frame(kLcp, kConfReq, 0x77, "0506aabbccdd"), pair.clock.now()));
  pair.advance(Seconds(3));  // it has hung up
  CHECK(ended(pair.actions) == EndReason::auth_failed);
  CHECK(find<model::OpenIpv4>(pair.actions) == nullptr);
}

TEST_CASE("link: echoes go out and a dead peer is noticed", "[ppp][rfc1661-5.8]") {
  LinkSettings settings;
  settings.lcp_echo_interval = Seconds(10);
  settings.lcp_echo_failures = 3;
  OpenPair pair(settings);
  pair.advance(Seconds(100));
  CHECK(packets(pair.actions, kLcp, kEchoReq).size() == 10);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  pair.actions.clear();
  pair.drop_to_client = [](const Octets&) { return true; };
  pair.advance(Seconds(30));
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  pair.advance(Seconds(10));
  CHECK(ended(pair.actions) == EndReason::lcp_echo_timeout);
  CHECK(packets(pair.actions, kLcp, kEchoReq).size() == 3);
  CHECK(packets(pair.actions, kLcp, kTermReq).size() == 1);
}

TEST_CASE("link: links that resume together send their echoes apart, also after a stall",
          "[ppp][rfc1661-5.8]") {
  LinkSettings settings;
  settings.lcp_echo_interval = Seconds(10);
  OpenPair pair(settings);
  const auto snapshot = pair.link.snapshot();
  REQUIRE(snapshot.has_value());
  const auto shared = std::make_shared<const LinkSettings>(settings);
  const TimePoint start = pair.clock.now();
  FakeRandom random(7);
  std::vector<std::unique_ptr<Link>> links;
  for (int i = 0; i < 2000; ++i)
    links.push_back(
        std::make_unique<Link>(shared, Ipv4Address(), *snapshot, random, pair.clock.now()));
  // How many are due within the 10 ms in which most are.
  const auto most_at_once = [&](TimePoint from) {
    std::map<Duration::rep, int> due;
    for (const auto& link : links) {
      const TimePoint at = link->deadline().value();
      CHECK((at > from && at <= from + Seconds(10)));
      ++due[(at - start) / Milliseconds(10)];
    }
    return std::ranges::max_element(due, {}, [](const auto& d) { return d.second; })->second;
  };
  CHECK(most_at_once(start + Seconds(5) - Duration(1)) < 20);
  const TimePoint late = start + Seconds(33);
  for (const auto& link : links) {
    CHECK(packets(link->on_deadline(late), kLcp, kEchoReq).size() == 1);
  }
  CHECK(most_at_once(late) < 20);
}

TEST_CASE("link: interval 0 leaves echoes to the dataplane", "[ppp]") {
  LinkSettings settings;
  settings.lcp_echo_interval = Duration::zero();
  OpenPair pair(settings);
  CHECK_FALSE(pair.link.deadline().has_value());
}

TEST_CASE("link: a peer that rejects echoes is left alone", "[ppp][conformance-41]") {
  LinkSettings settings;
  settings.lcp_echo_interval = Seconds(10);
  OpenPair pair(settings);
  CHECK(
      pair.link.on_frame(frame(kLcp, kCodeRej, 1, "09010008 00000000"), pair.clock.now()).empty());
  pair.advance(Seconds(1000));
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(packets(pair.actions, kLcp, kEchoReq).empty());
}

TEST_CASE("link: rejects are limited and never longer than the peer can take",
          "[ppp][conformance-40]") {
  LinkSettings settings;
  settings.rejects_per_second = 10;
  OpenPair pair(settings);
  std::size_t rejects = 0;
  const Octets big(1400, std::byte{0x5a});
  for (int i = 0; i < 1000; ++i) {
    for (const Octets& junk : {frame(0x8057, 1, 1, big), frame(kLcp, 0x40, 1, big)}) {
      const auto actions = pair.link.on_frame(junk, pair.clock.now());
      rejects += actions.size();
      for (const Packet& reject : packets(actions)) {
        CHECK((reject.code == kProtRej || reject.code == kCodeRej));
        CHECK(reject.data.size() + 4 <= 1400);  // the client's MRU
      }
    }
  }
  CHECK(rejects == 10);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  pair.clock.advance(Seconds(1));
  CHECK(pair.link.on_frame(frame(0x8057, 1, 1), pair.clock.now()).size() == 1);
}

TEST_CASE("link: IPCP closed by the peer ends the link", "[ppp]") {
  OpenPair pair;
  pair.run(pair.link.on_frame(frame(kIpcp, kTermReq, 1), pair.clock.now()));
  CHECK(ended(pair.actions) == EndReason::peer_disconnected);
}

TEST_CASE("link: IPCP rejected by the peer ends the link", "[ppp]") {
  OpenPair pair;
  pair.run(pair.link.on_frame(frame(kLcp, kProtRej, 1, "8021"), pair.clock.now()));
  CHECK(ended(pair.actions) == EndReason::ipcp_refused);
}

TEST_CASE("link: frames that are none, or too long, do nothing", "[ppp][conformance-35]") {
  OpenPair pair;
  for (const Octets& bad :
       {octets(""), octets("ff"), octets("ff03"), octets("ff03c0"), octets("8057aa"),
        octets("c021"), octets("ff03c021010100"), Octets(1505), Octets(65535)})
    CHECK(pair.link.on_frame(bad, pair.clock.now()).empty());
  // 1,500 octets of information are always taken.
  const Octets longest = frame(kLcp, kEchoReq, 5, Octets(1496, std::byte{0}));
  CHECK(pair.link.on_frame(longest, pair.clock.now()).size() == 1);
}

// ---- Lost packets

TEST_CASE("link: any single packet may be lost, the link comes up all the same", "[ppp]") {
  // How many frames there are without loss.
  int total = 0;
  {
    LinkPair pair;
    pair.drop_to_client = [&](const Octets&) { return ++total < 0; };
    pair.drop_from_client = [&](const Octets&) { return ++total < 0; };
    pair.start();
  }
  REQUIRE(total > 10);
  for (int lost = 0; lost < total; ++lost) {
    INFO("frame " << lost << " of " << total);
    LinkPair pair;
    int count = 0;
    const auto drop = [&](const Octets&) { return count++ == lost; };
    pair.drop_to_client = drop;
    pair.drop_from_client = drop;
    pair.start();
    // The client here never repeats anything by itself, but for its NCP requests after a while.
    for (int second = 0; second < 10 && pair.link.phase() != LinkPhase::kOpen; ++second) {
      pair.advance(Seconds(1));
      if (pair.link.phase() == LinkPhase::kNetwork && pair.client.authenticated)
        for (const Octets& again : pair.client.start_ncps())
          pair.run(pair.link.on_frame(again, pair.clock.now()));
    }
    if (pair.client.received.empty() || pair.link.phase() != LinkPhase::kOpen) {
      // Only the client's LCP request has nobody to repeat it.
      pair.run(pair.link.on_frame(frame(kLcp, kConfReq, 0x10, pair.client.lcp_options),
                                  pair.clock.now()));
    }
    for (int second = 0; second < 10 && pair.link.phase() != LinkPhase::kOpen; ++second)
      pair.advance(Seconds(1));
    CHECK(pair.link.phase() == LinkPhase::kOpen);
  }
}

TEST_CASE("link: a first IPCP request well after ours brings ours again, before the answer",
          "[ppp][interop-lab-3]") {
  LinkPair pair(with_policy(MppePolicy::kOff));
  pair.client.ccp_options = "";
  pair.client.ncps_upon_success = false;
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kIpcp; };  // not ready
  pair.start();
  REQUIRE(pair.link.phase() == LinkPhase::kNetwork);
  pair.clock.advance(Milliseconds(300));
  const auto actions =
      pair.link.on_frame(frame(kIpcp, kConfReq, 1, "03060a400005"), pair.clock.now());
  CHECK(in_short(actions) == "ipcp1 +ipv4 ipcp2");
  CHECK(packet(actions, kIpcp, kConfReq) == packet(pair.actions, kIpcp, kConfReq));
}

TEST_CASE("link: a Terminate-Ack to our IPCP request brings it again at once, three times",
          "[ppp][interop-lab-3]") {
  LinkPair pair(with_policy(MppePolicy::kOff));
  pair.client.ccp_options = "";
  pair.client.ncps_upon_success = false;
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kIpcp; };
  pair.start();
  const Packet request = packet(pair.actions, kIpcp, kConfReq);
  CHECK(pair.link.on_frame(frame(kIpcp, kTermAck, 99), pair.clock.now()).empty());
  for (int i = 0; i < 3; ++i) {
    const auto actions =
        pair.link.on_frame(frame(kIpcp, kTermAck, request.identifier), pair.clock.now());
    CHECK(packet(actions, kIpcp, kConfReq) == request);
  }
  CHECK(pair.link.on_frame(frame(kIpcp, kTermAck, request.identifier), pair.clock.now()).empty());
  pair.drop_to_client = nullptr;
  pair.client.ncps_upon_success = true;
  pair.advance(Seconds(3));
  CHECK(pair.link.phase() == LinkPhase::kOpen);
}

// ---- Restart of this process

TEST_CASE("link: an open link goes on after a restart", "[ppp][conformance-71]") {
  LinkSettings settings;
  settings.lcp_echo_interval = Seconds(10);
  OpenPair pair(settings);
  const auto snapshot = pair.link.snapshot();
  REQUIRE(snapshot.has_value());
  const auto before = pair.link.status();

  FakeRandom random(2);
  Link link(std::make_shared<const LinkSettings>(settings), Ipv4Address(), *snapshot, random,
            pair.clock.now());
  CHECK(link.phase() == LinkPhase::kOpen);
  const auto after = link.status();
  CHECK(after.user == before.user);
  CHECK(after.auth == before.auth);
  CHECK(after.mppe == before.mppe);
  CHECK(after.address == before.address);
  CHECK(after.peer_mru == before.peer_mru);
  CHECK(link.start(pair.clock.now()).empty());

  SECTION("echoes carry the magic number of before") {
    pair.clock.advance(Seconds(10));
    const auto echo = packet(link.on_deadline(pair.clock.now()), kLcp, kEchoReq);
    Octets magic(4);
    Writer(magic).write_u32(snapshot->lcp.our_magic);
    CHECK(echo.data == magic);
  }
  SECTION("the peer's Terminate-Request is answered") {
    CHECK(in_short(link.on_frame(frame(kLcp, kTermReq, 1), pair.clock.now())) ==
          "terminate -ipv4 -mppe -lcp lcp6");
  }
  SECTION("the peer may start over from LCP") {
    CHECK(in_short(link.on_frame(frame(kLcp, kConfReq, 1), pair.clock.now())) ==
          "establish -ipv4 -mppe -lcp lcp1 lcp2");
  }
  SECTION("the peer may start over from CCP") {
    CHECK(in_short(link.on_frame(frame(kCcp, kConfReq, 1, "120601000040"), pair.clock.now())) ==
          "-ipv4 network -mppe ccp1 +mppe ccp2");
  }
  SECTION("without the keys CCP starts over from LCP, for new ones") {
    auto keyless = *snapshot;
    keyless.keys.reset();
    LinkPair other(settings, keyless);
    CHECK(in_short(
              other.link.on_frame(frame(kCcp, kConfReq, 1, "120601000040"), other.clock.now())) ==
          "-ipv4 network -mppe establish -lcp lcp1");
    other.advance(Seconds(1));  // asks again, and the client answers
    CHECK(other.client.authenticated);
    CHECK(other.link.phase() == LinkPhase::kOpen);
    CHECK(other.link.status().mppe == before.mppe);
    CHECK(find<model::ArmMppe>(other.actions) != nullptr);
  }
}

TEST_CASE("link: there is a snapshot from the moment the peer may be open until the link ends",
          "[ppp]") {
  LinkPair pair;
  CHECK_FALSE(pair.link.snapshot().has_value());
  const bool asks = GENERATE(true, false);
  if (asks) pair.answer_auth = false;
  // The phase is open when the Ack is there; the peer was before it sent it.
  pair.drop_from_client = [](const Octets& f) { return is_packet(f, kIpcp, kConfAck); };
  pair.start();
  CHECK(pair.link.phase() == (asks ? LinkPhase::kAuthenticate : LinkPhase::kNetwork));
  CHECK(pair.client.ipcp_open == !asks);
  CHECK(pair.link.snapshot().has_value() == !asks);
  (void)pair.link.close(EndReason::operator_cleared, pair.clock.now());
  CHECK_FALSE(pair.link.snapshot().has_value());
}

namespace {

// Everything is lost from the `left`th frame on, either way: what a kill leaves.
void cut_after(LinkPair& pair, int& left) {
  pair.drop_to_client = pair.drop_from_client = [&left](const Octets&) { return left-- <= 0; };
}

// The next process goes on with the link, its client does what clients do. True: both are open.
bool open_after_resume(const LinkSettings& settings, const LinkPair& before) {
  auto snapshot = before.link.snapshot();
  if (!snapshot) return false;
  snapshot->keys.reset();
  LinkPair after(settings, *snapshot);
  after.network = before.network;
  after.client = before.client;
  after.run(after.link.start(after.clock.now()));  // nothing, where it is resumed as open
  const auto open = [&] {
    return after.link.phase() == LinkPhase::kOpen && after.client.ipcp_open &&
           after.link.status().ipv6_prefix.has_value() == after.client.ipv6cp_open &&
           after.client.ipv6cp_open == !after.client.ipv6cp_options.empty();
  };
  for (int i = 0; i < 3 && !open(); ++i) {
    after.run_frames(after.client.ask_again());
    after.advance(Seconds(3));
  }
  // Encrypted with keys that both have: those of before, or new ones.
  const bool armed = find<model::ArmMppe>(after.actions) != nullptr;
  const bool encrypted = (!snapshot->from_lcp && snapshot->mppe) || armed;
  return open() && encrypted == (settings.mppe != MppePolicy::kOff) &&
         find<model::LinkEnded>(after.actions) == nullptr;
}

LinkSettings resumable(MppePolicy policy) {
  LinkSettings settings = with_policy(policy);
  settings.lcp_echo_interval = Seconds(600);
  return settings;
}

void with_ipv6(LinkPair& pair) {
  pair.client.ipv6cp_options = "010a021122fffe334455";
  pair.network.ipv6 =
      model::Ipv6Parameters{.prefix = *Ipv6Prefix::parse("2001:db8:100:7::/64"), .dns = {}};
}

}  // namespace

TEST_CASE("link: killed at any frame of a set-up, a link whose peer is open goes on", "[ppp]") {
  const auto policy = GENERATE(MppePolicy::kRequire, MppePolicy::kOff);
  const bool ipv6 = GENERATE(false, true);
  const bool ncps_upon_success = GENERATE(false, true);
  // One that is not Nak'ed has our Ack before we have its own.
  const bool knows_its_address = GENERATE(false, true);
  const LinkSettings settings = resumable(policy);
  int cuts_when_open = 0;
  int cuts_when_only_the_peer_is = 0;
  for (int frames = 0;; ++frames) {
    CAPTURE(frames, ipv6, ncps_upon_success, knows_its_address);
    LinkPair pair(settings);
    pair.client.ncps_upon_success = ncps_upon_success;
    if (knows_its_address) pair.client.ipcp_options = "03060a400005";
    if (policy == MppePolicy::kOff) pair.client.ccp_options.clear();
    if (ipv6) with_ipv6(pair);
    int left = frames;
    cut_after(pair, left);
    pair.start();
    if (pair.client.ipcp_open) {
      ++cuts_when_open;
      cuts_when_only_the_peer_is += pair.link.phase() != LinkPhase::kOpen ? 1 : 0;
      CHECK(open_after_resume(settings, pair));
    }
    if (left > 0) break;
  }
  CHECK(cuts_when_open >= 1);
  if (knows_its_address && !ncps_upon_success) CHECK(cuts_when_only_the_peer_is >= 1);
}

TEST_CASE("link: killed at any frame of a renegotiation, an open link goes on", "[ppp]") {
  const std::string which = GENERATE("lcp", "our-lcp", "ccp", "ipcp", "ipv6cp");
  const bool ipv6 = which == "ipv6cp" || GENERATE(false, true);
  const LinkSettings settings = resumable(MppePolicy::kRequire);
  for (int frames = 0;; ++frames) {
    CAPTURE(which, frames, ipv6);
    LinkPair pair(settings);
    if (ipv6) with_ipv6(pair);
    pair.start();
    REQUIRE(pair.link.phase() == LinkPhase::kOpen);
    int left = frames;
    cut_after(pair, left);
    if (which == "our-lcp")
      pair.run(pair.link.start_over(pair.clock.now()));
    else
      for (const Octets& one : pair.client.renegotiate(which == "lcp"    ? kLcp
                                                       : which == "ccp"  ? kCcp
                                                       : which == "ipcp" ? kIpcp
                                                                         : kIpv6cp))
        if (left-- > 0) pair.run(pair.link.on_frame(one, pair.clock.now()));
    CHECK(open_after_resume(settings, pair));
    if (left > 0) break;
  }
}

TEST_CASE("link: one that was taken over and negotiates anew on a bad line has all its tries",
          "[ppp]") {
  const LinkSettings settings = resumable(MppePolicy::kRequire);
  LinkPair before(settings);
  before.start();
  auto snapshot = before.link.snapshot().value();
  snapshot.keys.reset();
  LinkPair pair(settings, snapshot);
  pair.client = before.client;
  int lost = 0;
  pair.drop_from_client = [&](const Octets& f) {
    return is_packet(f, kIpcp, kConfAck) && ++lost <= 5;
  };
  pair.run_frames(pair.client.renegotiate(kIpcp));
  CHECK(pair.client.ipcp_open);
  pair.advance(Seconds(20));
  CHECK(lost == 6);
  CHECK(find<model::LinkEnded>(pair.actions) == nullptr);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
}

TEST_CASE("link: one that was encrypted is not resumed to go on in the clear", "[ppp]") {
  OpenPair pair(with_policy(MppePolicy::kPrefer));
  (void)pair.link.start_over(pair.clock.now());
  const auto snapshot = pair.link.snapshot();
  REQUIRE(snapshot.has_value());
  CHECK(snapshot->from_lcp);
  LinkPair after(with_policy(MppePolicy::kPrefer), *snapshot);
  after.client.ccp_options.clear();
  after.drop_to_client = [](const Octets& f) { return is_packet(f, kCcp, kConfReq); };
  after.start();
  after.advance(Seconds(60));
  CHECK(find<model::OpenIpv4>(after.actions) == nullptr);
  CHECK(ended(after.actions).has_value());
}

TEST_CASE("link: an unencrypted link has an unencrypted snapshot", "[ppp]") {
  OpenPair pair(with_policy(MppePolicy::kOff));
  const auto snapshot = pair.link.snapshot();
  REQUIRE(snapshot.has_value());
  CHECK_FALSE(snapshot->mppe.has_value());
  Link link(std::make_shared<const LinkSettings>(with_policy(MppePolicy::kOff)), Ipv4Address(),
            *snapshot, pair.random, pair.clock.now());
  CHECK(link.status().mppe == "none");
  CHECK(packets(link.on_frame(frame(kCcp, kConfReq, 1, "120601000040"), pair.clock.now()), kLcp,
                kProtRej)
            .size() == 1);
}

// ---- The session time is over, and the peer logs in again

TEST_CASE("link: a peer logs in again on an open link, and MPPE keeps its keys",
          "[ppp][rfc2865-5.29][rfc1994-2]") {
  OpenPair pair;
  auto asked = pair.link.log_in_again(pair.clock.now());
  REQUIRE(asked.has_value());
  CHECK(in_short(*asked) == "chap1");
  CHECK(pair.link.logs_in_again());
  CHECK_FALSE(pair.link.log_in_again(pair.clock.now()).has_value());  // once is enough
  pair.asked.reset();
  // The client of this test begins CCP anew upon each Success. Others do not.
  pair.drop_from_client = [](const Octets& one) { return parse(one).value().protocol != kChap; };
  pair.run(std::move(*asked));
  REQUIRE(pair.asked.has_value());
  CHECK(pair.asked->user == "User");
  // Nothing but the question and the verdict: no phase, no key, no network protocol.
  CHECK(in_short(pair.actions) == "chap1 ask chap3");
  CHECK_FALSE(pair.link.logs_in_again());
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(pair.link.status().mppe == "mppe128-stateless");
  CHECK(pair.link.ipv4_flows());
  CHECK(pair.link.log_in_again(pair.clock.now()).has_value());  // and again
}

TEST_CASE("link: CCP that starts over after a later login arms the keys of that login",
          "[ppp][rfc3079-3]") {
  OpenPair pair;
  pair.run(pair.link.log_in_again(pair.clock.now()).value());
  REQUIRE(pair.asked.has_value());
  const auto grant = pair.users->decide(*pair.asked);
  REQUIRE(grant);
  pair.actions.clear();
  pair.run(pair.link.on_path_dead(true, pair.clock.now()));
  const auto* const armed = find<model::ArmMppe>(pair.actions);
  REQUIRE(armed != nullptr);
  CHECK(armed->keys.send == grant->mppe->send);
  CHECK(armed->keys.receive == grant->mppe->receive);
}

TEST_CASE("link: who fails to log in again is out, and so is who does not answer",
          "[ppp][rfc2865-5.29]") {
  OpenPair pair;
  SECTION("a wrong password") {
    pair.client.password = "wrong";
    pair.run(pair.link.log_in_again(pair.clock.now()).value());
    pair.advance(Seconds(60));
    CHECK(find<model::LinkEnded>(pair.actions)->reason == EndReason::auth_failed);
  }
  SECTION("no answer") {
    pair.drop_from_client = [](const Octets&) { return true; };
    pair.run(pair.link.log_in_again(pair.clock.now()).value());
    pair.advance(Seconds(3));
    CHECK(pair.link.phase() == LinkPhase::kOpen);  // data flows while it is asked
    pair.advance(Seconds(60));
    CHECK(find<model::LinkEnded>(pair.actions)->reason == EndReason::auth_timeout);
  }
  SECTION("nobody can decide") {
    pair.answer_auth = false;
    pair.run(pair.link.log_in_again(pair.clock.now()).value());
    pair.run(
        pair.link.on_auth_result(std::unexpected(model::AuthDenial{
                                     .reason = EndReason::auth_unavailable, .is_verdict = false}),
                                 std::nullopt, pair.clock.now()));
    pair.advance(Seconds(60));
    CHECK(find<model::LinkEnded>(pair.actions)->reason == EndReason::auth_unavailable);
  }
  CHECK_FALSE(pair.link.log_in_again(pair.clock.now()).has_value());
}

TEST_CASE("link: a later login whose keys are missing ends an encrypted link", "[ppp]") {
  OpenPair pair;
  pair.answer_auth = false;
  pair.run(pair.link.log_in_again(pair.clock.now()).value());
  auto grant = pair.users->decide(*pair.asked);
  REQUIRE(grant);
  model::AuthGrant without = *grant;
  without.mppe.reset();
  pair.run(pair.link.on_auth_result(without, pair.network, pair.clock.now()));
  CHECK(pair.link.refused() == EndReason::no_mppe_keys);
}

TEST_CASE("link: every method but PAP can log in again, also after a restart",
          "[ppp][rfc2865-5.29]") {
  for (const auto method : {model::AuthMethod::kPap, model::AuthMethod::kChapMd5,
                            model::AuthMethod::kMsChap, model::AuthMethod::kEap}) {
    LinkSettings settings = with_policy(MppePolicy::kPrefer);
    settings.auth = {method};
    settings.eap = {EapMethod::kMsChapV2};
    OpenPair pair(settings);
    const bool can = method != model::AuthMethod::kPap;
    INFO(model::name_of(method));
    const auto snapshot = pair.link.snapshot();
    REQUIRE(snapshot);
    Link resumed(std::make_shared<const LinkSettings>(settings), Ipv4Address(), *snapshot,
                 pair.random, pair.clock.now());
    CHECK(resumed.log_in_again(pair.clock.now()).has_value() == can);
    auto asked = pair.link.log_in_again(pair.clock.now());
    CHECK(asked.has_value() == can);
    if (!asked) continue;
    pair.asked.reset();
    pair.run(std::move(*asked));
    CHECK(pair.asked.has_value());
    CHECK_FALSE(pair.link.logs_in_again());
    CHECK(pair.link.phase() == LinkPhase::kOpen);
  }
}

TEST_CASE("link: LCP that starts over while the peer logs in again begins with a login of its own",
          "[ppp]") {
  OpenPair pair;
  pair.answer_auth = false;
  pair.run(pair.link.log_in_again(pair.clock.now()).value());
  REQUIRE(pair.link.logs_in_again());
  pair.run(pair.link.start_over(pair.clock.now()));
  CHECK_FALSE(pair.link.logs_in_again());
  CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
}
