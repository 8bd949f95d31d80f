// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 1661: the link as its peer sees it. Each case names the section and says the rule in our
// words. The table of §4.1 is walked in tests/unit/ppp/automaton_test.cpp, options in
// negotiation_test.cpp.
#include <catch2/catch.hpp>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

struct OpenPair : LinkPair {
  OpenPair() {
    start();
    REQUIRE(link.phase() == LinkPhase::kOpen);
    actions.clear();
  }
  model::LinkActions send(const Octets& f) { return link.on_frame(f, clock.now()); }
};

// A link that has sent its first Configure-Request, with nobody there.
struct Starting {
  Starting() : link(std::make_shared<const LinkSettings>(), Ipv4Address(), random, clock.now()) {
    request = packet(link.start(clock.now()), kLcp, kConfReq);
  }
  model::LinkActions send(const Octets& f) { return link.on_frame(f, clock.now()); }
  FakeClock clock;
  FakeRandom random;
  Link link;
  Packet request;
};

}  // namespace

TEST_CASE("rfc1661 §3.4: phases come in order, each announced once", "[rfc1661-3.4]") {
  LinkPair pair;
  pair.start();
  std::vector<LinkPhase> phases;
  for (const auto& action : pair.actions)
    if (const auto* changed = std::get_if<model::PhaseChanged>(&action))
      phases.push_back(changed->phase);
  CHECK(phases == std::vector<LinkPhase>{LinkPhase::kEstablish, LinkPhase::kAuthenticate,
                                         LinkPhase::kNetwork, LinkPhase::kOpen});
}

TEST_CASE("rfc1661 §3.4: before LCP is open everything but LCP is discarded", "[rfc1661-3.4]") {
  LinkPair pair;
  pair.drop_to_client = [](const Octets&) { return true; };
  pair.start();
  for (const std::uint16_t protocol : {kChap, kCcp, kIpcp})
    for (std::uint8_t code = 0; code < 16; ++code)
      CHECK(pair.link.on_frame(frame(protocol, code, 1, "0000"), pair.clock.now()).empty());
}

TEST_CASE("rfc1661 §3.5: the peer cannot skip authentication", "[rfc1661-3.5]") {
  LinkPair pair;
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kChap; };
  pair.start();
  for (const Octets& f : pair.client.start_ncps())
    CHECK(pair.link.on_frame(f, pair.clock.now()).empty());
  pair.advance(Seconds(600));
  CHECK(ended(pair.actions) == EndReason::auth_timeout);
  CHECK(find<model::OpenIpv4>(pair.actions) == nullptr);
  CHECK(packets(pair.actions, kIpcp, kConfReq).empty());
}

TEST_CASE("rfc1661 §3.7: while terminating only LCP is heard", "[rfc1661-3.7]") {
  OpenPair pair;
  (void)pair.link.close(EndReason::operator_cleared, pair.clock.now());
  CHECK(pair.send(frame(kIpcp, kConfReq, 1, "03060a400005")).empty());
  CHECK(pair.send(frame(kCcp, kTermReq, 1)).empty());
  CHECK(pair.send(frame(kChap, kResponse, 1)).empty());
  CHECK(pair.send(frame(0x8057, kConfReq, 1)).empty());
  CHECK(ended(pair.send(frame(kLcp, kTermAck, 1))) == EndReason::operator_cleared);
}

TEST_CASE("rfc1661 §4.6: Max-Terminate is two, and then it is over", "[rfc1661-4.6]") {
  OpenPair pair;
  pair.drop_to_client = [](const Octets&) { return true; };
  pair.run(pair.link.close(EndReason::operator_cleared, pair.clock.now()));
  pair.advance(Seconds(60));
  CHECK(packets(pair.actions, kLcp, kTermReq).size() == 2);
  CHECK(ended(pair.actions) == EndReason::operator_cleared);
}

TEST_CASE("rfc1661 §4.6: after Max-Failure Naks come Rejects", "[rfc1661-4.6]") {
  FakeClock clock;
  FakeRandom random;
  Link link(std::make_shared<const LinkSettings>(), Ipv4Address(), random, clock.now());
  (void)link.start(clock.now());
  for (std::uint8_t i = 0; i < 5; ++i) {
    const auto actions = link.on_frame(frame(kLcp, kConfReq, i, "0702 0103ff"), clock.now());
    CHECK(packet(actions, kLcp, kConfNak).data == octets("010405dc"));
  }
  const auto actions = link.on_frame(frame(kLcp, kConfReq, 6, "0702 0103ff"), clock.now());
  CHECK(packet(actions, kLcp, kConfRej).data == octets("0103ff"));
}

TEST_CASE("rfc1661 §5.1/5.2: an Ack copies identifier and options to the octet", "[rfc1661-5.2]") {
  FakeClock clock;
  FakeRandom random;
  Link link(std::make_shared<const LinkSettings>(), Ipv4Address(), random, clock.now());
  (void)link.start(clock.now());
  for (const char* options : {"", "0702", "0802 0702 010405dc 0206ffffffff 050611223344"}) {
    const auto actions = link.on_frame(frame(kLcp, kConfReq, 0xee, options), clock.now());
    const Packet ack = packet(actions, kLcp, kConfAck);
    CHECK(ack.identifier == 0xee);
    CHECK(ack.data == octets(options));
  }
}

TEST_CASE("rfc1661 §5.1: a repeated request keeps its identifier, a changed one does not",
          "[rfc1661-5.1]") {
  FakeClock clock;
  FakeRandom random;
  Link link(std::make_shared<const LinkSettings>(), Ipv4Address(), random, clock.now());
  const Packet first = packet(link.start(clock.now()), kLcp, kConfReq);
  clock.advance(Seconds(1));
  const Packet repeated = packet(link.on_deadline(clock.now()), kLcp, kConfReq);
  CHECK(repeated == first);
  const Packet changed = packet(
      link.on_frame(frame(kLcp, kConfRej, first.identifier, "0802"), clock.now()), kLcp, kConfReq);
  CHECK(changed.identifier != first.identifier);
}

TEST_CASE("rfc1661 §5.6: an unknown code is rejected with the packet inside, within the MRU",
          "[rfc1661-5.6]") {
  OpenPair pair;
  const Packet reject = packet(pair.send(frame(kLcp, 0x33, 0x44, "aabb")), kLcp, kCodeRej);
  CHECK(reject.data == octets("33440006aabb"));
  const Packet large = packet(pair.send(frame(kLcp, 0x33, 0x44, Octets(1490))), kLcp, kCodeRej);
  CHECK(large.data.size() + 4 == 1400);
  CHECK(large.identifier != reject.identifier);
}

TEST_CASE("rfc1661 §5.6: a Code-Reject ends the link only if the code is needed", "[rfc1661-5.6]") {
  OpenPair pair;
  CHECK(pair.send(frame(kLcp, kCodeRej, 1, "0c010004")).empty());  // Identification
  CHECK(pair.send(frame(kLcp, kCodeRej, 2)).empty());
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  pair.run(pair.send(frame(kLcp, kCodeRej, 3, "01010004")));
  CHECK(ended(pair.actions) == EndReason::code_rejected);
}

TEST_CASE("rfc1661 §5.7: an unknown protocol is rejected, numbered, with the packet inside",
          "[rfc1661-5.7]") {
  OpenPair pair;
  const Packet first = packet(pair.send(octets("ff03 8057 01010004")), kLcp, kProtRej);
  CHECK(first.data == octets("8057 01010004"));
  const Packet second = packet(pair.send(octets("4b 010203")), kLcp, kProtRej);
  CHECK(second.data == octets("004b 010203"));
  CHECK(second.identifier != first.identifier);
}

TEST_CASE("rfc1661 §5.7: a Protocol-Reject of something we do not need is ignored",
          "[rfc1661-5.7]") {
  OpenPair pair;
  for (const char* protocol : {"8057", "0057", "c025", "0001", "ffff", "", "80"})
    CHECK(pair.send(frame(kLcp, kProtRej, 1, protocol)).empty());
  CHECK(pair.link.phase() == LinkPhase::kOpen);
}

TEST_CASE("rfc1661 §5.8: an Echo-Request is answered with our magic number and its data",
          "[rfc1661-5.8]") {
  OpenPair pair;
  Octets magic(4);
  Writer(magic).write_u32(pair.link.snapshot()->lcp.our_magic);
  const Packet reply =
      packet(pair.send(frame(kLcp, kEchoReq, 0x21, "aabbccdd 01020304")), kLcp, kEchoRep);
  CHECK(reply.identifier == 0x21);
  CHECK(reply.data == concat({magic, octets("01020304")}));
  CHECK(pair.send(frame(kLcp, kEchoReq, 0x21, "aabbcc")).empty());  // no whole magic number
}

TEST_CASE("rfc1661 §5.8: echoes are heard only while open", "[rfc1661-5.8]") {
  FakeClock clock;
  FakeRandom random;
  Link link(std::make_shared<const LinkSettings>(), Ipv4Address(), random, clock.now());
  (void)link.start(clock.now());
  CHECK(link.on_frame(frame(kLcp, kEchoReq, 1, "00000000"), clock.now()).empty());
  CHECK(link.on_frame(frame(kLcp, kProtRej, 1, "c021"), clock.now()).empty());
}

TEST_CASE("rfc1661 §5.9: Discard-Request is silence; so are Identification and Time-Remaining",
          "[rfc1661-5.9][rfc1570-1]") {
  OpenPair pair;
  CHECK(pair.send(frame(kLcp, kDiscReq, 1, "00000000aabb")).empty());
  // "MSRASV5.20", as Windows introduces itself.
  CHECK(pair.send(frame(kLcp, kIdent, 2, "aabbccdd 4d535241535635 2e3230")).empty());
  CHECK(pair.send(frame(kLcp, 13, 3, "aabbccdd 0000003c")).empty());
}

TEST_CASE("rfc1661 §6.5/6.6: compressed and uncompressed headers are taken at any time",
          "[rfc1661-6.5]") {
  OpenPair pair;
  Octets with = frame(kLcp, kEchoReq, 1, "00000000");
  const Octets without(with.begin() + 2, with.end());
  CHECK(pair.send(with).size() == 1);
  CHECK(pair.send(without).size() == 1);
}

TEST_CASE("rfc1661 §4.1: a Terminate-Ack on an open link starts negotiation over",
          "[rfc1661-4.1]") {
  OpenPair pair;
  pair.run(pair.send(frame(kLcp, kTermAck, 1)));
  CHECK(find<model::CloseIpv4>(pair.actions) != nullptr);
  CHECK(packets(pair.actions, kLcp, kConfReq).size() == 1);
}

TEST_CASE("rfc1661 §5: what follows Length is padding", "[rfc1661-5]") {
  OpenPair pair;
  Octets padded = frame(kLcp, kEchoReq, 1, "00000000 aabb");
  padded.resize(padded.size() + 20, std::byte{0x5a});
  const Packet reply = packet(pair.send(padded), kLcp, kEchoRep);
  CHECK(hex(Bytes(reply.data).subspan(4)) == "aabb");
}

TEST_CASE("rfc1661 §5.3: a Nak holds the options that were not acceptable, in order, and no others",
          "[rfc1661-5.3]") {
  Starting at;
  const auto actions = at.send(frame(kLcp, kConfReq, 5, "0803aa 0702 0506aabbccdd 0103ff"));
  const Packet nak = packet(actions, kLcp, kConfNak);
  CHECK(nak.identifier == 5);
  CHECK(nak.data == octets("0802 010405dc"));
}

TEST_CASE("rfc1661 §5.4: what is rejected is rejected before anything is Nak'ed", "[rfc1661-5.4]") {
  Starting at;
  for (const char* options :
       {"0103ff 0d0306 0702", "0d0306 0103ff", "050600000000 0803aa 0d0306"}) {
    const auto actions = at.send(frame(kLcp, kConfReq, 5, options));
    CHECK(packet(actions, kLcp, kConfRej).data == octets("0d0306"));
    CHECK(packets(actions, kLcp, kConfNak).empty());
  }
}

TEST_CASE("rfc1661 §5.4, §6.4: a peer that happens to have our magic number is rejected first too",
          "[rfc1661-5.4][rfc1661-6.4]") {
  Starting at;
  const Octets ours = *option(at.request.data, 5);
  const Octets magic = concat({octets("0506"), ours});
  auto actions = at.send(frame(kLcp, kConfReq, 5, concat({magic, octets("0d0306")})));
  CHECK(packet(actions, kLcp, kConfRej).data == octets("0d0306"));
  CHECK(packets(actions, kLcp, kConfNak).empty());
  actions = at.send(frame(kLcp, kConfReq, 6, magic));
  const auto other = option(packet(actions, kLcp, kConfNak).data, 5);
  REQUIRE(other.has_value());
  CHECK(*other != ours);
}

TEST_CASE("rfc1661 §6.4: a Nak of our magic number brings another", "[rfc1661-6.4]") {
  Starting at;
  const auto actions = at.send(frame(kLcp, kConfNak, at.request.identifier, "050611223344"));
  const Packet again = packet(actions, kLcp, kConfReq);
  CHECK(option(again.data, 5) != option(at.request.data, 5));
  CHECK(option(again.data, 5) != octets("00000000"));
}

TEST_CASE("rfc1661 §5.5: a Terminate-Request is acknowledged in every state", "[rfc1661-5.5]") {
  Starting at;
  CHECK(packet(at.send(frame(kLcp, kTermReq, 1)), kLcp, kTermAck).identifier == 1);  // Req-Sent
  CHECK(packets(at.send(frame(kLcp, kConfReq, 2, "0702")), kLcp, kConfAck).size() == 1);
  CHECK(packet(at.send(frame(kLcp, kTermReq, 3)), kLcp, kTermAck).identifier == 3);  // Ack-Sent
  OpenPair pair;
  (void)pair.link.close(EndReason::operator_cleared, pair.clock.now());
  CHECK(packet(pair.send(frame(kLcp, kTermReq, 4)), kLcp, kTermAck).identifier == 4);  // Closing
}

TEST_CASE("rfc1661 §5.6: an unknown code is rejected in every state, and changes none",
          "[rfc1661-5.6]") {
  Starting at;
  CHECK(packet(at.send(frame(kLcp, 0x7e, 1)), kLcp, kCodeRej).data == octets("7e010004"));
  CHECK(packets(at.send(frame(kLcp, kConfReq, 2, "0702")), kLcp, kConfAck).size() == 1);
  CHECK(packet(at.send(frame(kLcp, 0x7e, 3)), kLcp, kCodeRej).data == octets("7e030004"));
  OpenPair pair;
  CHECK(pair.send(frame(kCcp, 0x7e, 1)).size() == 1);
  CHECK(pair.send(frame(kIpcp, 0x7e, 1)).size() == 1);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
}

TEST_CASE("rfc1661 §5.7: before LCP is open no protocol is rejected, after it none that is ours",
          "[rfc1661-5.7]") {
  Starting at;
  for (const char* protocol : {"8057", "c025", "4001", "c22b"})
    CHECK(at.send(octets(std::string("ff03") + protocol + "01010004")).empty());
  OpenPair pair;
  for (const std::uint16_t protocol : {kLcp, kChap, kCcp, kIpcp})
    CHECK(packets(pair.send(frame(protocol, kConfAck, 0xfe)), kLcp, kProtRej).empty());
}

TEST_CASE("rfc1661 §6.1: 1,500 octets are taken whatever MRU was agreed", "[rfc1661-6.1]") {
  OpenPair pair;
  // 1,500 octets of information behind the Protocol field.
  const Octets echo = frame(kLcp, kEchoReq, 1, Octets(1496));
  CHECK(packets(pair.send(echo), kLcp, kEchoRep).size() == 1);
}

TEST_CASE("rfc1661 §6.1: what we send is no longer than the peer's MRU", "[rfc1661-6.1]") {
  LinkPair pair;
  pair.client.lcp_options = "01040100 0506aabbccdd";
  pair.start();
  const auto echo = pair.link.on_frame(frame(kLcp, kEchoReq, 1, Octets(1000)), pair.clock.now());
  CHECK(packet(echo, kLcp, kEchoRep).data.size() + 4 == 256);
  const auto code = pair.link.on_frame(frame(kLcp, 0x33, 1, Octets(1000)), pair.clock.now());
  CHECK(packet(code, kLcp, kCodeRej).data.size() + 4 == 256);
  const auto unknown =
      pair.link.on_frame(concat({octets("ff03 4001"), Octets(1000)}), pair.clock.now());
  CHECK(packet(unknown, kLcp, kProtRej).data.size() + 4 == 256);
}

TEST_CASE("rfc1661 §6.5/6.6: short headers are sent only to a peer that asked for them",
          "[rfc1661-6.5]") {
  struct Row {
    const char* options;
    bool pfc;
    bool acfc;
  };
  for (const Row& row : {Row{"0506aabbccdd", false, false}, Row{"0702", true, false},
                         Row{"0802", false, true}, Row{"0702 0802", true, true}}) {
    LinkPair pair;
    pair.client.lcp_options = row.options;
    pair.start();
    const auto* const link = find<model::ConfigureLink>(pair.actions);
    REQUIRE(link != nullptr);
    CHECK(link->send_pfc == row.pfc);
    CHECK(link->send_acfc == row.acfc);
  }
}

TEST_CASE("rfc1661 §5.5: a network protocol's Terminate-Request is acknowledged, once",
          "[rfc1661-5.5]") {
  const std::uint16_t protocol = GENERATE(kCcp, kIpcp);
  OpenPair pair;
  const auto actions = pair.send(frame(protocol, kTermReq, 9));
  CHECK(packet(actions, protocol, kTermAck).identifier == 9);
  CHECK(position<model::CloseIpv4>(actions) < position(actions, protocol, kTermAck));
  CHECK(position(actions, protocol, kTermAck) < position(actions, kLcp, kTermReq));
}
