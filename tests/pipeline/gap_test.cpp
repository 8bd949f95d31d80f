// SPDX-License-Identifier: BSD-3-Clause
//
// Sessions that decrypt and lose packets: the first packet after a gap opens, whatever the gap, and
// what forged gaps cost is bounded. Decision 0012.
#include <catch2/catch.hpp>

#include "dataplane/pipeline/mppe_gap.hpp"
#include "pns/mppe/mppe.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using Counts = std::map<std::string, std::uint64_t>;

namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kSecond = 1'000 * kMs;
// The settings of a World: one key change takes a microsecond.
constexpr std::uint32_t kStepNs = dataplane::GapQueue::Settings{}.step_ns;

Octets data(const Subscriber& s, unsigned id) {
  return concat({octets("0021"),
                 ip({.source = s.address, .destination = kServer, .ttl = 64, .id = id & 0xffff},
                    pattern(60))});
}

// A peer that numbers its packets, and loses some.
struct Peer {
  Subscriber s;
  ArmedPeer mppe;
  std::uint32_t number = 0;

  Peer(World& world, unsigned n, bool stateless = true, unsigned bits = 128)
      : s(world.add(n, true, true)), mppe(stateless, bits) {
    world.arm(s, stateless, bits);
  }
  [[nodiscard]] Octets next() {
    const std::uint32_t mine = number++;
    return from_peer(s, mine, mppe.seal(data(s, mine)));
  }
  // As if so many packets had been sealed, numbered and lost.
  void lose(std::uint32_t packets) {
    lose_after_numbering(packets);
    number += packets;
  }
  // Sealed, and lost before they got a number.
  void lose_after_numbering(std::uint32_t packets) {
    mppe::DirectionState& state = mppe.send;
    if (state.mode == mppe::Mode::kStateless) {
      for (std::uint32_t n = 0; n < packets; ++n)
        mppe::change_key(state.start_key, state.session_key, state.key_bits);
      state.coherency = static_cast<std::uint16_t>((state.coherency + packets) & 0xfff);
    } else {
      for (std::uint32_t n = 0; n < packets; ++n) (void)mppe.seal(data(s, 0));
    }
  }
};

// A packet of nobody who has the key.
Octets forged(const Subscriber& s, std::uint32_t number, unsigned count) {
  Octets packet = octets("9000 5566778899aabbccddeeff00112233445566778899");
  put16(packet, 0, 0x9000 | (count & 0xfff));
  return from_peer(s, number, ppp("00fd", packet));
}

std::uint64_t steps_of(World& world) {
  const auto counted = world.counted();
  const auto found = counted.find("mppe_key_steps");
  return found == counted.end() ? 0 : found->second;
}

}  // namespace

TEST_CASE("gaps: the first packet after a gap opens, whatever the gap",
          "[pipeline][mppe][rfc3078-8.1]") {
  const unsigned bits = GENERATE(40U, 56U, 128U);
  for (const std::uint32_t lost :
       {1U, 64U, 65U, 100U, 1'000U, 2'047U, 2'048U, 4'095U, 4'096U, 10'000U, 100'000U}) {
    CAPTURE(bits, lost);
    World world;
    Peer peer(world, 2, true, bits);
    world.receive(kAccess, peer.next());
    world.run();
    (void)world.sent(kCore);
    (void)world.counted();
    peer.lose(lost);
    const std::uint32_t first = peer.number;
    for (unsigned n = 0; n < 5; ++n) world.receive(kAccess, peer.next());
    world.run();
    const auto out = world.sent(kCore);
    REQUIRE(out.size() == 5);
    for (unsigned n = 0; n < 5; ++n)
      CHECK(get16(out[n], 18) == ((first + n) & 0xffff));  // in order
    auto counted = world.counted();
    CHECK(counted.at("sequence_gaps") == lost);
    CHECK(counted.at("mppe_key_steps") >= lost);
    CHECK(counted.at("mppe_key_steps") <= lost + 3 + 2 * (lost / 4'096 + 1));
    for (const auto& [name, value] : counted) CHECK_FALSE(name.starts_with("drop"));
    CHECK(world.record(peer.s).upstream.gap_entry == 0);
    CHECK(world.record(peer.s).upstream.highest_sequence.load() == peer.number - 1);
  }
}

TEST_CASE("gaps: packets that come while the chain is stepped wait and keep their order",
          "[pipeline][mppe]") {
  World world;
  Peer peer(world, 2);
  world.receive(kAccess, peer.next());
  world.run();
  (void)world.sent(kCore);
  peer.lose(3'000);
  const std::uint32_t first = peer.number;
  unsigned sent = 0;
  std::vector<Octets> out;
  const auto collect = [&] {
    for (Octets& frame : world.sent(kCore)) out.push_back(std::move(frame));
  };
  std::uint64_t cycles = 1U << 30;
  for (; world.record(peer.s).upstream.gap_entry != 0 || sent < 2; ++sent) {
    REQUIRE(sent < 200);
    world.receive(kAccess, peer.next());
    (void)world.worker().poll_once(Tsc{cycles += 1'000}, world.now_ns());
    collect();
  }
  CHECK(sent > 10);  // the gap took more than one slice
  world.run();
  collect();
  CHECK(world.drops() == Counts{});
  REQUIRE(out.size() == sent);
  for (unsigned n = 0; n < sent; ++n) CHECK(get16(out[n], 18) == ((first + n) & 0xffff));
  CHECK(world.drops().empty());
}

TEST_CASE("gaps: one poll makes no more key steps than fit in 100 microseconds",
          "[pipeline][mppe]") {
  World world({.max_sessions = 100});
  std::vector<std::unique_ptr<Peer>> peers;
  for (unsigned n = 2; n < 66; ++n) {
    peers.push_back(std::make_unique<Peer>(world, n));
    world.receive(kAccess, peers.back()->next());
  }
  world.run();
  (void)world.sent(kCore);
  (void)world.counted();
  for (auto& peer : peers) {
    peer->lose(peer->s.n % 2 == 0 ? 30 : 5'000);
    world.receive(kAccess, peer->next());
  }
  std::uint64_t cycles = 1U << 30;
  std::size_t arrived = 0;
  for (unsigned poll = 0; arrived < peers.size(); ++poll) {
    REQUIRE(poll < 100'000);
    (void)world.worker().poll_once(Tsc{cycles += 1'000}, world.now_ns());
    CHECK(steps_of(world) * kStepNs <= 100'000);
    arrived += world.sent(kCore).size();
  }
}

TEST_CASE("gaps: control frames among the lost packets have a number and no count",
          "[pipeline][mppe]") {
  for (const std::uint32_t lost : {10U, 200U, 4'090U, 5'000U}) {
    CAPTURE(lost);
    World world;
    Peer peer(world, 2);
    world.receive(kAccess, peer.next());
    peer.lose(lost);
    peer.number += 7;  // seven control frames
    world.receive(kAccess, peer.next());
    world.run();
    CHECK(world.sent(kCore).size() == 2);
    CHECK(world.drops().empty());
  }
}

TEST_CASE("gaps: control frames of an idle session are no missing packets", "[pipeline][mppe]") {
  const bool one_is_lost = GENERATE(false, true);
  World world({.ring_size = 8'192});
  Peer peer(world, 2);
  world.receive(kAccess, peer.next());
  world.run();
  // More Echo-Replies than the count of MPPE can tell apart.
  if (one_is_lost) ++peer.number;
  for (unsigned n = 0; n < 5'000; ++n) {
    world.receive(kAccess,
                  from_peer(peer.s, peer.number++, ppp("c021", octets("0a010008 00000000"))));
    if (n % 32 == 31) {
      world.run();
      (void)world.sent(kAccess);
      world.advance(kSecond);
    }
  }
  world.run();
  (void)world.sent(kCore);
  (void)world.counted();
  world.receive(kAccess, peer.next());
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  CHECK(steps_of(world) == 0);
}

TEST_CASE("gaps: packets that were lost before they got a number are missed too",
          "[pipeline][mppe]") {
  for (const std::uint32_t lost : {1U, 64U, 500U, 1'000U}) {
    CAPTURE(lost);
    World world;
    Peer peer(world, 2);
    world.receive(kAccess, peer.next());
    world.run();
    peer.lose_after_numbering(lost);
    for (unsigned n = 0; n < 3; ++n) world.receive(kAccess, peer.next());
    world.run();
    CHECK(world.sent(kCore).size() == 4);
    CHECK(world.drops().empty());
  }
}

TEST_CASE("gaps: all sessions of a worker lose the same second", "[pipeline][mppe]") {
  World world({.ring_size = 1'024, .max_sessions = 250});
  std::vector<std::unique_ptr<Peer>> peers;
  for (unsigned n = 2; n < 242; ++n) {
    peers.push_back(std::make_unique<Peer>(world, n));
    world.receive(kAccess, peers.back()->next());
  }
  world.run();
  CHECK(world.sent(kCore).size() == peers.size());
  (void)world.counted();
  // 240 times 2,500 key changes are four times what the token bucket holds. One session after the
  // other gets its tokens back.
  for (auto& peer : peers) {
    peer->lose(2'500);
    for (unsigned n = 0; n < 3; ++n) world.receive(kAccess, peer->next());
  }
  std::size_t arrived = 0;
  world.run();
  arrived += world.sent(kCore).size();
  CHECK(arrived == 3 * peers.size());
  CHECK(world.drops().empty());
}

TEST_CASE("gaps: a short gap is stepped over though a forged packet beyond it waits",
          "[pipeline][mppe][conformance-51]") {
  const bool explained = GENERATE(true, false);
  World world;
  Peer peer(world, 2);
  world.receive(kAccess, peer.next());
  world.run();
  (void)world.sent(kCore);
  // The forged one lies behind the gap, or before its end with a count that no number explains.
  world.receive(kAccess, explained ? forged(peer.s, peer.number + 50'000, 50'001)
                                   : forged(peer.s, peer.number + 2, 1'900));
  std::uint64_t cycles = 1U << 30;
  for (unsigned n = 0; n < 2; ++n)
    (void)world.worker().poll_once(Tsc{cycles += 1'000}, world.now_ns());
  CHECK(world.record(peer.s).upstream.gap_entry != 0);
  peer.lose(20);
  for (unsigned n = 0; n < 3; ++n) world.receive(kAccess, peer.next());
  (void)world.worker().poll_once(Tsc{cycles += 1'000}, world.now_ns());
  CHECK(world.sent(kCore).size() == 3);
}

TEST_CASE("gaps: a packet from before the gap may still come while others wait",
          "[pipeline][mppe]") {
  World world;
  Peer peer(world, 2);
  world.receive(kAccess, peer.next());
  const Octets delayed = peer.next();
  world.run();
  (void)world.sent(kCore);
  peer.lose(2'000);
  world.receive(kAccess, peer.next());
  std::uint64_t cycles = 1U << 30;
  for (unsigned n = 0; n < 10; ++n)
    (void)world.worker().poll_once(Tsc{cycles += 1'000}, world.now_ns());
  CHECK(world.record(peer.s).upstream.gap_entry != 0);
  world.receive(kAccess, delayed);
  world.run();
  CHECK(world.sent(kCore).size() == 2);
  CHECK(world.drops().empty());
  CHECK(steps_of(world) == 0);  // counted by drops(); no step was made twice
}

TEST_CASE("gaps: stateful sessions go on after a reset, whatever the gap",
          "[pipeline][mppe][rfc3078-8.2]") {
  const unsigned bits = GENERATE(40U, 56U, 128U);
  for (const std::uint32_t lost :
       {1U, 64U, 65U, 100U, 1'000U, 2'047U, 2'048U, 4'095U, 4'096U, 10'000U, 100'000U}) {
    CAPTURE(bits, lost);
    World world;
    Peer peer(world, 2, false, bits);
    world.receive(kAccess, peer.next());
    world.run();
    (void)world.sent(kCore);
    (void)world.sent(kAccess);
    peer.lose(lost);
    world.receive(kAccess, peer.next());
    world.run();
    // One request; the peer flushes with its next packet, and all is well from there on.
    bool requested = false;
    for (const auto& frame : world.sent(kAccess))
      requested |= hex(frame).find("ff0380fd0e") != std::string::npos;
    const bool flag_packet = !world.sent(kCore).empty();  // that one is flushed anyhow
    CHECK(requested != flag_packet);
    mppe::request_flush(peer.mppe.send);
    for (unsigned n = 0; n < 3; ++n) world.receive(kAccess, peer.next());
    world.run();
    CHECK(world.sent(kCore).size() == 3);
  }
}

TEST_CASE("gaps: short gaps are stepped over while forged long gaps wait for tokens",
          "[pipeline][mppe][conformance-51]") {
  World world({.max_sessions = 150});
  std::vector<std::unique_ptr<Peer>> peers;
  for (unsigned n = 2; n < 122; ++n) {
    peers.push_back(std::make_unique<Peer>(world, n));
    world.receive(kAccess, peers.back()->next());
  }
  world.run();
  (void)world.sent(kCore);
  // Twenty sessions have a forged packet each, as far ahead as any can be.
  for (std::size_t n = 0; n < 20; ++n)
    world.receive(kAccess, forged(peers[n]->s, peers[n]->number + 1'000'000, 1'000'001));
  world.run();
  CHECK(steps_of(world) >= dataplane::KeyStepBudget::kLongGapBurst / 2);
  // The bucket of long gaps is empty. A hundred others lose 200 packets each.
  for (std::size_t n = 20; n < peers.size(); ++n) {
    peers[n]->lose(200);
    world.receive(kAccess, peers[n]->next());
  }
  std::size_t arrived = 0;
  for (unsigned ms = 0; ms < 200; ++ms) {
    world.run();
    arrived += world.sent(kCore).size();
    world.advance(kMs);
  }
  CHECK(arrived == 100);
}

TEST_CASE("gaps: a packet that opens pays for its own gap, not for a forged one",
          "[pipeline][mppe][conformance-51]") {
  World world;
  Peer peer(world, 2);
  world.receive(kAccess, peer.next());
  world.run();
  (void)world.sent(kCore);
  // A forged packet beyond the next real gap burns what the worker may spend on long gaps.
  world.receive(kAccess, forged(peer.s, peer.number + 1'000'000, 1'000'001));
  world.run();
  const std::uint64_t burst = dataplane::KeyStepBudget::kLongGapBurst;
  CHECK(steps_of(world) >= burst - 64);
  // The real packet opens, and what the forged one cost does not come back.
  peer.lose(100);
  world.receive(kAccess, peer.next());
  world.advance(kMs);
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  CHECK(steps_of(world) <= 200);
  world.run();
  CHECK(steps_of(world) == 0);
}

TEST_CASE("gaps: packets that wait do not outlive their keys", "[pipeline][mppe]") {
  World world;
  Peer peer(world, 2);
  world.receive(kAccess, peer.next());
  world.run();
  (void)world.sent(kCore);
  peer.lose(20'000);
  world.receive(kAccess, peer.next());
  std::uint64_t cycles = 1U << 30;
  for (unsigned n = 0; n < 5; ++n)
    (void)world.worker().poll_once(Tsc{cycles += 1'000}, world.now_ns());
  REQUIRE(world.record(peer.s).upstream.gap_entry != 0);
  // Armed again with the same start keys: both sides begin with count 0, and the packet that waits
  // would open with the key of a count that is yet to come.
  world.arm(peer.s);
  CHECK(world.drops() == Counts{{"mppe_not_open", 1}});
  peer.mppe = ArmedPeer();
  peer.lose(300);
  for (unsigned n = 0; n < 3; ++n) world.receive(kAccess, peer.next());
  world.run();
  CHECK(world.sent(kCore).size() == 3);
  CHECK(world.drops().empty());
}

TEST_CASE("gaps: forged gaps of one session are bounded and cost no other session",
          "[pipeline][mppe][conformance-51]") {
  World world({.max_sessions = 10});
  Peer victim(world, 2);
  Peer other(world, 3);
  for (Peer* peer : {&victim, &other}) world.receive(kAccess, peer->next());
  world.run();
  (void)world.sent(kCore);
  (void)world.counted();
  // Each needs the chain from its start: the counts fall.
  constexpr std::uint64_t kBurst = dataplane::KeyStepBudget::kLongGapBurst;
  std::uint64_t spent = 0;
  unsigned carried = 0;
  for (unsigned n = 0; n < 600; ++n) {
    world.receive(kAccess, forged(victim.s, victim.number + 100'000 - n, 60'000 - n * 3));
    if (n % 10 == 0) {
      world.receive(kAccess, victim.next());
      world.receive(kAccess, other.next());
      carried += 2;
    }
    world.run();
    spent += steps_of(world);
  }
  CHECK(spent >= kBurst / 2);
  CHECK(spent <= kBurst);
  CHECK(world.sent(kCore).size() == carried);
  // A second later a second's worth may be spent: 50,000 steps.
  world.advance(kSecond);
  for (unsigned n = 0; n < 200; ++n) {
    world.receive(kAccess, forged(victim.s, victim.number + 90'000 - n, 50'000 - n * 3));
    world.run();
  }
  CHECK(steps_of(world) <= 50'000 + 4'096);
  // A real gap of another session is stepped over nevertheless.
  other.lose(20);
  world.receive(kAccess, other.next());
  world.run();
  CHECK(world.sent(kCore).size() == 1);
}

TEST_CASE("gaps: forged gaps of all sessions are bounded for the worker",
          "[pipeline][mppe][conformance-51]") {
  World world({.max_sessions = 120});
  std::vector<std::unique_ptr<Peer>> peers;
  for (unsigned n = 2; n < 102; ++n) {
    peers.push_back(std::make_unique<Peer>(world, n));
    world.receive(kAccess, peers.back()->next());
  }
  world.run();
  (void)world.sent(kCore);
  (void)world.counted();
  const auto attack = [&](std::uint32_t round) {
    for (std::size_t n = 2; n < peers.size(); ++n)
      world.receive(kAccess,
                    forged(peers[n]->s, peers[n]->number + 100'000 - round, 2'000 - round));
    world.run();
  };
  for (std::uint32_t round = 0; round < 20; ++round) attack(round);
  const std::uint64_t burst = dataplane::KeyStepBudget::kLongGapBurst;
  std::uint64_t spent = steps_of(world);
  CHECK(spent >= burst / 2);
  CHECK(spent <= burst);
  // Then 5 % of the worker: 50,000 steps a second of a microsecond each.
  spent = 0;
  for (std::uint32_t slice = 0; slice < 100; ++slice) {
    world.advance(10 * kMs);
    attack(20 + slice);
    spent += steps_of(world);
  }
  CHECK(spent <= 50'000 + 6'000);
  // Short gaps have buckets of their own. A long one waits its turn and comes through.
  peers[0]->lose(30);
  world.receive(kAccess, peers[0]->next());
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  peers[1]->lose(300);
  world.receive(kAccess, peers[1]->next());
  CHECK(world.drops().empty());
  std::size_t arrived = 0;
  for (unsigned n = 0; n < 4'000 && arrived == 0; ++n) {
    world.advance(kMs);
    world.run();
    arrived = world.sent(kCore).size();
  }
  CHECK(arrived == 1);
}

TEST_CASE("gaps: numbers that nobody can have reached explain nothing", "[pipeline][mppe]") {
  World world;
  Peer peer(world, 2);
  world.receive(kAccess, peer.next());
  world.run();
  (void)world.sent(kCore);
  (void)world.counted();
  // Off the path, numbers are guessed. Counts behind the expected one are late, whatever the
  // number.
  for (unsigned n = 0; n < 100; ++n)
    world.receive(kAccess, forged(peer.s, 0x40000000 + n, 2'500 + n));
  world.run();
  auto counted = world.counted();
  CHECK(counted.at("drop mppe_gap") == 100);
  CHECK_FALSE(counted.contains("mppe_key_steps"));
  // Those ahead of it use up a bucket that real gaps do not need.
  for (unsigned n = 0; n < 200; ++n)
    world.receive(kAccess, forged(peer.s, 0x40000000 + n, 2'000 - n));
  world.run();
  CHECK(steps_of(world) <= 1'024);
  world.advance(kMs);
  peer.lose(1'000);
  world.receive(kAccess, peer.next());
  world.run();
  CHECK(world.sent(kCore).size() == 1);
}

TEST_CASE("gaps: a session of which nothing opens for 5 s is reported", "[pipeline][mppe]") {
  World world;
  Peer peer(world, 2);
  const auto garble = [&] { world.record(peer.s).upstream.mppe.session_key[0] ^= std::byte{1}; };
  world.receive(kAccess, peer.next());
  world.run();
  CHECK(world.control().empty());
  garble();
  const auto fail_for = [&](unsigned tenths) {
    for (unsigned n = 0; n < tenths; ++n) {
      world.receive(kAccess, peer.next());
      world.run();
      world.advance(100 * kMs);
    }
    return world.path_reports();
  };
  CHECK(fail_for(50).empty());
  const auto reports = fail_for(10);
  REQUIRE(reports.size() == 1);
  CHECK(reports[0].slot == peer.s.slot());
  CHECK(reports[0].generation == peer.s.generation);
  CHECK(reports[0].opened_since_armed);
  CHECK(fail_for(40).empty());
  CHECK(fail_for(20).size() == 1);
  // Armed anew, nothing has opened yet.
  world.arm(peer.s);
  garble();
  const auto after = fail_for(60);
  REQUIRE(after.size() == 1);
  CHECK_FALSE(after[0].opened_since_armed);
  // A packet that opens now and then is enough.
  world.arm(peer.s);
  peer.mppe = ArmedPeer();
  for (unsigned n = 0; n < 100; ++n) {
    world.receive(kAccess, n % 40 == 0 ? peer.next() : forged(peer.s, peer.number++, n * 7));
    world.run();
    world.advance(100 * kMs);
  }
  CHECK(world.path_reports().empty());
}

TEST_CASE("gaps: packets that wait go with their session", "[pipeline][mppe]") {
  World world;
  Peer peer(world, 2);
  world.receive(kAccess, peer.next());
  world.run();
  (void)world.sent(kCore);
  peer.lose(50'000);
  for (unsigned n = 0; n < 3; ++n) world.receive(kAccess, peer.next());
  std::uint64_t cycles = 1U << 30;
  for (unsigned n = 0; n < 3; ++n)
    (void)world.worker().poll_once(Tsc{cycles += 1'000}, world.now_ns());
  REQUIRE(world.record(peer.s).upstream.gap_entry != 0);
  (void)world.counted();
  SECTION("that is disarmed") {
    world.command(peer.s, WorkerCommandType::kDisarmMppe);
    world.run();
    CHECK(world.drops() == Counts{{"mppe_not_open", 3}});
    CHECK(world.record(peer.s).upstream.gap_entry == 0);
  }
  SECTION("that ends") {
    (void)world.table().unlink(peer.s.slot());
    world.run();
    CHECK(world.drops() == Counts{{"no_session", 3}});
  }
  SECTION("whose process is killed; the next packet opens all the same") {
    world.restart(1);
    CHECK(world.record(peer.s).upstream.gap_entry == 0);
    world.receive(kAccess, peer.next());
    world.run();
    CHECK(world.sent(kCore).size() == 1);
  }
  SECTION("or until they have waited too long") {
    world.record(peer.s).upstream.mppe.start_key[0] ^= std::byte{1};  // nothing opens any more
    world.advance(5 * kSecond);
    world.run();
    CHECK(world.drops().at("mppe_gap") == 3);
    CHECK(world.record(peer.s).upstream.gap_entry == 0);
  }
}
