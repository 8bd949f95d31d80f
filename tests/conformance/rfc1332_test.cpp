// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 1332, IPCP as the peer sees it. The client's lease is 10.64.0.5, ours is 10.64.0.1.
#include <catch2/catch.hpp>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

constexpr std::string_view kLease = "03060a400005";
constexpr std::string_view kOurs = "03060a400001";

// A link in its network phase, unencrypted, with IPCP left to the test.
struct AtIpcp : LinkPair {
  AtIpcp() : LinkPair(settings()) {
    client.ncps_upon_success = false;
    drop_to_client = [](const Octets& f) { return parse(f)->protocol == kIpcp; };
    start();
    request = packet(actions, kIpcp, kConfReq);
    actions.clear();
  }
  static LinkSettings settings() {
    LinkSettings out;
    out.mppe = MppePolicy::kOff;
    return out;
  }
  model::LinkActions send(std::uint8_t code, std::string_view options, std::uint8_t id = 1) {
    return link.on_frame(frame(kIpcp, code, id, options), clock.now());
  }
  Packet request;
};

}  // namespace

TEST_CASE("rfc1332 §2: before the network phase IPCP is discarded", "[rfc1332-2]") {
  LinkPair pair(AtIpcp::settings());
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kChap; };
  pair.start();
  REQUIRE(pair.link.phase() == LinkPhase::kAuthenticate);
  for (std::uint8_t code = 0; code < 16; ++code)
    CHECK(pair.link.on_frame(frame(kIpcp, code, 1, kLease), pair.clock.now()).empty());
}

TEST_CASE("rfc1332 §2: IPv4 flows from our Ack on, and not before", "[rfc1332-2]") {
  AtIpcp at;
  CHECK(find<model::OpenIpv4>(at.send(kConfReq, "030600000000")) == nullptr);
  const auto actions = at.send(kConfReq, kLease, 2);
  REQUIRE(find<model::OpenIpv4>(actions) != nullptr);
  CHECK(find<model::OpenIpv4>(actions)->subscriber == Ipv4Address(0x0a400005));
  CHECK(position<model::OpenIpv4>(actions) < position(actions, kIpcp, kConfAck));
}

TEST_CASE("rfc1332 §2: IPv4 stops while IPCP is negotiated anew, and when it ends", "[rfc1332-2]") {
  LinkPair pair(AtIpcp::settings());
  pair.start();
  REQUIRE(pair.link.phase() == LinkPhase::kOpen);
  const auto anew = pair.link.on_frame(frame(kIpcp, kConfReq, 9, "030600000000"), pair.clock.now());
  CHECK(find<model::CloseIpv4>(anew) != nullptr);
  CHECK(packet(anew, kIpcp, kConfNak).data == octets(kLease));
  CHECK(packets(anew, kIpcp, kConfReq).size() == 1);

  LinkPair ending(AtIpcp::settings());
  ending.start();
  ending.run(ending.link.on_frame(frame(kIpcp, kTermReq, 10), ending.clock.now()));
  CHECK(packet(ending.actions, kIpcp, kTermAck).identifier == 10);
  CHECK(find<model::CloseIpv4>(ending.actions) != nullptr);
  CHECK(ended(ending.actions) == EndReason::peer_disconnected);
}

TEST_CASE("rfc1332 §2: codes above 7 are unknown to IPCP", "[rfc1332-2]") {
  AtIpcp at;
  for (std::uint8_t code = 8; code < 13; ++code) {
    const Packet reject = packet(at.send(code, "", code), kIpcp, kCodeRej);
    CHECK(reject.data == concat({Octets{std::byte{code}, std::byte{code}}, octets("0004")}));
  }
}

TEST_CASE("rfc1332 §3.1: IP-Addresses is rejected", "[rfc1332-3.1]") {
  AtIpcp at;
  const auto actions = at.send(kConfReq, "010a0a4000050a400001");
  CHECK(packet(actions, kIpcp, kConfRej).data == octets("010a0a4000050a400001"));
}

TEST_CASE("rfc1332 §3.2: header compression is rejected, and neither asked for nor needed",
          "[rfc1332-3.2]") {
  AtIpcp at;
  CHECK_FALSE(option(at.request.data, 2).has_value());
  for (const char* compression : {"0206002d0f01", "02040037", "020e006100100000000000000000"}) {
    const auto actions = at.send(kConfReq, std::string(compression) + std::string(kLease));
    CHECK(packet(actions, kIpcp, kConfRej).data == octets(compression));
  }
  CHECK(packets(at.send(kConfReq, kLease, 2), kIpcp, kConfAck).size() == 1);
}

TEST_CASE("rfc1332 §3.3: zero, a foreign address, none, or half of one get the lease",
          "[rfc1332-3.3]") {
  for (const char* wish :
       {"030600000000", "03060a400006", "03060a400001", "0306ffffffff", "", "03040a40", "0302"}) {
    AtIpcp at;
    CAPTURE(wish);
    const auto actions = at.send(kConfReq, wish);
    CHECK(packet(actions, kIpcp, kConfNak).data == octets(kLease));
    CHECK(find<model::OpenIpv4>(actions) == nullptr);
  }
}

TEST_CASE("rfc1332 §3.3: the lease is acknowledged to the octet", "[rfc1332-3.3]") {
  AtIpcp at;
  const Packet ack = packet(at.send(kConfReq, kLease, 0xee), kIpcp, kConfAck);
  CHECK(ack.identifier == 0xee);
  CHECK(ack.data == octets(kLease));
}

TEST_CASE("rfc1332 §3.3: we tell our address, and a Nak does not change it", "[rfc1332-3.3]") {
  AtIpcp at;
  CHECK(at.request.data == octets(kOurs));
  const auto actions = at.send(kConfNak, "03060a4000fe", at.request.identifier);
  const Packet again = packet(actions, kIpcp, kConfReq);
  CHECK(again.data == octets(kOurs));
  CHECK(again.identifier != at.request.identifier);
}

TEST_CASE("rfc1332 §3.3: a peer that does not want to know our address is not told",
          "[rfc1332-3.3]") {
  AtIpcp at;
  const auto actions = at.send(kConfRej, kOurs, at.request.identifier);
  CHECK(packet(actions, kIpcp, kConfReq).data.empty());
  CHECK(at.link.phase() == LinkPhase::kNetwork);
}

TEST_CASE("rfc1332 §3.3: an address named twice is rejected the second time", "[rfc1332-3.3]") {
  AtIpcp at;
  const auto actions = at.send(kConfReq, "03060a400005 03060a400006");
  CHECK(packet(actions, kIpcp, kConfRej).data == octets("03060a400006"));
}
