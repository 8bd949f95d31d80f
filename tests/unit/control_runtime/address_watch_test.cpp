// SPDX-License-Identifier: BSD-3-Clause
//
// In a network namespace of its own, with real interfaces.
#include "controlplane/runtime/address_watch.hpp"

#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/control_runtime/loop.hpp"

using namespace pns;
using control::AddressWatch;
using control::HostAddresses;

namespace {

void ip(const std::string& arguments) { REQUIRE(std::system(("ip " + arguments).c_str()) == 0); }

// The thread stays in its namespace, which nothing else of this program needs.
void enter_fresh_namespace() {
  static const bool made = ::unshare(CLONE_NEWNET) == 0;
  REQUIRE(made);
  if (::if_nametoindex("t-lan") != 0) ip("link delete t-lan");
  ip("link add t-lan type veth peer name t-lan-2");
  ip("link set t-lan up");
  ip("link set t-lan-2 up");
}

Ipv4Prefix v4(std::string_view text) { return Ipv4Prefix::parse(text).value(); }
Ipv6Prefix v6(std::string_view text) { return Ipv6Prefix::parse(text).value(); }

}  // namespace

TEST_CASE("address watch: it has what is there, and hears what comes and goes",
          "[control_runtime][netlink]") {
  enter_fresh_namespace();
  ip("addr add 192.0.2.7/24 dev t-lan");
  asio::io_context loop;
  std::vector<HostAddresses> heard;
  const control::HostAddressReader reader;
  AddressWatch watch(loop, reader, [&](const HostAddresses& now) { heard.push_back(now); });
  // Neither ::1, 127.0.0.1 nor fe80::/10.
  CHECK(watch.addresses().ipv4 == std::vector{v4("192.0.2.7/24")});
  CHECK(watch.addresses().ipv6.empty());
  watch.start();

  ip("addr add 10.64.0.9/32 dev t-lan");
  REQUIRE(test::until(loop, [&] { return !heard.empty(); }));
  CHECK(heard.back().ipv4 == std::vector{v4("10.64.0.9/32"), v4("192.0.2.7/24")});
  ip("addr add 2001:db8::7/64 dev t-lan nodad");
  REQUIRE(test::until(loop, [&] { return !heard.back().ipv6.empty(); }));
  CHECK(heard.back().ipv6 == std::vector{v6("2001:db8::7/64")});
  ip("link delete t-lan");
  CHECK(test::until(loop, [&] { return heard.back() == HostAddresses(); }));
}

TEST_CASE("address watch: it misses nothing when the kernel had more to say than fits",
          "[control_runtime][netlink]") {
  enter_fresh_namespace();
  asio::io_context loop;
  HostAddresses last;
  const control::HostAddressReader reader;
  AddressWatch watch(loop, reader, [&](const HostAddresses& now) { last = now; });
  watch.start();
  // Some 4,000 events while nobody reads: more than the socket's buffer holds.
  const auto file = std::filesystem::temp_directory_path() / fmt::format("pns-ip-{}", ::getpid());
  {
    std::ofstream batch(file);
    for (const char* verb : {"add", "del"})
      for (int i = 0; i < 2000; ++i)
        batch << fmt::format("addr {} 10.9.{}.{}/32 dev t-lan\n", verb, i / 250, i % 250 + 1);
    batch << "addr add 198.51.100.1/32 dev t-lan\n";
  }
  ip("-batch " + file.string());
  std::filesystem::remove(file);
  CHECK(test::until(loop, [&] { return last.ipv4 == std::vector{v4("198.51.100.1/32")}; }));
}
