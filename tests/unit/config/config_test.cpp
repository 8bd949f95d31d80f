// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/config.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

using namespace pns;
using namespace pns::config;
using namespace std::chrono_literals;

namespace {

// The least that is a whole configuration. Keys of `extra` are added as YAML text.
const std::string kMinimal = R"(ports:
  access: {device: "xdp:eth0"}
  core: {device: "xdp:eth1"}
pools:
  default: {ranges: [10.64.0.2-10.64.0.254], gateway: 10.64.0.1}
aaa:
  local: {users_file: users.yaml}
)";

std::vector<std::string> errors_of(const std::string& text) {
  std::vector<std::string> lines;
  const auto config = parse(text, "pns.yaml");
  if (!config)
    for (const ConfigError& error : config.error()) lines.push_back(error.to_string());
  return lines;
}

// The one error that `text` gives.
std::string error_of(const std::string& text) {
  const auto errors = errors_of(text);
  if (errors.size() == 1) return errors.front();
  std::string all = std::to_string(errors.size()) + " errors:";
  for (const auto& error : errors) all += "\n" + error;
  return all;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string contents_of(const std::string& path) {
  std::ifstream file(std::string(PNS_SOURCE_DIR) + "/" + path);
  REQUIRE(file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// `count` /24s, separated by commas.
std::string many_networks(unsigned count) {
  std::string list;
  for (unsigned n = 0; n < count; ++n)
    list += (n == 0 ? "10.0." : ", 10.0.") + std::to_string(n) + ".0/24";
  return list;
}

Ipv4Address ip(const char* text) { return Ipv4Address::parse(text).value(); }

}  // namespace

TEST_CASE("config: a minimal file has the documented defaults", "[config]") {
  const auto config = parse(kMinimal, "/etc/pns/pns.yaml");
  REQUIRE(config);
  CHECK(config->file == "/etc/pns/pns.yaml");
  CHECK(config->node.name == "pns");
  CHECK(config->dataplane.cores.main == 0);
  CHECK(config->dataplane.cores.workers == std::vector<std::uint16_t>{1});
  CHECK(config->dataplane.memory.hugepages == HugePages::kAuto);
  CHECK(config->dataplane.memory.megabytes == 512);
  CHECK(config->dataplane.idle.mode == IdleMode::kAuto);
  CHECK(config->dataplane.idle.spin_polls == 256);
  CHECK(config->dataplane.idle.sleep == 50us);
  CHECK(config->dataplane.idle.wait == 10ms);
  CHECK(config->dataplane.mppe_variant == MppeVariant::kAuto);
  CHECK(config->dataplane.mppe_rc4 == MppeRc4::kAuto);
  CHECK(config->dataplane.steering == Steering::kAuto);
  CHECK(config->dataplane.max_sessions == 16384);
  CHECK(config->ports.access.device.kind == DeviceKind::kXdp);
  CHECK(config->ports.access.device.interface == "eth0");
  CHECK_FALSE(config->ports.access.has_twin());
  CHECK(config->ports.access.twin.empty());
  CHECK(config->ports.core.services.enabled);
  CHECK(config->ports.core.services.interface == "pns-services");
  CHECK(config->ports.core.services.table == 1725);
  CHECK(config->pptp.listen.empty());
  CHECK(config->pptp.echo_interval == 60s);
  CHECK(config->pptp.max_connections == 20000);
  CHECK(config->pptp.admission.set_ups == 256);
  CHECK(config->pptp.admission.per_source_set_ups == 64);
  CHECK(config->pptp.admission.waiting == 16384);
  CHECK(config->pptp.admission.per_source_waiting == 2048);
  CHECK(config->pptp.admission.wait == 20s);
  CHECK(config->pptp.admission.set_up_time == 10s);
  CHECK(config->pptp.limits.connections == 2500);
  CHECK(config->pptp.limits.new_calls.rate == 100);
  CHECK(config->pptp.limits.new_calls.burst == 2000);
  CHECK(config->pptp.limits.messages.rate == 1000);
  CHECK(config->pptp.limits.messages.burst == 10'000);
  CHECK(config->pptp.limits.idle_connection_time == 60s);
  CHECK(config->pptp.limits.set_up_deadline == 60s);
  CHECK(config->pptp.limits.failed_logins_per_account == 10);
  CHECK(config->pptp.limits.failed_logins_per_source == 1000);
  CHECK(config->pptp.limits.allow.empty());
  CHECK(config->pptp.incoming_calls);
  CHECK_FALSE(config->pptp.wan_error_notify);
  CHECK(config->ppp.mtu == 1400);
  CHECK(config->ppp.lcp_echo.interval == 30s);
  CHECK(config->ppp.lcp_echo.failures == 4);
  CHECK(config->ppp.auth == std::vector{AuthMethod::kMsChapV2});
  CHECK(config->ppp.mppe.policy == MppePolicy::kRequire);
  CHECK(config->ppp.mppe.key_bits == std::vector<std::uint8_t>{128});
  CHECK(config->ppp.mppe.mode == MppeMode::kStateless);
  CHECK(config->ppp.dns.empty());
  CHECK(config->ppp.broadcast_relay == 0);
  CHECK(config->aaa.order == std::vector{AaaSource::kLocal});
  CHECK(config->aaa.local.users_file == "/etc/pns/users.yaml");
  CHECK(config->control.memory_megabytes == 1024);
  REQUIRE(config->metrics.listen);
  CHECK(config->metrics.listen->address == ip("127.0.0.1"));
  CHECK(config->metrics.listen->port == 9655);
  CHECK(config->management.socket.empty());
  CHECK(config->log.level == LogLevel::kInfo);
  CHECK(config->log.format == LogFormat::kText);
}

TEST_CASE("config: every value of a full file arrives", "[config]") {
  const auto config = parse(R"(
node: {name: lns-7.example}
dataplane:
  cores: {main: 4, workers: [5, 6]}
  memory: {hugepages: on, megabytes: 2048}
  idle: {mode: sleep, spin_polls: 16, sleep: 20us, wait: 5ms}
  mppe_variant: avx2
  mppe_rc4: words
  steering: rss
  max_sessions: 60000
ports:
  access:
    device: "0000:3b:00.1"
    twin: acc
    addresses: [198.51.100.1/24, 198.51.100.2/24]
    gateway: 198.51.100.254
    reachable_by_subscribers: true
  core:
    device: tap:corewire
    mtu: 1600
    table: 70000
    addresses: [10.0.0.1/24, "2001:db8::1/64"]
    routes: [{to: 10.0.0.0/9, via: 10.0.0.254}, {to: "2001:db8:5::/48", via: "2001:db8::9"}]
    ipv6_gateway: "fe80::1"
    services: {interface: own, table: 7}
pptp:
  listen: [198.51.100.2]
  echo_interval: 2m
  max_connections: 7
  admission: {set_ups: 9, per_source_set_ups: 8, waiting: 7, per_source_waiting: 6, wait: 5s,
              set_up_time: 4s}
  limits: {connections: 3, new_calls: {rate: 4, burst: 5}, messages: {rate: 0, burst: 6},
           idle_connection_time: 0, set_up_deadline: 7s, failed_logins: {per_account: 8, per_source: 0},
           allow: [192.0.2.0/24], deny: [192.0.2.9/32, 192.0.2.64/26], exempt: [192.0.2.1/32]}
  gre: {reorder: {packets: 4, wait: 30ms}, send_window: adaptive, reassembly: {packets: 0, wait: 2s}}
  incoming_calls: refuse
  wan_error_notify: on
ppp:
  mtu: 1300
  lcp_echo: {interval: 0, failures: 2}
  auth: [mschapv2]
  mppe: {policy: prefer, key_bits: [128, 40], mode: any}
  dns: [10.0.0.53, "2001:db8::53", 10.0.0.54]
  wins: [10.0.0.55]
  domain: lab.example
  broadcast_relay: 250
  dhcpv6: stateful
pools:
  default: {ranges: [10.64.0.2-10.64.0.9, 10.64.1.1], gateway: 10.64.0.1,
            ipv6_prefixes: ["2001:db8:100::/48"],
            delegated_prefixes: ["2001:db8:200::/40"], delegated_length: 60}
  staff: {ranges: [10.65.0.2-10.65.0.9], gateway: 10.64.0.1, skip_0_and_255: true,
          routes: [10.0.0.0/8, 192.0.2.0/24]}
aaa: {order: [local], local: {users_file: /srv/users}, sessions_per_user: 3, on_limit: replace}
metrics: {listen: off}
control: {memory: {megabytes: 99}}
management: {socket: /tmp/x.sock}
log: {level: debug, format: json}
)",
                            "pns.yaml");
  REQUIRE(config);
  CHECK(config->node.name == "lns-7.example");
  CHECK(config->dataplane.cores.main == 4);
  CHECK(config->dataplane.cores.workers == std::vector<std::uint16_t>{5, 6});
  CHECK(config->dataplane.memory.hugepages == HugePages::kOn);
  CHECK(config->dataplane.memory.megabytes == 2048);
  CHECK(config->dataplane.idle.mode == IdleMode::kSleep);
  CHECK(config->dataplane.idle.spin_polls == 16);
  CHECK(config->dataplane.idle.sleep == 20us);
  CHECK(config->dataplane.idle.wait == 5ms);
  CHECK(config->dataplane.mppe_variant == MppeVariant::kAvx2);
  CHECK(config->dataplane.mppe_rc4 == MppeRc4::kWords);
  CHECK(config->dataplane.steering == Steering::kRss);
  CHECK(config->dataplane.max_sessions == 60000);
  const Port& access = config->ports.access;
  CHECK(access.device.kind == DeviceKind::kPci);
  CHECK(access.twin == "acc");
  REQUIRE(access.addresses.size() == 2);
  CHECK(access.addresses[1].to_string() == "198.51.100.2/24");
  CHECK(access.gateway == ip("198.51.100.254"));
  CHECK(access.reachable_by_subscribers);
  CHECK(access.table == 1723);
  const Port& core = config->ports.core;
  CHECK(core.device.kind == DeviceKind::kTap);
  CHECK(core.table == 70'000);
  CHECK(core.device.interface == "corewire");
  CHECK(core.twin == "pns-core");
  REQUIRE(core.routes.size() == 1);
  CHECK(core.routes[0].to.to_string() == "10.0.0.0/9");
  CHECK(core.routes[0].via == ip("10.0.0.254"));
  CHECK_FALSE(core.gateway);
  REQUIRE(core.ipv6_addresses.size() == 1);
  CHECK(core.ipv6_addresses[0].to_string() == "2001:db8::1/64");
  REQUIRE(core.ipv6_routes.size() == 1);
  CHECK(core.ipv6_routes[0].to.to_string() == "2001:db8:5::/48");
  CHECK(core.ipv6_routes[0].via.to_string() == "2001:db8::9");
  CHECK(core.ipv6_gateway == Ipv6Address::parse("fe80::1"));
  CHECK(core.services.enabled);
  CHECK(core.services.interface == "own");
  CHECK(core.services.table == 7);
  CHECK(config->pptp.gre.reorder.packets == 4);
  CHECK(config->pptp.gre.reorder.wait == 30ms);
  CHECK(config->pptp.gre.send_window == SendWindow::kAdaptive);
  CHECK(config->pptp.gre.reassembly.packets == 0);
  CHECK(config->pptp.gre.reassembly.wait == 2s);
  CHECK(config->ppp.ipv6_dns == std::vector{*Ipv6Address::parse("2001:db8::53")});
  REQUIRE(config->pools.at("default").ipv6_prefixes.size() == 1);
  CHECK(config->pools.at("default").ipv6_prefixes[0].to_string() == "2001:db8:100::/48");
  REQUIRE(config->pools.at("default").delegated_prefixes.size() == 1);
  CHECK(config->pools.at("default").delegated_prefixes[0].to_string() == "2001:db8:200::/40");
  CHECK(config->pools.at("default").delegated_length == 60);
  CHECK(config->pools.at("staff").delegated_length == 56);
  CHECK(config->ppp.dhcpv6 == Dhcpv6::kStateful);
  CHECK(prefixes_of_pools(*config).ipv6.size() == 2);
  CHECK(config->pptp.listen == std::vector{ip("198.51.100.2")});
  CHECK(config->pptp.echo_interval == 120s);
  CHECK(config->pptp.max_connections == 7);
  CHECK(config->pptp.admission.set_ups == 9);
  CHECK(config->pptp.admission.per_source_set_ups == 8);
  CHECK(config->pptp.admission.waiting == 7);
  CHECK(config->pptp.admission.per_source_waiting == 6);
  CHECK(config->pptp.admission.wait == 5s);
  CHECK(config->pptp.admission.set_up_time == 4s);
  const SourceLimits& limits = config->pptp.limits;
  CHECK(limits.connections == 3);
  CHECK(limits.new_calls.rate == 4);
  CHECK(limits.new_calls.burst == 5);
  CHECK(limits.messages.rate == 0);
  CHECK(limits.messages.burst == 6);
  CHECK(limits.idle_connection_time == 0s);
  CHECK(limits.set_up_deadline == 7s);
  CHECK(limits.failed_logins_per_account == 8);
  CHECK(limits.failed_logins_per_source == 0);
  REQUIRE(limits.allow.size() == 1);
  CHECK(limits.allow[0].to_string() == "192.0.2.0/24");
  REQUIRE(limits.deny.size() == 2);
  CHECK(limits.deny[1].to_string() == "192.0.2.64/26");
  REQUIRE(limits.exempt.size() == 1);
  CHECK(limits.exempt[0].to_string() == "192.0.2.1/32");
  CHECK_FALSE(config->pptp.incoming_calls);
  CHECK(config->pptp.wan_error_notify);
  CHECK(config->ppp.mtu == 1300);
  CHECK(config->ppp.lcp_echo.interval == 0s);
  CHECK(config->ppp.lcp_echo.failures == 2);
  CHECK(config->ppp.mppe.policy == MppePolicy::kPrefer);
  CHECK(config->ppp.mppe.key_bits == std::vector<std::uint8_t>{128, 40});
  CHECK(config->ppp.mppe.mode == MppeMode::kAny);
  CHECK(config->ppp.dns == std::vector{ip("10.0.0.53"), ip("10.0.0.54")});
  CHECK(config->ppp.wins == std::vector{ip("10.0.0.55")});
  REQUIRE(config->pools.size() == 2);
  REQUIRE(config->pools.at("default").ranges.size() == 2);
  CHECK(config->pools.at("default").ranges[0].size() == 8);
  CHECK(config->pools.at("default").ranges[1].first == ip("10.64.1.1"));
  CHECK(config->pools.at("staff").gateway == ip("10.64.0.1"));
  CHECK(config->ports.core.mtu == 1600);
  CHECK(config->ports.access.mtu == 0);
  CHECK(config->pools.at("staff").skip_0_and_255);
  CHECK(config->ppp.domain == "lab.example");
  CHECK(config->ppp.broadcast_relay == 250);
  CHECK(config->pools.at("staff").routes ==
        std::vector{Ipv4Prefix{ip("10.0.0.0"), 8}, Ipv4Prefix{ip("192.0.2.0"), 24}});
  CHECK(config->pools.at("default").routes.empty());
  CHECK_FALSE(config->pools.at("default").skip_0_and_255);
  CHECK(config->aaa.local.users_file == "/srv/users");
  CHECK(config->aaa.sessions_per_user == 3);
  CHECK(config->aaa.on_limit == OnLimit::kReplace);
  CHECK_FALSE(config->metrics.listen);
  CHECK(config->control.memory_megabytes == 99);
  CHECK(config->management.socket == "/tmp/x.sock");
  CHECK(config->log.level == LogLevel::kDebug);
  CHECK(config->log.format == LogFormat::kJson);
}

TEST_CASE("config: a core port into the host's own stack has addresses and an mtu alone",
          "[config]") {
  const auto file = [](const std::string& core) {
    std::string text = kMinimal;
    const std::string device = R"(core: {device: "xdp:eth1"})";
    text.replace(text.find(device), device.size(), core);
    return text;
  };
  const auto config = parse(file(R"(core: {device: "kernel:pns0"})"), "pns.yaml");
  REQUIRE(config);
  const Port& core = config->ports.core;
  CHECK(core.device.kind == DeviceKind::kKernel);
  CHECK_FALSE(core.has_twin());
  CHECK(core.kernel_interface() == "pns0");
  CHECK(core.table == 0);
  // Subscribers find the host at the gateway of their pool.
  CHECK(core.addresses == std::vector{Ipv4Prefix{ip("10.64.0.1"), 32}});
  const auto own = parse(
      file(
          R"(core: {device: "kernel:pns0", addresses: [10.9.0.1/24, "2001:db8::1/64"], mtu: 1400})"),
      "pns.yaml");
  REQUIRE(own);
  CHECK(own->ports.core.addresses == std::vector{Ipv4Prefix{ip("10.9.0.1"), 24}});
  CHECK(own->ports.core.ipv6_addresses.size() == 1);
  CHECK(own->ports.core.mtu == 1400);
  CHECK_THAT(dump_json(*own), Catch::Contains("10.9.0.1/24") && Catch::Contains("\"mtu\": 1400"));

  for (const char* key : {"twin: t", "gateway: 10.9.0.2", "table: 9", "ipv6_gateway: 'fe80::1'"}) {
    INFO(key);
    CHECK_THAT(error_of(file(R"(core: {device: "kernel:pns0", )" + std::string(key) + "}")),
               Catch::Contains("not with kernel:pns0: the kernel routes its packets"));
  }
  CHECK_THAT(error_of(file(R"(core: {device: "kernel:eth0"})")),
             Catch::Contains("ports.core.device: eth0 is an interface of the access port already"));
  std::string swapped = kMinimal;
  swapped.replace(swapped.find("xdp:eth0"), 8, "kernel:pns0");
  CHECK_THAT(error_of(swapped),
             Catch::Contains("ports.access.device: kernel: is for the core port"));
}

TEST_CASE("config: vlan tags, and two ports on one device", "[config]") {
  const auto file = [](const std::string& access, const std::string& core) {
    std::string text = kMinimal;
    for (const auto& [from, to] : {std::pair{std::string(R"({device: "xdp:eth0"})"), access},
                                   {R"({device: "xdp:eth1"})", core}})
      text.replace(text.find(from), from.size(), to);
    return text;
  };
  const std::string nic = R"(device: "0000:3b:00.0", )";
  // The kernel's VLAN interfaces are devices of their own.
  const auto xdp =
      parse(file(R"({device: "xdp:eth0", vlan: 10})", R"({device: "xdp:eth0", vlan: [100, 20]})"),
            "pns.yaml");
  REQUIRE(xdp);
  CHECK(xdp->ports.access.device.interface == "eth0.10");
  CHECK(xdp->ports.core.kernel_interface() == "eth0.100.20");
  CHECK_FALSE(xdp->ports.one_device());
  const auto link = parse(file(R"({device: "xdp:eth0"})", R"({device: "xdp:eth0"})"), "pns.yaml");
  REQUIRE(link);
  CHECK(link->ports.one_link());
  // A device of DPDK's with two VLANs has two twins.
  const auto tagged =
      parse(file("{" + nic + "vlan: 10, addresses: [198.51.100.1/24]}",
                 "{" + nic + "vlan: 20, addresses: [10.0.0.1/24], gateway: 10.0.0.2}"),
            "pns.yaml");
  REQUIRE(tagged);
  CHECK(tagged->ports.one_device());
  CHECK_FALSE(tagged->ports.one_link());
  CHECK(tagged->ports.access.vlan == std::vector<std::uint16_t>{10});
  CHECK(tagged->ports.core.twin == "pns-core");
  CHECK_THAT(dump_json(*tagged), Catch::Contains("\"vlan\""));
  // One link has one twin, whose addresses are the access port's.
  const auto plain = parse(file("{" + nic + "addresses: [198.51.100.1/24], gateway: 198.51.100.2}",
                                "{" + nic + "gateway: 198.51.100.3}"),
                           "pns.yaml");
  REQUIRE(plain);
  CHECK(plain->ports.one_link());
  CHECK(plain->ports.core.twin == "pns-access");
  CHECK(plain->ports.core.addresses == plain->ports.access.addresses);
  CHECK(plain->ports.core.table == 1724);
  CHECK_THAT(error_of(file("{" + nic + "addresses: [198.51.100.1/24]}",
                           "{" + nic + "addresses: [198.51.100.9/24]}")),
             Catch::Contains("ports.core.addresses: both ports are one link"));

  const auto wrong = [&](const std::string& vlan) {
    return error_of(file(R"({device: "xdp:eth0", vlan: )" + vlan + "}", R"({device: "xdp:eth1"})"));
  };
  CHECK_THAT(wrong("4095"), Catch::Contains("ports.access.vlan"));
  CHECK_THAT(wrong("0"), Catch::Contains("ports.access.vlan"));
  CHECK_THAT(wrong("[1, 2, 3]"), Catch::Contains("one tag, or [OUTER, INNER]"));
  CHECK_THAT(wrong("[]"), Catch::Contains("one tag, or [OUTER, INNER]"));
  CHECK_THAT(
      error_of(file(R"({device: "xdp:a-long-nic-name", vlan: 10})", R"({device: "xdp:eth1"})")),
      Catch::Contains("longer than the kernel takes"));
  CHECK_THAT(error_of(file(R"({device: "xdp:eth0"})", R"({device: "kernel:pns0", vlan: 10})")),
             Catch::Contains("kernel: has no wire"));
}

TEST_CASE("config: an error names file, line, key and reason", "[config]") {
  CHECK(error_of(kMinimal + "ppp:\n  lcp_echo:\n    interval: soon\n") ==
        "pns.yaml:10: ppp.lcp_echo.interval: 'soon' is not a duration (a number with us, ms, s, m, "
        "h or d)");
}

TEST_CASE("config: all errors are reported, in the order of the file", "[config]") {
  const auto errors =
      errors_of(kMinimal + "ppp:\n  mtu: 9000\n  colour: red\nlog: {level: loud}\n");
  REQUIRE(errors.size() == 3);
  CHECK(errors[0] == "pns.yaml:9: ppp.mtu: 9000 is out of range (576 to 1500)");
  CHECK(errors[1] ==
        "pns.yaml:10: ppp.colour: unknown key; known here: mtu, lcp_echo, auth, eap, "
        "auth_retries, mppe, dns, wins, domain, dhcpv6, broadcast_relay");
  CHECK(errors[2] ==
        "pns.yaml:11: log.level: 'loud' is not one of trace, debug, info, warn, error");
}

TEST_CASE("config: the share of one address follows the whole", "[config]") {
  const auto config =
      parse(kMinimal + "pptp: {admission: {set_ups: 3, waiting: 100}}\n", "pns.yaml");
  REQUIRE(config);
  CHECK(config->pptp.admission.per_source_set_ups == 1);
  CHECK(config->pptp.admission.per_source_waiting == 100);
}

TEST_CASE("config: the connections of one source follow all connections", "[config]") {
  const auto share = [](const std::string& pptp) {
    return parse(kMinimal + "pptp: {" + pptp + "}\n", "pns.yaml").value().pptp.limits.connections;
  };
  CHECK(share("echo_interval: 60s") == 2500);
  CHECK(share("max_connections: 800") == 100);
  CHECK(share("max_connections: 200") == 64);
  CHECK(share("max_connections: 7") == 7);
  CHECK(share("max_connections: 7, limits: {connections: 2}") == 2);
}

TEST_CASE("config: what is not YAML, or not one mapping, is refused", "[config]") {
  CHECK_THAT(error_of("ports: [unclosed\nx: y"), Catch::StartsWith("pns.yaml:2: not YAML: "));
  CHECK(error_of(kMinimal + "---\nnode: {}\n") == "pns.yaml: holds more than one YAML document");
  CHECK_FALSE(parse(", node: {}\n", "pns.yaml"));  // where yaml-cpp does not go on
  CHECK_THAT(errors_of("[1, 2]").front(), Catch::Contains("must be a mapping"));
}

TEST_CASE("config: an empty file tells everything that is missing", "[config]") {
  const auto errors = errors_of("");
  const std::vector<std::string> expected = {
      "pns.yaml: ports.access.device: must be given", "pns.yaml: ports.core.device: must be given",
      "pns.yaml: pools.default: must be given",
      "pns.yaml: aaa.local.users_file: must be given when aaa.order or a realm names local"};
  CHECK(errors == expected);
}

TEST_CASE("config: a file that cannot be read is an error of the file", "[config]") {
  const auto config = load("/nonexistent/pns.yaml");
  REQUIRE_FALSE(config);
  REQUIRE(config.error().size() == 1);
  CHECK(config.error().front().to_string() ==
        "/nonexistent/pns.yaml: cannot open: No such file or directory");
}

TEST_CASE("config: one error for each thing that is wrong", "[config]") {
  struct Row {
    std::string text;
    std::string error;
  };
  const std::string kTwins =
      replaced(replaced(kMinimal, R"({device: "xdp:eth0"})",
                        R"({device: "tap:w0", addresses: [192.0.2.1/24]})"),
               R"({device: "xdp:eth1"})", R"({device: "tap:w1", addresses: [10.0.0.1/24]})");
  REQUIRE(parse(kTwins, "pns.yaml"));
  const auto delegating = [&](const std::string& prefix, int length,
                              const std::string& ipv6 =
                                  R"(ipv6_prefixes: ["2001:db8:100::/48"], )") {
    return replaced(kMinimal, "gateway: 10.64.0.1",
                    "gateway: 10.64.0.1, " + ipv6 + "delegated_prefixes: [\"" + prefix +
                        "\"], delegated_length: " + std::to_string(length));
  };
  REQUIRE(parse(delegating("2001:db8:200::/40", 56), "pns.yaml"));
  // A pool in the core network.
  const auto lan_pool = [&](const char* core) {
    const std::string lan = replaced(kTwins, "10.64.0.2-10.64.0.254", "10.0.0.200-10.0.0.239");
    REQUIRE(parse(lan, "pns.yaml"));
    return replaced(lan, R"("tap:w1")", core);
  };
  REQUIRE(parse(replaced(replaced(kTwins, "gateway: 10.64.0.1",
                                  R"(gateway: 10.64.0.1, ipv6_prefixes: ["2001:db8:100::/48"])"),
                         "[10.0.0.1/24]", R"([10.0.0.1/24, "2001:db8::1/32"])"),
                "pns.yaml"));

  const Row rows[] = {
      // keys
      {kMinimal + "nodes: {name: x}\n",
       "pns.yaml:8: nodes: unknown key; known here: node, dataplane, ports, pptp, ppp, pools, "
       "filters, rates, rate_groups, aaa, "
       "metrics, control, management, log"},
      {kMinimal + "pools:\n  default: {}\n", "pns.yaml:8: pools: appears twice (first in line 4)"},
      {kMinimal + "log:\n  level: info\n  level: debug\n",
       "pns.yaml:10: log.level: appears twice (first in line 9)"},
      {kMinimal + "log: {level: }\n", "pns.yaml:8: log.level: has no value"},
      {kMinimal + "log: {level: [info]}\n", "pns.yaml:8: log.level: must be a single value"},
      {kMinimal + "log: info\n", "pns.yaml:8: log: must be a mapping of keys to values"},
      {kMinimal + "ppp: {dns: 10.0.0.53}\n", "pns.yaml:8: ppp.dns: must be a list"},
      {kMinimal + "ppp: {dns: [{a: b}]}\n", "pns.yaml:8: ppp.dns.0: must be a single value"},
      {kMinimal + "ppp: {dns: [10.0.0.53, 10.0.0.53]}\n",
       "pns.yaml:8: ppp.dns.1: '10.0.0.53' is in the list twice"},
      // pptp
      {kMinimal + "pptp: {admission: {set_ups: 8, per_source_set_ups: 9}}\n",
       "pns.yaml:8: pptp.admission.per_source_set_ups: above pptp.admission.set_ups"},
      {kMinimal + "pptp: {admission: {waiting: 8, per_source_waiting: 9}}\n",
       "pns.yaml:8: pptp.admission.per_source_waiting: above pptp.admission.waiting"},
      {kMinimal + "pptp: {max_connections: 8, limits: {connections: 9}}\n",
       "pns.yaml:8: pptp.limits.connections: above pptp.max_connections"},
      {kMinimal + "pptp: {limits: {set_up_deadline: 10ms}}\n",
       "pns.yaml:8: pptp.limits.set_up_deadline: '10ms' is neither 0 nor at least 1s"},
      {kMinimal + "pptp: {limits: {deny: [192.0.2.1/24]}}\n",
       "pns.yaml:8: pptp.limits.deny.0: 192.0.2.1/24 has host bits set: 192.0.2.0/24 is meant?"},
      {kMinimal + "pptp: {limits: {new_calls: {every: 5}}}\n",
       "pns.yaml:8: pptp.limits.new_calls.every: unknown key; known here: rate, burst"},
      {kMinimal + "pptp: {admission: {wait: 10m}}\n",
       "pns.yaml:8: pptp.admission.wait: 10m is out of range (100ms to 5m)"},
      // dataplane
      {kMinimal + "dataplane: {cores: {main: 2, workers: [1, 2]}}\n",
       "pns.yaml:8: dataplane.cores.workers: lcore 2 is dataplane.cores.main: a worker needs its "
       "own"},
      {kMinimal + "dataplane: {cores: {main: 1}}\n",
       "pns.yaml:8: dataplane.cores.workers: lcore 1 is dataplane.cores.main: a worker needs its "
       "own"},
      {kMinimal + "dataplane: {cores: {workers: []}}\n",
       "pns.yaml:8: dataplane.cores.workers: at least one worker is needed"},
      {kMinimal + "dataplane: {cores: {workers: [128]}}\n",
       "pns.yaml:8: dataplane.cores.workers.0: 128 is out of range (0 to 127)"},
      {kMinimal + "dataplane: {idle: {mode: lazy}}\n",
       "pns.yaml:8: dataplane.idle.mode: 'lazy' is not one of auto, spin, sleep, wait"},
      {kMinimal + "dataplane: {steering: nic}\n",
       "pns.yaml:8: dataplane.steering: 'nic' is not one of auto, key, rss, none"},
      {kMinimal + "dataplane: {idle: {wait: 1500us}}\n",
       "pns.yaml:8: dataplane.idle.wait: '1500us' is finer than this key can be"},
      {kMinimal + "dataplane: {memory: {hugepages: yes}}\n",
       "pns.yaml:8: dataplane.memory.hugepages: 'yes' is not one of auto, on, off"},
      {kMinimal + "dataplane: {max_sessions: many}\n",
       "pns.yaml:8: dataplane.max_sessions: 'many' is not a whole number"},
      {kMinimal + "dataplane: {max_sessions: -1}\n",
       "pns.yaml:8: dataplane.max_sessions: '-1' is not a whole number"},
      // ports
      {replaced(kMinimal, R"(device: "xdp:eth1")", ""),
       "pns.yaml:3: ports.core.device: must be given"},
      {replaced(kMinimal, "xdp:eth1", "eth1"),
       "pns.yaml:3: ports.core.device: 'eth1' is not a device: xdp:IFACE, kernel:IFACE, "
       "tap:IFACE, a PCI address (0000:3b:00.1), bond:MODE or a DPDK device string (net_…)"},
      {replaced(kMinimal, "xdp:eth1", "bond:balance-rr"),
       "pns.yaml:3: ports.core.device: 'bond:balance-rr' is not a bond: bond:active-backup or "
       "bond:802.3ad"},
      {replaced(kMinimal, "xdp:eth1", "bond:802.3ad"),
       "pns.yaml:3: ports.core.members: must be given"},
      {replaced(kMinimal, R"("xdp:eth1")", R"("bond:802.3ad", members: ["3b:00.0"])"),
       "pns.yaml:3: ports.core.members: a bond has 2 to 8 members, and 1 is given"},
      {replaced(kMinimal, R"("xdp:eth1")",
                R"("bond:802.3ad", members: ["3b:00.0", "net_af_packet0,iface=eth2"])"),
       "pns.yaml:3: ports.core.members.1: 'net_af_packet0,iface=eth2' cannot be a member: a PCI "
       "address can (and net_tap in labs), because its driver reports a link that fails"},
      {replaced(kMinimal, R"("xdp:eth1")", R"("xdp:eth1", members: ["3b:00.0", "3b:00.1"])"),
       "pns.yaml:3: ports.core.members: not with xdp:eth1: a bond alone has members"},
      {replaced(replaced(kMinimal, R"("xdp:eth0")", R"("3b:00.1", addresses: [192.0.2.1/24])"),
                R"("xdp:eth1")", R"("bond:802.3ad", members: ["3b:00.0", "3b:00.1"])"),
       "pns.yaml:3: ports.core.members: 3b:00.1 is the access port already"},
      {replaced(kMinimal, "xdp:eth1", "xdp:a-name-far-too-long"),
       "pns.yaml:3: ports.core.device: 'a-name-far-too-long' is not a name for a network "
       "interface"},
      {replaced(kMinimal, R"({device: "xdp:eth1"})", R"({device: "xdp:eth1", twin: t})"),
       "pns.yaml:3: ports.core.twin: not with xdp:eth1: that interface is the kernel's, which "
       "keeps "
       "its own addresses, routes and MTU"},
      {replaced(kTwins, "addresses: [192.0.2.1/24]", ""),
       "pns.yaml:2: ports.access.addresses: must be given when pptp.listen is not: there is no "
       "address to listen on"},
      {replaced(kTwins, "[10.0.0.1/24]", "[10.0.0.1/24], mtu: 9000"),
       "pns.yaml:3: ports.core.mtu: 9000 is out of range (576 to 2000)"},
      {replaced(kTwins, "[10.0.0.1/24]", "[10.0.0.1]"),
       "pns.yaml:3: ports.core.addresses.0: '10.0.0.1' is not an address with its prefix length "
       "(10.0.0.1/24)"},
      {replaced(kTwins, "[10.0.0.1/24]", "[10.0.0.0/24]"),
       "pns.yaml:3: ports.core.addresses.0: 10.0.0.0/24 is the network address of its network, not "
       "a host's"},
      {replaced(kTwins, "[10.0.0.1/24]", "[192.0.2.9/25]"),
       "pns.yaml:3: ports.core.addresses: 192.0.2.9/25 and 192.0.2.1/24 of ports.access.addresses "
       "are one network"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", gateway: 10.1.0.1)"),
       "pns.yaml:3: ports.core.gateway: 10.1.0.1 is in no network of this port"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", routes: [{to: 10.1.0.0/16, via: 10.9.0.1}])"),
       "pns.yaml:3: ports.core.routes.0.via: 10.9.0.1 is in no network of this port"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", routes: [{to: 10.1.0.0/16}])"),
       "pns.yaml:3: ports.core.routes.0.via: must be given"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", routes: [{to: 10.1.0.5/16, via: 10.0.0.9}])"),
       "pns.yaml:3: ports.core.routes.0.to: 10.1.0.5/16 has host bits set: 10.1.0.0/16 is meant?"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", twin: pns-access)"),
       "pns.yaml:3: ports.core.twin: pns-access is the access port's twin already"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", table: 1723)"),
       "pns.yaml:3: ports.core.table: 1723 is the access port's table already"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", table: 254)"),
       "pns.yaml:3: ports.core.table: 253 to 255 are the kernel's own: default, main, local"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", services: {enabled: maybe})"),
       "pns.yaml:3: ports.core.services.enabled: 'maybe' is not one of true, false"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", services: {enabled: false, table: 7})"),
       "pns.yaml:3: ports.core.services.table: has no meaning with enabled: false"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", services: {table: 1724})"),
       "pns.yaml:3: ports.core.services.table: 1724 is the core port's table already"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", services: {interface: pns-access})"),
       "pns.yaml:3: ports.core.services.interface: pns-access is of the access port already"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", services: {interface: w1})"),
       "pns.yaml:3: ports.core.services.interface: w1 is of the core port already"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", twin: w0)"),
       "pns.yaml:3: ports.core.twin: w0 is the interface of a port's device already"},
      {replaced(kTwins, "[10.0.0.1/24]", R"([10.0.0.1/24, "fe80::1/64"])"),
       "pns.yaml:3: ports.core.addresses.1: fe80::1 is not a unicast address of a host"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", routes: [{to: 10.1.0.0/16, via: "fe80::1"}])"),
       "pns.yaml:3: ports.core.routes.0.via: is not of the family of to"},
      {replaced(kTwins, R"("tap:w1")", R"("tap:w1", ipv6_gateway: "2001:db8::1")"),
       "pns.yaml:3: ports.core.ipv6_gateway: 2001:db8::1 is in no network of this port"},
      // pptp
      {kMinimal + "pptp: {gre: {reorder: {packets: 65}}}\n",
       "pns.yaml:8: pptp.gre.reorder.packets: 65 is out of range (0 to 64)"},
      {kMinimal + "pptp: {gre: {send_window: strict}}\n",
       "pns.yaml:8: pptp.gre.send_window: 'strict' is not one of ignore, adaptive"},
      {kMinimal + "pptp: {listen: [192.0.2.1, 192.0.2.1]}\n",
       "pns.yaml:8: pptp.listen.1: '192.0.2.1' is in the list twice"},
      {kMinimal + "pptp: {listen: [0.0.0.0]}\n",
       "pns.yaml:8: pptp.listen.0: 0.0.0.0 is not a unicast address of a host"},
      {kMinimal + "pptp: {incoming_calls: yes}\n",
       "pns.yaml:8: pptp.incoming_calls: 'yes' is not one of accept, refuse"},
      {kMinimal + "pptp: {echo_interval: 60}\n",
       "pns.yaml:8: pptp.echo_interval: '60' is not a duration (a number with us, ms, s, m, h or "
       "d)"},
      // pools
      {replaced(kMinimal, "gateway: 10.64.0.1", "gateway: 10.64.0.1, next: gold"),
       "pns.yaml:5: pools.default.next: there is no pool gold"},
      {replaced(kMinimal, "gateway: 10.64.0.1", "gateway: 10.64.0.1, next: default"),
       "pns.yaml:5: pools.default.next: the pool comes after itself"},
      {replaced(kMinimal, "gateway: 10.64.0.1",
                "gateway: 10.64.0.1, exclude: [10.99.0.1-10.99.0.9]"),
       "pns.yaml:5: pools.default.exclude: 10.99.0.1-10.99.0.9 is in no range of the pool"},
      {replaced(kMinimal, "gateway: 10.64.0.1", "gateway: 10.64.0.1, dialled: [192.0.2.7]") +
           "pptp: {listen: [192.0.2.1]}\n",
       "pns.yaml:5: pools.default.dialled: 192.0.2.7 is not of pptp.listen"},
      // ppp
      {kMinimal + "ppp: {auth: [mschapv3]}\n",
       "pns.yaml:8: ppp.auth.0: 'mschapv3' is not one of eap, mschapv2, mschap, chap, pap"},
      {kMinimal + "ppp: {auth: []}\n", "pns.yaml:8: ppp.auth: at least one method is needed"},
      {kMinimal + "ppp: {eap: []}\n", "pns.yaml:8: ppp.eap: at least one method is needed"},
      {kMinimal + "ppp: {eap: [tls]}\n",
       "pns.yaml:8: ppp.eap.0: 'tls' is not one of mschapv2, md5, radius"},
      {kMinimal + "ppp: {eap: [mschapv2, radius]}\n",
       "pns.yaml:8: ppp.eap: radius stands alone: the RADIUS server chooses the method"},
      {kMinimal + "ppp: {eap: [radius]}\n",
       "pns.yaml:8: ppp.eap: radius needs a RADIUS server: neither aaa.order nor a realm names "
       "radius"},
      {kMinimal + "ppp: {auth_retries: 11}\n",
       "pns.yaml:8: ppp.auth_retries: 11 is out of range (0 to 10)"},
      {kMinimal + "ppp: {mppe: {policy: off, key_bits: [128]}}\n",
       "pns.yaml:8: ppp.mppe.key_bits: has no meaning with ppp.mppe.policy off"},
      {kMinimal + "ppp: {mppe: {policy: off, mode: any}}\n",
       "pns.yaml:8: ppp.mppe.mode: has no meaning with ppp.mppe.policy off"},
      {kMinimal + "ppp: {mppe: {key_bits: [64]}}\n",
       "pns.yaml:8: ppp.mppe.key_bits.0: '64' is not one of 128, 56, 40"},
      {kMinimal + "ppp: {mppe: {key_bits: []}}\n",
       "pns.yaml:8: ppp.mppe.key_bits: at least one key length is needed"},
      {kMinimal + "ppp: {dns: [10.0.0.1, 10.0.0.2, 10.0.0.3]}\n",
       "pns.yaml:8: ppp.dns: at most two IPv4 servers"},
      {kMinimal + "ppp: {domain: -x.example}\n",
       "pns.yaml:8: ppp.domain: '-x.example' is not a domain (labels of letters, digits and '-', 1 "
       "to "
       "63 octets in all)"},
      {kMinimal + "ppp: {broadcast_relay: on}\n",
       "pns.yaml:8: ppp.broadcast_relay: 'on' is not a whole number, nor off"},
      {kMinimal + "ppp: {broadcast_relay: 0}\n",
       "pns.yaml:8: ppp.broadcast_relay: 0 is out of range (1 to 10000), nor off"},
      {replaced(kMinimal, "xdp:eth1", "kernel:pns0") + "ppp: {broadcast_relay: 100}\n",
       "pns.yaml:8: ppp.broadcast_relay: broadcasts of the LAN do not reach a kernel: port; use "
       "xdp: with the interface in the LAN, or off"},
      {kMinimal + "ppp: {domain: a..b}\n",
       "pns.yaml:8: ppp.domain: 'a..b' is not a domain (labels of letters, digits and '-', 1 to 63 "
       "octets in all)"},
      // pools
      {replaced(kMinimal, "10.64.0.254]", "10.64.0.254], routes: [10.0.0.1/8]"),
       "pns.yaml:5: pools.default.routes.0: 10.0.0.1/8 has host bits set: 10.0.0.0/8 is meant?"},
      {replaced(kMinimal, "10.64.0.254]", "10.64.0.254], routes: [" + many_networks(22) + "]"),
       "pns.yaml:5: pools.default.routes: too many for one DHCP option: 176 octets, at most 170"},
      {replaced(kMinimal, "default:", "other:"), "pns.yaml:4: pools.default: must be given"},
      {replaced(kMinimal, "10.64.0.2-10.64.0.254", "10.64.0.1-10.64.0.254"),
       "pns.yaml:5: pools.default.gateway: 10.64.0.1 is inside pools.default.ranges.0"},
      {replaced(kMinimal, "10.64.0.2-10.64.0.254", "10.64.0.9-10.64.0.2"),
       "pns.yaml:5: pools.default.ranges.0: 10.64.0.9-10.64.0.2 ends before it starts"},
      {replaced(kMinimal, "10.64.0.2-10.64.0.254", "10.64.0.0/24"),
       "pns.yaml:5: pools.default.ranges.0: '10.64.0.0/24' is not a range of addresses "
       "(10.64.0.2-10.64.0.254)"},
      {replaced(kMinimal,
                "aaa:", "  b: {ranges: [10.64.0.254-10.64.1.9], gateway: 10.64.0.1}\naaa:"),
       "pns.yaml:5: pools.default.ranges.0: overlaps 10.64.0.254-10.64.1.9 of pools.b.ranges.0"},
      {replaced(kTwins, "10.64.0.2-10.64.0.254", "10.0.0.0-10.0.0.9"),
       "pns.yaml:5: pools.default.ranges.0: contains 10.0.0.1, which is of ports.core.addresses"},
      {replaced(replaced(kTwins, "gateway: 10.64.0.1",
                         R"(gateway: 10.64.0.1, ipv6_prefixes: ["2001:db8::/48"])"),
                "[10.0.0.1/24]", R"([10.0.0.1/24, "2001:db8::1/32"])"),
       "pns.yaml:5: pools.default.ipv6_prefixes.0: overlaps 2001:db8::1/32 of "
       "ports.core.addresses"},
      {kMinimal + "ppp: {dhcpv6: on}\n",
       "pns.yaml:8: ppp.dhcpv6: 'on' is not one of off, stateless, stateful"},
      {delegating("2001:db8:200::/40", 56, ""),
       "pns.yaml:5: pools.default.delegated_prefixes: needs IPv6 on the link: give the pool "
       "ipv6_prefixes too"},
      {delegating("2001:da8::/31", 56),
       "pns.yaml:5: pools.default.delegated_prefixes: 2001:da8::/31: a length from 32 to 56 is "
       "needed for prefixes of 56 bits"},
      {delegating("2001:db8:200::/60", 56),
       "pns.yaml:5: pools.default.delegated_prefixes: 2001:db8:200::/60: a length from 32 to 56 is "
       "needed for prefixes of 56 bits"},
      {delegating("2001:db8:200::/40", 65),
       "pns.yaml:5: pools.default.delegated_length: 65 is out of range (48 to 64)"},
      {delegating("2001:db8:100::/40", 56),
       "pns.yaml:5: pools.default.delegated_prefixes.0: overlaps 2001:db8:100::/48 of "
       "pools.default.ipv6_prefixes.0"},
      {delegating("fe80::/40", 56),
       "pns.yaml:5: pools.default.delegated_prefixes.0: fe80::/40 is not a network of unicast "
       "addresses, or wider than /16"},
      {replaced(kMinimal, "gateway: 10.64.0.1", "gateway: 10.64.0.1, delegated_length: 56"),
       "pns.yaml:5: pools.default.delegated_length: has no meaning without delegated_prefixes"},
      {lan_pool(R"("tap:w1", gateway: 10.0.0.207)"),
       "pns.yaml:5: pools.default.ranges.0: contains 10.0.0.207, which is ports.core.gateway"},
      {lan_pool(R"("tap:w1", routes: [{to: 10.9.0.0/16, via: 10.0.0.208}])"),
       "pns.yaml:5: pools.default.ranges.0: contains 10.0.0.208, which is a next hop of "
       "ports.core.routes"},
      {kMinimal + "pptp: {listen: [10.64.0.7]}\n",
       "pns.yaml:5: pools.default.ranges.0: contains 10.64.0.7, which is of pptp.listen"},
      // aaa
      {replaced(kMinimal, "aaa:", "aaa:\n  order: [local, radius]"),
       "pns.yaml:6: aaa.radius.servers: a server for authentication must be given when aaa.order "
       "or a realm names radius"},
      {replaced(kMinimal, "aaa:", "aaa:\n  radius: {servers: [{address: 10.0.0.9}]}"),
       "pns.yaml:7: aaa.radius.servers.0.secret_file: must be given"},
      {replaced(kMinimal, "local: {users_file: users.yaml}", "order: [local]"),
       "pns.yaml:6: aaa.local.users_file: must be given when aaa.order or a realm names local"},
      {replaced(kMinimal, "users_file: users.yaml",
                "users_file: users.yaml, password_changes_file: ./users.yaml"),
       "pns.yaml:7: aaa.local.password_changes_file: is the users file: that one is never written"},
      // the rest
      {kMinimal + "metrics: {listen: 9655}\n",
       "pns.yaml:8: metrics.listen: '9655' is not an IPv4 address and a port (127.0.0.1:9655), nor "
       "off"},
      {kMinimal + "management: {socket: control.sock}\n",
       "pns.yaml:8: management.socket: 'control.sock' is not an absolute path of at most 107 "
       "octets"},
      {kMinimal + "node: {name: \"two words\"}\n",
       "pns.yaml:8: node.name: 'two words' is not a node name (1 to 63 letters, digits, '-', '.', "
       "'_')"},
  };
  for (const Row& row : rows) CHECK(error_of(row.text) == row.error);
}

TEST_CASE("config: MPPE required with methods that give no keys is impossible", "[config]") {
  for (const char* methods : {"auth: [pap, chap]", "auth: [eap], eap: [md5]"}) {
    const auto errors = errors_of(kMinimal + "ppp: {" + methods + ", mppe: {policy: require}}\n");
    REQUIRE(errors.size() == 1);
    CHECK(errors[0] ==
          "pns.yaml:8: ppp.mppe.policy: require cannot be met: no method of ppp.auth gives MPPE "
          "keys (mschapv2, mschap, and eap with mschapv2 or radius in ppp.eap do)");
  }
  // One that does is enough.
  CHECK(parse(kMinimal + "ppp: {auth: [pap, eap], eap: [md5, mschapv2]}\n", "pns.yaml"));
}

TEST_CASE("config: the reader reads every key that it knows", "[config]") {
  // A value that no key accepts must be refused in the name of the key.
  for (const std::string_view known : known_keys()) {
    std::string key(known);
    std::string yaml;
    std::string indent;
    std::string path;
    std::istringstream words(key);
    std::string word;
    std::vector<std::string> parts;
    while (std::getline(words, word, '.')) parts.push_back(word);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool last = i + 1 == parts.size();
      const bool has_names =
          (i == 1 && (parts[0] == "pools" || parts[0] == "filters" || parts[0] == "rate_groups")) ||
          (i == 2 && parts[1] == "realms");
      const bool in_list = parts[i] == "*" && !has_names;
      const std::string name = parts[i] != "*" ? parts[i] : in_list ? "0" : "default";
      path += (path.empty() ? "" : ".") + name;
      yaml += in_list ? indent + "-" : indent + name + ":";
      yaml += last ? " {wrong: [1]}\n" : "\n";
      indent += "  ";
    }
    const auto config = parse(yaml, "pns.yaml");
    REQUIRE_FALSE(config);
    const bool named =
        std::any_of(config.error().begin(), config.error().end(),
                    [&](const ConfigError& e) { return e.key == path && e.line > 0; });
    INFO(yaml);
    CHECK(named);
  }
}

TEST_CASE("config: deploy/lan-addresses.yaml has a pool in the core network", "[config]") {
  const auto config = parse(contents_of("deploy/lan-addresses.yaml"), "pns.yaml");
  REQUIRE(config);
  const Pool& pool = config->pools.at("default");
  REQUIRE(pool.ranges.size() == 1);
  const Ipv4Prefix lan = *Ipv4Prefix::parse("10.0.0.0/24");
  CHECK(lan.contains(pool.ranges[0].first));
  CHECK(lan.contains(pool.ranges[0].last));
  CHECK(lan.contains(pool.gateway));
}

TEST_CASE("config: docs/configuration.md and deploy/pns.yaml name every key", "[config]") {
  const std::string page = contents_of("docs/configuration.md");
  const std::string sample = contents_of("deploy/pns.yaml");
  for (const std::string_view key : known_keys()) {
    INFO(key);
    CHECK(page.find("`" + std::string(key) + "`") != std::string::npos);
    const std::string last(key.substr(key.rfind('.') + 1));
    CHECK(sample.find(last + ":") != std::string::npos);
  }
  for (const std::string_view key : known_user_keys()) {
    INFO(key);
    CHECK(page.find("`" + std::string(key) + "`") != std::string::npos);
  }
}

TEST_CASE("config: the samples in deploy/ load", "[config]") {
  const auto config = load(std::string(PNS_SOURCE_DIR) + "/deploy/pns.yaml");
  if (!config) FAIL(config.error().front().to_string());
  const auto users = load_users(*config);
  if (!users) FAIL(users.error().front().to_string());
  CHECK(users->size() == 2);
}

TEST_CASE("config: a bond is read, and dumped as it was written", "[config]") {
  const auto config =
      parse(replaced(kMinimal, R"("xdp:eth1")",
                     R"("bond:active-backup", members: ["0000:3b:00.0", "0000:3b:00.1"])"),
            "pns.yaml");
  REQUIRE(config);
  const Device& device = config->ports.core.device;
  CHECK(device.kind == DeviceKind::kBond);
  CHECK(device.members == std::vector<std::string>{"0000:3b:00.0", "0000:3b:00.1"});
  CHECK(device.text == "bond:active-backup,0000:3b:00.0,0000:3b:00.1");
  CHECK(config->ports.core.has_twin());
  const std::string json = dump_json(*config);
  CHECK_THAT(json, Catch::Contains(R"("device": "bond:active-backup",)"));
  const auto at = json.find(R"("members")");
  REQUIRE(at != std::string::npos);
  CHECK(json.find("0000:3b:00.0", at) < json.find("0000:3b:00.1", at));
}

TEST_CASE("config: the dump holds what is in effect and can be read as JSON", "[config]") {
  const auto config = parse(kMinimal, "/etc/pns/pns.yaml");
  REQUIRE(config);
  const std::string json = dump_json(*config);
  CHECK_THAT(json, Catch::Contains(R"("device": "xdp:eth0")"));
  CHECK_THAT(json, Catch::Contains(R"("sleep": "50us")"));
  CHECK_THAT(json, Catch::Contains(R"("interval": "30s")"));
  CHECK_THAT(json, Catch::Contains(R"("10.64.0.2-10.64.0.254")"));
  CHECK_THAT(json, Catch::Contains(R"("policy": "require")"));
  CHECK_THAT(json, Catch::Contains(R"("users_file": "/etc/pns/users.yaml")"));
}
