// SPDX-License-Identifier: BSD-3-Clause
#include "pns/import/poptop.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "pns/config/config.hpp"

using namespace pns;
using namespace pns::import;

namespace {

ImportedServer imported(const std::string& options) {
  return read_poptop(
      "option /etc/ppp/pptpd-options\n"
      "logwtmp\n"
      "bcrelay eth1\n"
      "localip 192.168.0.1\n"
      "remoteip 192.168.0.234-238,192.168.0.245\n"
      "connections 100\n",
      "pptpd.conf", "/etc/ppp/chap-secrets",
      [&options](const std::string& path) -> std::optional<std::string> {
        if (path == "/etc/ppp/pptpd-options") return options;
        if (path == "/etc/ppp/chap-secrets") return "alice pptpd wonderland *\n";
        return std::nullopt;
      });
}

config::Config config_of(const ImportedServer& server) {
  auto config = config::parse(write_files(server, "poptop").front().text, "pns.yaml");
  if (!config)
    for (const auto& error : config.error()) UNSCOPED_INFO(error.to_string());
  REQUIRE(config);
  return std::move(*config);
}

}  // namespace

TEST_CASE("poptop: pptpd.conf, pppd's options and secrets become one configuration", "[import]") {
  const auto server = imported(
      "name pptpd\nrefuse-pap\nrefuse-chap\nrefuse-mschap\nrequire-mschap-v2\nrequire-mppe-128\n"
      "ms-dns 10.0.0.1\nms-dns 10.0.0.2\nms-wins 10.0.0.3\nproxyarp\nlock\nnobsdcomp\nmtu 1400\n"
      "lcp-echo-interval 30\nlcp-echo-failure 4\n");
  const auto config = config_of(server);
  CHECK(config.ppp.auth == std::vector{config::AuthMethod::kMsChapV2});
  CHECK(config.ppp.mppe.policy == config::MppePolicy::kRequire);
  CHECK(config.ppp.dns.size() == 2);
  CHECK(config.ppp.wins.size() == 1);
  CHECK(config.ppp.mtu == 1400);
  CHECK(config.ppp.lcp_echo.failures == 4);
  CHECK(config.ppp.broadcast_relay == 0);  // a kernel: port has none: the remark says so
  CHECK(config.pptp.max_connections == 100);
  const auto& pool = config.pools.at("default");
  REQUIRE(pool.ranges.size() == 2);
  CHECK(pool.ranges[0].first == Ipv4Address(0xc0a800ea));
  CHECK(pool.ranges[0].last == Ipv4Address(0xc0a800ee));
  CHECK(pool.gateway == Ipv4Address(0xc0a80001));
  CHECK(server.users.size() == 1);
  REQUIRE(server.remarks.size() == 2);
  CHECK(server.remarks[0].starts_with("pptpd.conf:3: bcrelay: "));
  CHECK(
      server.remarks[1].starts_with("/etc/ppp/pptpd-options:10: proxyarp: the core port must be"));
  CHECK(config.ports.core.device.text == "xdp:eth1");
}

TEST_CASE("poptop: methods follow from those that are refused", "[import]") {
  CHECK(config_of(imported("refuse-pap\nrefuse-chap\n")).ppp.auth ==
        std::vector{config::AuthMethod::kMsChapV2, config::AuthMethod::kMsChap});
}

TEST_CASE("poptop: RADIUS and unknown options have remarks", "[import]") {
  const auto server = imported("plugin radius.so\nplugin radattr.so\nidle 600\nfantasy 7\n");
  CHECK(server.users.empty());  // RADIUS knows them
  const auto text = write_files(server, "poptop").front().text;
  CHECK(text.find("order: [radius]") != std::string::npos);
  CHECK_FALSE(config::parse(text, "pns.yaml"));  // its servers must be written first
  const auto begins = [&server](std::string_view begin) {
    return std::ranges::any_of(
        server.remarks, [begin](const std::string& remark) { return remark.starts_with(begin); });
  };
  CHECK(begins("/etc/ppp/pptpd-options:1: plugin: the servers stand in radiusclient's files"));
  CHECK(begins("/etc/ppp/pptpd-options:3: idle: not carried over: idle_timeout"));
  CHECK(begins("/etc/ppp/pptpd-options:4: fantasy: not carried over"));
  CHECK(begins("/etc/ppp/chap-secrets: is not read, because pppd asks RADIUS"));
  CHECK(begins("pptpd.conf: no mppe is set"));
  CHECK(server.remarks.size() == 6);
}
