// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/kernel_parameters.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::supervisor;

namespace {

struct Tree {
  test::ScratchDirectory scratch;
  std::filesystem::path root = scratch.path;

  [[nodiscard]] std::filesystem::path make(const std::string& file) const {
    std::filesystem::create_directories((root / file).parent_path());
    return root / file;
  }
  [[nodiscard]] std::string contents(const std::string& file) const {
    std::ostringstream text;
    text << std::ifstream(root / file).rdbuf();
    return text.str();
  }
};

const std::string kForwarding = "net/ipv4/conf/a/forwarding";

}  // namespace

TEST_CASE("kernel parameters: one is written where it has another value", "[supervisor]") {
  const Tree tree;
  std::ofstream(tree.make(kForwarding)) << "1\n";
  CHECK(set_parameter(tree.root, {kForwarding, "0"}).empty());
  CHECK(tree.contents(kForwarding).starts_with("0"));
  // One that has the value is left alone, so that a read-only /proc/sys with it is none to complain
  // of. /dev/full takes no octet, and has others.
  std::filesystem::create_symlink("/dev/full", tree.make("net/ipv4/conf/a/accept_local"));
  CHECK(set_parameter(tree.root, {"net/ipv4/conf/a/accept_local", "1"}) ==
        "No space left on device");
}

TEST_CASE("kernel parameters: one that is not there is an error, but for a host without IPv6",
          "[supervisor]") {
  const Tree tree;
  CHECK(set_parameter(tree.root, {kForwarding, "0"}) == "No such file or directory");
  CHECK(set_parameter(tree.root, {"net/ipv6/conf/a/disable_ipv6", "0"}).empty());
  std::filesystem::create_directory(tree.make(kForwarding));
  CHECK(set_parameter(tree.root, {kForwarding, "0"}) == "Is a directory");
}

TEST_CASE("kernel parameters: those of a configuration are of the interfaces that pns makes",
          "[supervisor]") {
  config::Config config;
  config.ports.access.device = {config::DeviceKind::kXdp, "xdp:eth0", "eth0"};
  config.ports.core.device = {config::DeviceKind::kXdp, "xdp:eth1", "eth1"};
  config.ports.core.services.enabled = false;
  CHECK(parameters_of(config).empty());
  config.ports.core.device = {config::DeviceKind::kKernel, "kernel:pns0", "pns0"};
  const auto has = [&](const std::string& path, std::string_view value) {
    return std::ranges::any_of(parameters_of(config), [&](const KernelParameter& parameter) {
      return parameter.path == path && parameter.value == value && !parameter.otherwise.empty();
    });
  };
  CHECK(has("net/ipv4/conf/pns0-dp/forwarding", "0"));
  CHECK(has("net/ipv4/conf/pns0/accept_local", "1"));
  CHECK_FALSE(has("net/ipv6/conf/pns0/disable_ipv6", "0"));
  config.pools["default"].ipv6_prefixes = {*Ipv6Prefix::parse("2001:db8:100::/48")};
  CHECK(has("net/ipv6/conf/pns0/disable_ipv6", "0"));
  config.ports.core.device = {config::DeviceKind::kTap, "tap:wire1", "wire1"};
  config.ports.core.twin = "pns-core";
  config.ports.core.services = {true, "pns-services", 1725};
  CHECK(has("net/ipv6/conf/pns-core/addr_gen_mode", "1"));
  CHECK(has("net/ipv6/conf/pns-services/disable_ipv6", "0"));
}
