// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/host_check.hpp"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "pns/netlink/tcp_address.hpp"
#include "pns/supervisor/kernel_net.hpp"
#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::supervisor;

namespace {

// Nothing is wrong with it but the privileges of the test.
config::Config sound() {
  config::Config config;
  config.ports.access.device = {config::DeviceKind::kXdp, "xdp:lo", "lo"};
  config.ports.core.device = {config::DeviceKind::kXdp, "xdp:none", "none"};
  const int pid = ::getpid();
  config.pptp.listen = {Ipv4Address(0x7fc00001U + (static_cast<unsigned>(pid) % 0xffff << 4))};
  config.dataplane.max_sessions = 16;
  config.dataplane.memory.hugepages = config::HugePages::kOff;
  return config;
}

std::string all_of(const std::vector<std::string>& objections) {
  std::string text;
  for (const auto& objection : objections) text += objection + "\n";
  return text;
}

std::string objections_to(const config::Config& config) {
  return all_of(host_objections(config, std::filesystem::temp_directory_path() / "pns-none"));
}

}  // namespace

TEST_CASE("host check: a sound configuration has no objection for root", "[supervisor]") {
  if (::geteuid() == 0)
    CHECK(objections_to(sound()).empty());
  else
    CHECK_THAT(objections_to(sound()), Catch::StartsWith("raw GRE socket: "));
}

TEST_CASE("host check: an address that another program listens on", "[supervisor]") {
  const auto config = sound();
  const auto other = listen_on(config.pptp.listen.front(), kPptpPort);
  if (!other) {
    WARN("TCP 1723 cannot be bound here: " << other.error());
    return;
  }
  CHECK_THAT(objections_to(config),
             Catch::Contains("pptp.listen: cannot listen on " +
                             config.pptp.listen.front().to_string() + ":1723: bind: Address") &&
                 Catch::Contains("ss -ltnp names it"));
  CHECK(netlink::listening_user(config.pptp.listen.front(), kPptpPort) == ::geteuid());
  CHECK(netlink::listening_user(config.pptp.listen.front(), 9) == std::nullopt);
}

TEST_CASE("host check: nothing to listen on", "[supervisor]") {
  auto config = sound();
  config.pptp.listen.clear();
  config.ports.access.device = {config::DeviceKind::kXdp, "xdp:none", "none"};
  CHECK_THAT(objections_to(config), Catch::Contains("pptp.listen: no address to listen on"));
}

TEST_CASE("host check: a TAP cannot have the name of another interface", "[supervisor]") {
  auto config = sound();
  config.ports.core.device = {config::DeviceKind::kTap, "tap:lo", "lo"};
  config.ports.core.twin = "lo";
  CHECK_THAT(objections_to(config),
             Catch::Contains("ports.core.device: lo is an interface of another kind") &&
                 Catch::Contains("ports.core.twin: lo is an interface of another kind"));
}

TEST_CASE("host check: a relay of broadcasts that can relay nothing", "[supervisor]") {
  auto config = sound();
  config.ports.core.device = {config::DeviceKind::kTap, "tap:wire", "wire"};
  config.ports.core.twin = "pns-core";
  config.pools["default"].ranges = {
      {*Ipv4Address::parse("10.0.0.200"), *Ipv4Address::parse("10.0.0.239")}};
  CHECK(broadcast_warning(config).empty());  // it is off
  config.ppp.broadcast_relay = 100;
  for (const char* own : {"", "10.0.0.1/32", "10.0.0.0/31"}) {
    config.ports.core.addresses.clear();
    if (*own != 0) config.ports.core.addresses = {*Ipv4Prefix::parse(own)};
    CHECK_THAT(broadcast_warning(config),
               Catch::Contains("pns-core has no IPv4 address in a network with broadcasts"));
  }
  config.ports.core.addresses = {*Ipv4Prefix::parse("10.9.0.1/24")};
  CHECK_THAT(broadcast_warning(config),
             Catch::Contains("no pool lies in a network of pns-core (10.9.0.1/24)"));
  config.ports.core.addresses.push_back(*Ipv4Prefix::parse("10.0.0.1/24"));
  CHECK(broadcast_warning(config).empty());
  // The kernel's addresses count where it has them.
  config.ports.core = {};
  config.ports.core.device = {config::DeviceKind::kXdp, "xdp:lo", "lo"};
  CHECK_THAT(broadcast_warning(config), Catch::Contains("no pool lies in a network of lo (127."));
}

TEST_CASE("host check: memory for sessions", "[supervisor]") {
  auto config = sound();
  config.dataplane.max_sessions = UINT32_MAX;  // 4 TiB
  CHECK_THAT(objections_to(config),
             Catch::Contains("dataplane.max_sessions: 4294967295 sessions need"));
  config.dataplane.memory.hugepages = config::HugePages::kOn;
  CHECK_THAT(objections_to(config), Catch::Contains("dataplane.memory.hugepages: on, but") &&
                                        Catch::Contains("nr_hugepages"));
}

TEST_CASE("host check: run directories that cannot be", "[supervisor]") {
  CHECK(run_directory_objections(std::filesystem::temp_directory_path() / "a/b/c").empty());
  CHECK_THAT(all_of(run_directory_objections("/" + std::string(100, 'x'))),
             Catch::Contains("is longer than 107 octets"));
  CHECK_THAT(all_of(run_directory_objections("/dev/null/run")),
             Catch::Contains("/dev/null is no directory"));
  CHECK(all_of(run_directory_objections("/proc/run")).empty() == false);
}

TEST_CASE("host check: descriptors for all connections, or a warning", "[supervisor]") {
  CHECK(descriptor_warning(1).empty());
  CHECK_THAT(descriptor_warning(UINT32_MAX),
             Catch::StartsWith("pptp.max_connections: 4294967295 connections need 8589938686"));
}

TEST_CASE("host check: a server serves while its process is there", "[supervisor]") {
  const test::ScratchDirectory scratch;
  const std::filesystem::path& directory = scratch.path;
  CHECK_FALSE(is_serving(directory));
  std::ofstream(directory / "supervisor.pid") << ::getpid() << "\n";
  CHECK(is_serving(directory));
  std::ofstream(directory / "supervisor.pid") << 0x3fffffff << "\n";
  CHECK_FALSE(is_serving(directory));
}
