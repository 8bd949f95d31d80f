// SPDX-License-Identifier: BSD-3-Clause
//
// More than one worker, sessions that end while packets are under way, and a dataplane that starts
// again over the sessions of the one before.
#include <catch2/catch.hpp>

#include "pns/mppe/mppe.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using Counts = std::map<std::string, std::uint64_t>;

namespace {

Octets up(const Subscriber& s, std::string_view destination = kServer) {
  return ppp("0021", ip({.source = s.address, .destination = destination}, pattern(20)));
}
Octets down(const Subscriber& s) {
  return from_core(ip({.source = kServer, .destination = s.address}, pattern(20)));
}

}  // namespace

TEST_CASE("workers: packets reach their owner from any queue, in order", "[pipeline][handover]") {
  World world({.workers = 2});
  const Subscriber even = world.add(2);
  const Subscriber odd = world.add(3);
  (void)world.counted();
  std::uint32_t sequence = 0;
  for (unsigned n = 0; n < 20; ++n) {
    for (const Subscriber* s : {&even, &odd}) {
      world.receive(kAccess, from_peer(*s, sequence, up(*s)), 0);
      world.receive(kCore, down(*s), 1);
    }
    ++sequence;
  }
  world.run();
  CHECK(world.sent(kCore).size() == 40);
  std::map<unsigned, std::uint32_t> next;
  for (const Octets& frame : world.sent(kAccess)) {
    if ((get16(frame, 34) & 0x1000) == 0) continue;
    CHECK(get32(frame, 42) == next[get16(frame, 40)]++);
  }
  CHECK(next == std::map<unsigned, std::uint32_t>{{even.peer_call(), 20}, {odd.peer_call(), 20}});
  const auto counted = world.counted();
  CHECK(counted.at("handed_out") == 40);
  CHECK(counted.at("handed_in") == 40);
  CHECK(counted.at("upstream_packets") == 40);
  CHECK(counted.at("downstream_packets") == 40);
}

TEST_CASE("workers: subscribers of different owners reach each other", "[pipeline][handover]") {
  World world({.workers = 2});
  const Subscriber a = world.add(2);
  const Subscriber b = world.add(3);
  (void)world.counted();
  world.receive(kAccess, from_peer(a, 0, up(a, b.address)), 0);
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(get16(out[0], 40) == b.peer_call());
  CHECK(world.counted().at("handed_out") == 1);
}

TEST_CASE("workers: a session that ends while a packet waits in a ring", "[pipeline][handover]") {
  World world({.workers = 2});
  const Subscriber s = world.add(3);
  (void)world.counted();
  world.receive(kAccess, from_peer(s, 0, up(s)), 0);
  world.receive(kCore, down(s), 0);
  world.worker(0).poll_once(Tsc{1}, world.now_ns());
  CHECK(world.worker(1).has_pending());
  const std::uint64_t token = world.table().unlink(s.slot());
  CHECK_FALSE(world.table().quiescent(token));
  world.run();
  CHECK(world.table().quiescent(token));
  world.table().release(s.slot());
  CHECK(world.drops() == Counts{{"gre_unknown_call", 1}, {"no_session", 1}});
  CHECK_FALSE(world.worker(1).has_pending());
}

TEST_CASE("workers: a full burst is followed by what was taken ahead of it", "[pipeline]") {
  World world;
  const Subscriber s = world.add(3);
  constexpr unsigned kFrames = dataplane::Burst::kReceive + 8;
  for (unsigned n = 0; n < kFrames; ++n) world.receive(kCore, down(s));
  world.worker().poll_once(Tsc{1}, world.now_ns());
  CHECK(world.sent(kAccess).size() == dataplane::Burst::kReceive);
  CHECK(world.worker().has_pending());  // it must not sleep now
  world.worker().poll_once(Tsc{2}, world.now_ns());
  CHECK(world.sent(kAccess).size() == 8);
  CHECK_FALSE(world.worker().has_pending());
}

TEST_CASE("workers: packets that were taken ahead go back to the pool with the worker",
          "[pipeline]") {
  World world;
  const Subscriber s = world.add(3);
  const unsigned before = rte_mempool_in_use_count(world.pool());
  for (unsigned n = 0; n < 2 * dataplane::Burst::kReceive; ++n) world.receive(kCore, down(s));
  world.worker().poll_once(Tsc{1}, world.now_ns());
  CHECK(world.sent(kAccess).size() == dataplane::Burst::kReceive);
  CHECK(world.worker().has_pending());
  world.restart(1);
  CHECK(rte_mempool_in_use_count(world.pool()) == before);
}

TEST_CASE("workers: a sleeping worker does not hold up a removal", "[pipeline]") {
  World world({.workers = 2});
  const Subscriber s = world.add(3);
  world.worker(1).before_sleep();
  const std::uint64_t token = world.table().unlink(s.slot());
  world.worker(0).poll_once(Tsc{1}, world.now_ns());
  CHECK(world.table().quiescent(token));
  world.worker(1).after_sleep();
  world.table().release(s.slot());
}

TEST_CASE("workers: commands for a session that is another by now do nothing", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2, false);
  Subscriber old = s;
  ++old.generation;
  WorkerCommand::Body body;
  body.open_ipv4 = {};
  body.open_ipv4.subscriber = Ipv4Address(1);
  world.command(old, WorkerCommandType::kOpenIpv4, body);
  world.arm(old);
  CHECK(world.record(s).subscriber.is_unspecified());
  CHECK(world.record(s).upstream.mppe.mode == mppe::Mode::kOff);
  world.arm(s, true, 64);  // no such strength
  CHECK(world.record(s).upstream.mppe.mode == mppe::Mode::kOff);
}

TEST_CASE("workers: keys do not stay behind in a command's buffer", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  world.arm(s);
  std::vector<rte_mbuf*> all;
  while (rte_mbuf* packet = rte_pktmbuf_alloc(world.pool())) all.push_back(packet);
  const Octets key = octets("101112131415161718191a1b1c1d1e1f");
  bool found = false;
  for (rte_mbuf* packet : all) {
    const Bytes area(static_cast<const std::byte*>(rte_mbuf_to_priv(packet)),
                     dataplane::kMbufPrivateSize);
    found |= std::search(area.begin(), area.end(), key.begin(), key.end()) != area.end();
    rte_pktmbuf_free(packet);
  }
  CHECK_FALSE(found);
}

TEST_CASE("restart: sessions, numbers, keys and debts go on", "[pipeline][restart]") {
  World world({.workers = 2});
  const Subscriber clear = world.add(2);
  const Subscriber secret = world.add(3, true, true);
  world.arm(secret);
  ArmedPeer peer;
  const auto sealed = [&] {
    return peer.seal(concat(
        {octets("0021"), ip({.source = secret.address, .destination = kServer}, pattern(20))}));
  };

  std::uint32_t sequence = 0;
  std::uint32_t next = 0;
  for (const std::uint16_t workers : std::initializer_list<std::uint16_t>{2, 1, 2}) {
    CAPTURE(workers);
    for (unsigned n = 0; n < 10; ++n) {
      world.receive(kAccess, from_peer(clear, sequence, up(clear)));
      world.receive(kAccess, from_peer(secret, sequence, sealed()));
      ++sequence;
      world.receive(kCore, down(clear));
      world.receive(kCore, down(secret));
      world.run();
      CHECK(world.sent(kCore).size() == 2);
      for (const Octets& frame : world.sent(kAccess)) {
        CHECK(get32(frame, 42) == next);
        if (get16(frame, 40) == secret.peer_call()) CHECK(peer.open(frame).starts_with("0021"));
      }
      ++next;
    }
    world.receive(kAccess, from_peer(clear, sequence, up(clear)));
    world.receive(kAccess, from_peer(secret, sequence, sealed()));
    ++sequence;
    world.run();
    CHECK(world.sent(kCore).size() == 2);
    // Killed while acknowledgements are owed: the next process pays.
    world.restart(workers);
    world.run();
    world.advance(100'000'000);
    world.run();
    const auto acks = world.sent(kAccess);
    REQUIRE(acks.size() == 2);
    for (const Octets& frame : acks) CHECK(get32(frame, 42) == sequence - 1);
    // A duplicate from before is still one.
    (void)world.counted();
    world.receive(kAccess, from_peer(clear, sequence - 1, up(clear)));
    world.run();
    CHECK(world.drops() == Counts{{"gre_duplicate", 1}});
  }
}
