// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pools/prefix_pool.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <stdexcept>

#include "controlplane/pools/pool_set.hpp"

using namespace pns;
using namespace pns::pools;

namespace {

Ipv6Prefix prefix(std::string_view text) { return Ipv6Prefix::parse(text).value(); }
Ipv4Address ip(std::string_view text) { return Ipv4Address::parse(text).value(); }
Ipv6Address ip6(std::string_view text) { return Ipv6Address::parse(text).value(); }

}  // namespace

TEST_CASE("prefixes: each /64 once, then the one that is free the longest", "[pools]") {
  PrefixPool pool({prefix("2001:db8:1::/63"), prefix("2001:db8:2::/64")});
  CHECK(pool.size() == 3);
  std::set<Ipv6Prefix> seen;
  for (int i = 0; i < 3; ++i) seen.insert(pool.allocate().value());
  CHECK(seen == std::set{prefix("2001:db8:1::/64"), prefix("2001:db8:1:1::/64"),
                         prefix("2001:db8:2::/64")});
  CHECK_FALSE(pool.allocate());
  pool.release(prefix("2001:db8:2::/64"));
  pool.release(prefix("2001:db8:1::/64"));
  pool.release(prefix("2001:db8:1::/64"));
  pool.release(prefix("2001:db8:9::/64"));
  CHECK(pool.in_use() == 1);
  CHECK(pool.allocate() == prefix("2001:db8:2::/64"));
  CHECK(pool.allocate() == prefix("2001:db8:1::/64"));
  CHECK_FALSE(pool.allocate());
}

TEST_CASE("prefixes: one that was claimed is not handed out", "[pools]") {
  PrefixPool pool({prefix("2001:db8:1::/63")});
  CHECK(pool.claim(prefix("2001:db8:1::/64")));
  CHECK_FALSE(pool.claim(prefix("2001:db8:1::/64")));
  CHECK_FALSE(pool.claim(prefix("2001:db8:5::/64")));
  CHECK(pool.allocate() == prefix("2001:db8:1:1::/64"));
  CHECK_FALSE(pool.allocate());
  // Claimed while it waits in the queue of released ones: passed over there.
  pool.release(prefix("2001:db8:1::/64"));
  CHECK(pool.claim(prefix("2001:db8:1::/64")));
  CHECK_FALSE(pool.allocate());
  for (int i = 0; i < 1000; ++i) {
    pool.release(prefix("2001:db8:1::/64"));
    REQUIRE(pool.claim(prefix("2001:db8:1::/64")));
  }
  CHECK_FALSE(pool.allocate());
  CHECK(pool.in_use() == 2);
}

TEST_CASE("prefixes: what cannot be cut into /64s, or overlaps, is refused", "[pools]") {
  CHECK_THROWS_AS(PrefixPool({prefix("2001:db8::/65")}), std::invalid_argument);
  CHECK_THROWS_AS(PrefixPool({prefix("2001:db8::/48"), prefix("2001:db8:0:5::/64")}),
                  std::invalid_argument);
  CHECK_THROWS_AS(PrefixPool({prefix("2001:db8:0:5::/64"), prefix("2001:db8::/48")}),
                  std::invalid_argument);
}

TEST_CASE("pools: a lease carries a /64 where its pool has any", "[pools]") {
  PoolSet pools(
      {{"default", {{ip("10.0.0.2"), ip("10.0.0.9")}}, ip("10.0.0.1"), {prefix("2001:db8:1::/63")}},
       {"v4only", {{ip("10.1.0.2"), ip("10.1.0.9")}}, ip("10.1.0.1")}});
  auto none = pools.allocate("v4only").value();
  pools.add_ipv6(none, "v4only");
  CHECK_FALSE(none.ipv6_prefix);

  auto first = pools.allocate("default").value();
  pools.add_ipv6(first, "default");
  CHECK(first.ipv6_prefix == prefix("2001:db8:1::/64"));
  auto fixed = pools.allocate("default").value();
  pools.add_ipv6(fixed, "default", prefix("2001:db8:77::/64"));
  CHECK(fixed.ipv6_prefix == prefix("2001:db8:77::/64"));
  auto twice = pools.allocate("default").value();
  pools.add_ipv6(twice, "default", prefix("2001:db8:77::/64"));
  CHECK_FALSE(twice.ipv6_prefix);

  // Through a restart: the same prefixes, and nobody else gets them.
  PoolSet again({{"default",
                  {{ip("10.0.0.2"), ip("10.0.0.9")}},
                  ip("10.0.0.1"),
                  {prefix("2001:db8:1::/63")}}});
  CHECK(again.restore(first));
  CHECK(again.restore(fixed));
  CHECK_FALSE(again.restore(first));
  auto stranger = pools.allocate("default").value();
  stranger.ipv6_prefix = first.ipv6_prefix;
  CHECK_FALSE(again.restore(stranger));
  CHECK(again.status()[0].in_use == 2);
  CHECK(again.status()[0].ipv6_in_use == 1);
  again.release(first);
  again.release(fixed);
  CHECK(again.status()[0].in_use == 0);
  CHECK(again.status()[0].ipv6_in_use == 0);
  CHECK(again.restore(fixed));
}

TEST_CASE("prefixes: those of another length are cut and claimed alike", "[pools][dhcpv6]") {
  PrefixPool pool({prefix("2001:db8:200::/54"), prefix("2001:db8:300::/56")}, 56);
  CHECK(pool.size() == 5);
  std::set<Ipv6Prefix> seen;
  for (int i = 0; i < 5; ++i) seen.insert(pool.allocate().value());
  CHECK(seen == std::set{prefix("2001:db8:200::/56"), prefix("2001:db8:200:100::/56"),
                         prefix("2001:db8:200:200::/56"), prefix("2001:db8:200:300::/56"),
                         prefix("2001:db8:300::/56")});
  CHECK_FALSE(pool.allocate());
  pool.release(prefix("2001:db8:200:100::/64"));  // part of a lease
  pool.release(prefix("2001:db8:200::/54"));      // several of them
  CHECK(pool.in_use() == 5);
  pool.release(prefix("2001:db8:200:100::/56"));
  CHECK_FALSE(pool.claim(prefix("2001:db8:200:100::/64")));
  CHECK_FALSE(pool.contains(prefix("2001:db8:200:100::/64")));
  CHECK(pool.contains(prefix("2001:db8:200:100::/56")));
  CHECK(pool.claim(prefix("2001:db8:200:100::/56")));
  // One that holds an address of this server is nobody's.
  PrefixPool own({prefix("2001:db8:200::/55")}, 56);
  own.withhold({prefix("2001:db8:200:7::/64")}, {});
  CHECK_FALSE(own.claim(prefix("2001:db8:200::/56")));
  CHECK(own.allocate() == prefix("2001:db8:200:100::/56"));
  CHECK_FALSE(own.allocate());
  CHECK_THROWS_AS(PrefixPool({prefix("2001:db8::/57")}, 56), std::invalid_argument);
  CHECK_THROWS_AS(PrefixPool({}, 65), std::invalid_argument);
}

namespace {

PoolSet delegating() {
  return PoolSet({{.name = "default",
                   .ranges = {{ip("10.0.0.2"), ip("10.0.0.9")}},
                   .gateway = ip("10.0.0.1"),
                   .ipv6_prefixes = {prefix("2001:db8:1::/48")},
                   .delegated_prefixes = {prefix("2001:db8:200::/55")}},
                  {.name = "none",
                   .ranges = {{ip("10.1.0.2"), ip("10.1.0.9")}},
                   .gateway = ip("10.1.0.1"),
                   .ipv6_prefixes = {prefix("2001:db8:2::/48")}}});
}

model::Lease lease_of(PoolSet& pools, std::string_view pool = "default") {
  auto lease = pools.allocate(pool).value();
  pools.add_ipv6(lease, pool);
  return lease;
}

}  // namespace

TEST_CASE("pools: a lease carries a delegated prefix where its pool has any", "[pools][dhcpv6]") {
  PoolSet pools = delegating();
  auto first = lease_of(pools);
  auto second = lease_of(pools);
  auto third = lease_of(pools);
  for (auto* lease : {&first, &second, &third})
    CHECK(pools.add_delegation(*lease, "default", {}, {}));
  CHECK(first.delegation->prefix == prefix("2001:db8:200::/56"));
  CHECK(second.delegation->prefix == prefix("2001:db8:200:100::/56"));
  CHECK_FALSE(third.delegation->prefix);  // none is free, and the session goes on without
  CHECK(pools.status()[0].delegated_size == 2);
  CHECK(pools.status()[0].delegated_in_use == 2);
  CHECK(pools.leased_networks() == 2);
  pools.release(first);
  CHECK(pools.status()[0].delegated_in_use == 1);
  CHECK(pools.leased_networks() == 1);
  CHECK(pools.add_delegation(third, "default", {}, {}));
  CHECK(third.delegation->prefix == prefix("2001:db8:200::/56"));
  auto other = lease_of(pools, "none");
  CHECK(pools.add_delegation(other, "none", {}, {}));
  CHECK_FALSE(other.delegation->prefix);
  // Without IPv6 on the link there is nothing to delegate.
  auto ipv4 = pools.allocate("none").value();
  CHECK(pools.add_delegation(ipv4, "none", prefix("2001:db8:9::/56"), ip6("2001:db8:77::7")));
  CHECK_FALSE(ipv4.delegation->prefix);
  CHECK_FALSE(ipv4.delegation->address);
}

TEST_CASE("pools: a fixed prefix or address is one account's, or nobody's", "[pools][dhcpv6]") {
  PoolSet pools = delegating();
  pools.set_own({}, {prefix("2001:db8:a:b::/64")});
  pools.set_fixed({}, {prefix("2001:db8:200::/56")});
  auto lease = lease_of(pools);
  // One that a pool has is not given to others, and the account gets it.
  REQUIRE(
      pools.add_delegation(lease, "default", prefix("2001:db8:200::/56"), ip6("2001:db8:77::7")));
  CHECK(lease.delegation->prefix == prefix("2001:db8:200::/56"));
  CHECK(lease.delegation->address == ip6("2001:db8:77::7"));
  CHECK(pools.leased_networks() == 2);
  auto again = lease_of(pools);
  const auto refusal = [&](const std::optional<Ipv6Prefix>& fixed,
                           const std::optional<Ipv6Address>& address = {}) {
    const auto added = pools.add_delegation(again, "default", fixed, address);
    CHECK_FALSE(again.delegation->prefix);
    CHECK_FALSE(again.delegation->address);
    CHECK(pools.leased_networks() == 2);
    return added.error();
  };
  CHECK(refusal(prefix("2001:db8:200::/56")) == PoolError::kTaken);
  CHECK(refusal(prefix("2001:db8:200:100::/57")) == PoolError::kNotLeasable);  // part of a pool's
  CHECK(refusal(prefix("2001:db8:1:7::/64")) == PoolError::kNotLeasable);
  CHECK(refusal(prefix("2001:db8:a::/48")) == PoolError::kNotLeasable);  // holds ours
  CHECK(refusal({}, ip6("2001:db8:77::7")) == PoolError::kTaken);
  CHECK(refusal({}, ip6("2001:db8:1:ffff::7")) == PoolError::kNotLeasable);  // of another session
  CHECK(refusal(prefix("2001:db8:a::/48"), ip6("2001:db8:77::8")) == PoolError::kNotLeasable);
  CHECK(refusal(prefix("2001:db8:77::/48")) == PoolError::kTaken);  // holds the other's address
  // An address of the session's own /64 needs nothing beside it.
  Ipv6Address own = again.ipv6_prefix->address;
  own.low = 7;
  CHECK(pools.add_delegation(again, "default", prefix("2001:db8:9::/60"), own));
  CHECK(again.delegation->address == own);
  CHECK(pools.leased_networks() == 3);
  pools.release(again);
  pools.release(lease);
  CHECK(pools.leased_networks() == 0);
}

TEST_CASE("pools: a delegated prefix outlives a restart, under another configuration too",
          "[pools][dhcpv6][resume]") {
  PoolSet pools = delegating();
  auto lease = lease_of(pools);
  REQUIRE(pools.add_delegation(lease, "default", {}, ip6("2001:db8:77::7")));
  PoolSet same = delegating();
  REQUIRE(same.restore(lease));
  CHECK(same.status()[0].delegated_in_use == 1);
  CHECK(same.leased_networks() == 2);
  auto other = lease_of(same);
  REQUIRE(same.add_delegation(other, "default", {}, {}));
  CHECK(other.delegation->prefix == prefix("2001:db8:200:100::/56"));
  CHECK_FALSE(same.restore(lease));
  CHECK(same.leased_networks() == 3);
  same.release(lease);
  CHECK(same.leased_networks() == 1);

  // The pool has prefixes of another length now. None that overlaps is handed out.
  PoolSet changed({{.name = "default",
                    .ranges = {{ip("10.0.0.2"), ip("10.0.0.9")}},
                    .gateway = ip("10.0.0.1"),
                    .ipv6_prefixes = {prefix("2001:db8:1::/48")},
                    .delegated_prefixes = {prefix("2001:db8:200::/55")},
                    .delegated_length = 60}});
  REQUIRE(changed.restore(lease));
  auto next = lease_of(changed);
  REQUIRE(changed.add_delegation(next, "default", {}, {}));
  CHECK(next.delegation->prefix == prefix("2001:db8:200:100::/60"));
  changed.release(lease);
  changed.release(next);
  CHECK(changed.leased_networks() == 0);
  CHECK(changed.status()[0].delegated_in_use == 0);
}
