// SPDX-License-Identifier: BSD-3-Clause
//
// The hash of drivers without a NIC, against that which is published; the rules by GRE
// key as octets; and our hash against DPDK's. No driver here takes the rules.
#include "dataplane/port/steering.hpp"

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_thash.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <set>

#include "dataplane/packet/packet_context.hpp"
#include "dataplane/port/port.hpp"
#include "pns/base/toeplitz.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::dataplane;
using contract::PortRole;
using contract::PortSteering;
using contract::SteeringWay;

namespace {

rte_mempool* pool() {
  static rte_mempool* const the = rte_pktmbuf_pool_create("steering", 8191, 0, kMbufPrivateSize,
                                                          RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  REQUIRE(the != nullptr);
  return the;
}

config::Config config_of(const std::string& device, std::uint16_t workers) {
  config::Config config;
  config.dataplane.cores.workers.clear();
  for (std::uint16_t i = 0; i < workers; ++i)
    config.dataplane.cores.workers.push_back(static_cast<std::uint16_t>(i + 1));
  config.ports.access.device = {config::DeviceKind::kVdev, device, ""};
  config.ports.core.device = {config::DeviceKind::kVdev, device, ""};
  return config;
}

RssState sound_state() {
  RssState state;
  state.asked = state.active = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4;
  for (std::uint8_t i = 0; i < 52; ++i) state.key.push_back(static_cast<std::uint8_t>(i + 1));
  for (std::uint16_t i = 0; i < 512; ++i) state.reta.push_back(i % 4);
  return state;
}

template <class T>
std::string octets_of(const T& value) {
  return test::hex(std::as_bytes(std::span(&value, 1)));
}

}  // namespace

TEST_CASE("steering: our hash is DPDK's", "[dataplane][steering]") {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    alignas(4) std::array<std::uint8_t, 40> key;
    alignas(4) std::array<std::uint8_t, 40> converted;
    for (auto& octet : key) octet = static_cast<std::uint8_t>(random());
    rte_convert_rss_key(reinterpret_cast<const std::uint32_t*>(key.data()),
                        reinterpret_cast<std::uint32_t*>(converted.data()), key.size());
    std::array<std::uint32_t, 2> tuple = {static_cast<std::uint32_t>(random()),
                                          static_cast<std::uint32_t>(random())};
    std::array<std::uint8_t, 8> wire;
    for (std::size_t i = 0; i < wire.size(); ++i)
      wire[i] = static_cast<std::uint8_t>(tuple[i / 4] >> (24 - 8 * (i % 4)));
    const auto ours = toeplitz(key, wire);
    REQUIRE(ours == rte_softrss(tuple.data(), tuple.size(), key.data()));
    REQUIRE(ours == rte_softrss_be(tuple.data(), tuple.size(), converted.data()));
    REQUIRE(toeplitz(key, std::span(wire).last(4)) == rte_softrss(&tuple[1], 1, key.data()));
  }
}

TEST_CASE("steering: a port publishes what its driver says", "[dataplane][steering]") {
  constexpr std::uint16_t kWorkers = 4;
  auto port = open_port(PortRole::kAccess, config_of("net_null0", kWorkers), {}, pool());
  REQUIRE(port);
  CHECK(port->rx_queues.size() == kWorkers);
  // The driver has a RETA that nobody filled in and no flow rules.
  CHECK(port->steering == PortSteering());
  CHECK(port->no_key_rules.starts_with("validate: "));

  const std::uint16_t id = port->ethdev_id;
  rte_eth_dev_info info{};
  REQUIRE(rte_eth_dev_info_get(id, &info) == 0);
  REQUIRE(info.reta_size >= 128);
  std::mt19937 random(2);
  std::vector<rte_eth_rss_reta_entry64> groups(info.reta_size / RTE_ETH_RETA_GROUP_SIZE);
  for (auto& group : groups) {
    group.mask = UINT64_MAX;
    for (auto& queue : group.reta) queue = static_cast<std::uint16_t>(random() % kWorkers);
  }
  REQUIRE(rte_eth_dev_rss_reta_update(id, groups.data(), info.reta_size) == 0);
  std::array<std::uint8_t, 40> key;
  for (auto& octet : key) octet = static_cast<std::uint8_t>(random());
  rte_eth_rss_conf conf{};
  REQUIRE(rte_eth_dev_rss_hash_conf_get(id, &conf) == 0);
  const std::uint64_t asked = wanted_rss(PortRole::kAccess, info.flow_type_rss_offloads, {});
  CHECK(conf.rss_hf == asked);
  conf.rss_key = key.data();
  conf.rss_key_len = key.size();
  REQUIRE(rte_eth_dev_rss_hash_update(id, &conf) == 0);

  const RssState state = read_rss(id, asked);
  CHECK(state.active == asked);
  REQUIRE(state.key.size() >= key.size());
  CHECK(std::equal(key.begin(), key.end(), state.key.begin()));
  REQUIRE(state.reta.size() == info.reta_size);
  for (std::size_t i = 0; i < state.reta.size(); ++i)
    CHECK(state.reta[i] == groups[i / 64].reta[i % 64]);
  const PortSteering published = plan_rss(state, kWorkers);
  CHECK(published.way == SteeringWay::kRss);
  CHECK(published.hashed == contract::HashedAddresses::kBoth);
  CHECK(contract::checked(published, kWorkers) == published);
  // The published plan leads where a NIC with these numbers would.
  std::set<std::uint16_t> seen;
  for (int round = 0; round < 1000; ++round) {
    std::array<std::uint32_t, 2> tuple = {static_cast<std::uint32_t>(random()),
                                          static_cast<std::uint32_t>(random())};
    const auto hash = rte_softrss(tuple.data(), tuple.size(), key.data());
    const std::uint16_t queue = groups[hash % info.reta_size / 64].reta[hash % 64];
    REQUIRE(contract::predict(published, Ipv4Address(tuple[0]), Ipv4Address(tuple[1])) ==
            WorkerId(queue));
    seen.insert(queue);
  }
  CHECK(seen.size() == kWorkers);
  close_port(*port);
}

TEST_CASE("steering: one queue, or a driver that says nothing, leaves all to the hand-over",
          "[dataplane][steering]") {
  const auto check = [](const std::string& device, std::uint16_t workers, PortRole role) {
    auto port = open_port(role, config_of(device, workers), {}, pool());
    REQUIRE(port);
    CHECK(port->steering == PortSteering());
    close_port(*port);
  };
  check("net_null1", 1, PortRole::kAccess);
  check("net_null2", 2, PortRole::kCore);  // offers no hash of the destination alone
  check("net_ring0", 2, PortRole::kAccess);
}

TEST_CASE("steering: only a hash of which all is known is published", "[dataplane][steering]") {
  RssState state = sound_state();
  const PortSteering good = plan_rss(state, 4);
  CHECK(good.way == SteeringWay::kRss);
  CHECK(good.reta_size == 512);
  CHECK(good.reta[511] == 3);
  CHECK(good.key[0] == 1);
  CHECK(good.key[11] == 12);
  SECTION("destination alone, as asked") {
    state.asked = state.active |= RTE_ETH_RSS_L3_DST_ONLY;
    CHECK(plan_rss(state, 4).hashed == contract::HashedAddresses::kDestination);
    return;
  }
  SECTION("IPv4 other than TCP, UDP and SCTP is enough") {
    state.asked = state.active = RTE_ETH_RSS_NONFRAG_IPV4_OTHER;
    CHECK(plan_rss(state, 4) == good);
    return;
  }
  SECTION("the largest table") {
    state.reta.resize(2048, 1);
    CHECK(plan_rss(state, 4).reta_size == 2048);
    return;
  }
  SECTION("asked for the destination alone, and the driver does not say that it does") {
    state.asked |= RTE_ETH_RSS_L3_DST_ONLY;
  }
  SECTION("the driver does what nobody asked for") { state.active |= RTE_ETH_RSS_L3_SRC_ONLY; }
  SECTION("no hash of GRE") { state.active = RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_IPV6; }
  SECTION("no hash") { state.active = 0; }
  SECTION("no key") { state.key.clear(); }
  SECTION("a key of ten octets") { state.key.resize(10); }
  SECTION("a key of zeros") { std::ranges::fill(state.key, 0); }
  SECTION("no table") { state.reta.clear(); }
  SECTION("a table that leads to one queue") { std::ranges::fill(state.reta, 2); }
  SECTION("a table beyond all tables") { state.reta.resize(4096, 1); }
  CHECK(plan_rss(state, 4) == PortSteering());
}

TEST_CASE("steering: the core port is asked for the destination alone where it can",
          "[dataplane][steering]") {
  using config::Steering;
  const std::uint64_t all = RTE_ETH_RSS_PROTO_MASK | RTE_ETH_RSS_L3_DST_ONLY;
  const std::uint64_t plain = wanted_rss(PortRole::kAccess, all, Steering::kAuto);
  CHECK((plain & RTE_ETH_RSS_IPV4) != 0);
  CHECK((plain & (RTE_ETH_RSS_L3_DST_ONLY | RTE_ETH_RSS_TCP)) == 0);
  CHECK(wanted_rss(PortRole::kCore, all, Steering::kAuto) == (plain | RTE_ETH_RSS_L3_DST_ONLY));
  const std::uint64_t transport = (RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP) &
                                  ~(RTE_ETH_RSS_IPV6_TCP_EX | RTE_ETH_RSS_IPV6_UDP_EX);
  CHECK(wanted_rss(PortRole::kCore, all, Steering::kNone) == (plain | transport));
  CHECK(wanted_rss(PortRole::kCore, RTE_ETH_RSS_PROTO_MASK, Steering::kAuto) ==
        (plain | transport));
  CHECK(wanted_rss(PortRole::kCore, 0, Steering::kAuto) == 0);
}

TEST_CASE("steering: with the offers of the usual drivers, TCP from the core is spread",
          "[dataplane][steering]") {
  using config::Steering;
  constexpr std::uint64_t kV4 = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP;
  constexpr std::uint64_t kV6 = RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP;
  constexpr std::uint64_t kSctp = RTE_ETH_RSS_NONFRAG_IPV4_SCTP | RTE_ETH_RSS_NONFRAG_IPV6_SCTP;
  constexpr std::uint64_t kOther = RTE_ETH_RSS_NONFRAG_IPV4_OTHER | RTE_ETH_RSS_NONFRAG_IPV6_OTHER;
  constexpr std::uint64_t kFragments = RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_FRAG_IPV6;
  constexpr std::uint64_t kAnyIp = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6;
  constexpr std::uint64_t kExtended =
      RTE_ETH_RSS_IPV6_EX | RTE_ETH_RSS_IPV6_TCP_EX | RTE_ETH_RSS_IPV6_UDP_EX;
  constexpr std::uint64_t kOneEnd = RTE_ETH_RSS_L3_SRC_ONLY | RTE_ETH_RSS_L3_DST_ONLY |
                                    RTE_ETH_RSS_L4_SRC_ONLY | RTE_ETH_RSS_L4_DST_ONLY;
  // flow_type_rss_offloads of DPDK 22.11.
  struct Driver {
    const char* name;
    std::uint64_t offered;
    bool access_spread;  // GRE, which has no ports
    std::uint64_t core;
  };
  const Driver drivers[] = {
      {"ixgbe", kAnyIp | kV4 | kV6 | kExtended, true, kAnyIp | kV4 | kV6},
      {"i40e", kFragments | kV4 | kV6 | kSctp | kOther | RTE_ETH_RSS_L2_PAYLOAD, true,
       kFragments | kV4 | kV6 | kSctp | kOther},
      {"ice", kAnyIp | kFragments | kV4 | kV6 | kSctp | kOther | RTE_ETH_RSS_L2_PAYLOAD, true,
       kAnyIp | kFragments | kV4 | kV6 | kSctp | kOther},
      {"iavf", kAnyIp | kFragments | kV4 | kV6 | kSctp | kOther, true,
       kAnyIp | kFragments | kV4 | kV6 | kSctp | kOther},
      {"mlx5", kAnyIp | kFragments | kOther | kV4 | kV6 | kExtended | kOneEnd | RTE_ETH_RSS_ESP,
       true, kAnyIp | kFragments | kOther | RTE_ETH_RSS_L3_DST_ONLY},
      {"ena", kV4 | kV6, false, kV4 | kV6},
      {"virtio", kAnyIp | kV4 | kV6 | kExtended, true, kAnyIp | kV4 | kV6},
      {"bnxt", kAnyIp | kV4 | kV6 | RTE_ETH_RSS_LEVEL_MASK, true, kAnyIp | kV4 | kV6},
  };
  for (const Driver& driver : drivers) {
    CAPTURE(driver.name);
    const auto access = wanted_rss(PortRole::kAccess, driver.offered, Steering::kAuto);
    CHECK((access & ~driver.offered) == 0);
    CHECK((access != 0) == driver.access_spread);
    CHECK(wanted_rss(PortRole::kCore, driver.offered, Steering::kAuto) == driver.core);
  }
}

TEST_CASE("steering: the rules by GRE key send each bucket to its owner, and are few",
          "[dataplane][steering]") {
  for (const std::uint16_t workers :
       std::initializer_list<std::uint16_t>{1, 2, 3, 4, 8, 12, 63, 64}) {
    CAPTURE(workers);
    const Buckets buckets = assign_buckets(workers);
    const auto rules = key_rules(buckets);
    CHECK(rules.size() == (std::has_single_bit(workers) ? workers : 256U));
    for (std::uint32_t call_id = 0; call_id <= 0xffff; ++call_id) {
      int matches = 0;
      for (const KeyRule& rule : rules) {
        if ((call_id & rule.mask) != rule.value) continue;
        ++matches;
        REQUIRE(rule.queue == buckets[call_id & 0xff]);
      }
      REQUIRE(matches == 1);
      if (rules.size() == 256 && call_id > 0x1ff) break;
    }
  }
}

TEST_CASE("steering: a rule by GRE key, octet for octet", "[dataplane][steering]") {
  const FlowRule rule({.value = 0xa5, .mask = 0xff, .queue = 3});
  CHECK(rule.attributes.ingress == 1);
  CHECK(rule.attributes.egress == 0);
  CHECK(rule.attributes.group == 0);
  REQUIRE(rule.pattern[0].type == RTE_FLOW_ITEM_TYPE_ETH);
  CHECK(rule.pattern[0].spec == nullptr);
  REQUIRE(rule.pattern[1].type == RTE_FLOW_ITEM_TYPE_IPV4);
  // No fragment: More Fragments and the offset are 0, nothing else is looked at.
  CHECK(octets_of(*static_cast<const rte_flow_item_ipv4*>(rule.pattern[1].spec)) ==
        std::string(40, '0'));
  CHECK(octets_of(*static_cast<const rte_flow_item_ipv4*>(rule.pattern[1].mask)) ==
        "0000000000003fff" + std::string(24, '0'));
  REQUIRE(rule.pattern[2].type == RTE_FLOW_ITEM_TYPE_GRE);
  // K, protocol 0x880B; the S and A bits and the version are left open.
  CHECK(octets_of(*static_cast<const rte_flow_item_gre*>(rule.pattern[2].spec)) == "2000880b");
  CHECK(octets_of(*static_cast<const rte_flow_item_gre*>(rule.pattern[2].mask)) == "2000ffff");
  REQUIRE(rule.pattern[3].type == RTE_FLOW_ITEM_TYPE_GRE_KEY);
  // Payload Length in the upper half, Call ID in the lower.
  CHECK(octets_of(*static_cast<const rte_be32_t*>(rule.pattern[3].spec)) == "000000a5");
  CHECK(octets_of(*static_cast<const rte_be32_t*>(rule.pattern[3].mask)) == "000000ff");
  CHECK(rule.pattern[3].last == nullptr);
  CHECK(rule.pattern[4].type == RTE_FLOW_ITEM_TYPE_END);
  REQUIRE(rule.actions[0].type == RTE_FLOW_ACTION_TYPE_QUEUE);
  CHECK(static_cast<const rte_flow_action_queue*>(rule.actions[0].conf)->index == 3);
  CHECK(rule.actions[1].type == RTE_FLOW_ACTION_TYPE_END);
}
