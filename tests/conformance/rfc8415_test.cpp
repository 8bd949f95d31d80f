// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 8415, DHCPv6 of a server at the end of a link to one subscriber: delegated prefixes,
// addresses, and configuration alone. Each case names the section and says the rule in our words.
#include <catch2/catch.hpp>
#include <initializer_list>

#include "pns/wire/dhcpv6.hpp"
#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::Dhcpv6Result;
using wire::Dhcpv6Ia;
using wire::Dhcpv6Lease;
using wire::Dhcpv6Message;
using wire::Dhcpv6Option;
using wire::Dhcpv6Status;
using wire::Dhcpv6Type;
using Kind = Dhcpv6Ia::Kind;

namespace {

const Octets kServer = octets("0004 00112233445566778899aabbccddeeff");
const Octets kClient = octets("0003 001b 021122334455");
const Ipv6Address kOurs(0xfe80'0000'0000'0000, 1);
const Ipv6Address kPeers(0xfe80'0000'0000'0000, 0x0211'22ff'fe33'4455);

Ipv6Prefix prefix(std::string_view text) { return Ipv6Prefix::parse(text).value(); }
Ipv6Address address(std::string_view text) { return Ipv6Address::parse(text).value(); }
Ipv6Prefix host(std::string_view text) { return {address(text), 128}; }

const Ipv6Prefix kDelegated = prefix("2001:db8:200::/56");

Dhcpv6Ia ia(Kind kind, std::uint32_t iaid, std::initializer_list<Ipv6Prefix> leases = {}) {
  Dhcpv6Ia out{.kind = kind, .iaid = iaid};
  for (const Ipv6Prefix& lease : leases) REQUIRE(out.add({lease, 0, 0}));
  return out;
}

struct Server : LinkPair {
  explicit Server(Dhcpv6Mode mode = Dhcpv6Mode::kStateless,
                  std::optional<Ipv6Address> fixed = std::nullopt, bool delegates = true)
      : LinkPair(settings(mode)) {
    network.ipv6 = model::Ipv6Parameters{.prefix = prefix("2001:db8:100:7::/64"),
                                         .dns = {address("2001:db8::53"), address("2001:db8::54")}};
    model::Delegation delegation{.address = fixed};
    if (delegates) delegation.prefix = kDelegated;
    network.ipv6->delegation = delegation;
    client.ipv6cp_options = "010a 0211 22ff fe33 4455";
    start();
    REQUIRE(link.phase() == model::LinkPhase::kOpen);
    flags = client.advertisements.at(0)[45];
    actions.clear();
  }
  static LinkSettings settings(Dhcpv6Mode mode) {
    LinkSettings out;
    out.dhcpv6 = {.mode = mode, .server_identifier = kServer, .domain_list = octets("036c616200")};
    return out;
  }

  // A message of the client; what is left out is as it should be.
  static Dhcpv6Message message(Dhcpv6Type type, std::initializer_list<Dhcpv6Ia> ias = {}) {
    Dhcpv6Message out;
    out.type = type;
    out.transaction = 0xabcdef;
    out.source = kPeers;
    out.destination = wire::kAllDhcpv6Servers;
    out.client_identifier = kClient;
    const bool names_server = type == Dhcpv6Type::kRequest || type == Dhcpv6Type::kRenew ||
                              type == Dhcpv6Type::kRelease || type == Dhcpv6Type::kDecline;
    if (names_server) out.server_identifier = kServer;
    for (const Dhcpv6Ia& one : ias) REQUIRE(out.add(one));
    return out;
  }
  static Octets packet(const Dhcpv6Message& message) {
    Octets out(wire::kLongestDhcpv6);
    out.resize(wire::write_dhcpv6(out, message));
    REQUIRE_FALSE(out.empty());
    return out;
  }

  // The answer; empty: none. Its result is in `result`.
  std::optional<Dhcpv6Message> ask(const Octets& packet) {
    actions = link.on_frame(concat({octets("0057"), packet}), clock.now());
    const auto* const handled = find<model::Dhcpv6Handled>(actions);
    REQUIRE(handled != nullptr);
    result = handled->result;
    const auto* const changed = find<model::Ipv6BindingsChanged>(actions);
    if (changed != nullptr) bindings = changed->bindings;
    changes += changed != nullptr ? 1 : 0;
    const auto* const sent = find<model::SendFrame>(actions);
    if (sent == nullptr) return std::nullopt;
    // The store knows it before the peer.
    if (changed != nullptr)
      CHECK(position<model::Ipv6BindingsChanged>(actions) < position<model::SendFrame>(actions));
    frame = sent->frame;
    CHECK(hex(Bytes(frame).first(4)) == "ff030057");
    const auto read = wire::parse_dhcpv6(Bytes(frame).subspan(4));
    REQUIRE(read);
    CHECK(read->source == kOurs);
    CHECK(read->destination == kPeers);
    CHECK(read->transaction == 0xabcdef);
    CHECK(hex(read->server_identifier) == hex(kServer));
    return *read;
  }
  std::optional<Dhcpv6Message> ask(const Dhcpv6Message& message) { return ask(packet(message)); }

  std::byte flags{};
  Octets frame;
  Dhcpv6Result result = Dhcpv6Result::kCount;
  model::Ipv6Bindings bindings;
  int changes = 0;
};

}  // namespace

TEST_CASE("rfc8415 §18.3.1, §18.3.9: Solicit is answered with the prefix, and nothing is in force",
          "[rfc8415-18.3.1]") {
  Server server;
  const auto answer = server.ask(Server::message(Dhcpv6Type::kSolicit, {ia(Kind::kPrefixes, 7)}));
  REQUIRE(answer);
  CHECK(answer->type == Dhcpv6Type::kAdvertise);
  CHECK(hex(answer->client_identifier) == hex(kClient));
  CHECK(answer->preference == 255);
  REQUIRE(answer->ia_count == 1);
  const Dhcpv6Ia& given = answer->ias()[0];
  CHECK(given.kind == Kind::kPrefixes);
  CHECK(given.iaid == 7);
  CHECK_FALSE(given.status);
  REQUIRE(given.lease_count == 1);
  CHECK(given.leases()[0] == Dhcpv6Lease{kDelegated, 14'400, 86'400});
  // §21.21: half and four fifths of the preferred lifetime.
  CHECK(given.t1 == 7'200);
  CHECK(given.t2 == 11'520);
  CHECK(server.result == Dhcpv6Result::advertised);
  CHECK(server.changes == 0);
}

TEST_CASE("rfc8415 §18.3.2: Request brings the prefix into force", "[rfc8415-18.3.2]") {
  Server server;
  const auto answer = server.ask(Server::message(Dhcpv6Type::kRequest, {ia(Kind::kPrefixes, 7)}));
  REQUIRE(answer);
  CHECK(answer->type == Dhcpv6Type::kReply);
  CHECK_FALSE(answer->preference);
  CHECK(answer->ias()[0].leases()[0].prefix == kDelegated);
  CHECK(server.result == Dhcpv6Result::bound);
  CHECK(server.changes == 1);
  CHECK(server.bindings == model::Ipv6Bindings{.prefix = true});
  // A hint of the client changes nothing, nor does a repetition.
  const auto again = server.ask(Server::message(
      Dhcpv6Type::kRequest, {ia(Kind::kPrefixes, 8, {prefix("2001:db8:999::/48")})}));
  REQUIRE(again);
  REQUIRE(again->ias()[0].lease_count == 1);
  CHECK(again->ias()[0].leases()[0].prefix == kDelegated);
  CHECK(server.changes == 1);
}

TEST_CASE("rfc8415 §18.3.1: Rapid Commit takes one message each way", "[rfc8415-18.3.1]") {
  Server server;
  Dhcpv6Message solicit = Server::message(Dhcpv6Type::kSolicit, {ia(Kind::kPrefixes, 7)});
  solicit.rapid_commit = true;
  const auto answer = server.ask(solicit);
  REQUIRE(answer);
  CHECK(answer->type == Dhcpv6Type::kReply);
  CHECK(answer->rapid_commit);
  CHECK(server.bindings.prefix);
  CHECK(server.result == Dhcpv6Result::bound);
  // With nothing to give there is nothing to commit to.
  Server empty(Dhcpv6Mode::kStateless, std::nullopt, false);
  const auto refusal = empty.ask(solicit);
  REQUIRE(refusal);
  CHECK(refusal->type == Dhcpv6Type::kAdvertise);
  CHECK_FALSE(refusal->rapid_commit);
  CHECK(refusal->ias()[0].status == Dhcpv6Status::kNoPrefixAvail);
  CHECK(empty.result == Dhcpv6Result::no_prefix);
  CHECK(empty.changes == 0);
}

TEST_CASE("rfc8415 §18.3.9: of several identity associations the first gets the prefix",
          "[rfc8415-18.3.9]") {
  Server server;
  const auto answer = server.ask(Server::message(
      Dhcpv6Type::kRequest, {ia(Kind::kPrefixes, 1), ia(Kind::kPrefixes, 2),
                             ia(Kind::kAddresses, 3), ia(Kind::kTemporaryAddresses, 4)}));
  REQUIRE(answer);
  REQUIRE(answer->ia_count == 4);
  CHECK(answer->ias()[0].lease_count == 1);
  CHECK(answer->ias()[1].status == Dhcpv6Status::kNoPrefixAvail);
  CHECK(answer->ias()[2].status == Dhcpv6Status::kNoAddrsAvail);
  CHECK(answer->ias()[3].status == Dhcpv6Status::kNoAddrsAvail);
  for (std::size_t i = 1; i < 4; ++i) CHECK(answer->ias()[i].lease_count == 0);
  CHECK(server.result == Dhcpv6Result::bound);

  Server alone;
  CHECK(alone.ask(Server::message(Dhcpv6Type::kSolicit, {ia(Kind::kAddresses, 3)})));
  CHECK(alone.result == Dhcpv6Result::no_address);
  CHECK(alone.ask(Server::message(Dhcpv6Type::kSolicit, {ia(Kind::kTemporaryAddresses, 3)})));
  CHECK(alone.result == Dhcpv6Result::temporary_address);
}

TEST_CASE("rfc8415 §18.3.4: Renew extends what the session has and ends the rest",
          "[rfc8415-18.3.4]") {
  Server server;
  const auto type = GENERATE(Dhcpv6Type::kRenew, Dhcpv6Type::kRebind);
  const Ipv6Prefix old = prefix("2001:db8:300::/56");
  const auto answer =
      server.ask(Server::message(type, {ia(Kind::kPrefixes, 7, {old, kDelegated})}));
  REQUIRE(answer);
  CHECK(answer->type == Dhcpv6Type::kReply);
  REQUIRE(answer->ias()[0].lease_count == 2);
  CHECK(answer->ias()[0].leases()[0] == Dhcpv6Lease{kDelegated, 14'400, 86'400});
  CHECK(answer->ias()[0].leases()[1] == Dhcpv6Lease{old, 0, 0});
  CHECK(server.result == Dhcpv6Result::renewed);
  // A client that outlived a link of before uses its prefix: it is in force from now on.
  CHECK(server.bindings.prefix);
}

TEST_CASE("rfc8415 §18.3.4, §18.3.5: what the session has not is not extended",
          "[rfc8415-18.3.4][rfc8415-18.3.5]") {
  Server server(Dhcpv6Mode::kStateless, std::nullopt, false);
  const auto renewed =
      server.ask(Server::message(Dhcpv6Type::kRenew, {ia(Kind::kPrefixes, 7, {kDelegated})}));
  REQUIRE(renewed);
  CHECK(renewed->ias()[0].status == Dhcpv6Status::kNoBinding);
  CHECK(renewed->ias()[0].lease_count == 0);
  CHECK(server.result == Dhcpv6Result::no_binding);
  const auto rebound =
      server.ask(Server::message(Dhcpv6Type::kRebind, {ia(Kind::kPrefixes, 7, {kDelegated})}));
  REQUIRE(rebound);
  CHECK_FALSE(rebound->ias()[0].status);
  CHECK(rebound->ias()[0].leases()[0] == Dhcpv6Lease{kDelegated, 0, 0});
  CHECK(server.result == Dhcpv6Result::no_binding);
  CHECK(server.changes == 0);
}

TEST_CASE("rfc8415 §18.3.7: Release takes the prefix out of force, as often as it comes",
          "[rfc8415-18.3.7]") {
  Server server;
  REQUIRE(server.ask(Server::message(Dhcpv6Type::kRequest, {ia(Kind::kPrefixes, 7)})));
  REQUIRE(server.bindings.prefix);
  const Dhcpv6Message release =
      Server::message(Dhcpv6Type::kRelease, {ia(Kind::kPrefixes, 7, {kDelegated})});
  for (int i = 0; i < 2; ++i) {
    const auto answer = server.ask(release);
    REQUIRE(answer);
    CHECK(answer->type == Dhcpv6Type::kReply);
    CHECK(answer->status == Dhcpv6Status::kSuccess);
    CHECK(answer->ia_count == 0);
    CHECK(server.result == Dhcpv6Result::released);
    CHECK(server.changes == 2);
    CHECK_FALSE(server.bindings.prefix);
  }
  const auto other = server.ask(Server::message(
      Dhcpv6Type::kRelease, {ia(Kind::kPrefixes, 7, {prefix("2001:db8:300::/56")})}));
  REQUIRE(other);
  CHECK(other->status == Dhcpv6Status::kSuccess);
  CHECK(other->ias()[0].status == Dhcpv6Status::kNoBinding);
  CHECK(server.result == Dhcpv6Result::no_binding);
  // The prefix is the session's all the same.
  REQUIRE(server.ask(Server::message(Dhcpv6Type::kRequest, {ia(Kind::kPrefixes, 7)})));
  CHECK(server.bindings.prefix);
}

TEST_CASE("rfc8415 §18.3.2: a session may have an address of its own /64, or of its account",
          "[rfc8415-18.3.2]") {
  const bool fixed = GENERATE(false, true);
  Server server(fixed ? Dhcpv6Mode::kStateless : Dhcpv6Mode::kStateful,
                fixed ? std::optional(address("2001:db8:77::7")) : std::nullopt);
  const Ipv6Prefix ours = fixed ? host("2001:db8:77::7") : host("2001:db8:100:7::2");
  const auto answer = server.ask(Server::message(Dhcpv6Type::kRequest, {ia(Kind::kAddresses, 1)}));
  REQUIRE(answer);
  REQUIRE(answer->ias()[0].lease_count == 1);
  CHECK(answer->ias()[0].leases()[0] == Dhcpv6Lease{ours, 14'400, 86'400});
  CHECK(server.bindings == model::Ipv6Bindings{.address = true});
  // An address of somewhere else in the Request: of this one the client must learn (§18.3.2).
  const auto elsewhere = server.ask(
      Server::message(Dhcpv6Type::kRequest, {ia(Kind::kAddresses, 1, {host("2001:db8:9::1")})}));
  REQUIRE(elsewhere);
  CHECK(elsewhere->ias()[0].status == Dhcpv6Status::kNotOnLink);
  CHECK(elsewhere->ias()[0].lease_count == 0);
  CHECK(server.result == Dhcpv6Result::not_on_link);
}

TEST_CASE("rfc8415 §18.3.3: Confirm says whether addresses are of this link", "[rfc8415-18.3.3]") {
  Server server(Dhcpv6Mode::kStateful);
  const auto right = server.ask(Server::message(
      Dhcpv6Type::kConfirm, {ia(Kind::kAddresses, 1, {host("2001:db8:100:7::2")})}));
  REQUIRE(right);
  CHECK(right->status == Dhcpv6Status::kSuccess);
  CHECK(server.result == Dhcpv6Result::confirmed);
  const auto wrong = server.ask(Server::message(
      Dhcpv6Type::kConfirm,
      {ia(Kind::kAddresses, 1, {host("2001:db8:100:7::2"), host("2001:db8:100:8::2")})}));
  REQUIRE(wrong);
  CHECK(wrong->status == Dhcpv6Status::kNotOnLink);
  CHECK(server.result == Dhcpv6Result::not_on_link);
  CHECK_FALSE(server.ask(Server::message(Dhcpv6Type::kConfirm, {ia(Kind::kAddresses, 1)})));
  CHECK(server.result == Dhcpv6Result::nothing_to_confirm);
}

TEST_CASE("rfc8415 §18.3.8: a declined address is not offered again", "[rfc8415-18.3.8]") {
  Server server(Dhcpv6Mode::kStateful);
  const auto first = host("2001:db8:100:7::2");
  const auto answer =
      server.ask(Server::message(Dhcpv6Type::kDecline, {ia(Kind::kAddresses, 1, {first})}));
  REQUIRE(answer);
  CHECK(answer->status == Dhcpv6Status::kSuccess);
  CHECK(server.result == Dhcpv6Result::declined);
  CHECK(server.bindings.declined == 1);
  const auto next = server.ask(Server::message(Dhcpv6Type::kRequest, {ia(Kind::kAddresses, 1)}));
  REQUIRE(next);
  CHECK(next->ias()[0].leases()[0].prefix == host("2001:db8:100:7::3"));
  // A prefix cannot be declined.
  REQUIRE(
      server.ask(Server::message(Dhcpv6Type::kDecline, {ia(Kind::kPrefixes, 1, {kDelegated})})));
  CHECK(server.result == Dhcpv6Result::no_binding);

  Server fixed(Dhcpv6Mode::kStateless, address("2001:db8:77::7"));
  REQUIRE(fixed.ask(
      Server::message(Dhcpv6Type::kDecline, {ia(Kind::kAddresses, 1, {host("2001:db8:77::7")})})));
  const auto none = fixed.ask(Server::message(Dhcpv6Type::kRequest, {ia(Kind::kAddresses, 1)}));
  REQUIRE(none);
  CHECK(none->ias()[0].status == Dhcpv6Status::kNoAddrsAvail);
}

TEST_CASE("rfc8415 §18.3.6: Information-request gets configuration and no lease",
          "[rfc8415-18.3.6]") {
  Server server;
  Dhcpv6Message question = Server::message(Dhcpv6Type::kInformationRequest);
  question.client_identifier = {};  // §16.12: it may leave it out
  const auto all = server.ask(question);
  REQUIRE(all);
  CHECK(all->type == Dhcpv6Type::kReply);
  CHECK(all->client_identifier.empty());
  REQUIRE(all->dns_count == 2);
  CHECK(all->dns()[1] == address("2001:db8::54"));
  CHECK(hex(all->domain_list) == "036c616200");
  CHECK(all->information_refresh == 86'400);
  CHECK_FALSE(all->sol_max_rt);
  CHECK(server.result == Dhcpv6Result::informed);
  // §21.7: a client gets the options that it asks for.
  question.requested.set(static_cast<std::size_t>(Dhcpv6Option::kDomainList));
  question.requested.set(static_cast<std::size_t>(Dhcpv6Option::kInfMaxRt));
  const auto some = server.ask(question);
  REQUIRE(some);
  CHECK(some->dns_count == 0);
  CHECK_FALSE(some->domain_list.empty());
  CHECK(some->inf_max_rt == 3'600);
  CHECK_FALSE(some->information_refresh);
}

TEST_CASE("rfc8415 §16: a message that breaks a rule is not answered, and counted by the rule",
          "[rfc8415-16]") {
  Server server;
  const auto ignored = [&](const Dhcpv6Message& message) {
    CHECK_FALSE(server.ask(message));
    CHECK(server.changes == 0);
    return server.result;
  };
  const auto with = [](Dhcpv6Type type, auto change) {
    Dhcpv6Message message = Server::message(type, {ia(Kind::kPrefixes, 7)});
    change(message);
    return message;
  };
  const auto without_client = [](Dhcpv6Message& m) { m.client_identifier = {}; };
  const auto without_server = [](Dhcpv6Message& m) { m.server_identifier = {}; };
  const auto with_server = [](Dhcpv6Message& m) { m.server_identifier = kServer; };
  const auto of_another = [](Dhcpv6Message& m) { m.server_identifier = kClient; };
  const auto unicast = [](Dhcpv6Message& m) { m.destination = kOurs; };
  const auto none = [](Dhcpv6Message&) {};
  for (const auto type : {Dhcpv6Type::kSolicit, Dhcpv6Type::kRebind}) {
    CHECK(ignored(with(type, with_server)) == Dhcpv6Result::server_identifier);
    CHECK(ignored(with(type, without_client)) == Dhcpv6Result::no_client_identifier);
    CHECK(ignored(with(type, unicast)) == Dhcpv6Result::unicast);
  }
  for (const auto type :
       {Dhcpv6Type::kRequest, Dhcpv6Type::kRenew, Dhcpv6Type::kRelease, Dhcpv6Type::kDecline}) {
    CHECK(ignored(with(type, without_server)) == Dhcpv6Result::no_server_identifier);
    CHECK(ignored(with(type, of_another)) == Dhcpv6Result::other_server);
    CHECK(ignored(with(type, without_client)) == Dhcpv6Result::no_client_identifier);
  }
  CHECK(ignored(with(Dhcpv6Type::kInformationRequest, none)) == Dhcpv6Result::unexpected_lease);
}

TEST_CASE("rfc8415 §16: messages of servers and relays, and other ones, are not answered",
          "[rfc8415-16]") {
  Server server;
  // Types by hand, at port 547, with a right checksum.
  for (unsigned type = 0; type < 256; ++type) {
    Octets packet = Server::packet(Server::message(Dhcpv6Type::kSolicit));
    const unsigned before = std::to_integer<unsigned>(packet[48]);
    packet[48] = static_cast<std::byte>(type);
    const unsigned sum =
        std::to_integer<unsigned>(packet[46]) << 8 | std::to_integer<unsigned>(packet[47]);
    // RFC 1624: the type is the upper half of its word.
    unsigned changed = (~sum & 0xffff) + (~(before << 8) & 0xffff) + (type << 8);
    while (changed >> 16 != 0) changed = (changed & 0xffff) + (changed >> 16);
    changed = ~changed & 0xffff;
    packet[46] = static_cast<std::byte>(changed >> 8);
    packet[47] = static_cast<std::byte>(changed);
    INFO(type);
    const bool may_be_answered = type == 1 || type == 6 || type == 11;
    if (may_be_answered) continue;
    CHECK_FALSE(server.ask(packet));
    if (type == 2 || type == 7 || type == 10)
      CHECK(server.result == Dhcpv6Result::server_message);
    else if (type == 12 || type == 13)
      CHECK(server.result == Dhcpv6Result::relay);
    else if (type == 0 || type > 13)
      CHECK(server.result == Dhcpv6Result::unknown_type);
  }
}

TEST_CASE("rfc8415 §17: a message comes from a link-local address", "[rfc8415-17]") {
  Server server;
  Dhcpv6Message message = Server::message(Dhcpv6Type::kSolicit, {ia(Kind::kPrefixes, 7)});
  for (const Ipv6Address& source : {address("2001:db8:100:7::9"), Ipv6Address()}) {
    message.source = source;
    CHECK_FALSE(server.ask(message));
    CHECK(server.result == Dhcpv6Result::not_link_local);
  }
}

TEST_CASE("rfc8415 §18.4: a message to our own address is told to use multicast",
          "[rfc8415-18.4]") {
  Server server;
  Dhcpv6Message message = Server::message(Dhcpv6Type::kRequest, {ia(Kind::kPrefixes, 7)});
  message.destination = kOurs;
  const auto answer = server.ask(message);
  REQUIRE(answer);
  CHECK(answer->type == Dhcpv6Type::kReply);
  CHECK(answer->status == Dhcpv6Status::kUseMulticast);
  CHECK(answer->ia_count == 0);
  CHECK(server.result == Dhcpv6Result::use_multicast);
  CHECK(server.changes == 0);
}

TEST_CASE("rfc8415 §14.1: a session has a bounded rate of answers", "[rfc8415-14.1]") {
  Server server;
  const Dhcpv6Message message = Server::message(Dhcpv6Type::kSolicit, {ia(Kind::kPrefixes, 7)});
  int answered = 0;
  for (int i = 0; i < 100; ++i) answered += server.ask(message) ? 1 : 0;
  CHECK(answered == 8);
  CHECK(server.result == Dhcpv6Result::rate);
  server.clock.advance_to(server.clock.now() + Seconds(2));
  answered = 0;
  for (int i = 0; i < 100; ++i) answered += server.ask(message) ? 1 : 0;
  CHECK(answered == 2);
}

TEST_CASE("rfc8415 §6: flags of Router Advertisements say what DHCPv6 has", "[rfc8415-6]") {
  // M, O: RFC 4861 §4.2.
  CHECK(Server(Dhcpv6Mode::kStateless).flags == std::byte{0x40});
  CHECK(Server(Dhcpv6Mode::kStateful).flags == std::byte{0xc0});
  CHECK(Server(Dhcpv6Mode::kStateless, address("2001:db8:77::7")).flags == std::byte{0xc0});
  Server off(Dhcpv6Mode::kOff);
  CHECK(off.flags == std::byte{0});
  CHECK_FALSE(off.ask(Server::message(Dhcpv6Type::kSolicit, {ia(Kind::kPrefixes, 7)})));
  CHECK(off.result == Dhcpv6Result::off);
}

TEST_CASE("rfc8415 §18.3: what is in force outlives a restart and a negotiation of the link",
          "[rfc8415-18.3]") {
  Server server(Dhcpv6Mode::kStateful);
  REQUIRE(server.ask(Server::message(Dhcpv6Type::kRequest, {ia(Kind::kPrefixes, 7)})));
  const auto snapshot = server.link.snapshot();
  REQUIRE(snapshot);
  REQUIRE(snapshot->network.ipv6);
  CHECK(snapshot->network.ipv6->delegation->bindings.prefix);
  CHECK(snapshot->network.ipv6->delegation->prefix == kDelegated);
  LinkPair again(Server::settings(Dhcpv6Mode::kStateful), *snapshot);
  // A Release that changes something shows that it was in force.
  const auto actions = again.link.on_frame(
      concat({octets("0057"), Server::packet(Server::message(
                                  Dhcpv6Type::kRelease, {ia(Kind::kPrefixes, 7, {kDelegated})}))}),
      again.clock.now());
  REQUIRE(find<model::Ipv6BindingsChanged>(actions) != nullptr);
  CHECK_FALSE(find<model::Ipv6BindingsChanged>(actions)->bindings.prefix);
}

TEST_CASE("rfc8415 §18.3: the longest answer fits into the minimum MTU of IPv6", "[rfc8415-18.3]") {
  Server server(Dhcpv6Mode::kStateful);
  Dhcpv6Message message = Server::message(Dhcpv6Type::kRebind);
  Octets duid(wire::kMaxDuid, std::byte{0x5a});
  message.client_identifier = duid;
  for (std::uint32_t i = 0; i < Dhcpv6Message::kMaxIas; ++i)
    REQUIRE(message.add(ia(Kind::kPrefixes, i,
                           {prefix("2001:db8:301::/56"), prefix("2001:db8:302::/56"),
                            prefix("2001:db8:303::/56"), prefix("2001:db8:304::/56")})));
  message.requested.set();
  const auto answer = server.ask(message);
  REQUIRE(answer);
  CHECK(answer->ia_count == Dhcpv6Message::kMaxIas);
  CHECK(answer->ias()[0].leases()[0].prefix == kDelegated);
  CHECK(server.frame.size() <= 4 + wire::kIpv6MinimumMtu);
}
