// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/control/announcer.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::dataplane;

namespace {

constexpr auto kEach = [](Ipv4Address) { return true; };

}  // namespace

TEST_CASE("announcer: each address once, in order, and those that are wanted", "[announcer]") {
  Announcer announcer;
  std::vector<Ipv4Address> told;
  const auto tell = [&](Ipv4Address address) { told.push_back(address); };
  for (std::uint32_t n = 1; n <= 4; ++n) announcer.add(Ipv4Address(n));
  announcer.take_due(
      1'000'000'000, [](Ipv4Address a) { return a.value != 2; }, tell);
  CHECK(told == std::vector{Ipv4Address(1), Ipv4Address(3), Ipv4Address(4)});
  CHECK(announcer.waiting() == 0);
}

TEST_CASE("announcer: as many as the rate permits, and the rest later", "[announcer]") {
  Announcer announcer;
  std::size_t told = 0;
  const auto tell = [&](Ipv4Address) { ++told; };
  constexpr std::uint32_t kAddresses = 2'000;
  for (std::uint32_t n = 0; n < kAddresses; ++n) announcer.add(Ipv4Address(n));
  std::uint64_t now = 1'000'000'000;
  announcer.take_due(now, kEach, tell);
  CHECK(told >= Announcer::kBurst);
  CHECK(told <= Announcer::kBurst + 2);
  announcer.take_due(now, kEach, tell);
  CHECK(told <= Announcer::kBurst + 2);
  for (unsigned turn = 0; turn < 200; ++turn) announcer.take_due(now += 10'000'000, kEach, tell);
  CHECK(told == kAddresses);
}

TEST_CASE("announcer: unwanted addresses cost no time of the loop", "[announcer]") {
  Announcer announcer;
  for (std::uint32_t n = 0; n < 5'000; ++n) announcer.add(Ipv4Address(n));
  announcer.take_due(
      1'000'000'000, [](Ipv4Address) { return false; }, [](Ipv4Address) {});
  CHECK(announcer.waiting() == 5'000 - Announcer::kMostLooks);
}

TEST_CASE("announcer: the frame is to all and names the address twice", "[announcer]") {
  std::array<std::byte, 42> frame{};
  const MacAddress mac = {2, 0, 0, 0, 0, 1};
  REQUIRE(write_announcement(frame, Ipv4Address(0x0a0000c8), mac) == frame.size());
  CHECK(test::hex(frame) ==
        test::hex(test::octets("ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 "
                               "0a0000c8 000000000000 0a0000c8")));
  CHECK(write_announcement(std::span(frame).first(41), Ipv4Address(1), mac) == 0);
}
