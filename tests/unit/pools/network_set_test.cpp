// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pools/network_set.hpp"

#include <catch2/catch.hpp>

#include "controlplane/pools/pool_set.hpp"

using namespace pns;
using namespace pns::pools;

namespace {

Networks networks(std::vector<const char*> texts) {
  Networks out;
  for (const char* text : texts) {
    if (const auto ipv4 = Ipv4Prefix::parse(text)) out.ipv4.push_back(*ipv4);
    if (const auto ipv6 = Ipv6Prefix::parse(text)) out.ipv6.push_back(*ipv6);
  }
  REQUIRE(out.size() == texts.size());
  return out;
}

NetworksPointer shared(std::vector<const char*> texts) {
  return std::make_shared<const Networks>(networks(std::move(texts)));
}

PoolSet one_pool() {
  return PoolSet(
      {{"default", {{Ipv4Address(0x0a000002), Ipv4Address(0x0a000004)}}, Ipv4Address(0x0a000001)}});
}

}  // namespace

TEST_CASE("networks: no address is in two of them", "[pools][networks]") {
  NetworkSet set;
  CHECK(set.add(networks({"192.168.48.0/22", "10.7.0.0/16", "2001:db8:50::/48"})));
  CHECK(set.size() == 3);
  // The same one, one inside, one around, and the last address.
  for (const char* taken : {"192.168.48.0/22", "192.168.50.0/24", "192.168.0.0/16",
                            "10.7.255.255/32", "2001:db8:50:7::/64", "2001:db8::/32"})
    CHECK_FALSE(set.add(networks({taken})));
  // All or nothing.
  CHECK_FALSE(set.add(networks({"172.16.0.0/12", "2001:db8:50::/64"})));
  CHECK_FALSE(set.add(networks({"172.16.0.0/12", "172.16.5.0/24"})));
  CHECK(set.size() == 3);
  for (const char* free : {"192.168.52.0/24", "192.168.47.255/32", "10.8.0.0/16", "10.6.0.0/16",
                           "2001:db8:51::/48", "172.16.0.0/12"})
    CHECK(set.add(networks({free})));
  set.remove(networks({"192.168.48.0/22", "2001:db8:50::/48"}));
  CHECK(set.add(networks({"192.168.50.0/24", "2001:db8:50:7::/64"})));
}

TEST_CASE("networks: those of a lease are free again with it", "[pools][networks]") {
  PoolSet pools = one_pool();
  auto lease = pools.allocate("default").value();
  REQUIRE(pools.add_networks(lease, shared({"192.168.50.0/24"})));
  REQUIRE(lease.networks);
  auto second = pools.allocate("default").value();
  CHECK(pools.add_networks(second, shared({"192.168.50.128/25"})).error() == PoolError::kTaken);
  CHECK_FALSE(second.networks);
  CHECK(pools.add_networks(second, nullptr).has_value());
  CHECK(pools.leased_networks() == 1);
  pools.release(lease);
  CHECK(pools.leased_networks() == 0);
  CHECK(pools.add_networks(second, shared({"192.168.50.128/25"})).has_value());
}

TEST_CASE("networks: one that holds an address of the server is refused", "[pools][networks]") {
  PoolSet pools = one_pool();
  pools.set_own({Ipv4Address(0xc0a80a01)}, {Ipv6Prefix::parse("2001:db8:7:1::/64").value()});
  auto lease = pools.allocate("default").value();
  for (const char* ours : {"192.168.0.0/16", "192.168.10.0/24", "10.0.0.0/8", "2001:db8:7::/48"})
    CHECK(pools.add_networks(lease, shared({ours})).error() == PoolError::kNotLeasable);
  CHECK(pools.add_networks(lease, shared({"192.168.11.0/24", "2001:db8:8::/48"})).has_value());
}

TEST_CASE("networks: one that overlaps a pool is refused", "[pools][networks]") {
  PoolSet pools({{.name = "default",
                  .ranges = {{Ipv4Address(0x0a400010), Ipv4Address(0x0a400020)}},
                  .gateway = Ipv4Address(0x0b000001),
                  .ipv6_prefixes = {Ipv6Prefix::parse("2001:db8:100::/56").value()}}});
  auto lease = pools.allocate("default").value();
  for (const char* shared_out :
       {"10.64.0.0/24", "10.64.0.32/32", "10.0.0.0/8", "2001:db8::/32", "2001:db8:100:7::/64"})
    CHECK(pools.add_networks(lease, shared({shared_out})).error() == PoolError::kNotLeasable);
  CHECK(pools.add_networks(lease, shared({"10.64.0.0/28", "2001:db8:101::/48"})).has_value());
}

TEST_CASE("networks: a lease that lived through a restart has its networks again",
          "[pools][networks]") {
  PoolSet pools = one_pool();
  const model::Lease lease{.address = Ipv4Address(0x0a000003),
                           .gateway = Ipv4Address(0x0a000001),
                           .pool = "default",
                           .networks = shared({"192.168.50.0/24"})};
  REQUIRE(pools.restore(lease));
  CHECK(pools.leased_networks() == 1);
  // The address is taken: no network of the second one stays.
  model::Lease again = lease;
  again.networks = shared({"192.168.60.0/24"});
  CHECK_FALSE(pools.restore(again));
  CHECK(pools.leased_networks() == 1);
  // And a network that is taken costs no address.
  again.address = Ipv4Address(0x0a000004);
  again.networks = lease.networks;
  CHECK_FALSE(pools.restore(again));
  CHECK(pools.leased() == 1);
}
