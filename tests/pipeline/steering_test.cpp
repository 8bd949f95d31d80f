// SPDX-License-Identifier: BSD-3-Clause
//
// Workers behind a NIC that chooses queues by a hash of addresses, and sessions that the control
// process's own functions chose Call IDs and addresses for. The NIC's hash is DPDK's, the
// prediction ours.
#include <rte_thash.h>

#include <catch2/catch.hpp>
#include <numeric>
#include <random>

#include "controlplane/pools/address_pool.hpp"
#include "controlplane/pptp/call_id_allocator.hpp"
#include "controlplane/subscriber/steering.hpp"
#include "tests/pipeline/world.hpp"
#include "tests/support/fake_random.hpp"

using namespace pns;
using namespace pns::test;

namespace {

constexpr unsigned kSubscribers = 200;
constexpr unsigned kPackets = 4;  // of each, in each direction

// The state of a NIC: a key, and a table with queues in no order.
struct Nic {
  Nic(std::uint16_t queues, std::uint32_t seed) {
    std::mt19937 random(seed);
    for (auto& octet : key) octet = static_cast<std::uint8_t>(random());
    for (std::size_t i = 0; i < reta.size(); ++i) reta[i] = static_cast<std::uint16_t>(i % queues);
    std::shuffle(reta.begin(), reta.end(), random);
  }
  [[nodiscard]] unsigned queue(std::vector<std::uint32_t> tuple) const {
    const auto size = static_cast<std::uint32_t>(tuple.size());
    return reta[rte_softrss(tuple.data(), size, key.data()) % reta.size()];
  }
  [[nodiscard]] contract::PortSteering published(contract::HashedAddresses hashed) const {
    contract::PortSteering out;
    out.way = contract::SteeringWay::kRss;
    out.hashed = hashed;
    out.reta_size = static_cast<std::uint16_t>(reta.size());
    std::copy_n(key.begin(), out.key.size(), out.key.begin());
    std::copy(reta.begin(), reta.end(), out.reta.begin());
    return out;
  }
  alignas(4) std::array<std::uint8_t, 40> key;
  std::array<std::uint16_t, 128> reta;
};

enum class Chosen { kByPrediction, kByBalance, kBlindly };

struct Outcome {
  std::uint64_t received[2];
  std::uint64_t handed[2];
  std::vector<std::uint32_t> sessions;  // by worker
};

Outcome run(std::uint16_t workers, Chosen chosen) {
  const Nic access(workers, 1);
  const Nic core(workers, 2);
  World world({.workers = workers, .max_sessions = kSubscribers + 8});
  auto& header = world.header();
  if (chosen == Chosen::kByPrediction) {
    header.port_steering[0] = access.published(contract::HashedAddresses::kBoth);
    header.port_steering[1] = core.published(contract::HashedAddresses::kDestination);
  }
  subscriber::Steering steering;
  steering.read(header);
  REQUIRE(steering.workers() == workers);
  pptp::CallIdAllocator call_ids;
  FakeRandom random(workers);
  // Twice as many addresses as subscribers, so that there is a choice to the last.
  pools::AddressPool pool({"p",
                           {{Ipv4Address(address("10.64.0.0")),
                             Ipv4Address(address("10.64.0.0") + 2 * kSubscribers - 1)}},
                           Ipv4Address()});
  if (const auto bucket = steering.address_bucket()) pool.set_buckets(bucket);

  Outcome out{.received = {}, .handed = {}, .sessions = std::vector<std::uint32_t>(workers)};
  std::vector<Subscriber> subscribers;
  for (unsigned n = 1; n <= kSubscribers; ++n) {
    const Ipv4Address peer(address("203.0.113." + std::to_string(n)));
    const auto choice = steering.choose(out.sessions, Ipv4Address(address(kLocal)), peer);
    const auto id = chosen == Chosen::kBlindly
                        ? call_ids.allocate(random, {})
                        : call_ids.allocate(steering.call_id_buckets(choice.worker), random, {});
    REQUIRE(id);
    const WorkerId owner = steering.owner(*id);
    ++out.sessions[owner.value];
    const auto inner = chosen == Chosen::kBlindly ? pool.allocate()
                                                  : pool.allocate(steering.address_buckets(owner));
    REQUIRE(inner);
    subscribers.push_back(world.add(n, inner->to_string(), id->value));
  }
  (void)world.counted();
  for (unsigned packet = 0; packet < kPackets; ++packet) {
    for (const Subscriber& s : subscribers) {
      const std::uint32_t peer = address(s.peer);
      const std::uint32_t inner = address(s.address);
      world.receive(kAccess,
                    from_peer(s, packet,
                              ppp("0021", test::ip({.source = s.address, .destination = kServer},
                                                   pattern(20)))),
                    access.queue({peer, address(kLocal)}));
      world.receive(kCore,
                    from_core(test::ip({.source = kServer, .destination = s.address}, pattern(20))),
                    core.queue({inner}));
    }
    world.run();
    CHECK(world.sent(kCore).size() == subscribers.size());
    CHECK(world.sent(kAccess).size() >= subscribers.size());
  }
  auto counted = world.counted();
  CHECK(counted["upstream_packets"] == kSubscribers * kPackets);
  CHECK(counted["downstream_packets"] == kSubscribers * kPackets);
  CHECK(counted["handed_out"] == counted["access_handed_out"] + counted["core_handed_out"]);
  CHECK(counted["handed_out"] == counted["handed_in"]);
  out.received[0] = counted["access_rx"];
  out.received[1] = counted["core_rx"];
  out.handed[0] = counted["access_handed_out"];
  out.handed[1] = counted["core_handed_out"];
  return out;
}

}  // namespace

TEST_CASE("steering: sessions chosen by the predicted hash are not handed over",
          "[pipeline][handover][steering]") {
  const auto workers = GENERATE(std::uint16_t{2}, std::uint16_t{3}, std::uint16_t{4});
  CAPTURE(workers);
  const Outcome steered = run(workers, Chosen::kByPrediction);
  CHECK(steered.received[0] == kSubscribers * kPackets);
  CHECK(steered.handed[0] == 0);
  CHECK(steered.handed[1] == 0);
  for (const auto sessions : steered.sessions) CHECK(sessions > kSubscribers / workers / 2);
}

TEST_CASE("steering: sessions chosen without are handed over as chance has it",
          "[pipeline][handover][steering]") {
  const auto workers = GENERATE(std::uint16_t{2}, std::uint16_t{4});
  const auto chosen = GENERATE(Chosen::kBlindly, Chosen::kByBalance);
  CAPTURE(workers, static_cast<int>(chosen));
  const Outcome blind = run(workers, chosen);
  for (const int port : {0, 1}) {
    const double share =
        static_cast<double>(blind.handed[port]) / static_cast<double>(blind.received[port]);
    // Four standard deviations of 200 throws.
    CHECK(share == Approx(1.0 - 1.0 / workers).margin(0.14));
  }
}
