// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/packet/rate_groups.hpp"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>
#include <vector>

using namespace pns;
using namespace pns::dataplane;

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kOctets = 1'000;
constexpr std::uint64_t kRate = 80'000'000;  // 10,000 packets a second
constexpr std::uint64_t kStart = 50 * kSecond;

// Group 1, upstream; the burst is 100 packets.
RateGroups one_group() { return RateGroups({{}, {contract::OctetRate(kRate, 100'000), {}}}); }

bool passes(GroupShares& shares, std::uint64_t now_ns) {
  if (shares.offer(1, 0, kOctets, now_ns, 0).leaves_ns > now_ns) return false;
  shares.spend(1, 0, kOctets, now_ns, 0);
  return true;
}

}  // namespace

TEST_CASE("rate groups: workers share the rate by what they want", "[packet][rate]") {
  // Hundreds of packets a second of each worker. The group's rate is 100.
  const auto demands = GENERATE(std::vector<unsigned>{300}, std::vector<unsigned>{100, 100, 100},
                                std::vector<unsigned>{10, 500}, std::vector<unsigned>{50, 50},
                                std::vector<unsigned>{7, 20, 30, 400});
  const RateGroups groups = one_group();
  std::vector<GroupShares> workers(demands.size(), GroupShares(&groups));
  std::vector<std::uint64_t> passed(demands.size());
  constexpr std::uint64_t kSeconds = 5;
  // Packets come at any time. Whoever always comes at the same moment may always be too early.
  std::mt19937 random(1);
  unsigned whole = 0;
  for (const unsigned demand : demands) whole += demand;
  std::discrete_distribution<std::size_t> whose(demands.begin(), demands.end());
  for (std::uint64_t packet = 0; packet < whole * 100 * kSeconds; ++packet) {
    const std::size_t n = whose(random);
    if (passes(workers[n], kStart + packet * kSecond / (whole * 100))) ++passed[n];
  }
  std::uint64_t all = 0;
  const std::uint64_t wanted = whole * 100 * kSeconds;
  const std::uint64_t rate = 10'000 * kSeconds;
  for (std::size_t n = 0; n < workers.size(); ++n) {
    CAPTURE(n, demands[n], passed[n]);
    all += passed[n];
    // Each gets half of its part by demand at least, or all that it wants.
    const std::uint64_t mine = demands[n] * 100 * kSeconds;
    CHECK(passed[n] * 2 >= std::min(mine, mine * rate / wanted));
  }
  CAPTURE(all);
  CHECK(all <= rate + 100 + 10 * workers.size());
  CHECK(all >= std::min(wanted, rate) * 98 / 100);
}

TEST_CASE("rate groups: a worker alone has the burst, and a packet longer than a slice is paid for",
          "[packet][rate]") {
  const RateGroups groups = one_group();
  GroupShares shares(&groups);
  unsigned passed = 0;
  while (passes(shares, kStart)) ++passed;
  CHECK(passed >= 100);
  CHECK(passed <= 107);
  // 20,000 octets take 2 ms of the rate; a slice is less.
  std::uint64_t now_ns = kStart + kSecond;
  std::uint64_t octets = 0;
  for (; now_ns < kStart + 3 * kSecond; now_ns += 50'000) {
    if (shares.offer(1, 0, 20'000, now_ns, 0).leaves_ns > now_ns) continue;
    shares.spend(1, 0, 20'000, now_ns, 0);
    octets += 20'000;
  }
  CHECK(octets >= 2 * kRate / 8);
  CHECK(octets <= 2 * kRate / 8 + 130'000);
}

TEST_CASE("rate groups: a direction without a limit, group 0 and unknown groups are free",
          "[packet][rate]") {
  const RateGroups groups = one_group();
  GroupShares shares(&groups);
  for (const auto& [group, direction] :
       std::vector<std::pair<std::uint16_t, std::size_t>>{{1, 1}, {0, 0}, {2, 0}, {65'535, 1}}) {
    CHECK(shares.offer(group, direction, kOctets, kStart, 0).leaves_ns == 0);
    shares.spend(group, direction, kOctets, kStart, 0);
  }
  GroupShares none(nullptr);
  CHECK(none.offer(1, 0, kOctets, kStart, 0).leaves_ns == 0);
  none.spend(1, 0, kOctets, kStart, 0);
}

TEST_CASE("rate groups: threads never spend more than the rate", "[packet][rate]") {
  const RateGroups groups = one_group();
  constexpr std::size_t kWorkers = 4;
  std::atomic<std::uint64_t> clock{kStart};
  std::array<std::uint64_t, kWorkers> passed{};
  std::vector<std::thread> threads;
  for (std::size_t n = 0; n < kWorkers; ++n)
    threads.emplace_back([&groups, &clock, &mine = passed[n]] {
      GroupShares shares(&groups);
      for (;;) {
        const std::uint64_t now_ns = clock.fetch_add(2'000);
        if (now_ns >= kStart + kSecond) return;
        mine += passes(shares, now_ns) ? 1 : 0;
      }
    });
  for (std::thread& thread : threads) thread.join();
  std::uint64_t all = 0;
  for (const std::uint64_t each : passed) all += each;
  CHECK(all <= 10'000 + 107 + 10 * kWorkers);
  CHECK(all >= 9'800);
}
