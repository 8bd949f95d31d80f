// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/values.hpp"

#include <catch2/catch.hpp>

using namespace pns;
using namespace pns::config;
using namespace std::chrono_literals;

TEST_CASE("values: durations carry a unit", "[config]") {
  const auto parse = [](std::string_view text) { return parse_duration(text, 0us, 24h * 365); };
  CHECK(parse("50us") == 50us);
  CHECK(parse("10ms") == 10ms);
  CHECK(parse("30s") == 30s);
  CHECK(parse("5m") == 5min);
  CHECK(parse("2h") == 2h);
  CHECK(parse("1d") == 24h);
  CHECK(parse("0") == 0us);
  for (const char* bad : {"", "30", "s", "30 s", "30sec", "-1s", "+1s", "1.5s", "1h30m", "0x10s",
                          "99999999999999999999s", "9223372036854775807d"})
    CHECK_FALSE(parse(bad));
  CHECK(parse_duration("2s", 3s, 5s).error() == "2s is out of range (3s to 5s)");
}

TEST_CASE("values: rates are bits per second in powers of 1,000", "[config]") {
  CHECK(parse_rate("64kbit") == 64'000);
  CHECK(parse_rate("20mbit") == 20'000'000);
  CHECK(parse_rate("1gbit") == 1'000'000'000);
  CHECK(parse_rate("1000bit") == 1'000);
  CHECK(parse_volume("5gbyte") == 5'000'000'000);
  CHECK(parse_volume("1byte") == 1);
  for (const char* bad : {"0", "5", "5gb", "20mbit", "-1byte", "9223372036855tbyte"})
    CHECK_FALSE(parse_volume(bad));
  for (const char* bad :
       {"", "20", "20mb", "20Mbit", "mbit", "-1mbit", "999bit", "0", "99999999999gbit"})
    CHECK_FALSE(parse_rate(bad));
}

TEST_CASE("values: devices", "[config]") {
  CHECK(parse_device("xdp:eth0")->kind == DeviceKind::kXdp);
  CHECK(parse_device("kernel:pns0")->kind == DeviceKind::kKernel);
  CHECK(parse_device("kernel:pns0")->xdp_interface() == "pns0-dp");
  CHECK(parse_device("kernel:abcdefghijkl")->interface == "abcdefghijkl");
  CHECK_FALSE(parse_device("kernel:abcdefghijklm"));  // with "-dp" longer than the kernel takes
  CHECK_FALSE(parse_device("kernel:"));
  CHECK(parse_device("tap:w0")->interface == "w0");
  CHECK(parse_device("0000:3b:00.1")->kind == DeviceKind::kPci);
  CHECK(parse_device("3b:00.1")->kind == DeviceKind::kPci);
  CHECK(parse_device("net_pcap0,rx_pcap=x.pcap")->kind == DeviceKind::kVdev);
  for (const char* bad : {"", "eth0", "xdp:", "tap:a/b", "0000:3b:00", "0000:3b:00.1.2", "3b:0g.1",
                          "net_ring0, x", "crypto_null0"})
    CHECK_FALSE(parse_device(bad));
}

TEST_CASE("values: bonds, and what can be a member", "[config]") {
  CHECK(parse_device("bond:active-backup")->kind == DeviceKind::kBond);
  CHECK(parse_device("bond:active-backup")->bond_mode == BondMode::kActiveBackup);
  CHECK(parse_device("bond:802.3ad")->bond_mode == BondMode::kLacp);
  for (const char* bad : {"bond:", "bond:balance-rr", "bond:1", "bond"})
    CHECK_FALSE(parse_device(bad));
  CHECK(*parse_bond_member("0000:3b:00.1") == "0000:3b:00.1");
  CHECK(*parse_bond_member("net_tap0,iface=lag0") == "net_tap0,iface=lag0");
  for (const char* bad :
       {"", "eth0", "xdp:eth0", "tap:w0", "bond:802.3ad", "net_af_packet0,iface=eth0"})
    CHECK_FALSE(parse_bond_member(bad));
  CHECK(has_pci({DeviceKind::kPci, "3b:00.0", "", {}, {}}));
  CHECK(has_pci({DeviceKind::kBond, "", "", {}, {"net_tap0", "3b:00.0"}}));
  CHECK_FALSE(has_pci({DeviceKind::kBond, "", "", {}, {"net_tap0", "net_tap1"}}));
}

TEST_CASE("values: ranges include both ends and only hosts", "[config]") {
  CHECK(parse_range("10.0.0.1-10.0.0.1")->size() == 1);
  CHECK(parse_range("10.0.0.7")->size() == 1);
  CHECK(parse_range("10.0.0.0-10.255.255.255")->size() == 1U << 24);
  for (const char* bad : {"", "-", "10.0.0.1-", "10.0.0.2-10.0.0.1", "224.0.0.1-224.0.0.9",
                          "126.0.0.1-128.0.0.1", "0.0.0.0-0.0.0.9", "10.0.0.1 - 10.0.0.2"})
    CHECK_FALSE(parse_range(bad));
}

TEST_CASE("values: interface addresses are hosts, networks are not", "[config]") {
  CHECK(parse_interface_address("10.0.0.1/24")->to_string() == "10.0.0.1/24");
  CHECK(parse_interface_address("10.0.0.0/31"));
  CHECK(parse_interface_address("10.0.0.1/32"));
  for (const char* bad : {"10.0.0.1", "10.0.0.0/24", "10.0.0.255/24", "10.0.0.1/0", "10.0.0.1/33",
                          "127.0.0.1/8", "224.0.0.5/24"})
    CHECK_FALSE(parse_interface_address(bad));
  CHECK(parse_network("10.0.0.0/9"));
  CHECK_FALSE(parse_network("10.0.0.1/9"));
  CHECK_FALSE(parse_network("0.0.0.0/0"));
}

TEST_CASE("values: endpoints", "[config]") {
  CHECK(parse_endpoint("0.0.0.0:9655")->port == 9655);
  for (const char* bad : {"", "9655", ":9655", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
                          "127.0.0.1:65536", "localhost:9655", "[::1]:9655"})
    CHECK_FALSE(parse_endpoint(bad));
}
