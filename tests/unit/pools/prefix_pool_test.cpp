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
