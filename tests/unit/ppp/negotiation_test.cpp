// SPDX-License-Identifier: BSD-3-Clause
//
// Negotiation with peers that are clumsy or hostile: LCP, CCP and IPCP by way of the Link.
#include <catch2/catch.hpp>
#include <set>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

// A link whose Configure-Request is out, and nobody but the test on the other side.
struct Bare {
  explicit Bare(const LinkSettings& settings = {})
      : link(std::make_shared<const LinkSettings>(settings), Ipv4Address(), random, clock.now()) {
    request = packet(link.start(clock.now()), kLcp, kConfReq);
  }
  model::LinkActions send(const Octets& f) { return link.on_frame(f, clock.now()); }
  FakeClock clock;
  FakeRandom random;
  Link link;
  Packet request;
};

// A link in its network phase, with IPCP asked for and the client out of the way.
struct AtIpcp : LinkPair {
  explicit AtIpcp(LinkSettings settings = {}) : LinkPair(off(settings)) {
    client.ncps_upon_success = false;
    drop_to_client = [](const Octets& f) { return parse(f)->protocol == kIpcp; };
    start();
    REQUIRE(link.phase() == LinkPhase::kNetwork);
    request = packet(actions, kIpcp, kConfReq);
  }
  static LinkSettings off(LinkSettings settings) {
    settings.mppe = MppePolicy::kOff;
    return settings;
  }
  Packet request;
};

// The same for CCP.
struct AtCcp : LinkPair {
  explicit AtCcp(const LinkSettings& settings = {}) : LinkPair(settings) {
    client.ncps_upon_success = false;
    drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
    start();
    REQUIRE(link.phase() == LinkPhase::kNetwork);
    request = packet(actions, kCcp, kConfReq);
  }
  Packet request;
};

}  // namespace

// ---- LCP options

TEST_CASE("lcp: we ask for MRU, MS-CHAPv2, a magic number, PFC and ACFC", "[ppp][rfc1661-6]") {
  Bare bare;
  CHECK(option(bare.request.data, 1) == octets("0578"));
  CHECK(option(bare.request.data, 3) == octets("c22381"));
  REQUIRE(option(bare.request.data, 5).has_value());
  CHECK(option(bare.request.data, 5) != octets("00000000"));
  CHECK(option(bare.request.data, 7) == Octets{});
  CHECK(option(bare.request.data, 8) == Octets{});
  CHECK_FALSE(option(bare.request.data, 2).has_value());
}

TEST_CASE("lcp: callback alone is rejected, the rest stands", "[ppp][wire-facts-22]") {
  Bare bare;
  const auto actions =
      bare.send(frame(kLcp, kConfReq, 7, "01040578 050611223344 0702 0802 0d0306"));
  const Packet reject = packet(actions, kLcp, kConfRej);
  CHECK(reject.identifier == 7);
  CHECK(reject.data == octets("0d0306"));
  const auto again = bare.send(frame(kLcp, kConfReq, 8, "01040578 050611223344 0702 0802"));
  CHECK(packet(again, kLcp, kConfAck).data == octets("01040578 050611223344 0702 0802"));
}

TEST_CASE("lcp: unknown options are rejected together and in order", "[ppp][rfc1661-5.4]") {
  Bare bare;
  const auto actions =
      bare.send(frame(kLcp, kConfReq, 1, "c804aaaa 01040578 0408c025 00000000 1304 0001 0304c023"));
  CHECK(packet(actions, kLcp, kConfRej).data ==
        octets("c804aaaa 0408c02500000000 13040001 0304c023"));
}

TEST_CASE("lcp: a known option of the wrong size is Nak'ed with the right one",
          "[ppp][rfc1661-6]") {
  Bare bare;
  const auto nak = [&](std::string_view options) {
    return packet(bare.send(frame(kLcp, kConfReq, 1, octets(options))), kLcp, kConfNak).data;
  };
  CHECK(nak("0103ff") == octets("010405dc"));
  CHECK(nak("0702 0803aa") == octets("0802"));
  CHECK(nak("0204ffff") == octets("020600000000"));
  const Octets magic = nak("0503aa");
  CHECK(magic.size() == 6);
  CHECK(nak("01040001") == octets("010405dc"));  // an MRU of 1
}

TEST_CASE("lcp: an option named twice is rejected", "[ppp][rfc1661-6]") {
  Bare bare;
  const auto actions = bare.send(frame(kLcp, kConfReq, 1, "01040578 01040500"));
  CHECK(packet(actions, kLcp, kConfRej).data == octets("01040500"));
}

TEST_CASE("lcp: packets whose options or Length lie are discarded",
          "[ppp][conformance-36][conformance-37]") {
  Bare bare;
  for (const char* bad : {"0100", "0101", "01", "0104 05", "01ff0578", "0702 0500", "0702 05"})
    CHECK(bare.send(frame(kLcp, kConfReq, 1, bad)).empty());
  // Length 0, 3, and beyond the frame.
  for (const char* bad :
       {"ff03c021 01010000", "ff03c021 01010003", "ff03c021 01010008", "ff03c021 0101ffff 0702"})
    CHECK(bare.send(octets(bad)).empty());
  CHECK(packet(bare.send(frame(kLcp, kConfReq, 2, "0702")), kLcp, kConfAck).identifier == 2);
}

TEST_CASE("lcp: three hundred options get one reject that fits", "[ppp][conformance-36]") {
  Bare bare;
  Octets options;
  for (int i = 0; i < 300; ++i) {
    options.push_back(static_cast<std::byte>(100 + i % 100));
    options.push_back(std::byte{2});
  }
  const auto actions = bare.send(frame(kLcp, kConfReq, 1, options));
  CHECK(packet(actions, kLcp, kConfRej).data == options);
  CHECK(bare.send(frame(kLcp, kConfReq, 2, "0702")).size() == 1);
}

TEST_CASE("lcp: Acks, Naks and Rejects of other requests are discarded", "[ppp][conformance-41]") {
  Bare bare;
  const auto id = bare.request.identifier;
  const auto wrong = static_cast<std::uint8_t>(id + 1);
  CHECK(bare.send(frame(kLcp, kConfAck, wrong, bare.request.data)).empty());
  CHECK(bare.send(frame(kLcp, kConfNak, wrong, "01040500")).empty());
  CHECK(bare.send(frame(kLcp, kConfRej, wrong, "0702")).empty());
  // The right identifier, but not what was asked.
  CHECK(bare.send(frame(kLcp, kConfAck, id, "0702")).empty());
  CHECK(bare.send(frame(kLcp, kConfAck, id)).empty());
  CHECK(bare.send(frame(kLcp, kConfRej, id, "0803aa")).empty());
  CHECK(bare.send(frame(kLcp, kConfRej, id, "0802 0702")).empty());  // not our order
  CHECK(bare.send(frame(kLcp, kConfRej, id, "c802")).empty());
  CHECK(bare.send(frame(kLcp, kConfRej, id)).empty());
  CHECK(bare.send(frame(kLcp, kConfNak, id, "0100")).empty());
  // The right one counts, and once only.
  CHECK(bare.send(frame(kLcp, kConfReq, 1)).size() == 1);
  const auto opened = bare.send(frame(kLcp, kConfAck, id, bare.request.data));
  CHECK(find<model::ConfigureLink>(opened) != nullptr);
  CHECK(bare.send(frame(kLcp, kConfAck, id, bare.request.data)).empty());
  CHECK(bare.link.phase() == LinkPhase::kAuthenticate);
}

TEST_CASE("lcp: what the peer rejects is not asked again", "[ppp][rfc1661-5.4]") {
  Bare bare;
  const auto actions = bare.send(frame(kLcp, kConfRej, bare.request.identifier, "0702 0802"));
  const Packet again = packet(actions, kLcp, kConfReq);
  CHECK(again.identifier != bare.request.identifier);
  CHECK_FALSE(option(again.data, 7).has_value());
  CHECK_FALSE(option(again.data, 8).has_value());
  CHECK(option(again.data, 3) == octets("c22381"));
}

TEST_CASE("lcp: a smaller MRU is granted to a peer that asks for it", "[ppp][rfc1661-6.1]") {
  Bare bare;
  const auto actions = bare.send(frame(kLcp, kConfNak, bare.request.identifier, "01040400"));
  CHECK(option(packet(actions, kLcp, kConfReq).data, 1) == octets("0400"));
}

TEST_CASE("lcp: a peer that will not authenticate is ended", "[ppp][rfc1661-3.5]") {
  Bare bare;
  SECTION("by Reject") {
    const auto actions = bare.send(frame(kLcp, kConfRej, bare.request.identifier, "0305c22381"));
    CHECK(packets(actions, kLcp, kTermReq).size() == 1);
  }
  SECTION("by Naks for another method") {
    Packet request = bare.request;
    int naks = 0;
    for (; bare.link.phase() == LinkPhase::kEstablish && naks < 10; ++naks) {
      const auto actions = bare.send(frame(kLcp, kConfNak, request.identifier, "0304c023"));
      const auto again = packets(actions, kLcp, kConfReq);
      if (again.empty()) break;
      CHECK(option(again[0].data, 3) == octets("c22381"));
      request = again[0];
    }
    CHECK(naks == 2);
  }
  CHECK(bare.link.phase() == LinkPhase::kTerminate);
  bare.clock.advance(Seconds(1));
  (void)bare.link.on_deadline(bare.clock.now());
  bare.clock.advance(Seconds(3));
  CHECK(ended(bare.link.on_deadline(bare.clock.now())) == EndReason::auth_no_common_method);
}

TEST_CASE("lcp: a Nak to MS-CHAPv2 with MS-CHAPv2 changes nothing", "[ppp]") {
  Bare bare;
  const auto actions = bare.send(frame(kLcp, kConfNak, bare.request.identifier, "0305c22381"));
  CHECK(option(packet(actions, kLcp, kConfReq).data, 3) == octets("c22381"));
}

TEST_CASE("lcp: equal magic numbers are Nak'ed, and a loop is seen for what it is",
          "[ppp][rfc1661-6.4][conformance-42]") {
  Bare bare;
  // Everything that we send comes back.
  model::LinkActions actions;
  actions.push_back(model::SendFrame{frame(bare.request)});
  int rounds = 0;
  std::optional<EndReason> reason;
  bool nakked = false;
  while (!reason && rounds < 1000) {
    model::LinkActions next;
    for (const auto& action : actions)
      if (const auto* send = std::get_if<model::SendFrame>(&action))
        for (auto& made : bare.send(send->frame)) next.push_back(std::move(made));
    nakked = nakked || !packets(next, kLcp, kConfNak).empty();
    reason = ended(next);
    if (next.empty()) {
      bare.clock.advance_to(bare.link.deadline().value());
      next = bare.link.on_deadline(bare.clock.now());
      reason = ended(next);
    }
    actions = std::move(next);
    ++rounds;
  }
  CHECK(nakked);
  CHECK(reason == EndReason::lcp_loop);
  CHECK(rounds < 50);
}

TEST_CASE("lcp: our own echoes coming back on an open link end it", "[ppp][conformance-42]") {
  LinkPair pair;
  pair.start();
  const auto snapshot = pair.link.snapshot().value();
  Octets own(4);
  Writer(own).write_u32(snapshot.lcp.our_magic);
  CHECK(pair.link.on_frame(frame(kLcp, kEchoReq, 1, own), pair.clock.now()).empty());
  CHECK(pair.link.on_frame(frame(kLcp, kEchoReq, 2, own), pair.clock.now()).empty());
  pair.actions.clear();
  pair.run(pair.link.on_frame(frame(kLcp, kEchoReq, 3, own), pair.clock.now()));
  CHECK(ended(pair.actions) == EndReason::lcp_loop);
}

TEST_CASE("lcp: a magic number of zero is Nak'ed", "[ppp][rfc1661-6.4]") {
  Bare bare;
  const auto actions = bare.send(frame(kLcp, kConfReq, 1, "050600000000"));
  const auto nak = option(packet(actions, kLcp, kConfNak).data, 5);
  REQUIRE(nak.has_value());
  CHECK(nak != octets("00000000"));
}

// ---- Bounds

TEST_CASE("lcp: a peer that Naks for ever comes to an end", "[ppp][conformance-38]") {
  Bare bare;
  Packet request = bare.request;
  int sent = 0;
  model::LinkActions actions;
  while (bare.link.phase() == LinkPhase::kEstablish && sent < 10'000) {
    ++sent;
    actions = bare.send(
        frame(kLcp, kConfNak, request.identifier, sent % 2 == 0 ? "01040400" : "01040404"));
    const auto again = packets(actions, kLcp, kConfReq);
    if (again.empty()) break;
    request = again[0];
  }
  CHECK(sent <= 40);
  CHECK(bare.link.phase() == LinkPhase::kTerminate);
  CHECK(packets(actions, kLcp, kTermReq).size() == 1);
}

TEST_CASE("lcp: a peer that asks for nonsense for ever comes to an end", "[ppp][conformance-38]") {
  Bare bare;
  int sent = 0;
  while (bare.link.phase() == LinkPhase::kEstablish && sent < 10'000) {
    (void)bare.send(frame(kLcp, kConfReq, static_cast<std::uint8_t>(++sent), "0103ff"));
  }
  CHECK(sent <= 40);
}

TEST_CASE("lcp: a peer that only ever asks comes to an end in time", "[ppp][conformance-38]") {
  Bare bare;
  const TimePoint began = bare.clock.now();
  std::optional<EndReason> reason;
  for (std::uint8_t i = 0; !reason && bare.clock.now() < began + Seconds(600); ++i) {
    (void)bare.send(frame(kLcp, kConfReq, i, "050611223344"));
    bare.clock.advance(Milliseconds(100));
    if (const auto deadline = bare.link.deadline(); deadline && *deadline <= bare.clock.now())
      reason = ended(bare.link.on_deadline(bare.clock.now()));
  }
  CHECK(reason == EndReason::lcp_timeout);
  CHECK(bare.clock.now() < began + Seconds(60));
}

TEST_CASE("lcp: a peer that starts over without end comes to an end", "[ppp][conformance-38]") {
  LinkPair pair;
  pair.start();
  int times = 0;
  while (pair.link.phase() != LinkPhase::kDead && times < 1000) {
    ++times;
    pair.run(pair.link.on_frame(frame(kLcp, kConfReq, 0x77, "0506aabbccdd"), pair.clock.now()));
  }
  CHECK(times <= 40);
}

TEST_CASE("lcp: a peer that starts over once in a while may do so for ever", "[ppp]") {
  LinkPair pair;
  pair.start();
  for (int i = 0; i < 100; ++i) {
    pair.advance(Seconds(11));
    pair.run(pair.link.on_frame(frame(kLcp, kConfReq, 0x77, "0506aabbccdd"), pair.clock.now()));
    REQUIRE(pair.link.phase() == LinkPhase::kOpen);
  }
}

TEST_CASE("lcp: five hundred requests at once get at most one answer each, and it goes on",
          "[ppp][conformance-39]") {
  Bare bare;
  std::size_t answers = 0;
  for (int i = 0; i < 500; ++i) {
    const auto actions =
        bare.send(frame(kLcp, kConfReq, static_cast<std::uint8_t>(i), "050611223344"));
    CHECK(packets(actions).size() <= 1);
    answers += packets(actions).size();
  }
  CHECK(answers <= 500);
  CHECK(bare.link.phase() == LinkPhase::kEstablish);
  const auto opened = bare.send(frame(kLcp, kConfAck, bare.request.identifier, bare.request.data));
  CHECK(find<model::ConfigureLink>(opened) != nullptr);
}

TEST_CASE("lcp: a peer that has said goodbye while negotiating is not asked ten times",
          "[ppp][rfc1661-5.5]") {
  Bare bare;
  CHECK(packet(bare.send(frame(kLcp, kTermReq, 5)), kLcp, kTermAck).identifier == 5);
  SECTION("it stays away") {
    REQUIRE(bare.link.deadline() == bare.clock.now() + Seconds(1));
    bare.clock.advance(Seconds(1));
    CHECK(ended(bare.link.on_deadline(bare.clock.now())) == EndReason::peer_disconnected);
  }
  SECTION("it thinks better of it") {
    CHECK(bare.send(frame(kLcp, kConfReq, 6)).size() >= 1);
    bare.clock.advance(Seconds(1));
    const auto actions = bare.link.on_deadline(bare.clock.now());
    CHECK(packets(actions, kLcp, kConfReq).size() == 1);
  }
}

// ---- CHAP

TEST_CASE("chap: what is no Response to our Challenge is not answered", "[ppp][conformance-44]") {
  LinkPair pair;
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kChap; };
  pair.start();
  const Packet challenge = packet(pair.actions, kChap, kChallenge);
  const auto id = challenge.identifier;
  const Octets value(49, std::byte{1});
  const Octets body = concat({octets("31"), value, as_octets("User")});
  const TimePoint now = pair.clock.now();
  CHECK(pair.link.on_frame(frame(kChap, kResponse, static_cast<std::uint8_t>(id + 1), body), now)
            .empty());
  CHECK(pair.link.on_frame(frame(kChap, kSuccess, id, "533d"), now).empty());
  CHECK(pair.link.on_frame(frame(kChap, kFailure, id), now).empty());
  CHECK(pair.link.on_frame(frame(kChap, kChallenge, id, challenge.data), now).empty());
  CHECK(pair.link.on_frame(frame(kChap, 7, id, body), now).empty());
  CHECK(pair.link.on_frame(octets("ff03c223 02"), now).empty());
  CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
}

TEST_CASE("chap: a malformed Response is a failed one", "[ppp][conformance-44]") {
  const std::string body =
      GENERATE(std::string(""), std::string("00"), std::string("ff"),
               std::string("30") + std::string(96, '1'), std::string("32") + std::string(100, '1'),
               std::string("31") + std::string(96, '1'));
  LinkPair pair;
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kChap; };
  pair.start();
  const auto id = packet(pair.actions, kChap, kChallenge).identifier;
  pair.run(pair.link.on_frame(frame(kChap, kResponse, id, octets(body)), pair.clock.now()));
  CHECK(packets(pair.actions, kChap, kFailure).size() == 1);
  CHECK_FALSE(pair.asked.has_value());
  CHECK(ended(pair.actions) == EndReason::auth_malformed);
}

TEST_CASE("chap: a name of 256 octets is asked about, a longer one is not",
          "[ppp][conformance-44]") {
  const std::size_t length =
      GENERATE(std::size_t{0}, std::size_t{256}, std::size_t{257}, std::size_t{1200});
  LinkSettings settings;
  settings.auth_retries = 0;
  LinkPair pair(settings);
  pair.client.user = std::string(length, 'x');
  pair.start();
  CHECK(pair.asked.has_value() == (length <= 256));
  CHECK(pair.client.failure.starts_with("E=691 R=0 "));
}

// ---- CCP

TEST_CASE("ccp: we ask for exactly 128 bit and stateless", "[ppp][wire-facts-17]") {
  AtCcp at;
  CHECK(at.request.data == octets("120601000040"));
}

TEST_CASE("ccp: every other offer is answered by the one we want", "[ppp][conformance-49]") {
  AtCcp at;
  const auto nak = [&](const char* offer) {
    return packet(at.link.on_frame(frame(kCcp, kConfReq, 1, offer), at.clock.now()), kCcp, kConfNak)
        .data;
  };
  const Octets want = octets("120601000040");
  CHECK(nak("120601000020") == want);  // 40 bit only
  CHECK(nak("1206ffffffff") == want);  // every bit
  CHECK(nak("120600000000") == want);
  CHECK(nak("1202") == want);
  CHECK(nak("120301") == want);
}

TEST_CASE("ccp: MPPC, the D bit and statefulness are stripped by Nak", "[ppp][rfc3078-2.1]") {
  for (const char* offer : {"120601000041", "120601000050", "120600000040", "120601800040"}) {
    AtCcp at;
    const auto actions = at.link.on_frame(frame(kCcp, kConfReq, 1, offer), at.clock.now());
    CHECK(packet(actions, kCcp, kConfNak).data == octets("120601000040"));
    CHECK(find<model::ArmMppe>(actions) == nullptr);
  }
}

TEST_CASE("ccp: other compression is rejected first", "[ppp]") {
  AtCcp at;
  const auto actions =
      at.link.on_frame(frame(kCcp, kConfReq, 1, "1a047800 1206010000e0 15032f"), at.clock.now());
  CHECK(packet(actions, kCcp, kConfRej).data == octets("1a047800 15032f"));
}

TEST_CASE("ccp: a mode that is asked for is the mode that is taken", "[ppp]") {
  struct Row {
    MppeMode mode;
    const char* ours;
    const char* offer;
    std::string_view answer;  // empty: acknowledged
  };
  const Row row = GENERATE(Row{MppeMode::kStateful, "120600000040", "120600000040", ""},
                           Row{MppeMode::kStateful, "120600000040", "120601000040", "120600000040"},
                           Row{MppeMode::kAny, "120601000040", "120600000040", ""},
                           Row{MppeMode::kAny, "120601000040", "120601000040", ""},
                           Row{MppeMode::kAny, "120601000040", "120600000060", "120600000040"});
  LinkSettings settings;
  settings.mppe_mode = row.mode;
  AtCcp at(settings);
  CHECK(at.request.data == octets(row.ours));
  const auto actions = at.link.on_frame(frame(kCcp, kConfReq, 1, row.offer), at.clock.now());
  if (row.answer.empty()) {
    CHECK(packet(actions, kCcp, kConfAck).data == octets(row.offer));
    // When the peer's choice is not what we had asked for, we ask for it too.
    const auto again = packets(actions, kCcp, kConfReq);
    CHECK(again.empty() == (octets(row.ours) == octets(row.offer)));
    if (!again.empty()) CHECK(again[0].data == octets(row.offer));
  } else {
    CHECK(packet(actions, kCcp, kConfNak).data == octets(row.answer));
  }
}

TEST_CASE("ccp: once our strength is acknowledged the peer must use it too", "[ppp]") {
  LinkSettings settings;
  settings.mppe_strengths = {.bits40 = true, .bits56 = true, .bits128 = true};
  AtCcp at(settings);
  CHECK(at.link
            .on_frame(frame(kCcp, kConfAck, at.request.identifier, at.request.data), at.clock.now())
            .empty());
  const auto actions = at.link.on_frame(frame(kCcp, kConfReq, 1, "120601000020"), at.clock.now());
  CHECK(packet(actions, kCcp, kConfNak).data == octets("120601000040"));
}

TEST_CASE("ccp: a Nak to a strength we permit is followed, any other is not", "[ppp]") {
  LinkSettings settings;
  settings.mppe_strengths = {.bits40 = true, .bits56 = false, .bits128 = true};
  AtCcp at(settings);
  SECTION("permitted") {
    const auto actions = at.link.on_frame(
        frame(kCcp, kConfNak, at.request.identifier, "120601000020"), at.clock.now());
    CHECK(packet(actions, kCcp, kConfReq).data == octets("120601000020"));
  }
  SECTION("not permitted") {
    Packet request = at.request;
    for (int i = 0; i < 2; ++i) {
      const auto actions = at.link.on_frame(
          frame(kCcp, kConfNak, request.identifier, "120601000080"), at.clock.now());
      request = packet(actions, kCcp, kConfReq);
      CHECK(request.data == octets("120601000040"));
    }
    at.run(at.link.on_frame(frame(kCcp, kConfNak, request.identifier, "120601000080"),
                            at.clock.now()));
    CHECK(ended(at.actions) == EndReason::mppe_refused);
  }
}

TEST_CASE("ccp: a repeated request does not arm twice", "[ppp][interop-lab-2]") {
  AtCcp at;
  const Octets request = frame(kCcp, kConfReq, 5, "120601000040");
  const auto first = at.link.on_frame(request, at.clock.now());
  CHECK(position<model::ArmMppe>(first) < position(first, kCcp, kConfAck));
  const auto second = at.link.on_frame(request, at.clock.now());
  CHECK(second.size() == 1);
  CHECK(packet(second, kCcp, kConfAck).identifier == 5);
}

// ---- IPCP

TEST_CASE("ipcp: nobody gets an address but the one that was leased",
          "[ppp][rfc1332-3.3][conformance-54]") {
  AtIpcp at;
  CHECK(at.request.data == octets("03060a400001"));
  const auto send = [&](const char* options) {
    return at.link.on_frame(frame(kIpcp, kConfReq, 1, options), at.clock.now());
  };
  for (const char* wanted : {"030600000000", "03060a400006", "0306ffffffff", "03047f00"})
    CHECK(packet(send(wanted), kIpcp, kConfNak).data == octets("03060a400005"));
  CHECK(packet(send("03060a400005"), kIpcp, kConfAck).data == octets("03060a400005"));
}

TEST_CASE("ipcp: a client that does not ask for an address is told to", "[ppp][rfc1332-3.3]") {
  AtIpcp at;
  const auto actions = at.link.on_frame(frame(kIpcp, kConfReq, 1), at.clock.now());
  CHECK(packet(actions, kIpcp, kConfNak).data == octets("03060a400005"));
  // It is not told for ever: after Max-Failure it may go on without.
  model::LinkActions last;
  for (std::uint8_t i = 2; i < 8; ++i)
    last = at.link.on_frame(frame(kIpcp, kConfReq, i), at.clock.now());
  CHECK(packets(last, kIpcp, kConfAck).size() == 1);
}

TEST_CASE("ipcp: header compression and the old option are rejected", "[ppp][rfc1332-3.1]") {
  AtIpcp at;
  const auto actions = at.link.on_frame(
      frame(kIpcp, kConfReq, 1, "0206002d0f01 010a0a0000010a000002 030600000000"), at.clock.now());
  CHECK(packet(actions, kIpcp, kConfRej).data == octets("0206002d0f01 010a0a0000010a000002"));
}

TEST_CASE("ipcp: name servers are told where there are any", "[ppp][rfc1877-1]") {
  AtIpcp at;  // one DNS server, no second, no WINS
  const auto reject = at.link.on_frame(
      frame(kIpcp, kConfReq, 1, "03060a400005 810600000000 820600000000 830600000000 840600000000"),
      at.clock.now());
  CHECK(packet(reject, kIpcp, kConfRej).data == octets("820600000000 830600000000 840600000000"));
  const auto nak =
      at.link.on_frame(frame(kIpcp, kConfReq, 2, "03060a400005 810608080808"), at.clock.now());
  CHECK(packet(nak, kIpcp, kConfNak).data == octets("81060a000035"));
  const auto ack =
      at.link.on_frame(frame(kIpcp, kConfReq, 3, "03060a400005 81060a000035"), at.clock.now());
  CHECK(packets(ack, kIpcp, kConfAck).size() == 1);
}

TEST_CASE("ipcp: name servers of both kinds are told, first and second", "[ppp][rfc1877-1]") {
  LinkPair pair(AtIpcp::off({}));
  pair.network.dns = {Ipv4Address(0x0a000035), Ipv4Address(0x0a000036)};
  pair.network.wins = {Ipv4Address(0x0a000037), Ipv4Address(0x0a000038)};
  pair.client.ncps_upon_success = false;
  pair.start();
  const auto ask = [&](const char* options) {
    return pair.link.on_frame(frame(kIpcp, kConfReq, 1, options), pair.clock.now());
  };
  const auto nak = ask("03060a400005 810600000000 820600000000 830600000000 840600000000");
  CHECK(packet(nak, kIpcp, kConfNak).data ==
        octets("81060a000035 82060a000037 83060a000036 84060a000038"));
  const auto ack = ask("03060a400005 81060a000035 82060a000037 83060a000036 84060a000038");
  CHECK(packets(ack, kIpcp, kConfAck).size() == 1);
}

TEST_CASE("ipcp: forty bad requests are bounded and none is acknowledged",
          "[ppp][conformance-54]") {
  AtIpcp at;
  std::size_t answers = 0;
  for (std::uint8_t i = 0; i < 40; ++i) {
    const auto actions =
        at.link.on_frame(frame(kIpcp, kConfReq, i, "03067f000001"), at.clock.now());
    CHECK(packets(actions, kIpcp, kConfAck).empty());
    answers += packets(actions, kIpcp, kConfNak).size() + packets(actions, kIpcp, kConfRej).size();
    at.run(actions);
  }
  CHECK(answers <= 31);
  CHECK(ended(at.actions) == EndReason::ncp_no_convergence);
}

TEST_CASE("ipcp: our address is not up for discussion", "[ppp]") {
  AtIpcp at;
  Packet request = at.request;
  for (int i = 0; i < 2; ++i) {
    const auto actions = at.link.on_frame(
        frame(kIpcp, kConfNak, request.identifier, "030601020304"), at.clock.now());
    request = packet(actions, kIpcp, kConfReq);
    CHECK(request.data == octets("03060a400001"));
  }
  // A peer that insists does without.
  const auto actions =
      at.link.on_frame(frame(kIpcp, kConfNak, request.identifier, "030601020304"), at.clock.now());
  CHECK(packet(actions, kIpcp, kConfReq).data.empty());
}

TEST_CASE("ipcp: the dataplane is open before the Ack that lets the client send",
          "[ppp][interop-lab-4]") {
  AtIpcp at;
  CHECK(
      at.link
          .on_frame(frame(kIpcp, kConfAck, at.request.identifier, at.request.data), at.clock.now())
          .empty());
  const auto actions = at.link.on_frame(frame(kIpcp, kConfReq, 1, "03060a400005"), at.clock.now());
  CHECK(position<model::OpenIpv4>(actions) < position(actions, kIpcp, kConfAck));
  CHECK(packets(actions, kIpcp, kConfAck).size() == 1);
}

TEST_CASE("ipcp: a client that is never ready times out", "[ppp]") {
  AtIpcp at;
  at.advance(Seconds(60));
  CHECK(ended(at.actions) == EndReason::ipcp_timeout);
}
