// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/port.hpp"
#include "dataplane/port/xdp/xdp_prefixes.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <set>

using namespace pns;
using namespace pns::dataplane;

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

TEST_CASE("ports: prefixes of a range cover it exactly and with the fewest", "[dataplane][ports]") {
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

TEST_CASE("ports: membership in the prefixes is membership in the range", "[dataplane][ports]") {
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

TEST_CASE("ports: the MAC of a tap port is local, unicast, and the same at each start",
          "[dataplane][ports]") {
  std::set<MacAddress> seen;
  for (const char* node : {"pns", "pns1", "pns2", ""})
    for (const auto role : {contract::PortRole::kAccess, contract::PortRole::kCore}) {
      const auto mac = tap_mac(node, role);
      CHECK(mac == tap_mac(node, role));
      CHECK((mac[0] & 0x03) == 0x02);
      seen.insert(mac);
    }
  CHECK(seen.size() == 8);
}

TEST_CASE("port: a worker waits on its own queues", "[dataplane][port]") {
  Port port;
  for (std::uint16_t queue = 0; queue < 4; ++queue)
    port.rx_queues.push_back(RxQueue::ethdev(0, queue));
  port.wait_fds = {10, 11, 12, 13};
  using Fds = std::vector<int>;
  CHECK(wait_fds_of(port, WorkerId(1), 4) == Fds{11});
  CHECK(wait_fds_of(port, WorkerId(0), 2) == Fds{10, 12});
  CHECK(wait_fds_of(port, WorkerId(1), 2) == Fds{11, 13});
  CHECK(wait_fds_of(port, WorkerId(4), 8).empty());
  // One descriptor for all queues: whoever has a queue waits on it.
  port.wait_fds = {10};
  CHECK(wait_fds_of(port, WorkerId(3), 4) == Fds{10});
  CHECK(wait_fds_of(port, WorkerId(4), 8).empty());
}
