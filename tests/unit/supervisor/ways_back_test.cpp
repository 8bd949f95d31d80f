// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/ways_back.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

using namespace pns;
using namespace pns::supervisor;

namespace {

using Routes = std::set<std::string>;

class FakeKernel final : public WaysBack::Kernel {
 public:
  std::expected<void, std::string> add(const Networks& prefix) override {
    if (refuses) return std::unexpected(std::string("no"));
    for (const std::string& text : texts(prefix)) {
      routes.insert(text);
      calls.push_back("+" + text);
    }
    return {};
  }
  void remove(const Networks& prefix) override {
    for (const std::string& text : texts(prefix)) {
      routes.erase(text);
      calls.push_back("-" + text);
    }
  }
  Routes routes;
  std::vector<std::string> calls;
  bool refuses = false;

 private:
  static std::vector<std::string> texts(const Networks& networks) {
    std::vector<std::string> out;
    for (const Ipv4Prefix& prefix : networks.ipv4) out.push_back(prefix.to_string());
    for (const Ipv6Prefix& prefix : networks.ipv6) out.push_back(prefix.to_string());
    return out;
  }
};

struct World {
  explicit World(TokenBucket::Settings rate = {.rate = 10, .burst = 2}, std::size_t most = 100)
      : ways(kernel, rate) {
    ways.set_limit(most);
  }
  FakeKernel kernel;
  WaysBack ways;
};

constexpr TimePoint kStart = TimePoint(Seconds(1000));
constexpr auto kTenth = std::chrono::milliseconds(100);

std::string number(unsigned n) { return Ipv4Address(0x0a4d'0000 + n).to_string(); }

}  // namespace

TEST_CASE("ways back: a route comes and goes with the session's address", "[supervisor]") {
  World world;
  world.ways.set("10.77.0.7", true, kStart);
  world.ways.set("2001:db8:200:7::", true, kStart);
  CHECK(world.kernel.routes == Routes{"10.77.0.7/32", "2001:db8:200:7::/64"});
  world.ways.set("10.77.0.7", false, kStart + Seconds(1));
  CHECK(world.kernel.routes == Routes{"2001:db8:200:7::/64"});
  CHECK(world.ways.size() == 1);
  CHECK_FALSE(world.ways.next_due());
}

TEST_CASE("ways back: what no session can have is refused and counted", "[supervisor]") {
  World world;
  for (const char* bad : {"", "nonsense", "0.0.0.0", "127.0.0.1", "224.0.0.1", "::", "::1",
                          "fe80::1", "ff02::1", "10.0.0.0/8"})
    world.ways.set(bad, true, kStart);
  CHECK(world.kernel.calls.empty());
  CHECK(world.ways.refused() == 10);
}

TEST_CASE("ways back: changes beyond the rate wait, and none is lost", "[supervisor]") {
  World world;
  for (unsigned n = 0; n < 10; ++n) world.ways.set(number(n), true, kStart);
  CHECK(world.kernel.routes.size() == 2);
  CHECK(world.ways.waiting() == 8);
  CHECK(world.ways.delayed() == 8);
  REQUIRE(world.ways.next_due());
  CHECK(*world.ways.next_due() > kStart);
  TimePoint now = kStart;
  for (int turns = 1; turns <= 8; ++turns) {
    now += kTenth;
    world.ways.on_timer(now);
    CHECK(world.kernel.routes.size() == 2 + static_cast<std::size_t>(turns));
  }
  CHECK_FALSE(world.ways.next_due());
  CHECK(world.kernel.calls.front() == "+10.77.0.0/32");
  CHECK(world.kernel.calls.back() == "+10.77.0.9/32");
}

TEST_CASE("ways back: of changes that wait the last word about an address counts", "[supervisor]") {
  World world;
  world.ways.set(number(1), true, kStart);
  world.ways.set(number(2), true, kStart);
  // The budget is spent. 1 goes and comes, 2 goes, 3 comes and goes, 4 comes after it.
  for (int turns = 0; turns < 100; ++turns)
    for (const bool bound : {false, true}) world.ways.set(number(1), bound, kStart);
  world.ways.set(number(2), false, kStart);
  for (int turns = 0; turns < 100; ++turns)
    for (const bool bound : {true, false}) world.ways.set(number(3), bound, kStart);
  world.ways.set(number(4), true, kStart);
  CHECK(world.ways.waiting() == 4);  // not one for each change
  CHECK(world.ways.size() == 2);
  world.ways.flush(kStart);
  CHECK(world.kernel.routes == Routes{"10.77.0.1/32", "10.77.0.4/32"});
  CHECK(world.kernel.calls == std::vector<std::string>{"+10.77.0.1/32", "+10.77.0.2/32",
                                                       "-10.77.0.2/32", "+10.77.0.4/32"});
}

TEST_CASE("ways back: no more than the bound, those that wait included", "[supervisor]") {
  World world({.rate = 10, .burst = 2}, 4);
  for (unsigned n = 0; n < 20; ++n) world.ways.set(number(n), true, kStart);
  CHECK(world.ways.size() == 4);
  CHECK(world.ways.refused() == 16);
  // Removals that wait take places too: twice the bound is the end.
  for (unsigned n = 0; n < 4; ++n) world.ways.set(number(n), false, kStart);
  for (unsigned n = 100; n < 120; ++n) world.ways.set(number(n), true, kStart);
  CHECK(world.ways.size() == 4);
  CHECK(world.ways.waiting() <= 8);
  world.ways.flush(kStart);
  CHECK(world.kernel.routes.size() == 4);
  CHECK(world.kernel.routes.contains("10.77.0.103/32"));
}

TEST_CASE("ways back: one that the kernel refuses is no route of ours", "[supervisor]") {
  World world;
  world.kernel.refuses = true;
  world.ways.set("10.77.0.7", true, kStart);
  CHECK(world.ways.size() == 0);
  world.kernel.refuses = false;
  world.ways.set("10.77.0.7", true, kStart);
  CHECK(world.kernel.routes == Routes{"10.77.0.7/32"});
}

TEST_CASE("ways back: routes of an earlier program of the process go with their sessions",
          "[supervisor]") {
  World world;
  world.ways.adopt(
      {{Ipv4Prefix::parse("10.77.0.7/32").value(), Ipv4Prefix::parse("10.64.0.0/24").value()},
       {Ipv6Prefix::parse("2001:db8:200:7::/64").value()}});
  CHECK(world.ways.size() == 2);
  world.kernel.routes = {"10.77.0.7/32", "2001:db8:200:7::/64"};
  world.ways.set("10.77.0.7", true, kStart);
  CHECK(world.kernel.calls.empty());
  world.ways.set("10.77.0.7", false, kStart);
  CHECK(world.kernel.routes == Routes{"2001:db8:200:7::/64"});
  CHECK(world.ways.networks() == Networks{{}, {Ipv6Prefix::parse("2001:db8:200:7::/64").value()}});
  world.kernel.routes.clear();
  world.ways.repeat();
  CHECK(world.kernel.routes == Routes{"2001:db8:200:7::/64"});
  world.ways.forget();
  CHECK(world.ways.size() == 0);
}
