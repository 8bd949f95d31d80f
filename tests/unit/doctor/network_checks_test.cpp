// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "pns/doctor/checks.hpp"
#include "tests/unit/doctor/fake_host.hpp"

using namespace pns;
using namespace pns::doctor;
using namespace pns::test;

namespace {

const std::string kConf = "proc/sys/net/ipv4/conf/";

// Its pool lies in the core network.
struct LanHost : FakeHost {
  LanHost() { config.pools["default"].ranges = {{address("10.0.0.128"), address("10.0.0.191")}}; }
};

}  // namespace

TEST_CASE("doctor: rp_filter, strict where clients are reached by another interface", "[doctor]") {
  FakeHost fake;
  check_ok(check_rp_filter(fake.config, fake.host));
  fake.write(kConf + "access0/rp_filter", "1\n");
  check_ok(check_rp_filter(fake.config, fake.host));  // the default route leaves by it
  fake.host.network.routes[0].interface = "core0";
  const Finding finding = with(check_rp_filter(fake.config, fake.host), "access0: 1");
  CHECK(finding.verdict == Verdict::kError);
  CHECK_THAT(finding.text, Catch::Contains("the default route leaves by core0"));
  CHECK(finding.remedy.run == Commands{"sysctl -w net.ipv4.conf.access0.rp_filter=2"});
  fake.write(kConf + "access0/rp_filter", "2\n");
  check_ok(check_rp_filter(fake.config, fake.host));
}

TEST_CASE("doctor: rp_filter, the stricter of all and the interface", "[doctor]") {
  FakeHost fake;
  fake.host.network.routes[0].interface = "core0";
  fake.write(kConf + "all/rp_filter", "1\n");
  CHECK(with(check_rp_filter(fake.config, fake.host), "access0: 1 (all 1").verdict ==
        Verdict::kError);
  fake.write(kConf + "access0/rp_filter", "2\n");
  CHECK(with(check_rp_filter(fake.config, fake.host), "access0: 2 (all 1").verdict == Verdict::kOk);
}

TEST_CASE("doctor: rp_filter, the default route that the kernel prefers", "[doctor]") {
  FakeHost fake;
  fake.write(kConf + "access0/rp_filter", "1\n");
  fake.host.network.routes.push_back({prefix("0.0.0.0/0"), "core0", 100});
  check_ok(check_rp_filter(fake.config, fake.host));
  fake.host.network.routes[0].metric = 200;
  CHECK(with(check_rp_filter(fake.config, fake.host), "access0").verdict == Verdict::kError);
}

TEST_CASE("doctor: an xdp: port's own table stands before the main one", "[doctor]") {
  FakeHost fake;
  fake.write(kConf + "access0/rp_filter", "1\n");
  fake.host.network.routes[0].interface = "core0";
  fake.config.ports.access.table = 1723;
  CHECK(with(check_rp_filter(fake.config, fake.host), "access0").verdict == Verdict::kError);
  CHECK(with(check_routes(fake.config, fake.host), "the default route leaves by core0").verdict ==
        Verdict::kWarning);
  fake.host.network.routes.push_back({prefix("0.0.0.0/0"), "access0", 0, 1723});
  CHECK(with(check_rp_filter(fake.config, fake.host), "access0").verdict == Verdict::kOk);
  check_ok(check_routes(fake.config, fake.host));
}

TEST_CASE("doctor: rp_filter, strict on the core interface", "[doctor]") {
  FakeHost fake;
  fake.write(kConf + "core0/rp_filter", "1\n");
  const Finding finding = with(check_rp_filter(fake.config, fake.host), "core0: 1");
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK(finding.remedy.run == Commands{"sysctl -w net.ipv4.conf.core0.rp_filter=2"});
}

TEST_CASE("doctor: rp_filter, a twin with a gateway has a default route of its own", "[doctor]") {
  FakeHost fake;
  fake.use_taps();
  fake.write(kConf + "default/rp_filter", "1\n");
  const Finding finding = with(check_rp_filter(fake.config, fake.host), "pns-access: 1");
  CHECK(finding.verdict == Verdict::kError);  // the default route leaves by access0
  CHECK(finding.remedy.run == Commands{"sysctl -w net.ipv4.conf.default.rp_filter=2"});
  fake.config.ports.access.gateway = address("198.51.100.254");
  CHECK(with(check_rp_filter(fake.config, fake.host), "pns-access: 1").verdict == Verdict::kOk);
  // The other twin may have one too, and the main table a third.
  fake.config.ports.core.gateway = address("10.0.0.254");
  check_ok(check_rp_filter(fake.config, fake.host));
}

TEST_CASE("doctor: rp_filter, an interface with a dot in its name", "[doctor]") {
  FakeHost fake;
  fake.config.ports.access.device = {config::DeviceKind::kXdp, "xdp:eth0.5", "eth0.5"};
  fake.host.network.links.push_back({.name = "eth0.5"});
  fake.write(kConf + "eth0.5/rp_filter", "1\n");
  CHECK(with(check_rp_filter(fake.config, fake.host), "eth0.5").remedy.run ==
        Commands{"sysctl -w net/ipv4/conf/eth0.5/rp_filter=2"});
}

TEST_CASE("doctor: forwarding, not needed but for IPv6 neighbours", "[doctor]") {
  FakeHost fake;
  check_ok(check_forwarding(fake.config, fake.host));
  fake.config.pools["default"].ipv6_prefixes = {*Ipv6Prefix::parse("2001:db8:100::/48")};
  fake.write("proc/sys/net/ipv6/conf/core0/forwarding", "0\n");
  const Finding finding = only(check_forwarding(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK(finding.remedy.run == Commands{"sysctl -w net.ipv6.conf.core0.forwarding=1"});
  fake.write("proc/sys/net/ipv6/conf/core0/forwarding", "1\n");
  check_ok(check_forwarding(fake.config, fake.host));
}

TEST_CASE("doctor: forwarding, needed where the core port leads into the kernel", "[doctor]") {
  FakeHost fake;
  fake.use_kernel_core();
  check_ok(check_forwarding(fake.config, fake.host));
  check_ok(check_rp_filter(fake.config, fake.host));
  check_ok(check_routes(fake.config, fake.host));
  fake.write("proc/sys/net/ipv4/ip_forward", "0\n");
  const Finding finding = only(check_forwarding(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK(finding.remedy.run == Commands{"sysctl -w net.ipv4.ip_forward=1"});
  fake.write("proc/sys/net/ipv4/ip_forward", "1\n");
  fake.config.pools["default"].ipv6_prefixes = {*Ipv6Prefix::parse("2001:db8:100::/48")};
  fake.write("proc/sys/net/ipv6/conf/all/forwarding", "0\n");
  CHECK(only(check_forwarding(fake.config, fake.host)).remedy.run ==
        Commands{"sysctl -w net.ipv6.conf.all.forwarding=1"});
}

TEST_CASE("doctor: forwarding, a kernel that forwards the packets of net_af_packet too",
          "[doctor]") {
  FakeHost fake;
  fake.config.ports.core.device = {config::DeviceKind::kVdev, "net_af_packet0,iface=core0", ""};
  check_ok(check_forwarding(fake.config, fake.host));
  fake.write(kConf + "core0/forwarding", "1\n");
  const Finding finding = only(check_forwarding(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK(finding.remedy.run == Commands{"sysctl -w net.ipv4.conf.core0.forwarding=0"});
}

TEST_CASE("doctor: mtu, the outer packets of ppp.mtu", "[doctor]") {
  FakeHost fake;
  // 1,400 octets, of PPP 4, of GRE 16, of IPv4 20.
  fake.link_of("access0").mtu = 1440;
  check_ok(check_mtu(fake.config, fake.host));
  CHECK_THAT(with(check_mtu(fake.config, fake.host), "access0").text,
             Catch::Contains("up to 1440 octets") && Catch::Contains("ping -M do -s 1412 CLIENT"));
  fake.link_of("access0").mtu = 1439;
  const Finding finding = with(check_mtu(fake.config, fake.host), "access0: MTU 1439");
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK(finding.remedy.run == Commands{"ip link set access0 mtu 1440"});
  CHECK(finding.remedy.configure == "ppp.mtu: 1399");
}

TEST_CASE("doctor: mtu, packets of the core network, and frames beyond the buffers", "[doctor]") {
  FakeHost fake;
  fake.link_of("core0").mtu = 1300;
  CHECK(with(check_mtu(fake.config, fake.host), "core0: MTU 1300").remedy.run ==
        Commands{"ip link set core0 mtu 1400"});
  fake.link_of("core0").mtu = 9000;
  CHECK(with(check_mtu(fake.config, fake.host), "core0: MTU 9000").verdict == Verdict::kWarning);
}

TEST_CASE("doctor: mtu, of a twin only while it is there", "[doctor]") {
  FakeHost fake;
  fake.use_taps();
  CHECK(with(check_mtu(fake.config, fake.host), "pns-access").verdict == Verdict::kSkipped);
  fake.host.network.links.push_back({.name = "pns-access", .mtu = 1500});
  CHECK(with(check_mtu(fake.config, fake.host), "pns-access").verdict == Verdict::kOk);
  // Its MTU is that of the device.
  fake.link_of("pns-access").mtu = 1300;
  const Finding finding = with(check_mtu(fake.config, fake.host), "pns-access: MTU 1300");
  CHECK(finding.remedy.run.empty());
  CHECK(finding.remedy.configure == "ports.access.mtu: 1440");
}

TEST_CASE("doctor: routes, what the next router needs", "[doctor]") {
  FakeHost fake;
  check_ok(check_routes(fake.config, fake.host));
  CHECK_THAT(only(check_routes(fake.config, fake.host)).text,
             Catch::EndsWith("ip route add 10.64.0.0/18 via 10.0.0.1"));
}

TEST_CASE("doctor: routes, one by another interface that covers a pool", "[doctor]") {
  FakeHost fake;
  fake.host.network.routes.push_back({prefix("10.64.1.0/24"), "access0"});
  const Finding inside = only(check_routes(fake.config, fake.host));
  CHECK(inside.verdict == Verdict::kWarning);
  CHECK(inside.remedy.run == Commands{"ip route del 10.64.1.0/24 dev access0"});
  fake.host.network.routes.back().interface = "core0";
  check_ok(check_routes(fake.config, fake.host));
  // Other traffic may need a wider one.
  fake.host.network.routes.back() = {prefix("10.0.0.0/8"), "access0"};
  const Finding wide = only(check_routes(fake.config, fake.host));
  CHECK(wide.verdict == Verdict::kWarning);
  CHECK(wide.remedy.run.empty());
  CHECK(wide.remedy.configure == "pools.default.ranges: other addresses");
}

TEST_CASE("doctor: routes, a pool in the network of another interface", "[doctor]") {
  FakeHost fake;
  fake.config.pools["default"].ranges = {{address("198.51.100.128"), address("198.51.100.254")}};
  const Finding finding = only(check_routes(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kError);
  CHECK_THAT(finding.text, Catch::Contains("hosts of that network"));
  CHECK(finding.remedy.run.empty());  // it is not the route that is wrong
}

TEST_CASE("doctor: routes, no default route and no core address", "[doctor]") {
  FakeHost fake;
  fake.host.network.routes.erase(fake.host.network.routes.begin());
  const Finding finding = only(check_routes(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK(finding.remedy.run == Commands{"ip route add default via GATEWAY dev access0"});
  fake.host.network.addresses.pop_back();
  CHECK(with(check_routes(fake.config, fake.host), "core0 has no IPv4 address").verdict ==
        Verdict::kError);
}

TEST_CASE("doctor: routes, a default route that GRE does not take", "[doctor]") {
  FakeHost fake;
  fake.host.network.routes[0].interface = "core0";
  const Finding finding = only(check_routes(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK_THAT(finding.text, Catch::Contains("the default route leaves by core0"));
  CHECK(finding.remedy.run.empty());
  fake.use_taps();
  CHECK(with(check_routes(fake.config, fake.host), "the default route").remedy.configure ==
        "ports.access.gateway: the router of the access network");
  fake.config.ports.access.gateway = address("198.51.100.254");
  check_ok(check_routes(fake.config, fake.host));
}

TEST_CASE("doctor: proxy arp, a pool in the core network", "[doctor]") {
  LanHost fake;
  const Finding good = only(check_proxy_arp(fake.config, fake.host));
  CHECK(good.verdict == Verdict::kOk);
  CHECK_THAT(good.text,
             Catch::Contains("10.0.0.128-10.0.0.191 of pools.default lies in a network of core0"));
  // All of these make the kernel answer.
  fake.host.network.links.push_back({.name = "pns-pool", .up = true, .kind = "dummy"});
  fake.host.network.routes.push_back({prefix("10.0.0.128/26"), "pns-pool"});
  check_ok(check_proxy_arp(fake.config, fake.host));
  fake.write(kConf + "core0/forwarding", "1");
  check_ok(check_proxy_arp(fake.config, fake.host));
  fake.write(kConf + "core0/proxy_arp", "1");
  const Finding finding = only(check_proxy_arp(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK_THAT(finding.text, Catch::Contains("the kernel answers ARP for it too"));
  CHECK(finding.remedy.run == Commands{"sysctl -w net.ipv4.conf.core0.proxy_arp=0"});
  // A route to a dummy is no conflict.
  check_ok(check_routes(fake.config, fake.host));
  fake.host.network.routes.pop_back();
  check_ok(check_proxy_arp(fake.config, fake.host));
}

TEST_CASE("doctor: proxy arp, all of the host's interfaces", "[doctor]") {
  LanHost fake;
  fake.host.network.links.push_back({.name = "pns-pool", .up = true, .kind = "dummy"});
  fake.host.network.routes.push_back({prefix("10.0.0.128/26"), "pns-pool"});
  fake.write(kConf + "core0/forwarding", "1");
  fake.write(kConf + "all/proxy_arp", "1");
  CHECK(only(check_proxy_arp(fake.config, fake.host)).remedy.run ==
        Commands{"sysctl -w net.ipv4.conf.all.proxy_arp=0"});
}

TEST_CASE("doctor: proxy arp, not needed for a pool of its own", "[doctor]") {
  FakeHost fake;
  check_ok(check_proxy_arp(fake.config, fake.host));
  LanHost lan;
  lan.use_taps();
  check_ok(check_proxy_arp(lan.config, lan.host));
}

TEST_CASE("doctor: parameters of the server's own interfaces", "[doctor]") {
  FakeHost fake;
  fake.use_kernel_core();
  fake.config.ports.core.services.enabled = false;
  check_ok(check_parameters(fake.config, fake.host));  // the interface is not there yet
  fake.host.parameters_writable = false;
  const Finding closed = only(check_parameters(fake.config, fake.host));
  CHECK(closed.verdict == Verdict::kWarning);
  CHECK_THAT(closed.text, Catch::Contains("/proc/sys/net cannot be written"));
  CHECK_FALSE(closed.remedy.empty());

  // They are there, and a container's owner has set them from outside.
  fake.write(kConf + "pns0-dp/forwarding", "0\n");
  fake.write(kConf + "pns0/accept_local", "1\n");
  check_ok(check_parameters(fake.config, fake.host));
  fake.host.parameters_writable = true;
  fake.write(kConf + "pns0-dp/forwarding", "1\n");
  const Finding finding = only(check_parameters(fake.config, fake.host));
  CHECK(finding.verdict == Verdict::kWarning);
  CHECK_THAT(finding.text, Catch::Contains("net.ipv4.conf.pns0-dp.forwarding is 1: the host "
                                           "forwards packets again"));
  CHECK(finding.remedy.run == Commands{"sysctl -w net.ipv4.conf.pns0-dp.forwarding=0"});
}
