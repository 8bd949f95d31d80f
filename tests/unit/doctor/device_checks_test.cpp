// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "pns/doctor/checks.hpp"
#include "tests/unit/doctor/fake_host.hpp"

using namespace pns;
using namespace pns::doctor;
using namespace pns::test;

namespace {

constexpr const char* kNic = "0000:3b:00.0";
const std::string kDevices = "sys/bus/pci/devices/";

Finding of_access(const FakeHost& fake) {
  return with(check_devices(fake.config, fake.host), "ports.access.device");
}

// A NIC that is bound to vfio-pci, in an IOMMU group of its own.
struct FakeNic : FakeHost {
  FakeNic() {
    config.ports.access.device = {config::DeviceKind::kPci, kNic, ""};
    bind("vfio-pci");
    write(kDevices + kNic + "/class", "0x020000\n");
    link("sys/kernel/iommu_groups/17/devices/" + std::string(kNic),
         "../../../../bus/pci/devices/" + std::string(kNic));
    link(kDevices + kNic + "/iommu_group", "../../../../kernel/iommu_groups/17");
  }
  void bind(const std::string& driver) const {
    remove(kDevices + kNic + "/driver");
    link(kDevices + kNic + "/driver", "../../drivers/" + driver);
  }
};

}  // namespace

TEST_CASE("doctor: devices, an interface that is missing, down or without carrier", "[doctor]") {
  FakeHost fake;
  check_ok(check_devices(fake.config, fake.host));
  fake.link_of("access0").carrier = false;
  CHECK(of_access(fake).verdict == Verdict::kError);
  fake.link_of("access0").up = false;
  CHECK(of_access(fake).remedy.run == Commands{"ip link set access0 up"});
  fake.config.ports.access.device = {config::DeviceKind::kXdp, "xdp:eth9", "eth9"};
  CHECK(of_access(fake).text == "ports.access.device: no interface eth9");
}

TEST_CASE("doctor: devices, the pair of a kernel: port may have no name that is taken",
          "[doctor]") {
  FakeHost fake;
  fake.use_kernel_core();
  check_ok(check_devices(fake.config, fake.host));
  fake.host.network.links.push_back({.name = "pns0", .up = true, .kind = "veth"});
  check_ok(check_devices(fake.config, fake.host));  // a server runs
  fake.host.network.links.push_back({.name = "pns0-dp", .up = true, .kind = "dummy"});
  const Finding finding = with(check_devices(fake.config, fake.host), "ports.core.device");
  CHECK(finding.verdict == Verdict::kError);
  CHECK(finding.text == "ports.core.device: pns0-dp is an interface of another kind already");
}

TEST_CASE("doctor: devices, receive queues that workers share unequally, and too many",
          "[doctor]") {
  FakeHost fake;
  fake.make_directory("sys/class/net/access0/queues/rx-1");
  check_ok(check_devices(fake.config, fake.host));
  fake.make_directory("sys/class/net/access0/queues/rx-2");
  fake.config.dataplane.cores.workers = {1, 2};
  const Finding finding = of_access(fake);
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK(finding.remedy.run == Commands{"ethtool -L access0 combined 2"});
  for (int queue = 3; queue < 65; ++queue)
    fake.make_directory("sys/class/net/access0/queues/rx-" + std::to_string(queue));
  CHECK(of_access(fake).verdict == Verdict::kError);
}

TEST_CASE("doctor: devices, a driver without XDP", "[doctor]") {
  FakeHost fake;
  fake.link_of("access0").kind = "";
  fake.link("sys/class/net/access0/device/driver", "../../bus/pci/drivers/e1000e");
  const Finding finding = of_access(fake);
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK_THAT(finding.text, Catch::Contains("driver e1000e") && Catch::Contains("generic XDP"));
  fake.remove("sys/class/net/access0/device");
  fake.link("sys/class/net/access0/device/driver", "../../bus/pci/drivers/ixgbe");
  check_ok(check_devices(fake.config, fake.host));
  fake.link_of("access0").kind = "vlan";
  CHECK(of_access(fake).verdict == Verdict::kWarning);
}

TEST_CASE("doctor: devices, a NIC of vfio-pci and one of the kernel", "[doctor]") {
  const FakeNic fake;
  check_ok(check_devices(fake.config, fake.host));
  CHECK_THAT(of_access(fake).text, Catch::Contains("IOMMU group 17"));
  fake.bind("ixgbe");
  const Finding finding = of_access(fake);
  CHECK(finding.verdict == Verdict::kError);
  CHECK_THAT(finding.text, Catch::Contains("has driver ixgbe, which DPDK cannot use"));
  CHECK(finding.remedy.run == Commands{"deploy/prepare-nic bind 0000:3b:00.0"});
  fake.bind("mlx5_core");
  check_ok(check_devices(fake.config, fake.host));
  fake.remove(kDevices + kNic);
  CHECK_THAT(of_access(fake).text, Catch::Contains("no PCI device"));
}

TEST_CASE("doctor: devices, a NIC without an IOMMU", "[doctor]") {
  const FakeNic fake;
  fake.remove(kDevices + kNic + "/iommu_group");
  const Finding none = of_access(fake);
  CHECK(none.verdict == Verdict::kError);
  CHECK_THAT(none.remedy.advice, Catch::Contains("intel_iommu=on"));
  fake.bind("uio_pci_generic");
  CHECK(of_access(fake).verdict == Verdict::kWarning);
}

TEST_CASE("doctor: devices, vfio without an IOMMU", "[doctor]") {
  const FakeNic fake;
  fake.write("sys/kernel/iommu_groups/17/name", "vfio-noiommu\n");
  const Finding finding = of_access(fake);
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK_THAT(finding.text, Catch::Contains("vfio without an IOMMU"));
}

TEST_CASE("doctor: devices, an IOMMU group that another driver shares", "[doctor]") {
  const FakeNic fake;
  const std::string other = "0000:3b:00.1";
  fake.write(kDevices + other + "/class", "0x020000\n");
  fake.link("sys/kernel/iommu_groups/17/devices/" + other, "../../../../bus/pci/devices/" + other);
  check_ok(check_devices(fake.config, fake.host));  // it has no driver
  fake.link(kDevices + other + "/driver", "../../drivers/ixgbe");
  const Finding finding = of_access(fake);
  CHECK(finding.verdict == Verdict::kError);
  CHECK_THAT(finding.text,
             Catch::Contains("shares IOMMU group 17 with 0000:3b:00.1, which has driver ixgbe"));
  fake.write(kDevices + other + "/class", "0x060400\n");  // a bridge
  check_ok(check_devices(fake.config, fake.host));
}

TEST_CASE("doctor: devices, a lab port needs TAPs", "[doctor]") {
  FakeHost fake;
  fake.use_taps();
  check_ok(check_devices(fake.config, fake.host));
  fake.remove("dev");
  CHECK(of_access(fake).remedy.run == Commands{"modprobe tun"});
}

TEST_CASE("doctor: devices, net_af_packet and devices that only DPDK knows", "[doctor]") {
  FakeHost fake;
  fake.config.ports.access.device = {config::DeviceKind::kVdev,
                                     "net_af_packet0,iface=access0,framecnt=4096", ""};
  check_ok(check_devices(fake.config, fake.host));
  fake.link_of("access0").up = false;
  CHECK(of_access(fake).verdict == Verdict::kError);
  fake.config.ports.access.device.text = "net_af_packet0,iface=eth9";
  CHECK_THAT(of_access(fake).text, Catch::Contains("no interface eth9"));
  fake.config.ports.access.device.text = "net_ring0";
  CHECK(of_access(fake).verdict == Verdict::kSkipped);
}
