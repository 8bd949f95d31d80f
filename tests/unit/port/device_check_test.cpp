// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/device_check.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::dataplane;

namespace {

// A sysfs with one interface of three queues and two PCI devices.
class Sys {
 public:
  Sys() {
    for (const char* queue : {"rx-0", "rx-1", "rx-2", "tx-0"})
      std::filesystem::create_directories(root_ / "class/net/eth1/queues" / queue);
    for (const auto& [device, driver] :
         {std::pair{"0000:01:00.0", "vfio-pci"}, {"0000:01:00.1", "ixgbe"}}) {
      const auto at = root_ / "bus/pci/devices" / device;
      std::filesystem::create_directories(at);
      std::filesystem::create_symlink("../../drivers/" + std::string(driver), at / "driver");
    }
    std::filesystem::create_directories(root_ / "bus/pci/devices/0000:01:00.2");
  }

  void add_queue(const std::string& interface, int queue) const {
    std::filesystem::create_directories(root_ / "class/net" / interface / "queues" /
                                        ("rx-" + std::to_string(queue)));
  }

  [[nodiscard]] std::string objection(config::DeviceKind kind, const std::string& text,
                                      const std::string& interface = "") const {
    config::Config config;
    config.dataplane.cores.workers = {1, 2};
    config.ports.core.device = {kind, text, interface};
    return device_objection(contract::PortRole::kCore, config, root_);
  }

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

 private:
  test::ScratchDirectory scratch_;
  std::filesystem::path root_ = scratch_.path;
};

}  // namespace

TEST_CASE("device check: each kind of device that is not there, or not DPDK's", "[port]") {
  using Kind = config::DeviceKind;
  const Sys sys;
  CHECK(sys.objection(Kind::kXdp, "xdp:eth9", "eth9") ==
        "ports.core.device: xdp:eth9: no such interface: eth9 (ip link shows those of this host)");
  CHECK(sys.objection(Kind::kPci, "0000:01:00.0").empty());
  CHECK_THAT(sys.objection(Kind::kPci, "0000:01:00.1"),
             Catch::Contains("its driver is ixgbe, which DPDK cannot use"));
  CHECK_THAT(sys.objection(Kind::kPci, "0000:01:00.2"), Catch::Contains("its driver is none"));
  CHECK_THAT(sys.objection(Kind::kPci, "0000:02:00.0"), Catch::Contains("no such PCI device"));
  CHECK(sys.objection(Kind::kVdev, "net_af_packet0,iface=eth1,framecnt=4096").empty());
  CHECK(sys.objection(Kind::kVdev, "net_null0").empty());
  CHECK_THAT(sys.objection(Kind::kVdev, "net_af_packet0,iface=eth9"),
             Catch::Contains("no such interface: eth9"));
  CHECK(sys.objection(Kind::kTap, "tap:eth9", "eth9").empty());
}

TEST_CASE("device check: each member of a bond is looked at", "[port]") {
  const Sys sys;
  const auto bond = [&](std::vector<std::string> members) {
    config::Config config;
    config.ports.core.device = {config::DeviceKind::kBond, "bond:802.3ad", "",
                                config::BondMode::kLacp, std::move(members)};
    return device_objection(contract::PortRole::kCore, config, sys.root());
  };
  CHECK(bond({"0000:01:00.0", "net_tap0,iface=lag0"}).empty());
  CHECK_THAT(
      bond({"0000:01:00.0", "0000:01:00.1"}),
      Catch::Contains("0000:01:00.1: its driver is ixgbe, which DPDK cannot use (prepare-nic "
                      "bind 0000:01:00.1)"));
}

TEST_CASE("device check: an interface with more queues than can be served", "[port]") {
  const Sys sys;
  const auto served = sys.objection(config::DeviceKind::kXdp, "xdp:eth1", "eth1");
  CHECK_THAT(served, !Catch::Contains("receive queues"));
  for (int queue = 3; queue < 70; ++queue) sys.add_queue("eth1", queue);
  CHECK(sys.objection(config::DeviceKind::kXdp, "xdp:eth1", "eth1") ==
        "ports.core.device: xdp:eth1: the interface has 70 receive queues and at most 64 can be "
        "served: ethtool -L eth1 combined 64");
}
