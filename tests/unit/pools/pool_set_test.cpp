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
    CHECK(pools.claim(ip(address), "default").error() == PoolError::kNotLeasable);
}

TEST_CASE("pools: the gateway of one pool inside another is not leased from there", "[pools]") {
  PoolSet pools({{"a", {{ip("10.0.0.2"), ip("10.0.0.3")}}, ip("10.1.0.2")},
                 {"b", {{ip("10.1.0.2"), ip("10.1.0.3")}}, ip("10.1.0.1")}});
  CHECK(pools.allocate("b")->address == ip("10.1.0.3"));
  CHECK(pools.allocate("b").error() == PoolError::kExhausted);
  CHECK(pools.claim(ip("10.1.0.2"), "b").error() == PoolError::kNotLeasable);
}

TEST_CASE("pools: a fixed address inside a pool waits for its account", "[pools]") {
  PoolSet pools(two_pools());
  pools.set_fixed({ip("10.0.0.3"), ip("192.168.7.7")}, {});
  CHECK(pools.status()[0].size == 3);
  const auto drain = [&] {
    std::vector<model::Lease> leases;
    while (const auto lease = pools.allocate("default")) leases.push_back(*lease);
    return leases;
  };
  // More laps than addresses: it is not given out when its turn comes either.
  for (int lap = 0; lap < 3; ++lap) {
    const auto leases = drain();
    CHECK(leases.size() == 2);
    for (const auto& lease : leases) {
      CHECK(lease.address != ip("10.0.0.3"));
      pools.release(lease);
    }
  }
  const auto claimed = pools.claim(ip("10.0.0.3"), "default");
  REQUIRE(claimed);
  CHECK(pools.claim(ip("10.0.0.3"), "default").error() == PoolError::kTaken);
  pools.release(*claimed);
  CHECK(drain().size() == 2);
  CHECK(pools.claim(ip("10.0.0.3"), "default"));

  SECTION("an account that is gone leaves it to everybody, once it is given back") {
    pools.set_fixed({}, {});
    CHECK(pools.allocate("default").error() == PoolError::kExhausted);
    pools.release(*claimed);
    CHECK(pools.allocate("default")->address == ip("10.0.0.3"));
  }
  SECTION("an address that becomes fixed while a stranger has it is withheld from then on") {
    pools.set_fixed({ip("10.0.0.2"), ip("10.0.0.3")}, {});
    CHECK(pools.claim(ip("10.0.0.2"), "default").error() == PoolError::kTaken);
    pools.release({ip("10.0.0.2"), ip("10.0.0.1"), "default"});
    CHECK(pools.allocate("default").error() == PoolError::kExhausted);
    CHECK(pools.claim(ip("10.0.0.2"), "default"));
  }
}

TEST_CASE("pools: an address that becomes our own is nobody's, and comes back", "[pools]") {
  PoolSet pools(two_pools());
  const auto leased = pools.allocate("default").value();
  pools.set_own({leased.address, ip("10.0.0.4"), ip("192.168.7.7")}, {});
  CHECK(pools.status()[0].size == 1);
  CHECK(pools.claim(ip("10.0.0.4"), "default").error() == PoolError::kNotLeasable);
  CHECK(pools.claim(ip("192.168.7.7"), "default").error() == PoolError::kNotLeasable);
  // An account's fixed address that is our own stays ours.
  pools.set_fixed({ip("10.0.0.4")}, {});
  CHECK(pools.claim(ip("10.0.0.4"), "default").error() == PoolError::kNotLeasable);
  pools.set_fixed({}, {});
  CHECK(pools.allocate("default")->address == ip("10.0.0.3"));
  CHECK(pools.allocate("default").error() == PoolError::kExhausted);
  pools.release(leased);
  CHECK(pools.allocate("default").error() == PoolError::kExhausted);
  pools.set_own({ip("10.0.0.4")}, {});
  CHECK(pools.allocate("default")->address == leased.address);
  // A gateway stays our own whatever is set.
  pools.set_own({}, {});
  CHECK(pools.claim(ip("10.0.0.1"), "default").error() == PoolError::kNotLeasable);
  CHECK(pools.allocate("default")->address == ip("10.0.0.4"));
}

TEST_CASE("pools: fixed and own /64s are not given out", "[pools][ipv6]") {
  const auto prefix = [](std::string_view text) { return Ipv6Prefix::parse(text).value(); };
  auto configs = two_pools();
  configs[0].ipv6_prefixes = {prefix("2001:db8::/62")};
  PoolSet pools(configs);
  pools.set_own({}, {prefix("2001:db8::/64")});
  pools.set_fixed({}, {prefix("2001:db8:0:2::/64")});
  const auto take = [&](const std::optional<Ipv6Prefix>& fixed = std::nullopt) {
    model::Lease lease{ip("10.0.0.3"), ip("10.0.0.1"), "default"};
    pools.add_ipv6(lease, "default", fixed);
    return lease;
  };
  for (int lap = 0; lap < 3; ++lap) {
    const auto first = take();
    const auto second = take();
    CHECK(first.ipv6_prefix == prefix("2001:db8:0:1::/64"));
    CHECK(second.ipv6_prefix == prefix("2001:db8:0:3::/64"));
    CHECK_FALSE(take().ipv6_prefix);
    pools.release({ip("10.0.0.9"), ip("10.0.0.1"), "", first.ipv6_prefix});
    pools.release({ip("10.0.0.9"), ip("10.0.0.1"), "", second.ipv6_prefix});
  }
  CHECK_FALSE(take(prefix("2001:db8::/64")).ipv6_prefix);
  const auto fixed = take(prefix("2001:db8:0:2::/64"));
  CHECK(fixed.ipv6_prefix == prefix("2001:db8:0:2::/64"));
  CHECK_FALSE(take(prefix("2001:db8:0:2::/64")).ipv6_prefix);
  pools.release({ip("10.0.0.9"), ip("10.0.0.1"), "", fixed.ipv6_prefix});
  // Nobody's any more: the next in turn may have both.
  (void)take();
  (void)take();
  CHECK_FALSE(take().ipv6_prefix);
  pools.set_own({}, {});
  pools.set_fixed({}, {});
  CHECK(take().ipv6_prefix);
  CHECK(take().ipv6_prefix);
  CHECK_FALSE(take().ipv6_prefix);
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

TEST_CASE("pools: one that is used up passes the question on", "[pools]") {
  auto configs = two_pools();
  configs[0].next = "gold";
  configs[1].next = "default";  // a circle
  PoolSet pools(configs);
  for (int i = 0; i < 3; ++i) CHECK(pools.allocate("default")->pool == "default");
  const auto next = pools.allocate("default");
  REQUIRE(next);
  CHECK(next->pool == "gold");
  CHECK(next->gateway == ip("10.1.0.1"));
  for (int i = 0; i < 7; ++i) CHECK(pools.allocate("gold")->pool == "gold");
  CHECK(pools.allocate("default").error() == PoolError::kExhausted);
}

TEST_CASE("pools: an excluded address is for accounts that have it fixed", "[pools]") {
  auto configs = two_pools();
  configs[0].exclude = {{ip("10.0.0.2"), ip("10.0.0.3")}};
  PoolSet pools(configs);
  CHECK(pools.status()[0].size == 1);
  CHECK(pools.allocate("default")->address == ip("10.0.0.4"));
  CHECK(pools.allocate("default").error() == PoolError::kExhausted);
  const auto fixed = pools.claim(ip("10.0.0.3"), "default");
  REQUIRE(fixed);
  pools.release(*fixed);
  CHECK(pools.allocate("default").error() == PoolError::kExhausted);
}

TEST_CASE("pools: every address of a /16 is given out once", "[pools]") {
  PoolSet pools({{"big", {{ip("10.5.0.0"), ip("10.5.255.255")}}, ip("10.4.0.1")}});
  std::vector<bool> seen(65536);
  for (int i = 0; i < 65536; ++i) {
    const auto lease = pools.allocate("big");
    REQUIRE(lease);
    const auto low = lease->address.value & 0xffff;
    REQUIRE_FALSE(seen[low]);
    seen[low] = true;
  }
  CHECK(pools.allocate("big").error() == PoolError::kExhausted);
}
