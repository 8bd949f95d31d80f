// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pools/address_pool.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <stdexcept>

using namespace pns;
using namespace pns::pools;

namespace {

Ipv4Address ip(std::string_view text) { return Ipv4Address::parse(text).value(); }
Ipv4Range range(std::string_view first, std::string_view last) { return {ip(first), ip(last)}; }

AddressPool small_pool() {
  return AddressPool({"default", {range("10.0.0.1", "10.0.0.10")}, ip("10.0.0.1")});
}

}  // namespace

TEST_CASE("pool: every address is leased once, never the gateway", "[pools]") {
  AddressPool pool(
      {"p", {range("10.0.1.0", "10.0.2.255"), range("10.0.0.250", "10.0.0.255")}, ip("10.0.1.7")});
  CHECK(pool.size() == 512 + 6 - 1);
  std::set<std::uint32_t> seen;
  while (const auto address = pool.allocate()) {
    CHECK(pool.contains(*address));
    CHECK(*address != ip("10.0.1.7"));
    REQUIRE(seen.insert(address->value).second);
  }
  CHECK(seen.size() == pool.size());
  CHECK(pool.in_use() == pool.size());
}

TEST_CASE("pool: a preferred bucket is used while it has addresses", "[pools]") {
  AddressPool pool({"p", {range("10.0.0.0", "10.0.3.255")}, ip("10.9.9.9")});
  BucketMask preferred;
  preferred[17] = true;
  for (int i = 0; i < 4; ++i) CHECK((pool.allocate(preferred)->value & 0xff) == 17);
  const auto other = pool.allocate(preferred);
  REQUIRE(other.has_value());
  CHECK((other->value & 0xff) != 17);
}

TEST_CASE("pool: the address that was free the longest comes next", "[pools]") {
  AddressPool pool({"p",
                    {range("10.0.0.5", "10.0.0.5"), range("10.0.1.5", "10.0.1.5"),
                     range("10.0.2.5", "10.0.2.5")},
                    ip("10.9.9.9")});
  CHECK(pool.allocate() == ip("10.0.0.5"));
  CHECK(pool.release(ip("10.0.0.5")));
  CHECK(pool.allocate() == ip("10.0.1.5"));
  CHECK(pool.allocate() == ip("10.0.2.5"));
  CHECK(pool.allocate() == ip("10.0.0.5"));
  CHECK_FALSE(pool.allocate().has_value());
}

TEST_CASE("pool: other buckets while addresses are leased", "[pools]") {
  AddressPool pool({"p", {range("10.0.0.0", "10.0.3.255")}, ip("10.0.0.1")});
  std::set<std::uint32_t> leased;
  for (int i = 0; i < 300; ++i) leased.insert(pool.allocate()->value);
  CHECK(pool.release(ip("10.0.0.5")) == (leased.erase(ip("10.0.0.5").value) == 1));
  const std::size_t before = pool.in_use();
  pool.set_buckets(
      [](Ipv4Address address) { return static_cast<std::uint8_t>(address.value / 7 % 3); });
  CHECK(pool.in_use() == before);
  BucketMask preferred;
  preferred[2] = true;
  std::size_t of_bucket = 0;
  for (std::uint32_t n = 0; n < 1024; ++n) {
    const std::uint32_t value = ip("10.0.0.0").value + n;
    of_bucket += value / 7 % 3 == 2 && !leased.contains(value) && n != 1 ? 1 : 0;
  }
  for (std::size_t i = 0; i < of_bucket; ++i) {
    const auto address = pool.allocate(preferred);
    REQUIRE(address);
    CHECK(address->value / 7 % 3 == 2);
    REQUIRE(leased.insert(address->value).second);
  }
  CHECK(pool.allocate(preferred)->value / 7 % 3 != 2);
  // Back to the low 8 bits; what was leased under other buckets finds its queue.
  pool.set_buckets({});
  for (const std::uint32_t value : leased) REQUIRE(pool.release(Ipv4Address(value)));
  preferred.reset();
  preferred[17] = true;
  for (int i = 0; i < 4; ++i) CHECK((pool.allocate(preferred)->value & 0xff) == 17);
  std::size_t rest = 0;
  while (pool.allocate()) ++rest;
  CHECK(rest + 4 == pool.size() - 1);  // one was not given back
  CHECK(pool.in_use() == pool.size());
}

TEST_CASE("pool: claims and releases are exact", "[pools]") {
  AddressPool pool = small_pool();
  CHECK(pool.claim(ip("10.0.0.5")));
  CHECK_FALSE(pool.claim(ip("10.0.0.5")));
  CHECK_FALSE(pool.claim(ip("10.0.0.1")));   // the gateway
  CHECK_FALSE(pool.claim(ip("10.0.0.11")));  // not of this pool
  CHECK_FALSE(pool.release(ip("10.0.0.1")));
  CHECK_FALSE(pool.release(ip("10.0.0.6")));
  CHECK_FALSE(pool.release(ip("10.0.0.0")));
  CHECK(pool.in_use() == 1);
  std::set<std::uint32_t> seen;
  while (const auto address = pool.allocate()) seen.insert(address->value);
  CHECK(seen.size() == 8);
  CHECK_FALSE(seen.contains(ip("10.0.0.5").value));
  CHECK(pool.release(ip("10.0.0.5")));
  CHECK_FALSE(pool.release(ip("10.0.0.5")));
  CHECK(pool.allocate() == ip("10.0.0.5"));
}

TEST_CASE("pool: ranges that make no sense are refused", "[pools]") {
  CHECK_THROWS_AS(AddressPool({"p", {range("10.0.0.2", "10.0.0.1")}, {}}), std::invalid_argument);
  CHECK_THROWS_AS(
      AddressPool({"p", {range("10.0.0.1", "10.0.0.5"), range("10.0.0.5", "10.0.0.9")}, {}}),
      std::invalid_argument);
  CHECK_THROWS_AS(AddressPool({"p", {range("0.0.0.0", "255.255.255.255")}, {}}),
                  std::invalid_argument);
}

TEST_CASE("pool: the last address of all can be in a range", "[pools]") {
  AddressPool pool({"p", {range("255.255.255.254", "255.255.255.255")}, ip("10.0.0.1")});
  CHECK(pool.size() == 2);
  CHECK(pool.allocate().has_value());
  CHECK(pool.allocate().has_value());
  CHECK_FALSE(pool.allocate().has_value());
}

TEST_CASE("pool: ten thousand leases come and go without loss", "[pools]") {
  AddressPool pool({"p", {range("10.0.0.0", "10.0.15.255")}, ip("10.0.0.0")});
  std::vector<Ipv4Address> leased;
  std::uint32_t state = 1;
  for (int i = 0; i < 100'000; ++i) {
    state = state * 1664525 + 1013904223;
    if (leased.empty() || (state >> 16) % 5 < 3) {
      if (const auto address = pool.allocate()) leased.push_back(*address);
    } else {
      const std::size_t at = (state >> 8) % leased.size();
      REQUIRE(pool.release(leased[at]));
      leased[at] = leased.back();
      leased.pop_back();
    }
    REQUIRE(pool.in_use() == leased.size());
  }
  for (const Ipv4Address address : leased) CHECK(pool.release(address));
  std::size_t count = 0;
  while (pool.allocate()) ++count;
  CHECK(count == pool.size());
}
