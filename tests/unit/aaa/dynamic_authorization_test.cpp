// SPDX-License-Identifier: BSD-3-Clause
//
// The server of RFC 5176: who may ask, what comes twice, how much at once, and the answers.
#include "controlplane/aaa/dynamic_authorization.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/unit/aaa/authorization_world.hpp"

using namespace pns;
using namespace pns::test;
namespace attribute = radius::attribute;
using radius::Code;
using radius::PacketBuilder;
using Refusal = model::AuthorizationRefusal;

namespace {

using World = AuthorizationWorld;

void set_class(PacketBuilder& packet) {
  packet.add_text(attribute::kAcctSessionId, "0000000000000a1b");
  packet.add_text(attribute::kClass, "gold");
}

}  // namespace

TEST_CASE("dynamic authorization: a Disconnect is acknowledged when the call is over, not before",
          "[aaa][rfc5176-2.1]") {
  World world;
  world.sessions.at_once = false;
  world.start();
  const Octets request = world.disconnect("alice");
  world.receive(request, World::kSource, 3);
  CHECK(world.sent.empty());
  CHECK(world.counts().in_flight.get() == 1);
  REQUIRE(world.sessions.asked.size() == 1);
  CHECK(world.sessions.asked[0].session == SessionId(0x0a1b));
  world.sessions.settle();
  REQUIRE(world.sent.size() == 1);
  CHECK(world.sent[0].to == World::kSource);
  CHECK(world.sent[0].socket == 3);
  const auto answer = world.verified(request);
  REQUIRE(answer);
  CHECK(answer->code() == Code::kDisconnectAck);
  CHECK_FALSE(answer->has(attribute::kErrorCause));
  CHECK(answer->begin()->id == attribute::kMessageAuthenticator);
  CHECK(radius::read_u32(*answer->find_first(attribute::kEventTimestamp)) == World::kNoon);
  CHECK(world.counts().disconnects.get() == 1);
  CHECK(world.counts().sessions.get() == 1);
  CHECK(world.counts().in_flight.get() == 0);
}

TEST_CASE("dynamic authorization: a CoA changes all matching sessions, or none",
          "[aaa][rfc5176-3]") {
  World world;
  world.sessions.users[SessionId(0x0a1d)] = "alice";
  world.sessions.at_once = false;
  world.start();
  const auto by_user = [](PacketBuilder& packet) {
    packet.add_text(attribute::kUserName, "alice");
    packet.add_text(attribute::kClass, "gold");
  };
  const Octets request = world.request(Code::kCoaRequest, by_user);
  world.receive(request);
  REQUIRE(world.sessions.asked.size() == 2);
  world.sessions.settle();
  CHECK(world.sent.empty());
  world.sessions.settle();
  REQUIRE(world.sent.size() == 1);
  CHECK(world.verified(request)->code() == Code::kCoaAck);
  CHECK(world.counts().changes.get() == 1);
  CHECK(world.counts().sessions.get() == 2);

  world.sessions.carried_out.clear();
  world.sessions.fussy = SessionId(0x0a1d);
  CHECK(world.refusal_of(Code::kCoaRequest, by_user) == 407);
  CHECK(world.sessions.carried_out.empty());
  CHECK(world.refusals(Refusal::invalid_value) == 1);
}

TEST_CASE("dynamic authorization: one session that could not be changed makes a NAK",
          "[aaa][rfc5176-3.5]") {
  World world;
  world.sessions.at_once = false;
  world.start();
  const Octets request = world.request(Code::kCoaRequest, set_class);
  world.receive(request);
  world.sessions.settle(false);
  REQUIRE(world.sent.size() == 1);
  const auto answer = world.verified(request);
  REQUIRE(answer);
  CHECK(answer->code() == Code::kCoaNak);
  CHECK(World::cause_of(*answer) == 506);
  CHECK(world.counts().in_flight.get() == 0);
  CHECK(world.counts().changes.get() == 0);
}

TEST_CASE("dynamic authorization: the NAK names its cause, and is counted by its reason",
          "[aaa][rfc5176-3.5]") {
  World world;
  world.start();
  const auto with = [](radius::AttributeId id, std::string_view text) {
    return [id, text](PacketBuilder& packet) {
      packet.add_text(attribute::kUserName, "alice");
      packet.add_text(id, text);
    };
  };
  const auto nobody = World::user_name("nobody");
  const auto framed = [](PacketBuilder& packet) {
    packet.add_text(attribute::kUserName, "alice");
    packet.add_u32(attribute::kServiceType, 2);
  };
  struct Case {
    Code code;
    World::Fill fill;
    std::uint32_t cause;
    Refusal reason;
  };
  const Case cases[] = {
      {Code::kDisconnectRequest, with(attribute::kFilterId, "x"), 401,
       Refusal::unsupported_attribute},
      {Code::kCoaRequest, World::user_name("alice"), 402, Refusal::missing_attribute},
      {Code::kCoaRequest, with(attribute::kNasIdentifier, "x"), 403, Refusal::other_nas},
      {Code::kDisconnectRequest, with(attribute::kNasPort, "x"), 404, Refusal::invalid_request},
      {Code::kDisconnectRequest, framed, 405, Refusal::unsupported_service},
      {Code::kDisconnectRequest, nobody, 503, Refusal::no_session},
  };
  for (const Case& c : cases) {
    INFO(c.cause);
    const auto before = world.refusals(c.reason);
    CHECK(world.refusal_of(c.code, c.fill) == c.cause);
    CHECK(world.refusals(c.reason) == before + 1);
    CHECK(world.refused.back().reason == c.reason);
  }
  CHECK(world.sessions.carried_out.empty());
}

TEST_CASE("dynamic authorization: more sessions than one request may select",
          "[aaa][rfc5176-3.5]") {
  World world;
  world.start();
  const auto alice = World::user_name("alice");
  constexpr std::size_t kMost = aaa::DynamicAuthorization::kMostSessions;
  for (std::size_t i = 1; i < kMost; ++i) world.sessions.users[SessionId(i)] = "alice";
  CHECK(world.refusal_of(Code::kDisconnectRequest, alice) == 0);
  CHECK(world.sessions.carried_out.size() == kMost);
  world.sessions.users[SessionId(kMost)] = "alice";
  CHECK(world.refusal_of(Code::kDisconnectRequest, alice) == 508);
  CHECK(world.sessions.carried_out.size() == kMost);
}

TEST_CASE("dynamic authorization: only configured clients are heard, the longest network counts",
          "[aaa][rfc5176-6.1]") {
  World world;
  world.settings.clients.push_back(
      {.network = *Ipv4Prefix::parse("192.0.2.0/24"), .secret = SecretText("other"), .rate = {}});
  world.settings.clients.push_back(
      {.network = *Ipv6Prefix::parse("2001:db8:9::/48"), .secret = SecretText("six"), .rate = {}});
  world.start();
  CHECK(world.counts(0).name == "192.0.2.9");
  CHECK(world.counts(1).name == "192.0.2.0/24");
  const auto asks = [&](const IpAddress& from, std::string_view secret, std::uint8_t identifier) {
    const Octets request =
        world.request(Code::kDisconnectRequest, World::user_name("bob"), identifier, secret);
    return world.answer_to(request, {from, 40'000}, secret).has_value();
  };
  CHECK(asks(World::kClient, "testing123", 1));
  CHECK_FALSE(asks(World::kClient, "other", 2));
  CHECK(asks(Ipv4Address(0xc0000208), "other", 3));
  CHECK_FALSE(asks(Ipv4Address(0xc0000308), "other", 4));
  CHECK(asks(*Ipv6Address::parse("2001:db8:9::1"), "six", 5));
  CHECK_FALSE(asks(*Ipv6Address::parse("2001:db8:8::1"), "six", 6));
  CHECK(world.server->counts().unknown_client.get() == 2);
  CHECK(world.refusals(Refusal::wrong_authenticator) == 1);
  CHECK(world.counts(1).disconnects.get() == 1);
}

TEST_CASE("dynamic authorization: a packet that is wrong gets no answer and changes nothing",
          "[aaa][rfc5176-2.3]") {
  World world;
  world.start();
  Octets changed = world.disconnect("alice");
  changed.back() ^= std::byte{1};
  CHECK_FALSE(world.answer_to(changed));
  CHECK(world.refusals(Refusal::wrong_authenticator) == 1);
  Octets cut = world.disconnect("alice");
  cut.pop_back();
  CHECK_FALSE(world.answer_to(cut));
  CHECK(world.refusals(Refusal::malformed) == 1);
  CHECK_FALSE(world.answer_to(world.request(Code::kAccountingRequest, World::user_name("alice"))));
  CHECK(world.refusals(Refusal::wrong_code) == 1);
  // A wrong Message-Authenticator under a right Request Authenticator.
  PacketBuilder packet(Code::kDisconnectRequest, 1, {}, PacketBuilder::MessageAuthenticator::kNone);
  packet.add_u32(attribute::kEventTimestamp, World::kNoon);
  packet.add_text(attribute::kUserName, "alice");
  packet.add(attribute::kMessageAuthenticator, as_octets("0123456789abcde"));
  const auto short_one = radius::sign_request(packet, as_octets(World::kSecret));
  CHECK_FALSE(world.answer_to(*short_one));
  CHECK(world.refusals(Refusal::wrong_message_authenticator) == 1);
  CHECK(world.sessions.carried_out.empty());
}

TEST_CASE("dynamic authorization: a Message-Authenticator is needed only where it is required",
          "[aaa][rfc5176-3.4]") {
  for (const bool required : {false, true}) {
    World world;
    if (required) world.settings.policy = radius::MessageAuthenticatorPolicy::kRequire;
    world.start();
    PacketBuilder packet(Code::kDisconnectRequest, 1, {},
                         PacketBuilder::MessageAuthenticator::kNone);
    packet.add_u32(attribute::kEventTimestamp, World::kNoon);
    packet.add_text(attribute::kUserName, "alice");
    const auto request = radius::sign_request(packet, as_octets(World::kSecret));
    CHECK(world.answer_to(*request).has_value() == !required);
    CHECK(world.refusals(Refusal::no_message_authenticator) == (required ? 1 : 0));
    CHECK(world.answer_to(world.disconnect("bob")).has_value());
  }
}

TEST_CASE("dynamic authorization: Event-Timestamp must be within the window, either way",
          "[aaa][rfc5176-6.3]") {
  World world;
  world.start();
  std::uint8_t identifier = 0;
  const auto at = [&](std::uint32_t time) {
    return world
        .answer_to(World::signed_request(Code::kDisconnectRequest, ++identifier, World::kSecret,
                                         [time](PacketBuilder& packet) {
                                           packet.add_u32(attribute::kEventTimestamp, time);
                                           packet.add_text(attribute::kUserName, "alice");
                                         }))
        .has_value();
  };
  CHECK(at(World::kNoon - 300));
  CHECK(at(World::kNoon + 300));
  CHECK_FALSE(at(World::kNoon - 301));
  CHECK_FALSE(at(World::kNoon + 301));
  CHECK(world.refusals(Refusal::stale) == 2);
}

TEST_CASE("dynamic authorization: a request without Event-Timestamp, or with one of another form",
          "[aaa][rfc5176-6.3]") {
  const auto bare =
      World::signed_request(Code::kDisconnectRequest, 1, World::kSecret, World::user_name("alice"));
  const auto odd =
      World::signed_request(Code::kDisconnectRequest, 2, World::kSecret, [](PacketBuilder& packet) {
        packet.add_text(attribute::kUserName, "alice");
        packet.add_text(attribute::kEventTimestamp, "noon.");
      });
  World strict;
  strict.start();
  CHECK_FALSE(strict.answer_to(bare));
  CHECK_FALSE(strict.answer_to(odd));
  CHECK(strict.refusals(Refusal::no_timestamp) == 2);
  World lenient;
  lenient.settings.requires_timestamp = false;
  lenient.start();
  CHECK(lenient.answer_to(bare));
}

TEST_CASE("dynamic authorization: a retransmission gets the same answer and happens once",
          "[aaa][rfc5176-2.3]") {
  World world;
  world.sessions.at_once = false;
  world.start();
  const Octets request = world.disconnect("alice");
  world.receive(request);
  world.receive(request);
  CHECK(world.sent.empty());
  CHECK(world.refusals(Refusal::in_progress) == 1);
  CHECK(world.sessions.carried_out.size() == 1);
  world.sessions.settle();
  REQUIRE(world.sent.size() == 1);
  // The call is gone: another answer would be a NAK.
  world.sessions.users.erase(SessionId(0x0a1b));
  world.now += Seconds(5);
  world.wall += 5;
  world.receive(request);
  REQUIRE(world.sent.size() == 2);
  CHECK(world.sent[1].octets == world.sent[0].octets);
  CHECK(world.counts().repeated.get() == 1);
  CHECK(world.counts().disconnects.get() == 1);
}

TEST_CASE("dynamic authorization: the same packet from elsewhere is a replay",
          "[aaa][rfc5176-6.3]") {
  World world;
  world.settings.clients.push_back({.network = *Ipv4Prefix::parse("192.0.2.0/24"),
                                    .secret = SecretText(World::kSecret),
                                    .rate = {}});
  world.start();
  const Octets request = world.disconnect("alice");
  REQUIRE(world.answer_to(request));
  CHECK_FALSE(world.answer_to(request, {World::kClient, 40'001}));
  CHECK_FALSE(world.answer_to(request, {Ipv4Address(0xc0000208), 40'000}));
  CHECK(world.refusals(Refusal::replayed) == 1);
  CHECK(world.refusals(Refusal::replayed, 1) == 1);
  CHECK(world.sessions.carried_out.size() == 1);
}

TEST_CASE("dynamic authorization: at every moment a copy is a replay, or stale",
          "[aaa][rfc5176-6.3]") {
  for (const std::int64_t ahead : {-300, 0, 300}) {
    World world;
    world.start();
    const Octets request = World::signed_request(
        Code::kDisconnectRequest, 1, World::kSecret, [&](PacketBuilder& packet) {
          packet.add_u32(attribute::kEventTimestamp,
                         static_cast<std::uint32_t>(World::kNoon + ahead));
          packet.add_text(attribute::kUserName, "alice");
        });
    REQUIRE(world.answer_to(request));
    for (int second = 0; second < 620; ++second) {
      world.receive(request, {World::kClient, 40'001});
      // Others come and go, and old requests are forgotten.
      world.receive(world.disconnect("nobody", static_cast<std::uint8_t>(second)));
      world.now += Seconds(1);
      ++world.wall;
    }
    CHECK(world.sessions.carried_out.size() == 1);
    CHECK(world.refusals(Refusal::replayed) == 301 + ahead);
    CHECK(world.refusals(Refusal::stale) == 620 - 301 - ahead);
    CHECK(world.counts().remembered.get() <= 302);
  }
}

TEST_CASE("dynamic authorization: a client has its rate", "[aaa][limits]") {
  World world;
  world.settings.clients[0].rate = {.rate = 10, .burst = 3};
  world.start();
  std::uint8_t identifier = 0;
  const auto answered = [&](int count) {
    int answers = 0;
    for (int i = 0; i < count; ++i)
      answers += world.answer_to(world.disconnect("alice", ++identifier)) ? 1 : 0;
    return answers;
  };
  CHECK(answered(5) == 3);
  CHECK(world.refusals(Refusal::rate) == 2);
  world.now += Milliseconds(200);
  CHECK(answered(5) == 2);
  // A forgery takes nothing from the client.
  world.now += Milliseconds(100);
  for (int i = 0; i < 10; ++i)
    world.receive(world.request(Code::kDisconnectRequest, World::user_name("alice"), 99, "wrong"));
  CHECK(answered(1) == 1);
}

TEST_CASE("dynamic authorization: requests in progress are bounded, of a client and in total",
          "[aaa][limits]") {
  World world;
  world.sessions.at_once = false;
  world.settings.in_flight = 3;
  world.settings.in_flight_of_client = 2;
  world.settings.clients.push_back({.network = *Ipv4Prefix::parse("198.51.100.0/24"),
                                    .secret = SecretText(World::kSecret),
                                    .rate = {}});
  world.start();
  const IpEndpoint other{Ipv4Address(0xc6336407), 40'000};
  for (std::uint8_t i = 0; i < 3; ++i) world.receive(world.disconnect("alice", i));
  CHECK(world.refusals(Refusal::too_many_in_flight) == 1);
  for (std::uint8_t i = 10; i < 12; ++i) world.receive(world.disconnect("alice", i), other);
  CHECK(world.refusals(Refusal::too_many_in_flight, 1) == 1);
  CHECK(world.sessions.asked.size() == 3);
  const Octets refused = world.disconnect("alice", 11);
  REQUIRE(world.verified(refused));
  CHECK(World::cause_of(*world.verified(refused)) == 506);
  world.sessions.settle();
  world.receive(world.disconnect("alice", 20));
  CHECK(world.sessions.asked.size() == 3);
}

TEST_CASE("dynamic authorization: no request is taken that a replay would not be known by",
          "[aaa][limits]") {
  World world;
  world.settings.remembered = 4;
  world.settings.clients.push_back({.network = *Ipv4Prefix::parse("198.51.100.0/24"),
                                    .secret = SecretText(World::kSecret),
                                    .rate = {}});
  world.start();
  for (std::uint8_t i = 0; i < 3; ++i) world.receive(world.disconnect("alice", i));
  CHECK(world.refusals(Refusal::too_many_remembered) == 1);
  CHECK(world.sessions.carried_out.size() == 2);
  CHECK(world.counts().remembered.get() == 2);
  // The share of the other one is its own.
  world.receive(world.disconnect("bob", 7), {Ipv4Address(0xc6336407), 40'000});
  CHECK(world.sessions.carried_out.size() == 3);
  world.now += Seconds(302);
  world.wall += 302;
  world.receive(world.disconnect("alice", 9));
  CHECK(world.sessions.carried_out.size() == 4);
  CHECK(world.counts().remembered.get() == 1);
}

TEST_CASE("dynamic authorization: proxies get their State back, and must leave room for an answer",
          "[aaa][rfc5176-3.1]") {
  World world;
  world.start();
  const auto with_proxies = [&](std::size_t count) {
    return world.request(
        Code::kDisconnectRequest,
        [count](PacketBuilder& packet) {
          packet.add_text(attribute::kUserName, "alice");
          for (std::size_t i = 0; i < count; ++i)
            packet.add_text(attribute::kProxyState, std::string(200, static_cast<char>('a' + i)));
        },
        static_cast<std::uint8_t>(count));
  };
  const Octets few = with_proxies(3);
  const auto answer = world.answer_to(few);
  REQUIRE(answer);
  char expected = 'a';
  for (const Bytes state : answer->all(attribute::kProxyState))
    CHECK(radius::as_text(state) == std::string(200, expected++));
  CHECK(expected == 'd');
  // 20 octets of header and 18 of Message-Authenticator, 6 each of Error-Cause and time.
  const Octets full = World::signed_request(
      Code::kDisconnectRequest, 77, World::kSecret, [&](PacketBuilder& packet) {
        packet.add_u32(attribute::kEventTimestamp, World::kNoon);
        packet.add_text(attribute::kUserName, "al");
        while (packet.remaining() > 255)
          packet.add_text(attribute::kProxyState, std::string(253, 'x'));
        packet.add_text(attribute::kProxyState, std::string(packet.remaining() - 2, 'x'));
      });
  CHECK_FALSE(world.answer_to(full));
  CHECK(world.refusals(Refusal::answer_too_long) == 1);
  CHECK(world.sessions.carried_out.size() == 1);
}

TEST_CASE("dynamic authorization: Class of a Disconnect-Request goes to the Stop",
          "[aaa][rfc5176-3.6]") {
  World world;
  world.start();
  REQUIRE(world.answer_to(world.request(Code::kDisconnectRequest, set_class)));
  REQUIRE(world.sessions.carried_out.size() == 1);
  CHECK(world.sessions.carried_out[0].second.size() == 1);
}

TEST_CASE("dynamic authorization: what happens after its end answers nobody", "[aaa]") {
  World world;
  world.sessions.at_once = false;
  world.start();
  world.receive(world.disconnect("alice"));
  world.server.reset();
  world.sessions.settle();
  CHECK(world.sent.empty());
}

TEST_CASE("dynamic authorization: an answer that the kernel does not take is counted", "[aaa]") {
  World world;
  world.kernel_takes = false;
  world.start();
  world.receive(world.disconnect("alice"));
  CHECK(world.counts().send_failures.get() == 1);
}
