// SPDX-License-Identifier: BSD-3-Clause
#include "pns/base/ip_ranges.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace pns;

namespace {

Ipv4Range range(std::uint32_t first, std::uint32_t last) {
  return {Ipv4Address(first), Ipv4Address(last)};
}

// Every address once, nothing beside, each prefix aligned, neighbours not joinable.
void check_cover(const Ipv4Range& wanted) {
  const auto prefixes = prefixes_of(wanted);
  std::uint64_t next = wanted.first.value;
  for (const auto& prefix : prefixes) {
    REQUIRE(prefix.length <= 32);
    REQUIRE(prefix.address == prefix.network());
    REQUIRE(prefix.address.value == next);
    next += std::uint64_t{1} << (32 - prefix.length);
  }
  REQUIRE(next == std::uint64_t{wanted.last.value} + 1);
  REQUIRE(prefixes.size() <= 62);  // the most that any range needs
  for (std::size_t i = 1; i < prefixes.size(); ++i) {
    const auto& a = prefixes[i - 1];
    const auto& b = prefixes[i];
    const bool joinable =
        a.length == b.length && a.length > 0 &&
        Ipv4Prefix{a.address, static_cast<std::uint8_t>(a.length - 1)}.network() == a.address;
    REQUIRE_FALSE(joinable);
  }
}

}  // namespace

TEST_CASE("ip ranges: prefixes of a range cover it exactly and with the fewest", "[base]") {
  CHECK(prefixes_of(range(0x0a400000, 0x0a40ffff)) ==
        std::vector<Ipv4Prefix>{{Ipv4Address(0x0a400000), 16}});
  CHECK(prefixes_of(range(0x0a400002, 0x0a400002)) ==
        std::vector<Ipv4Prefix>{{Ipv4Address(0x0a400002), 32}});
  CHECK(prefixes_of(range(0, UINT32_MAX)) == std::vector<Ipv4Prefix>{{Ipv4Address(), 0}});
  CHECK(prefixes_of(range(1, UINT32_MAX - 1)).size() == 62);
  check_cover(range(UINT32_MAX, UINT32_MAX));
  check_cover(range(0, 0));
  check_cover(range(0x0a400002, 0x0a403ffe));
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    const auto a = static_cast<std::uint32_t>(random());
    const std::uint32_t b = i % 2 == 0 ? static_cast<std::uint32_t>(random())
                                       : a + static_cast<std::uint32_t>(random() % 5000);
    check_cover(range(std::min(a, b), std::max(a, b)));
  }
}

TEST_CASE("ip ranges: membership in the prefixes is membership in the range", "[base]") {
  std::mt19937 random(4);
  for (int i = 0; i < 200; ++i) {
    const auto first = static_cast<std::uint32_t>(random());
    const Ipv4Range wanted =
        range(first, std::max(first, first + static_cast<std::uint32_t>(random() % 300)));
    const auto prefixes = prefixes_of(wanted);
    for (std::uint32_t offset = 0; offset < 400; ++offset) {
      const Ipv4Address address(first - 50 + offset);
      const bool in = std::ranges::any_of(
          prefixes, [&](const Ipv4Prefix& prefix) { return prefix.contains(address); });
      REQUIRE(in == wanted.contains(address));
    }
  }
}

TEST_CASE("ip ranges: the longest prefix around a range", "[base]") {
  CHECK(prefix_around(range(0x0a400002, 0x0a403ffe)) == Ipv4Prefix{Ipv4Address(0x0a400000), 18});
  CHECK(prefix_around(range(0x0a400002, 0x0a400002)) == Ipv4Prefix{Ipv4Address(0x0a400002), 32});
  CHECK(prefix_around(range(0, UINT32_MAX)) == Ipv4Prefix{});
}
