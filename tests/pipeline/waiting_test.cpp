// SPDX-License-Identifier: BSD-3-Clause
//
// The packets that wait in a worker: GRE packets that came early, fragments of outer packets,
// packets beyond the peer's window.
#include <catch2/catch.hpp>

#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;

namespace {

constexpr std::uint64_t kMs = 1'000'000;

Octets data(const Subscriber& s, unsigned id, std::size_t size = 20) {
  return ip({.source = s.address, .destination = kServer, .id = id}, pattern(size));
}

Octets numbered(const Subscriber& s, std::uint32_t sequence) {
  return from_peer(s, sequence, ppp("0021", data(s, sequence & 0xffff)));
}

// The same, encrypted. Each call is the peer's next packet, whether it arrives or not.
Octets sealed(ArmedPeer& peer, const Subscriber& s, std::uint32_t sequence) {
  return from_peer(s, sequence, peer.seal(concat({octets("0021"), data(s, sequence & 0xffff)})));
}

// The identifications of the inner packets that reached the core, in order.
std::vector<unsigned> arrived(World& world) {
  std::vector<unsigned> ids;
  for (const Octets& frame : world.sent(kCore)) ids.push_back(get16(frame, 14 + 4));
  return ids;
}

std::vector<unsigned> upto(unsigned first, unsigned last) {
  std::vector<unsigned> out;
  for (unsigned id = first; id <= last; ++id) out.push_back(id);
  return out;
}

using Ids = std::vector<unsigned>;
const WorldOptions kReordering = {.reorder = {.packets = 8, .wait_ns = 10 * kMs}};

}  // namespace

TEST_CASE("reorder: packets that come early wait for those before them",
          "[pipeline][rfc2637-4.3][conformance-30]") {
  World world(kReordering);
  const Subscriber s = world.add(2);
  for (const std::uint32_t sequence : {5U, 7U, 8U, 10U, 6U, 9U, 11U})
    world.receive(kAccess, numbered(s, sequence));
  world.run();
  CHECK(arrived(world) == upto(5, 11));
  CHECK(world.counted()["reordered"] == 3);
  CHECK(world.drops().empty());
  CHECK(world.record(s).upstream.sequence_gaps.get() == 0);
  CHECK(world.record(s).upstream.reorder_queue == 0);
}

TEST_CASE("reorder: across bursts, and across the wrap of the number",
          "[pipeline][rfc2637-4.3][conformance-32]") {
  World world(kReordering);
  const Subscriber s = world.add(2);
  for (const std::uint32_t sequence : {0xfffffffeU, 0U, 1U, 0xffffffffU, 2U}) {
    world.receive(kAccess, numbered(s, sequence));
    world.run();
    world.advance(kMs);
  }
  CHECK(arrived(world) == Ids{0xfffe, 0xffff, 0, 1, 2});
}

TEST_CASE("reorder: what is missing is waited for no longer than the time",
          "[pipeline][rfc2637-4.3]") {
  World world(kReordering);
  const Subscriber s = world.add(2);
  world.receive(kAccess, numbered(s, 1));
  world.receive(kAccess, numbered(s, 3));
  world.run();
  CHECK(arrived(world) == Ids{1});
  CHECK(world.worker().next_deadline_ns(world.now_ns()) <= 10 * kMs);
  world.advance(6 * kMs);
  world.receive(kAccess, numbered(s, 5));  // a second gap: its wait begins now
  world.run();
  CHECK(arrived(world).empty());
  world.advance(5 * kMs);
  world.run();
  CHECK(arrived(world) == Ids{3});
  world.advance(5 * kMs);
  world.run();
  CHECK(arrived(world) == Ids{5});
  // Too late now.
  world.receive(kAccess, numbered(s, 2));
  world.receive(kAccess, numbered(s, 4));
  world.run();
  CHECK(arrived(world).empty());
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"gre_late", 2}});
  CHECK(world.record(s).upstream.sequence_gaps.get() == 2);
}

TEST_CASE("reorder: an acknowledgement made urgent by a released run leaves in the same poll",
          "[pipeline]") {
  World world({.reorder = {.packets = 64, .wait_ns = 10 * kMs}});
  const Subscriber s = world.add(2);
  world.receive(kAccess, numbered(s, 1));
  world.run();
  for (std::uint32_t sequence = 3; sequence < 3 + dataplane::kAdvertisedWindow / 2; ++sequence)
    world.receive(kAccess, numbered(s, sequence));
  world.run();
  CHECK(arrived(world) == Ids{1});
  CHECK(world.sent(kAccess).empty());
  world.advance(11 * kMs);
  // The slot may be another session's in the next poll.
  world.worker().poll_once(Tsc{1}, world.now_ns());
  CHECK(world.sent(kAccess).size() == 1);
  CHECK_FALSE(world.record(s).ack_pending);
}

TEST_CASE("reorder: no more packets wait than may", "[pipeline][rfc2637-4.3]") {
  World world(kReordering);
  const Subscriber s = world.add(2);
  world.receive(kAccess, numbered(s, 0));
  for (std::uint32_t sequence = 2; sequence <= 9; ++sequence)
    world.receive(kAccess, numbered(s, sequence));
  world.run();
  CHECK(arrived(world) == Ids{0});
  world.receive(kAccess, numbered(s, 10));  // the ninth: 1 is given up
  world.run();
  CHECK(arrived(world) == upto(2, 10));
  CHECK(world.record(s).upstream.sequence_gaps.get() == 1);
}

TEST_CASE("reorder: a packet that waits already is a duplicate", "[pipeline][conformance-30]") {
  World world(kReordering);
  const Subscriber s = world.add(2);
  for (const std::uint32_t sequence : {0U, 2U, 2U, 0U, 1U, 1U, 2U})
    world.receive(kAccess, numbered(s, sequence));
  world.run();
  CHECK(arrived(world) == upto(0, 2));
  const auto drops = world.drops();
  CHECK(drops.at("gre_duplicate") == 3);
  CHECK(drops.at("gre_late") == 1);
}

TEST_CASE("reorder: encrypted packets reach the cipher in order", "[pipeline][conformance-51]") {
  World world(kReordering);
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  std::vector<Octets> frames;
  for (unsigned id = 0; id < 6; ++id) frames.push_back(sealed(peer, s, id));
  for (const std::size_t at : {0U, 2U, 1U, 5U, 4U, 3U}) world.receive(kAccess, frames[at]);
  world.run();
  CHECK(arrived(world) == upto(0, 5));
  CHECK(world.drops().empty());
  CHECK(world.counted()["mppe_key_steps"] == 0);
}

TEST_CASE("reorder: numbers that are given up explain what MPPE finds missing",
          "[pipeline][mppe]") {
  World world(kReordering);
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  world.receive(kAccess, sealed(peer, s, 0));
  for (unsigned lost = 1; lost <= 30; ++lost) (void)sealed(peer, s, lost);
  world.receive(kAccess, sealed(peer, s, 31));
  world.run();
  CHECK(arrived(world) == Ids{0});
  world.advance(10 * kMs);
  // Forgeries that no missing number explains empty the bucket of their kind before it is let go.
  std::uint32_t far = 0x40000000;
  for (unsigned n = 0; n < 24; ++n) {
    Octets forged = octets("9000 5566778899aabbccddeeff00112233445566778899");
    put16(forged, 0, 0x9000 + 500 - n);
    world.receive(kAccess, from_peer(s, far++, ppp("00fd", forged)));
  }
  world.run();
  CHECK(world.counted().at("mppe_key_steps") > 900);
  CHECK(arrived(world) == Ids{31});
}

TEST_CASE("reorder: a forged number ahead does not move the window of a session that decrypts",
          "[pipeline][mppe][conformance-31]") {
  const bool waits = GENERATE(true, false);
  const bool encrypted = GENERATE(true, false);
  World world(waits ? kReordering : WorldOptions{});
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  for (unsigned id = 0; id < 200; ++id) {
    world.receive(kAccess, sealed(peer, s, id));
    world.run();
    if (id % 50 != 0) continue;
    Octets forged = octets("9000 5566778899aabbccddeeff00112233445566778899");
    put16(forged, 0, 0x9000 + id + 41);
    world.receive(kAccess, from_peer(s, id + 41,
                                     encrypted ? ppp("00fd", forged)
                                               : ppp("c021", octets("09010008 00000000"))));
    world.run();
    world.advance(10 * kMs);
    world.run();
  }
  CHECK(arrived(world) == upto(0, 199));
  const auto drops = world.drops();
  CHECK_FALSE(drops.contains("gre_late"));
  CHECK_FALSE(drops.contains("gre_duplicate"));
  CHECK(world.record(s).upstream.sequence_gaps.get() == 0);
  CHECK(world.record(s).upstream.highest_sequence.load() == 199);
}

TEST_CASE("reorder: a loss that fills the queue is over when a packet opens", "[pipeline][mppe]") {
  World world(kReordering);
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  for (unsigned id = 0; id < 24; ++id) {
    const Octets frame = sealed(peer, s, id);
    if (id != 1) world.receive(kAccess, frame);
  }
  world.run();  // the queue takes eight, twice, and the last four
  Ids all = upto(2, 23);
  all.insert(all.begin(), 0);
  CHECK(arrived(world) == all);
  CHECK(world.drops().empty());
  CHECK(world.record(s).upstream.sequence_gaps.get() == 1);
  CHECK(world.record(s).upstream.reorder_queue == 0);
}

TEST_CASE("reorder: what a packet that opens moved past is late", "[pipeline][mppe]") {
  World world(kReordering);
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  std::vector<Octets> frames;
  for (unsigned id = 0; id < 100; ++id) frames.push_back(sealed(peer, s, id));
  for (const std::size_t at : {0U, 5U, 60U, 65U}) world.receive(kAccess, frames[at]);
  world.run();  // 65 is further than what can wait: it is opened at once
  CHECK(arrived(world) == Ids{0, 65});
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"gre_late", 2}});
  CHECK(world.record(s).upstream.reorder_queue == 0);
  world.receive(kAccess, frames[66]);
  world.run();
  CHECK(arrived(world) == Ids{66});
}

TEST_CASE("reorder: forgeries that wait in vain use up their purse, the peer's packets do not",
          "[pipeline][mppe]") {
  World world({.reorder = {.packets = 64, .wait_ns = 10 * kMs}});
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  const auto dropped = [&] {
    std::uint64_t sum = 0;
    for (const auto& [reason, count] : world.drops()) sum += count;
    return sum;
  };
  world.receive(kAccess, sealed(peer, s, 0));
  world.run();
  // Their count was used before: they cost no key changes.
  std::uint64_t at_once = 0;
  for (unsigned round = 0; round < 40; ++round) {
    const std::uint64_t before = dropped();
    for (unsigned ahead = 2; ahead < 62; ++ahead)
      world.receive(
          kAccess,
          from_peer(s, ahead, ppp("00fd", octets("9000 5566778899aabbccddeeff0011223344"))));
    world.run();
    at_once = dropped() - before;
    if (round == 0) CHECK(at_once == 0);
    world.advance(10 * kMs);
    world.run();
  }
  CHECK(at_once != 0);
  CHECK(arrived(world) == Ids{0});

  world.advance(1'000 * kMs);
  world.run();
  for (unsigned id = 1; id < 2'001; id += 2) {
    const Octets first = sealed(peer, s, id);
    world.receive(kAccess, sealed(peer, s, id + 1));
    world.receive(kAccess, first);
    world.run();
    CHECK(arrived(world) == upto(id, id + 1));
  }
  CHECK_FALSE(world.drops().contains("gre_late"));
}

TEST_CASE("reorder: with the purse of waits empty a loss costs what was lost", "[pipeline][mppe]") {
  World world({.reorder = {.packets = 64, .wait_ns = 10 * kMs}});
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  std::vector<Subscriber> others;
  for (unsigned n = 3; n < 12; ++n) {
    others.push_back(world.add(n, true, true));
    world.arm(others.back());
    ArmedPeer another;
    world.receive(kAccess,
                  from_peer(others.back(), 0,
                            another.seal(concat({octets("0021"), data(others.back(), 99)}))));
  }
  const auto receive = [&](unsigned id) { world.receive(kAccess, sealed(peer, s, id)); };
  receive(0);
  world.run();
  (void)arrived(world);
  (void)sealed(peer, s, 1);  // lost
  for (unsigned id = 2; id <= 6; ++id) receive(id);
  // Forgeries for the others leave nothing in the purse.
  for (const Subscriber& other : others)
    for (unsigned ahead = 2; ahead < 62; ++ahead)
      world.receive(
          kAccess,
          from_peer(other, ahead, ppp("00fd", octets("9000 5566778899aabbccddeeff0011223344"))));
  receive(7);
  world.run();
  CHECK(arrived(world) == upto(2, 7));
  CHECK(world.record(s).upstream.drops.get() == 0);
  CHECK(world.record(s).upstream.sequence_gaps.get() == 1);
  world.advance(10 * kMs);
  world.run();
}

TEST_CASE("reorder: a session that ends takes what waits with it", "[pipeline]") {
  World world(kReordering);
  const Subscriber s = world.add(2);
  world.receive(kAccess, numbered(s, 0));
  world.receive(kAccess, numbered(s, 2));
  world.receive(kAccess, numbered(s, 3));
  world.run();
  (void)arrived(world);
  const auto token = world.table().unlink(s.slot());
  world.run();
  REQUIRE(world.table().quiescent(token));
  world.table().release(s.slot());
  const Subscriber next = world.add(2);  // the same slot, at once
  world.receive(kAccess, numbered(next, 40));
  world.run();
  CHECK(arrived(world) == Ids{40});
  world.advance(11 * kMs);
  world.run();
  CHECK(arrived(world).empty());
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"no_session", 2}});
  CHECK(world.record(next).upstream.highest_sequence.load() == 40);
}

TEST_CASE("reorder: a jump that is believed makes late what waited", "[pipeline][conformance-31]") {
  World world(kReordering);
  const Subscriber s = world.add(2);
  for (const std::uint32_t sequence : {0U, 2U, 3U, 1000U, 1001U, 1002U})
    world.receive(kAccess, numbered(s, sequence));
  world.run();
  CHECK(arrived(world) == Ids{0, 1000, 1001, 1002});
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"gre_late", 2}});
  world.advance(20 * kMs);
  world.run();
  CHECK(arrived(world).empty());
}

TEST_CASE("reorder: any order within the span loses nothing", "[pipeline][rfc2637-4.3]") {
  World world({.reorder = {.packets = 64, .wait_ns = 10 * kMs}});
  const Subscriber s = world.add(2);
  world.receive(kAccess, numbered(s, 0));
  std::uint32_t random = 12345;
  Ids all;
  std::vector<std::uint32_t> order;
  for (std::uint32_t block = 0; block < 40; ++block) {
    order.clear();
    for (std::uint32_t i = 1; i <= 30; ++i) order.push_back(block * 30 + i);
    for (std::size_t i = order.size(); i > 1; --i) {
      random = random * 1664525 + 1013904223;
      std::swap(order[i - 1], order[(random >> 16) % i]);
    }
    for (const std::uint32_t sequence : order) world.receive(kAccess, numbered(s, sequence));
    world.run();
    for (const unsigned id : arrived(world)) all.push_back(id);
  }
  CHECK((all == upto(0, 1200)));
  CHECK(world.drops().empty());
}

// ---- Fragments

namespace {

// An outer packet cut into pieces of `size` octets of payload (a multiple of 8).
std::vector<Octets> fragments(const Octets& whole, std::size_t size, unsigned id) {
  const Bytes packet = Bytes(whole).subspan(14);
  const Bytes payload = packet.subspan(20);
  std::vector<Octets> out;
  for (std::size_t at = 0; at < payload.size(); at += size) {
    const auto piece = payload.subspan(at, std::min(size, payload.size() - at));
    const bool more = at + piece.size() < payload.size();
    Octets cut = to_octets(packet.first(20));
    cut.insert(cut.end(), piece.begin(), piece.end());
    put16(cut, 2, static_cast<unsigned>(cut.size()));
    put16(cut, 4, id);
    put16(cut, 6, static_cast<unsigned>(at / 8) | (more ? 0x2000U : 0U));
    put16(cut, 10, 0);
    put16(cut, 10, checksum(Bytes(cut).first(20)));
    Octets frame = to_octets(Bytes(whole).first(14));
    frame.insert(frame.end(), cut.begin(), cut.end());
    if (frame.size() < 60) frame.resize(60);  // as Ethernet pads it
    out.push_back(frame);
  }
  return out;
}

const WorldOptions kReassembling = {.reassembly = {.packets = 16, .wait_ns = 1'000 * kMs}};

}  // namespace

TEST_CASE("fragments: an outer packet in pieces is put together, in any order",
          "[pipeline][rfc2637-1.4]") {
  World world(kReassembling);
  const Subscriber s = world.add(2);
  std::uint32_t sequence = 0;
  for (const std::size_t size : {8U, 24U, 512U, 1400U}) {
    const Octets packet =
        from_peer(s, sequence, ppp("0021", data(s, sequence, size == 8 ? 20 : 1400)));
    auto pieces = fragments(packet, size == 8 ? 24 : size, 77 + sequence);
    if (pieces.size() > 8) pieces = fragments(packet, 256, 77 + sequence);
    std::reverse(pieces.begin(), pieces.end());
    for (const Octets& piece : pieces) world.receive(kAccess, piece);
    world.run();
    INFO(size);
    const auto out = world.sent(kCore);
    REQUIRE(out.size() == 1);
    Octets expected = data(s, sequence, size == 8 ? 20 : 1400);
    expected[8] = std::byte{63};
    put16(expected, 10, 0);
    put16(expected, 10, checksum(Bytes(expected).first(20)));
    CHECK(hex(out[0]) == hex(to_core(expected)));
    ++sequence;
  }
  CHECK(world.counted()["reassembled"] == 4);
  CHECK(world.drops().empty());
}

TEST_CASE("fragments: a packet that never gets whole is dropped in time and counted",
          "[pipeline][conformance-34]") {
  World world(kReassembling);
  const Subscriber s = world.add(2);
  const auto pieces = fragments(from_peer(s, 0, ppp("0021", data(s, 0, 1000))), 256, 1);
  for (std::size_t i = 0; i + 1 < pieces.size(); ++i) world.receive(kAccess, pieces[i]);
  world.run();
  CHECK(world.drops().empty());
  world.advance(1'001 * kMs);
  world.run();
  CHECK(world.drops() ==
        std::map<std::string, std::uint64_t>{{"outer_fragment", pieces.size() - 1}});
  // The last one alone does not make it whole any more.
  world.receive(kAccess, pieces.back());
  world.run();
  CHECK(world.sent(kCore).empty());
  world.advance(1'001 * kMs);
  world.run();
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"outer_fragment", 1}});
}

TEST_CASE("fragments: those that overlap make no packet", "[pipeline][conformance-34]") {
  World world(kReassembling);
  const Subscriber s = world.add(2);
  const Octets packet = from_peer(s, 0, ppp("0021", data(s, 0, 1000)));
  const auto big = fragments(packet, 512, 1);
  const auto small = fragments(packet, 256, 1);
  world.receive(kAccess, big[0]);
  world.receive(kAccess, small[1]);  // inside the first
  world.receive(kAccess, big[1]);
  for (std::size_t i = 2; i < big.size(); ++i) world.receive(kAccess, big[i]);
  world.run();
  world.advance(1'001 * kMs);
  world.run();
  CHECK(world.sent(kCore).empty());
  CHECK(world.drops().at("outer_fragment") == big.size() + 1);
}

TEST_CASE("fragments: a flood of beginnings leaves room in the end, and buffers",
          "[pipeline][conformance-34]") {
  World world(kReassembling);
  const Subscriber s = world.add(2);
  for (unsigned id = 0; id < 1000; ++id) {
    world.receive(kAccess, fragments(from_peer(s, id, ppp("0021", data(s, id, 1000))), 512, id)[0]);
    if (id % 32 == 31) world.run();
  }
  world.run();
  CHECK(rte_mempool_in_use_count(world.pool()) <= 64);
  world.advance(1'001 * kMs);
  world.run();
  CHECK(world.drops().at("outer_fragment") == 1000);
  for (const Octets& piece : fragments(from_peer(s, 0, ppp("0021", data(s, 7, 1000))), 512, 5))
    world.receive(kAccess, piece);
  world.run();
  CHECK(arrived(world) == Ids{7});
}

TEST_CASE("fragments: of more octets than any packet of ours", "[pipeline][conformance-34]") {
  World world(kReassembling);
  const Subscriber s = world.add(2);
  const auto pieces = fragments(from_peer(s, 0, ppp("0021", data(s, 0, 5'000))), 1400, 1);
  for (const Octets& piece : pieces) world.receive(kAccess, piece);
  world.run();
  CHECK(world.sent(kCore).empty());
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"no_buffer", 1}});
}

// ---- The peer's window

namespace {

const WorldOptions kWindowed = {.send_window = {.adaptive = true}};

Octets downstream(const Subscriber& s, unsigned id) {
  return from_core(ip({.source = kServer, .destination = s.address, .id = id}, pattern(20)));
}

// The sequence numbers of the payload packets that went to the peer.
std::vector<std::uint32_t> left(World& world) {
  std::vector<std::uint32_t> out;
  for (const Octets& frame : world.sent(kAccess))
    if ((std::to_integer<unsigned>(frame[34]) & 0x10) != 0) out.push_back(get32(frame, 42));
  return out;
}

void acknowledge(World& world, const Subscriber& s, std::uint32_t ack) {
  world.receive(kAccess, from_peer(s, std::nullopt, {}, ack));
  world.run();
}

}  // namespace

TEST_CASE("window: no more leaves than half the peer's window until it acknowledges",
          "[pipeline][rfc2637-4.2]") {
  World world(kWindowed);
  const Subscriber s = world.add(2);
  world.record(s).peer_window = 8;
  for (unsigned id = 0; id < 12; ++id) world.receive(kCore, downstream(s, id));
  world.run();
  CHECK(left(world) == std::vector<std::uint32_t>{0, 1, 2, 3});
  acknowledge(world, s, 1);
  CHECK(left(world) == std::vector<std::uint32_t>{4, 5});
  // A whole window acknowledged without loss opens it by one.
  acknowledge(world, s, 5);
  CHECK(left(world) == std::vector<std::uint32_t>{6, 7, 8, 9, 10});
  acknowledge(world, s, 10);
  CHECK(left(world) == std::vector<std::uint32_t>{11});
  CHECK(world.record(s).downstream.send_queue == 0);
  CHECK(world.drops().empty());
}

TEST_CASE("window: a peer that never acknowledges is slowed down, not cut off",
          "[pipeline][rfc2637-4.4][conformance-33]") {
  World world(kWindowed);
  const Subscriber s = world.add(2);
  world.record(s).peer_window = 16;
  for (unsigned id = 0; id < 20; ++id) world.receive(kCore, downstream(s, id));
  world.run();
  CHECK(left(world).size() == 8);
  world.advance(499 * kMs);
  world.run();
  CHECK(left(world).empty());
  world.advance(2 * kMs);
  world.run();
  CHECK(left(world).size() == 4);  // half the window
  world.advance(999 * kMs);
  world.run();
  CHECK(left(world).empty());
  world.advance(2 * kMs);
  world.run();
  CHECK(left(world).size() == 2);  // again, after twice the time
  for (int i = 0; i < 10; ++i) {
    world.advance(3'001 * kMs);
    world.run();
  }
  CHECK(left(world).size() == 6);  // one at a time
  const auto counted = world.counted();
  CHECK(counted.at("window_waits") == 12);
  CHECK(counted.at("window_timeouts") >= 8);
  CHECK(world.record(s).downstream.send_queue == 0);
}

TEST_CASE("window: the time-out follows the round trip", "[pipeline][rfc2637-4.4]") {
  World world(kWindowed);
  const Subscriber s = world.add(2);
  world.record(s).peer_window = 4;
  for (std::uint32_t sequence = 0; sequence < 40; ++sequence) {
    world.receive(kCore, downstream(s, sequence));
    world.run();
    world.advance(30 * kMs);
    acknowledge(world, s, sequence);
  }
  const auto& window = world.record(s).send_window;
  CHECK(window.round_trip_ns > 25 * kMs);
  CHECK(window.round_trip_ns < 31 * kMs);
  CHECK(window.timeout_ns < 100 * kMs);
  CHECK(world.record(s).downstream.send_window == 4);
  (void)left(world);
}

TEST_CASE("window: acknowledgements of what was never sent change nothing",
          "[pipeline][conformance-33]") {
  World world(kWindowed);
  const Subscriber s = world.add(2);
  world.record(s).peer_window = 4;
  for (unsigned id = 0; id < 6; ++id) world.receive(kCore, downstream(s, id));
  world.run();
  CHECK(left(world).size() == 2);
  for (const std::uint32_t ack : {2U, 1000U, 0x7fffffffU, 0xffffffffU}) {
    acknowledge(world, s, ack);
    CHECK(left(world).empty());
  }
  acknowledge(world, s, 1);
  acknowledge(world, s, 4);
  CHECK(left(world) == std::vector<std::uint32_t>{2, 3, 4, 5});
}

TEST_CASE("window: no more packets wait than may; what is over is dropped and counted",
          "[pipeline][rfc2637-4.2]") {
  World world(kWindowed);
  const Subscriber s = world.add(2);
  world.record(s).peer_window = 2;
  for (unsigned id = 0; id < 70; ++id) {
    world.receive(kCore, downstream(s, id));
    world.run();
  }
  CHECK(left(world).size() == 1);
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"window_full", 5}});
  const auto token = world.table().unlink(s.slot());
  world.run();
  REQUIRE(world.table().quiescent(token));
  world.table().release(s.slot());
  world.advance(600 * kMs);
  world.run();
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"no_session", 64}});
}

TEST_CASE("window: an acknowledgement that another worker received opens it at once",
          "[pipeline][handover][rfc2637-4.2]") {
  World world({.workers = 2, .send_window = {.adaptive = true}});
  const Subscriber s = world.add(3);  // the second worker's
  world.record(s).peer_window = 8;
  for (unsigned id = 0; id < 6; ++id) world.receive(kCore, downstream(s, id), 1);
  world.run();
  CHECK(left(world) == std::vector<std::uint32_t>{0, 1, 2, 3});
  world.receive(kAccess, from_peer(s, std::nullopt, {}, 1), 0);
  world.run();
  CHECK(left(world) == std::vector<std::uint32_t>{4, 5});
}

TEST_CASE("window: by default it is not minded", "[pipeline][conformance-33]") {
  World world;
  const Subscriber s = world.add(2);
  world.record(s).peer_window = 1;
  for (unsigned id = 0; id < 64; ++id) world.receive(kCore, downstream(s, id));
  world.run();
  CHECK(left(world).size() == 64);
}

TEST_CASE("reassembly: a table that finds no memory is no silence", "[pipeline]") {
  dataplane::Reassembly none({.packets = 0});
  CHECK_FALSE(none.failed());
  CHECK_FALSE(none.enabled());
  dataplane::Reassembly some({.packets = 16});
  CHECK_FALSE(some.failed());
  CHECK(some.enabled());
  dataplane::Reassembly too_many({.packets = 1U << 28});
  CHECK(too_many.failed());
  CHECK_FALSE(too_many.enabled());
}
