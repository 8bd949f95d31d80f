// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusClient against scripted servers, in virtual time.
#include "controlplane/aaa/radius_client.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <tuple>

#include "tests/unit/aaa/radius_world.hpp"

using namespace pns;
using namespace pns::aaa;
using model::RadiusDiscard;
using model::RadiusKind;
using model::RadiusState;
using pns::test::RadiusWorld;
using pns::test::ScriptedServer;

namespace {

std::size_t count_of(const std::vector<std::size_t>& all, std::size_t value) {
  return static_cast<std::size_t>(std::ranges::count(all, value));
}

bool equal(Bytes a, Bytes b) { return std::ranges::equal(a, b); }

}  // namespace

// ---- One request

TEST_CASE("radius client: a request is answered, Message-Authenticator first", "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& server = world.add(1);
  world.start();
  world.ask("alice");
  world.run(Seconds(1));
  CHECK(world.answered == 1);
  CHECK(world.last_code == radius::Code::kAccessAccept);
  REQUIRE(server.requests.size() == 1);
  const auto packet = server.requests[0].packet();
  CHECK(packet.begin()->id == radius::attribute::kMessageAuthenticator);
  CHECK(radius::PacketView(packet).find_first(radius::attribute::kUserName));
  CHECK(world.counts(0).requests.get() == 1);
  CHECK(world.counts(0).answers.get() == 1);
}

TEST_CASE("radius client: accounting goes to its own server and is signed", "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& auth = world.add(1);
  ScriptedServer& accounting = world.add(1, RadiusKind::kAccounting);
  accounting.message_authenticator = false;  // as FreeRADIUS
  world.start();
  world.ask("alice", {.kind = RadiusKind::kAccounting, .build = {}});
  world.run(Seconds(1));
  CHECK(world.answered == 1);
  CHECK(world.last_code == radius::Code::kAccountingResponse);
  CHECK(auth.requests.empty());
  CHECK(accounting.requests.size() == 1);
}

TEST_CASE(
    "radius client: a retry is the same packet from the same socket, with back-off and jitter",
    "[aaa][radius][rfc5080-2.2.1]") {
  RadiusWorld world;
  ScriptedServer& server = world.add(1);
  server.answers = false;
  world.start();
  world.ask("alice");
  world.run(Seconds(25));
  REQUIRE(server.requests.size() >= 5);
  std::set<Duration::rep> waits;
  for (std::size_t i = 1; i < server.requests.size(); ++i) {
    CHECK(equal(server.requests[i].octets, server.requests[0].octets));
    CHECK(server.requests[i].socket == server.requests[0].socket);
    waits.insert((server.requests[i].at - server.requests[i - 1].at).count());
  }
  const Duration first = server.requests[1].at - server.requests[0].at;
  const Duration second = server.requests[2].at - server.requests[1].at;
  CHECK(first >= Milliseconds(900));
  CHECK(first <= Milliseconds(1100));
  CHECK(second >= Milliseconds(1800));
  CHECK(second <= Milliseconds(2200));
  CHECK(waits.size() == server.requests.size() - 1);  // no two alike
  server.answers = true;
  world.run(Seconds(10));
  CHECK(world.answered == 1);
}

TEST_CASE("radius client: a request that nobody answers ends at its deadline", "[aaa][radius]") {
  RadiusWorld world;
  world.add(1).answers = false;
  world.start();
  world.ask("alice", {.build = {}, .patience = Seconds(7)});
  world.run(Milliseconds(6'999));
  CHECK(world.failures.empty());
  world.run(Milliseconds(1));
  CHECK(world.failures == std::vector{RadiusFailure::kExpired});
  CHECK(world.client().counts().expired[0].get() == 1);
}

TEST_CASE("radius client: a kind without a server, and a packet that is too long, fail at once",
          "[aaa][radius]") {
  RadiusWorld world;
  world.add(1);
  world.start();
  world.ask("alice", {.kind = RadiusKind::kAccounting, .build = {}});
  world.ask("alice", {.build = [](radius::PacketBuilder& packet, const RadiusAttempt&) {
              for (int i = 0; i < 20; ++i)
                packet.add_text(radius::attribute::kClass, std::string(250, 'x'));
            }});
  world.ask("alice", {.build = {}, .server = 5});
  CHECK(world.failures ==
        std::vector{RadiusFailure::kNoServer, RadiusFailure::kTooLong, RadiusFailure::kNoServer});
  world.run(Seconds(60));
  CHECK(world.answered == 0);
}

TEST_CASE("radius client: a datagram that the kernel does not take is repeated", "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& server = world.add(1);
  server.answers = false;
  world.sends = false;
  world.start();
  world.ask("alice");
  CHECK(world.counts(0).send_failures.get() == 1);
  world.sends = server.answers = true;
  world.run(Seconds(2));
  CHECK(world.answered == 1);
}

// ---- Window and queue

TEST_CASE("radius client: slow start begins with 32 in flight", "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& server = world.add(1);
  world.start();
  world.ask_many(2000);
  CHECK(server.requests.size() == 32);
  CHECK(world.client().waiting_count(RadiusKind::kAuthentication) == 1968);
  world.run(Milliseconds(6));
  CHECK(server.requests.size() == 32 + 64);
  world.run(Milliseconds(5));
  CHECK(server.requests.size() == 32 + 64 + 128);
  world.run(Seconds(2));
  CHECK(world.answered == 2000);
  CHECK(world.counts(0).retransmissions.get() == 0);
}

TEST_CASE("radius client: a server that loses what is too much gets a window that it can hold",
          "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& server = world.add(1);
  server.room = 250;  // as FreeRADIUS with the default socket buffer
  world.start();
  world.ask_many(8000);
  world.run(Seconds(30));
  CHECK(world.answered == 8000);
  CHECK(world.failures.empty());
  CHECK(server.peak == 250);
  CHECK(server.lost > 0);
  CHECK(server.lost <= 1024 - 250);  // what the window exceeds it by, once
  CHECK(std::ranges::none_of(world.states,
                             [](const auto& s) { return s.second == RadiusState::kDead; }));
}

TEST_CASE("radius client: the queue is bounded, and a full one refuses by name", "[aaa][radius]") {
  RadiusWorld world;
  world.settings.max_waiting = 100;
  world.add(1).answers = false;
  world.add(1, RadiusKind::kAccounting);
  world.start();
  world.ask_many(32 + 100 + 5);
  CHECK(world.failures == std::vector(5, RadiusFailure::kQueueFull));
  CHECK(world.client().counts().refused[0].get() == 5);
  // Accounting has a queue of its own.
  world.ask("x", {.kind = RadiusKind::kAccounting, .build = {}});
  world.run(Milliseconds(10));
  CHECK(world.answered == 1);
}

TEST_CASE("radius client: nothing waits for one slow server", "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& slow = world.add(1);
  ScriptedServer& fast = world.add(2);
  slow.delay = Seconds(4);
  world.start();
  world.ask_many(3000);
  world.run(Seconds(1));
  CHECK(world.answered >= 2900);
  CHECK(count_of(world.answered_by, 0) == 0);
  world.run(Seconds(20));
  CHECK(world.answered == 3000);
  CHECK(world.failures.empty());
  CHECK(fast.lost == 0);
  CHECK(std::ranges::none_of(world.states,
                             [](const auto& s) { return s.second == RadiusState::kDead; }));
}

TEST_CASE("radius client: a slow server is neither dead nor losing", "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& server = world.add(1);
  server.delay = Seconds(3);
  world.start();
  for (int i = 0; i < 40; ++i) {
    world.ask("u");
    world.run(Seconds(1));
  }
  world.run(Seconds(10));
  CHECK(world.answered == 40);
  CHECK(std::ranges::none_of(world.states,
                             [](const auto& s) { return s.second == RadiusState::kDead; }));
  // Only the first ones were repeated: the time-out has learned.
  CHECK(world.counts(0).retransmissions.get() < 20);
}

// ---- Several servers

TEST_CASE("radius client: servers of one priority share by weight, the next priority waits",
          "[aaa][radius]") {
  RadiusWorld world;
  world.add(1, RadiusKind::kAuthentication, 1, 3);
  world.add(2, RadiusKind::kAuthentication, 1, 1);
  world.add(3, RadiusKind::kAuthentication, 2, 1);
  world.start();
  for (int i = 0; i < 400; ++i) {
    world.ask("u");
    world.run(Milliseconds(10));
  }
  CHECK(count_of(world.answered_by, 0) == 300);
  CHECK(count_of(world.answered_by, 1) == 100);
  CHECK(count_of(world.answered_by, 2) == 0);
}

TEST_CASE("radius client: a full window of the first priority does not load the second",
          "[aaa][radius]") {
  RadiusWorld world;
  world.add(1, RadiusKind::kAuthentication, 1);
  ScriptedServer& backup = world.add(2, RadiusKind::kAuthentication, 2);
  world.start();
  world.ask_many(2000);
  world.run(Seconds(2));
  CHECK(world.answered == 2000);
  CHECK(backup.requests.empty());
}

TEST_CASE("radius client: a silent server loses its requests to the next, none is lost",
          "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& first = world.add(1, RadiusKind::kAuthentication, 1);
  ScriptedServer& second = world.add(2, RadiusKind::kAuthentication, 2);
  first.answers = first.answers_status = false;
  world.start();
  world.ask_many(500);
  world.run(Seconds(4));
  CHECK(world.answered == 500);
  CHECK(world.failures.empty());
  CHECK(second.requests.size() >= 500);
  // A request that moves on is another packet (RFC 2865 §3).
  CHECK_FALSE(equal(first.requests[0].octets, second.requests[0].octets));
  CHECK(world.counts(0).fail_overs.get() > 0);
}

TEST_CASE("radius client: no login is lost while 4 of 5 answers are lost for 10 s",
          "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& first = world.add(1);
  ScriptedServer& second = world.add(2);
  first.answer_one_in = second.answer_one_in = 5;
  world.start();
  for (int i = 0; i < 100; ++i) {
    world.ask_many(5);
    world.run(Milliseconds(100));
  }
  first.answer_one_in = second.answer_one_in = 1;
  world.run(Seconds(20));
  CHECK(world.asked == 500);
  CHECK(world.answered == 500);
  CHECK(world.failures.empty());
  CHECK(std::ranges::none_of(world.states,
                             [](const auto& s) { return s.second == RadiusState::kDead; }));
}

TEST_CASE("radius client: the same with one server", "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& server = world.add(1);
  server.answer_one_in = 5;
  world.start();
  for (int i = 0; i < 100; ++i) {
    world.ask_many(5);
    world.run(Milliseconds(100));
  }
  server.answer_one_in = 1;
  world.run(Seconds(20));
  CHECK(world.answered == 500);
  CHECK(world.failures.empty());
}

TEST_CASE("radius client: a server is dead by time and count, and a probe revives it",
          "[aaa][radius][rfc5997]") {
  RadiusWorld world;
  ScriptedServer& first = world.add(1, RadiusKind::kAuthentication, 1);
  world.add(2, RadiusKind::kAuthentication, 2);
  first.answers = first.answers_status = false;
  world.start();
  world.ask_many(10);
  world.run(Milliseconds(1500));
  REQUIRE(world.states.size() == 1);
  CHECK(world.states[0].second == RadiusState::kSuspect);
  CHECK(first.probes == 1);
  world.run(Milliseconds(8000));
  CHECK(world.states.size() == 1);  // not yet 10 s
  world.run(Milliseconds(1500));
  REQUIRE(world.states.size() == 2);
  CHECK(world.states[1].second == RadiusState::kDead);
  CHECK(world.counts(0).deaths.get() == 1);
  // A dead server is asked nothing but whether it lives.
  const std::size_t before = first.requests.size();
  world.ask_many(100);
  world.run(Seconds(20));
  CHECK(first.requests.size() == before);
  CHECK(first.probes >= 4);
  CHECK(world.answered == 110);
  first.answers = first.answers_status = true;
  world.run(Seconds(6));
  CHECK(world.states.back().second == RadiusState::kAlive);
  world.ask("back");
  world.run(Seconds(1));
  CHECK(first.requests.size() == before + 1);
}

TEST_CASE("radius client: requests wait while all servers are dead, and go when one is back",
          "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& server = world.add(1);
  server.answers = server.answers_status = false;
  world.start();
  world.ask_many(40);
  world.run(Seconds(15));
  REQUIRE(world.states.back().second == RadiusState::kDead);
  world.ask_many(40);
  const std::size_t before = server.requests.size();
  world.run(Seconds(5));
  CHECK(server.requests.size() == before);
  server.answers = server.answers_status = true;
  world.run(Seconds(8));
  CHECK(world.answered == 80);
  CHECK(world.failures.empty());
}

TEST_CASE("radius client: without Status-Server a dead server is tried with a login",
          "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& server = world.add(1);
  world.settings.servers[0].health.probes = false;
  server.answers = false;
  world.start();
  world.ask_many(5);
  world.run(Seconds(12));
  REQUIRE(world.states.back().second == RadiusState::kDead);
  server.answers = true;
  world.run(Seconds(8));
  CHECK(server.probes == 0);
  CHECK(world.answered == 5);
}

TEST_CASE("radius client: a server whose data base hangs does not keep its logins",
          "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& first = world.add(1, RadiusKind::kAuthentication, 1);
  world.add(2, RadiusKind::kAuthentication, 2);
  first.answers = false;  // but it answers Status-Server
  world.start();
  for (int i = 0; i < 300; ++i) {
    world.ask_many(10);
    world.run(Milliseconds(100));
  }
  world.run(Seconds(10));
  CHECK(world.answered == 3000);
  CHECK(std::ranges::none_of(world.states,
                             [](const auto& s) { return s.second == RadiusState::kDead; }));
  CHECK(first.requests.size() < 1000);
}

// ---- Conversations

TEST_CASE("radius client: a conversation stays with its server", "[aaa][radius][rfc2865-5.24]") {
  RadiusWorld world;
  ScriptedServer& first = world.add(1);
  ScriptedServer& second = world.add(2);
  first.answer_one_in = 4;
  world.start();
  for (int i = 0; i < 20; ++i) world.ask("eap", {.build = {}, .server = 0});
  world.run(Seconds(25));
  CHECK(world.answered == 20);
  CHECK(count_of(world.answered_by, 0) == 20);
  CHECK(second.requests.empty());
}

TEST_CASE("radius client: a conversation ends when its server dies, other requests move on",
          "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& first = world.add(1);
  world.add(2);
  first.answers = first.answers_status = false;
  world.start();
  for (int i = 0; i < 40; ++i)  // more than the window of a suspect server holds
    world.ask("eap", {.build = {}, .patience = Seconds(60), .server = 0});
  world.ask_many(10);
  world.run(Seconds(16));
  CHECK(world.answered == 10);
  CHECK(world.failures == std::vector(40, RadiusFailure::kServerDied));
  world.ask("eap", {.build = {}, .server = 0});
  CHECK(world.failures.back() == RadiusFailure::kServerDied);
  CHECK(world.client().counts().lost_state[0].get() == 41);
}

// ---- Datagrams that are no answer

TEST_CASE("radius client: what is no answer is counted by its reason and changes nothing",
          "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& server = world.add(1);
  server.answers = false;
  world.start();
  world.ask("alice");
  REQUIRE(server.requests.size() == 1);
  const auto& request = server.requests[0];
  const auto good = RadiusWorld::answer(server, request.packet());
  const auto deliver = [&](Bytes octets) {
    world.deliver(server.endpoint, request.socket, octets);
  };

  IpEndpoint stranger = server.endpoint;
  ++stranger.port;
  world.deliver(stranger, request.socket, good);
  CHECK(world.client().counts().unknown_source.get() == 1);

  deliver(Bytes(good).first(10));
  CHECK(world.discards(0, RadiusDiscard::malformed) == 1);

  world.deliver(server.endpoint, static_cast<std::uint16_t>(request.socket + 1), good);
  CHECK(world.discards(0, RadiusDiscard::no_such_request) == 1);
  world.deliver(server.endpoint, 60'000, good);
  CHECK(world.discards(0, RadiusDiscard::no_such_request) == 2);

  deliver(RadiusWorld::answer(server, request.packet(), radius::Code::kAccountingResponse));
  CHECK(world.discards(0, RadiusDiscard::wrong_code) == 1);

  ScriptedServer forger = server;
  forger.secret = "guess";
  deliver(RadiusWorld::answer(forger, request.packet()));
  CHECK(world.discards(0, RadiusDiscard::wrong_authenticator) == 1);

  ScriptedServer old = server;
  old.message_authenticator = false;
  deliver(RadiusWorld::answer(old, request.packet()));
  CHECK(world.discards(0, RadiusDiscard::no_message_authenticator) == 1);

  // Signed as a whole, but with the Message-Authenticator of another secret.
  old.fill = [](radius::PacketBuilder& packet, const radius::PacketView&) {
    packet.add(radius::attribute::kMessageAuthenticator, std::array<std::byte, 17>{});
  };
  deliver(RadiusWorld::answer(old, request.packet()));
  CHECK(world.discards(0, RadiusDiscard::wrong_message_authenticator) == 1);

  CHECK(world.answered == 0);
  CHECK(world.failures.empty());
  deliver(good);
  CHECK(world.answered == 1);
  deliver(good);
  CHECK(world.discards(0, RadiusDiscard::duplicate) == 1);
  CHECK(world.answered == 1);
}

TEST_CASE("radius client: an answer without Message-Authenticator is taken under accept",
          "[aaa][radius]") {
  RadiusWorld world;
  world.settings.policy = radius::MessageAuthenticatorPolicy::kAccept;
  world.add(1).message_authenticator = false;
  world.start();
  world.ask("alice");
  world.run(Seconds(1));
  CHECK(world.answered == 1);
}

TEST_CASE("radius client: a late answer after fail-over is dropped", "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& first = world.add(1, RadiusKind::kAuthentication, 1);
  ScriptedServer& second = world.add(2, RadiusKind::kAuthentication, 2);
  first.delay = Seconds(9);  // longer than three tries
  second.code = radius::Code::kAccessReject;
  world.start();
  world.ask("alice");
  world.run(Seconds(8));
  CHECK(world.answered == 1);
  CHECK(world.last_code == radius::Code::kAccessReject);
  world.run(Seconds(10));
  CHECK(world.answered == 1);
  // Two tries and a probe; what comes after one for the same request is told by its pair alone.
  CHECK(world.discards(0, RadiusDiscard::late) == 4);
  CHECK(world.states.back().second == RadiusState::kAlive);  // slow is not dead
}

// ---- Identifiers

TEST_CASE("radius client: no pair of port and Identifier comes back within 5 s of its answer",
          "[aaa][radius]") {
  RadiusWorld world;
  ScriptedServer& server = world.add(1);
  world.settings.max_waiting = 20'000;
  world.sockets = 4;  // 1,024 pairs
  world.start();
  world.ask_many(5000);
  world.run(Seconds(29));
  CHECK(world.answered == 5000);
  std::map<std::pair<int, int>, TimePoint> last;
  for (const auto& arrival : server.requests) {
    const std::pair key(arrival.socket, arrival.packet().identifier());
    if (const auto found = last.find(key); found != last.end())
      CHECK(arrival.at - found->second >= Seconds(5));
    last[key] = arrival.at + server.delay;
  }
  CHECK(last.size() == 1024);
}

// ---- Reentrance

TEST_CASE("radius client: an answer may bring the next question", "[aaa][radius]") {
  RadiusWorld world;
  world.add(1);
  world.start();
  std::size_t left = 500;
  world.then = [&] {
    if (left == 0) return;
    --left;
    world.ask("next");
  };
  world.ask_many(50);
  world.run(Seconds(5));
  CHECK(world.answered == 550);
}

TEST_CASE("radius client: a failure may bring the next question, while a server dies too",
          "[aaa][radius]") {
  RadiusWorld world;
  world.settings.max_waiting = 50;
  ScriptedServer& server = world.add(1);
  server.answers = server.answers_status = false;
  world.start();
  std::size_t left = 200;
  world.then = [&] {
    if (left == 0) return;
    --left;
    world.ask("next", {.build = {}, .patience = Seconds(8), .server = left % 2});
  };
  for (int i = 0; i < 40; ++i) world.ask("eap", {.build = {}, .server = 0});
  world.run(Seconds(120));
  CHECK(world.answered == 0);
  CHECK(world.failures.size() == world.asked);
}

TEST_CASE("radius client: a request never leaves the servers that it may ask",
          "[aaa][radius][realms]") {
  RadiusWorld world;
  ScriptedServer& ours = world.add(1);
  ScriptedServer& theirs = world.add(2, model::RadiusKind::kAuthentication, 1);
  ScriptedServer& also_theirs = world.add(3, model::RadiusKind::kAuthentication, 1);
  world.start();
  for (int i = 0; i < 10; ++i) world.ask("u", {.among = set_of(1) | set_of(2)});
  world.run(Seconds(1));
  CHECK(world.answered == 10);
  CHECK(ours.requests.empty());
  CHECK(!theirs.requests.empty());
  CHECK(!also_theirs.requests.empty());

  // Not even when none of them answers, or all are dead.
  theirs.answers = theirs.answers_status = also_theirs.answers = also_theirs.answers_status = false;
  for (int i = 0; i < 10; ++i)
    world.ask("u", {.patience = Seconds(120), .among = set_of(1) | set_of(2)});
  world.run(Seconds(60));
  CHECK(world.answered == 10);
  CHECK(ours.requests.empty());
  CHECK(world.counts(1).state.get() == static_cast<std::int64_t>(model::RadiusState::kDead));
  theirs.answers = theirs.answers_status = true;
  world.run(Seconds(60));
  CHECK(world.answered == 20);
  CHECK(ours.requests.empty());

  world.ask("u", {.kind = model::RadiusKind::kAccounting, .among = set_of(0)});
  CHECK(world.failures == std::vector{RadiusFailure::kNoServer});
}
