// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "pns/doctor/checks.hpp"
#include "tests/unit/doctor/fake_host.hpp"

using namespace pns;
using namespace pns::doctor;
using namespace pns::test;

namespace {

constexpr const char* kHead =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n";
constexpr const char* kRest =
    " 00000000:00000000 00:00000000 00000000     0        0 777 1 0 100 0 0 10 0\n";

// A socket with inode 777, as the kernel prints it on little endian. Port 1723 is 06BB.
std::string tcp(const std::string& local, const std::string& state = "0A") {
  return kHead + ("   0: " + local + " 00000000:0000 " + state) + kRest;
}

struct BusyHost : FakeHost {
  explicit BusyHost(const std::string& name, const std::string& table = tcp("00000000:06BB")) {
    write("proc/net/tcp", table);
    add_process(4711, name, 777);
  }
};

}  // namespace

TEST_CASE("doctor: listener, another program has TCP 1723", "[doctor]") {
  FakeHost fake;
  check_ok(check_listener(fake.config, fake.host));
  const BusyHost busy("nc");
  const Finding finding = only(check_listener(busy.config, busy.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK(finding.text == "TCP 1723 is in use by nc (pid 4711)");
  CHECK_THAT(finding.remedy.advice, Catch::Contains("pptp.listen"));
  const BusyHost pptpd("pptpd");
  CHECK(only(check_listener(pptpd.config, pptpd.host)).remedy.run ==
        Commands{"systemctl disable --now pptpd"});
  const BusyHost accel("accel-pppd");
  CHECK(only(check_listener(accel.config, accel.host)).remedy.run ==
        Commands{"systemctl disable --now accel-ppp"});
}

TEST_CASE("doctor: listener, sockets that are not in the way", "[doctor]") {
  for (const std::string& table :
       {tcp("00000000:0016"), tcp("00000000:06BB", "01"), tcp("0A00A8C0:06BB")}) {
    INFO(table);
    const BusyHost busy("nc", table);  // SSH, a connection, 192.168.0.10
    check_ok(check_listener(busy.config, busy.host));
  }
  const BusyHost same("nc", tcp("016433C6:06BB"));  // 198.51.100.1
  CHECK(only(check_listener(same.config, same.host)).verdict == Verdict::kError);
}

TEST_CASE("doctor: listener, a socket of IPv6 takes the port too", "[doctor]") {
  FakeHost fake;
  fake.write("proc/net/tcp6", kHead +
                                  std::string("   0: 00000000000000000000000000000000:06BB "
                                              "00000000000000000000000000000000:0000 0A") +
                                  kRest);
  const Finding finding = only(check_listener(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK_THAT(finding.text, Catch::Contains("not visible from here"));
}

TEST_CASE("doctor: listener, the server that runs listens", "[doctor]") {
  BusyHost fake("pns");
  fake.host.server.supervisor = 4711;
  check_ok(check_listener(fake.config, fake.host));
  CHECK(only(check_listener(fake.config, fake.host)).text == "the server listens on TCP 1723");
  fake.remove("proc/net/tcp");
  CHECK(only(check_listener(fake.config, fake.host)).verdict == Verdict::kError);
}

TEST_CASE("doctor: listener, addresses that the host does not have", "[doctor]") {
  FakeHost fake;
  fake.config.pptp.listen = {address("198.51.100.1"), address("198.51.100.2")};
  const Finding finding = only(check_listener(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK(finding.remedy.run == Commands{"ip address add 198.51.100.2/LENGTH dev access0"});
  fake.config.pptp.listen.clear();
  fake.host.network.addresses.erase(fake.host.network.addresses.begin());
  CHECK_THAT(only(check_listener(fake.config, fake.host)).text,
             Catch::Contains("no IPv4 address to listen on"));
  fake.use_taps();
  check_ok(check_listener(fake.config, fake.host));  // pns gives it to the twin
  fake.config.pptp.listen = {address("198.51.100.2")};
  CHECK(only(check_listener(fake.config, fake.host)).verdict == Verdict::kWarning);
  fake.host.network.links.push_back({.name = "pns-access"});
  CHECK(only(check_listener(fake.config, fake.host)).verdict == Verdict::kError);
}

TEST_CASE("doctor: other servers, one that runs", "[doctor]") {
  FakeHost fake;
  fake.add_process(100, "sshd", 5);
  check_ok(check_other_servers(fake.config, fake.host));
  fake.add_process(200, "pptpd", 6);
  fake.add_process(201, "pptpctrl", 7);
  const Finding finding = only(check_other_servers(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK(finding.text == "another PPTP server runs: pptpd (pid 200), pptpctrl (pid 201)");
  CHECK(finding.remedy.run == Commands{"systemctl disable --now pptpd"});
}

TEST_CASE("doctor: other servers, a raw socket for GRE", "[doctor]") {
  BusyHost fake("pptp", "");
  fake.write("proc/net/raw", kHead + std::string("  47: 00000000:002F 00000000:0000 07") + kRest);
  CHECK(only(check_other_servers(fake.config, fake.host)).verdict == Verdict::kWarning);
  CHECK_THAT(only(check_other_servers(fake.config, fake.host)).text,
             Catch::StartsWith("pptp (pid 4711) has a socket"));
  fake.host.server.supervisor = 4711;  // the supervisor's own
  check_ok(check_other_servers(fake.config, fake.host));
  fake.host.server.supervisor = -1;
  fake.write("proc/net/raw",
             kHead + std::string("   1: 00000000:0001 00000000:0000 07") + kRest);  // ICMP
  check_ok(check_other_servers(fake.config, fake.host));
}

TEST_CASE("doctor: other servers, GRE tunnels and the kernel's PPTP", "[doctor]") {
  FakeHost fake;
  fake.host.network.links.push_back({.name = "gre0", .kind = "gre"});
  check_ok(check_other_servers(fake.config, fake.host));
  fake.host.network.links.push_back({.name = "branch", .kind = "gretap"});
  CHECK_THAT(only(check_other_servers(fake.config, fake.host)).text,
             Catch::Contains("GRE tunnels of this host: branch"));
  fake.use_taps();
  check_ok(check_other_servers(fake.config, fake.host));
  FakeHost module;
  module.write("proc/modules", "gre 16384 1 pptp, Live 0x0\npptp 24576 0 - Live 0x0\n");
  CHECK(only(check_other_servers(module.config, module.host)).remedy.run ==
        Commands{"modprobe -r pptp"});
}
