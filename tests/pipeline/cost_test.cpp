// SPDX-License-Identifier: BSD-3-Clause
//
// Cycles per packet of the whole path between ring ports, for a look while working on a stage; not
// a benchmark of record (no huge pages, caches warm, rings for wires). Hidden: pipeline_test
// "[cost]".
#include <rte_cycles.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <functional>

#include "pns/mppe/mppe.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;

namespace {

constexpr unsigned kSessions = 200;
constexpr unsigned kRounds = 400;

// Minimum and median cycles per packet of polls that carry 32 packets each.
void measure(const char* name, World& world, contract::PortRole port,
             const std::function<Octets(unsigned session, unsigned round)>& make,
             const std::vector<Subscriber>& subscribers) {
  std::vector<double> samples;
  unsigned next = 0;
  std::vector<unsigned> rounds(subscribers.size(), 0);
  for (unsigned round = 0; round < kRounds; ++round) {
    for (unsigned n = 0; n < 32; ++n) {
      const auto session = static_cast<unsigned>(next++ % subscribers.size());
      world.receive(port, make(session, rounds[session]++));
    }
    const std::uint64_t before = rte_rdtsc();
    const auto result = world.worker().poll_once(Tsc{before}, world.now_ns());
    const std::uint64_t after = rte_rdtsc();
    REQUIRE(result.packets == 32);
    samples.push_back(static_cast<double>(after - before) / 32);
    (void)world.sent(kAccess);
    (void)world.sent(kCore);
    world.advance(1'000);
  }
  std::ranges::sort(samples);
  std::printf("%-28s min %7.0f  median %7.0f cycles/packet\n", name, samples.front(),
              samples[samples.size() / 2]);
}

}  // namespace

TEST_CASE("cost: the path both ways", "[.][cost]") {
  for (const bool mppe : {false, true})
    for (const std::size_t size : {64U, 512U, 1350U}) {
      World world({.twins = false, .max_sessions = 256});
      std::vector<Subscriber> subscribers;
      std::vector<mppe::DirectionState> senders;
      std::array<std::byte, 16> key;
      for (std::size_t i = 0; i < 16; ++i) key[i] = static_cast<std::byte>(0x80 + i);
      for (unsigned n = 0; n < kSessions; ++n) {
        subscribers.push_back(world.add(n + 2));
        world.open_ipv6(subscribers.back());
        if (!mppe) continue;
        world.arm(subscribers.back());
        mppe::init(senders.emplace_back(), key, 128, mppe::Mode::kStateless);
      }
      const auto wrap = [&](unsigned session, unsigned number, unsigned protocol, Bytes inner) {
        const Subscriber& s = subscribers[session];
        if (!mppe) return from_peer(s, number, ppp(protocol == 0x57 ? "0057" : "0021", inner));
        Octets frame(inner.size() + 4);
        put16(frame, 2, protocol);
        std::copy(inner.begin(), inner.end(), frame.begin() + 4);
        REQUIRE(mppe::seal(senders[session], frame));
        return from_peer(s, number, ppp("00fd", frame));
      };
      const auto up = [&](unsigned session, unsigned round) {
        const Subscriber& s = subscribers[session];
        return wrap(session, round, 0x21,
                    ip({.source = s.address, .destination = kServer}, pattern(size - 20)));
      };
      const unsigned rounds_up = (kRounds * 32 + kSessions - 1) / kSessions;
      const auto up6 = [&](unsigned session, unsigned round) {
        const Subscriber& s = subscribers[session];
        return wrap(session, rounds_up + round, 0x57,
                    ip6({.source = s.address6, .destination = kServer6}, pattern(size - 40)));
      };
      const auto down6 = [&](unsigned session, unsigned) {
        return from_core6(ip6({.source = kServer6, .destination = subscribers[session].address6},
                              pattern(size - 40)));
      };
      const auto down = [&](unsigned session, unsigned) {
        return from_core(ip({.source = kServer, .destination = subscribers[session].address},
                            pattern(size - 20)));
      };
      const std::string label = std::string(mppe ? "mppe" : "clear") + " " + std::to_string(size);
      measure(("upstream " + label).c_str(), world, kAccess, up, subscribers);
      measure(("downstream " + label).c_str(), world, kCore, down, subscribers);
      measure(("upstream ipv6 " + label).c_str(), world, kAccess, up6, subscribers);
      measure(("downstream ipv6 " + label).c_str(), world, kCore, down6, subscribers);
    }
}
