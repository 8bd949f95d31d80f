// SPDX-License-Identifier: BSD-3-Clause
#include "pns/host/devices.hpp"

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/scratch_directory.hpp"

using namespace pns;

TEST_CASE("devices: MTU, carrier and receive queues of an interface", "[host]") {
  const test::ScratchDirectory scratch;
  const auto eth0 = scratch.path / "class/net/eth0";
  std::filesystem::create_directories(eth0 / "queues/rx-0");
  std::filesystem::create_directories(eth0 / "queues/rx-1");
  std::filesystem::create_directories(eth0 / "queues/tx-0");
  const auto write = [&](const char* name, const char* text) {
    std::ofstream(eth0 / name) << text;
  };

  CHECK_FALSE(host::mtu("eth0", scratch.path));
  write("mtu", "1450\n");
  CHECK(host::mtu("eth0", scratch.path) == 1450U);
  CHECK_FALSE(host::mtu("", scratch.path));

  CHECK_FALSE(host::has_carrier("eth0", scratch.path));
  write("carrier", "1\n");
  CHECK(host::has_carrier("eth0", scratch.path) == true);
  write("carrier", "0\n");
  CHECK(host::has_carrier("eth0", scratch.path) == false);
  write("carrier", "");  // the kernel has no answer for an interface that is down
  CHECK(host::has_carrier("eth0", scratch.path) == false);

  CHECK(host::rx_queues("eth0", scratch.path) == 2);
  CHECK(host::rx_queues("eth9", scratch.path) == 1);
  CHECK(host::has_interface("eth0", scratch.path));
}

TEST_CASE("devices: the interface below a virtual device", "[host]") {
  CHECK(host::interface_of_vdev("net_af_packet0,iface=eth1") == "eth1");
  CHECK(host::interface_of_vdev("net_af_packet0,iface=eth1,framecnt=4096") == "eth1");
  CHECK(host::interface_of_vdev("net_pcap0,rx_pcap=calls.pcap").empty());
}
