// SPDX-License-Identifier: BSD-3-Clause
//
// Link's list of network control protocols: a third one, of this test, opens beside IPCP and
// IPV6CP. And the type that CCP's agreement is.
#include <array>
#include <catch2/catch.hpp>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

constexpr std::uint16_t kToy = 0x8031;  // the number of BCP (RFC 3518)
constexpr std::uint16_t kToyData = 0x0031;

// Without options. It keeps what it was told.
class Toy final : public NetworkProtocol {
 public:
  Toy(const LinkSettings& settings, Need need)
      : NetworkProtocol(wire::PppProtocol{kToy}, RestartSettings(settings),
                        {EndReason::ncp_no_convergence, EndReason::ncp_no_convergence}, need,
                        EndReason::ncp_no_convergence) {
    last = this;
  }
  void set_network(const model::NetworkParameters& network) override {
    subscriber = network.subscriber_address;
  }
  void settle(bool possible, std::uint16_t inner_mtu, Context&) override {
    set_flows(possible && acknowledged());
    if (flows()) mtu = inner_mtu;
  }
  void on_data(Bytes packet, Context&) override { data = to_octets(packet); }

  static inline Toy* last = nullptr;  // the one that was made last
  Ipv4Address subscriber;
  std::uint16_t mtu = 0;
  Octets data;

 private:
  [[nodiscard]] std::span<ConfigOption* const> options() override { return {}; }
};

template <NetworkProtocol::Need kNeed>
constexpr NetworkProtocolKind kToyKind = {
    wire::PppProtocol{kToy}, wire::PppProtocol{kToyData},
    [](const model::NetworkParameters&) { return true; },
    [](const LinkSettings& settings) -> std::unique_ptr<NetworkProtocol> {
      return std::make_unique<Toy>(settings, kNeed);
    }};

// IPCP, IPV6CP and the toy.
template <NetworkProtocol::Need kNeed>
LinkSettings with_toy() {
  static const auto kinds = [] {
    const auto standard = standard_network_protocols();
    return std::array{standard[0], standard[1], kToyKind<kNeed>};
  }();
  LinkSettings settings;
  settings.network_protocols = kinds;
  return settings;
}

struct ToyPair : LinkPair {
  explicit ToyPair(const LinkSettings& settings) : LinkPair(settings) {
    network.ipv6 = model::Ipv6Parameters{.prefix = {{0x20010db800000001, 0}, 64}};
    client.ipv6cp_options = "010a02000000000000aa";
    drop_to_client = [](const Octets& f) { return !is_ipv6(f) && parse(f)->protocol == kToy; };
    start();
  }
  model::LinkActions send(std::uint16_t protocol, std::uint8_t code, std::uint8_t id) {
    return link.on_frame(frame(protocol, code, id), clock.now());
  }
};

constexpr auto kOptional = NetworkProtocol::Need::kOptional;
constexpr auto kRequired = NetworkProtocol::Need::kRequired;

const Octets kToyPacket = octets("ff030031c0ffee");

// A client that rejects IPCP.
struct Ipv6OnlyPair : LinkPair {
  explicit Ipv6OnlyPair(const LinkSettings& settings = {}) : LinkPair(settings) {
    network.ipv6 = model::Ipv6Parameters{.prefix = {{0x20010db800000001, 0}, 64}};
    client.ipcp_options.clear();
    client.ipv6cp_options = "010a02000000000000aa";
  }
  model::LinkActions reject(std::string_view protocol) {
    return link.on_frame(frame(kLcp, kProtRej, 1, std::string(protocol) + "0101000400"),
                         clock.now());
  }
  model::LinkActions send(std::uint16_t protocol, std::uint8_t code, std::uint8_t id,
                          std::string_view options = "") {
    return link.on_frame(frame(protocol, code, id, options), clock.now());
  }
};

}  // namespace

TEST_CASE("networks: a third protocol opens next to IPCP and IPV6CP", "[ppp]") {
  ToyPair pair(with_toy<kOptional>());
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(find<model::OpenIpv4>(pair.actions) != nullptr);
  CHECK(find<model::OpenIpv6>(pair.actions) != nullptr);
  const Packet request = packet(pair.actions, kToy, kConfReq);
  REQUIRE(Toy::last->subscriber == pair.network.subscriber_address);

  // Its data is neither taken nor rejected before it is acknowledged.
  CHECK(pair.link.on_frame(kToyPacket, pair.clock.now()).empty());
  CHECK(Toy::last->data.empty());

  const auto acked = pair.send(kToy, kConfReq, 7);
  CHECK(packet(acked, kToy, kConfAck).identifier == 7);
  CHECK(Toy::last->flows());
  CHECK(Toy::last->mtu == pair.link.inner_mtu());
  CHECK_FALSE(Toy::last->is_open());
  CHECK(pair.send(kToy, kConfAck, request.identifier).empty());
  CHECK(Toy::last->is_open());
  CHECK(pair.link.on_frame(kToyPacket, pair.clock.now()).empty());
  CHECK(Toy::last->data == octets("c0ffee"));

  // Its timer was the link's; LCP that starts over takes it down, and the new phase opens it.
  pair.run(pair.link.start_over(pair.clock.now()));
  CHECK_FALSE(Toy::last->flows());
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(Toy::last->state() == State::kReqSent);
  pair.actions.clear();
  pair.advance(Seconds(1));
  const Packet again = packet(pair.actions, kToy, kConfReq);
  CHECK(again.identifier != request.identifier);
}

TEST_CASE("networks: an optional protocol that is rejected leaves the link as it is", "[ppp]") {
  ToyPair pair(with_toy<kOptional>());
  (void)pair.send(kToy, kConfReq, 7);
  REQUIRE(Toy::last->flows());
  const auto actions =
      pair.link.on_frame(frame(kLcp, kProtRej, 1, "80310101000400"), pair.clock.now());
  CHECK_FALSE(Toy::last->flows());
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK_FALSE(ended(actions));
}

TEST_CASE("networks: the link is open when every required protocol is", "[ppp]") {
  ToyPair pair(with_toy<kRequired>());
  CHECK(find<model::OpenIpv4>(pair.actions) != nullptr);
  CHECK(pair.link.phase() == LinkPhase::kNetwork);
  const auto id = packet(pair.actions, kToy, kConfReq).identifier;
  (void)pair.send(kToy, kConfAck, id);
  CHECK(pair.link.phase() == LinkPhase::kNetwork);
  (void)pair.send(kToy, kConfReq, 7);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  SECTION("the peer closes it") {
    const auto actions = pair.send(kToy, kTermReq, 8);
    CHECK(packet(actions, kToy, kTermAck).identifier == 8);
    CHECK(find<model::CloseIpv4>(actions) != nullptr);
    CHECK(pair.link.phase() == LinkPhase::kTerminate);
    CHECK(pair.link.refused() == EndReason::kNone);  // it has left of its own accord
  }
  SECTION("the peer rejects it") {
    (void)pair.link.on_frame(frame(kLcp, kProtRej, 1, "80310101000400"), pair.clock.now());
    CHECK(pair.link.phase() == LinkPhase::kTerminate);
    CHECK(pair.link.refused() == EndReason::ncp_no_convergence);
  }
}

TEST_CASE("networks: a peer that rejects IPCP has a link with IPv6 alone", "[ppp][rfc1661-5.7]") {
  Ipv6OnlyPair pair;
  pair.start();
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK_FALSE(ended(pair.actions));
  CHECK(find<model::OpenIpv6>(pair.actions) != nullptr);
  CHECK(find<model::OpenIpv4>(pair.actions) == nullptr);
  CHECK_FALSE(pair.link.ipv4_flows());
  CHECK(pair.link.status().address.is_unspecified());
  CHECK(pair.link.status().ipv6_prefix.has_value());
  CHECK(pair.client.advertisements.size() == 1);
  // We send no more of what was rejected.
  pair.advance(Seconds(60));
  CHECK(packets(pair.actions, kIpcp, kConfReq).size() == 1);
  CHECK(packets(pair.actions, kIpcp, kTermReq).empty());
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(pair.link.resume() == Link::Resume::kAsOpen);

  SECTION("which ends when IPV6CP is rejected too") {
    const auto actions = pair.reject("8057");
    CHECK(pair.link.phase() == LinkPhase::kTerminate);
    CHECK(pair.link.refused() == EndReason::ipcp_refused);
    CHECK(find<model::CloseIpv6>(actions) != nullptr);
  }
  SECTION("which ends when the peer closes IPV6CP") {
    const auto actions = pair.send(kIpv6cp, kTermReq, 9);
    CHECK(packet(actions, kIpv6cp, kTermAck).identifier == 9);
    CHECK(pair.link.phase() == LinkPhase::kTerminate);
  }
  SECTION("which gets IPv4 when the peer asks for it after all") {
    auto actions = pair.send(kIpcp, kConfReq, 7, "03060a400005");
    CHECK(packet(actions, kIpcp, kConfAck).identifier == 7);
    CHECK(find<model::OpenIpv4>(actions) != nullptr);
    const auto request = packet(actions, kIpcp, kConfReq);
    (void)pair.send(kIpcp, kConfAck, request.identifier, hex(request.data));
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    CHECK(pair.link.ipv4_flows());
  }
  SECTION("which the next process has without IPv4, too") {
    const auto snapshot = pair.link.snapshot();
    REQUIRE(snapshot.has_value());
    CHECK_FALSE(snapshot->ipv4);
    LinkPair next({}, *snapshot);
    CHECK(next.link.phase() == LinkPhase::kOpen);
    CHECK_FALSE(next.link.ipv4_flows());
    CHECK(next.link.status().ipv6_prefix.has_value());
    const auto actions =
        next.link.on_frame(frame(kLcp, kProtRej, 1, "80570101000400"), next.clock.now());
    CHECK(next.link.refused() == EndReason::ipcp_refused);
    CHECK(find<model::CloseIpv6>(actions) != nullptr);
  }
  SECTION("which starts over with both") {
    pair.client.ipcp_options = "030600000000";
    pair.run(pair.link.start_over(pair.clock.now()));
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    CHECK(pair.link.ipv4_flows());
  }
}

TEST_CASE("networks: a link without any network protocol ends with IPCP's reason", "[ppp]") {
  Ipv6OnlyPair pair;
  SECTION("both are rejected") { pair.client.ipv6cp_options.clear(); }
  SECTION("IPv6 is not offered") { pair.network.ipv6.reset(); }
  SECTION("IPV6CP gets no answer") {
    pair.drop_to_client = [](const Octets& f) {
      return !is_ipv6(f) && parse(f)->protocol == kIpv6cp;
    };
    pair.drop_from_client = pair.drop_to_client;
  }
  pair.start();
  pair.advance(Seconds(60));
  CHECK(ended(pair.actions) == EndReason::ipcp_refused);
}

TEST_CASE("networks: IPCP that is open may be rejected while IPv6 is open", "[ppp]") {
  Ipv6OnlyPair pair;
  pair.client.ipcp_options = "030600000000";
  pair.start();
  REQUIRE(pair.link.ipv4_flows());
  const auto actions = pair.reject("8021");
  CHECK(find<model::CloseIpv4>(actions) != nullptr);
  CHECK(find<model::CloseIpv6>(actions) == nullptr);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  pair.advance(Seconds(60));
  CHECK(pair.link.phase() == LinkPhase::kOpen);
}

TEST_CASE("networks: a protocol that is not in the list is rejected", "[ppp]") {
  LinkPair pair;
  pair.start();
  REQUIRE(pair.link.phase() == LinkPhase::kOpen);
  const auto actions = pair.link.on_frame(frame(kToy, kConfReq, 7), pair.clock.now());
  CHECK(packets(actions, kLcp, kProtRej).size() == 1);
  const auto data = pair.link.on_frame(kToyPacket, pair.clock.now());
  CHECK(packets(data, kLcp, kProtRej).size() == 1);
}

TEST_CASE("networks: a link that is taken over answers a protocol of which nothing was kept",
          "[ppp]") {
  LinkSnapshot snapshot;
  snapshot.network.subscriber_address = Ipv4Address(0x0a400005);
  LinkPair pair(with_toy<kOptional>(), snapshot);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(Toy::last->state() == State::kStopped);
  const auto actions = pair.link.on_frame(frame(kToy, kConfReq, 7), pair.clock.now());
  CHECK(packets(actions, kToy, kConfReq).size() == 1);
  CHECK(packets(actions, kToy, kConfAck).size() == 1);
}

TEST_CASE("compression: the link asks the agreement what it needs to know", "[ppp][rfc3078-3]") {
  const CompressionAgreement strong = MppeAgreement{};
  CHECK(strong.encrypts());
  CHECK(strong.overhead() == 4);
  CHECK(strong.name() == "mppe128-stateless");
  REQUIRE(strong.mppe() != nullptr);
  CHECK(*strong.mppe() == MppeAgreement{});
  const CompressionAgreement weak = MppeAgreement{.key_bits = 40, .stateless = false};
  CHECK(weak.name() == "mppe40-stateful");
  CHECK(weak != strong);

  LinkPair pair;
  pair.start();
  CHECK(pair.link.status().mppe == strong.name());
  CHECK(pair.link.inner_mtu() == LinkSettings{}.mru - strong.overhead());
}
