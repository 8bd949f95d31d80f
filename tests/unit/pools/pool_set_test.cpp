// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pools/pool_set.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

using namespace pns;
using namespace pns::pools;

namespace {

Ipv4Address ip(std::string_view text) { return Ipv4Address::parse(text).value(); }

std::vector<PoolConfig> two_pools() {
  return {{"default", {{ip("10.0.0.2"), ip("10.0.0.4")}}, ip("10.0.0.1")},
          {"gold", {{ip("10.1.0.2"), ip("10.1.0.9")}}, ip("10.1.0.1")}};
}

}  // namespace

TEST_CASE("pools: a lease names its pool and its gateway", "[pools]") {
  PoolSet pools(two_pools());
  const auto lease = pools.allocate("gold");
  REQUIRE(lease.has_value());
  CHECK(lease->pool == "gold");
  CHECK(lease->gateway == ip("10.1.0.1"));
  CHECK(pools.allocate("silver").error() == PoolError::kUnknownPool);
}

TEST_CASE("pools: an empty pool says so and recovers", "[pools][conformance-66]") {
  PoolSet pools(two_pools());
  std::vector<model::Lease> leases;
  for (int i = 0; i < 3; ++i) leases.push_back(pools.allocate("default").value());
  CHECK(pools.allocate("default").error() == PoolError::kExhausted);
  CHECK(pools.status()[0].in_use == 3);
  pools.release(leases[1]);
  pools.release(leases[1]);
  CHECK(pools.allocate("default")->address == leases[1].address);
  CHECK(pools.allocate("default").error() == PoolError::kExhausted);
}

TEST_CASE("pools: a fixed address inside a pool is taken out of it", "[pools]") {
  PoolSet pools(two_pools());
  const auto fixed = pools.claim(ip("10.1.0.5"), "default");
  REQUIRE(fixed.has_value());
  CHECK(fixed->pool == "gold");
  CHECK(fixed->gateway == ip("10.1.0.1"));
  CHECK(pools.claim(ip("10.1.0.5"), "default").error() == PoolError::kTaken);
  for (int i = 0; i < 7; ++i) CHECK(pools.allocate("gold")->address != ip("10.1.0.5"));
  CHECK(pools.allocate("gold").error() == PoolError::kExhausted);
  pools.release(*fixed);
  CHECK(pools.allocate("gold")->address == ip("10.1.0.5"));
}

TEST_CASE("pools: a fixed address outside every pool is leased once", "[pools]") {
  PoolSet pools(two_pools());
  const auto fixed = pools.claim(ip("192.168.7.7"), "default");
  REQUIRE(fixed.has_value());
  CHECK(fixed->pool.empty());
  CHECK(fixed->gateway == ip("10.0.0.1"));
  CHECK(pools.claim(ip("192.168.7.7"), "gold").error() == PoolError::kTaken);
  pools.release(*fixed);
  CHECK(pools.claim(ip("192.168.7.7"), "gold").has_value());
  CHECK(pools.claim(ip("192.168.7.8"), "silver").error() == PoolError::kUnknownPool);
}

TEST_CASE("pools: gateways and addresses that are nobody's are never leased", "[pools]") {
  PoolSet pools(two_pools());
  for (const char* address :
       {"10.0.0.1", "10.1.0.1", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"})
    CHECK(pools.claim(ip(address), "default").error() == PoolError::kTaken);
}

TEST_CASE("pools: the gateway of one pool inside another is not leased from there", "[pools]") {
  PoolSet pools({{"a", {{ip("10.0.0.2"), ip("10.0.0.3")}}, ip("10.1.0.2")},
                 {"b", {{ip("10.1.0.2"), ip("10.1.0.3")}}, ip("10.1.0.1")}});
  CHECK(pools.allocate("b")->address == ip("10.1.0.3"));
  CHECK(pools.allocate("b").error() == PoolError::kExhausted);
  CHECK(pools.claim(ip("10.1.0.2"), "b").error() == PoolError::kTaken);
}

TEST_CASE("pools: leases of before a restart are taken again", "[pools]") {
  PoolSet pools(two_pools());
  const model::Lease inside{ip("10.0.0.3"), ip("10.0.0.1"), "default"};
  const model::Lease moved{ip("10.1.0.3"), ip("10.9.0.1"), "a pool that is gone"};
  const model::Lease outside{ip("192.168.7.7"), ip("10.0.0.1"), ""};
  for (const auto& lease : {inside, moved, outside}) {
    CHECK(pools.restore(lease));
    CHECK_FALSE(pools.restore(lease));
  }
  CHECK(pools.claim(ip("192.168.7.7"), "default").error() == PoolError::kTaken);
  CHECK(pools.allocate("default")->address != ip("10.0.0.3"));
  CHECK(pools.allocate("default")->address != ip("10.0.0.3"));
  CHECK(pools.allocate("default").error() == PoolError::kExhausted);
  for (const auto& lease : {inside, moved, outside}) pools.release(lease);
  CHECK(pools.status()[0].in_use == 2);
  CHECK(pools.status()[1].in_use == 0);
}

TEST_CASE("pools: pools that overlap or share a name are refused", "[pools]") {
  auto configs = two_pools();
  configs[1].name = "default";
  CHECK_THROWS_AS(PoolSet(configs), std::invalid_argument);
  configs = two_pools();
  configs[1].ranges[0] = {ip("10.0.0.4"), ip("10.0.0.9")};
  CHECK_THROWS_AS(PoolSet(configs), std::invalid_argument);
}
