// SPDX-License-Identifier: BSD-3-Clause
#include "pns/import/accel_ppp.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "pns/base/time.hpp"
#include "pns/config/config.hpp"

using namespace pns;
using namespace pns::import;

namespace {

constexpr const char* kFile = R"([modules]
log_file
pptp
auth_mschap_v2
auth_pap
radius
chap-secrets
ippool
ipv6pool

[core]
thread-count=4

[ppp]
verbose=1
mtu=1400
lcp-echo-interval=20
lcp-echo-failure=3
single-session=replace

[pptp]
bind=192.0.2.1
mppe=require
verbose=1
fantasy=7

[dns]
dns1=192.0.2.53
dns2=198.51.100.53

[wins]
wins1=192.0.2.54

[radius]
dictionary=/usr/share/accel-ppp/radius/dictionary
nas-identifier=old-name
server=192.0.2.10,topsecret,auth-port=1812,acct-port=1813,req-limit=50,weight=3
server=192.0.2.11,othersecret,auth-port=1645,acct-port=0,backup
dae-server=192.0.2.1:3799,daesecret
acct-interim-interval=300

[ip-pool]
gw-ip-address=10.64.0.1
10.64.0.2-254
10.65.0.0/24,name=gold

[ipv6-pool]
2001:db8:64::/48,64
delegate=2001:db8:4000::/40,56

[chap-secrets]
chap-secrets=/etc/ppp/secrets

[shaper]
attr=Filter-Id

[pppoe]
interface=eth1
)";

ImportedServer imported() {
  return read_accel_ppp(kFile, "accel-ppp.conf",
                        [](const std::string& path) -> std::optional<std::string> {
                          if (path == "/etc/ppp/secrets") return "alice * wonderland 10.64.0.7\n";
                          return std::nullopt;
                        });
}

std::map<std::string, OutputFile> files_of(const ImportedServer& server) {
  std::map<std::string, OutputFile> by_name;
  for (const OutputFile& file : write_files(server, "accel-ppp")) by_name[file.name] = file;
  return by_name;
}

bool has_remark(const ImportedServer& server, std::string_view begin) {
  return std::ranges::any_of(
      server.remarks, [begin](const std::string& remark) { return remark.starts_with(begin); });
}

}  // namespace

TEST_CASE("accel-ppp: what both servers have is carried over", "[import]") {
  const auto files = files_of(imported());
  REQUIRE(files.contains("pns.yaml"));
  const auto config = config::parse(files.at("pns.yaml").text, "pns.yaml");
  if (!config)
    for (const auto& error : config.error()) UNSCOPED_INFO(error.to_string());
  REQUIRE(config);
  CHECK(config->pptp.listen == std::vector{Ipv4Address(0xc0000201)});
  CHECK(config->ppp.auth == std::vector{config::AuthMethod::kMsChapV2, config::AuthMethod::kPap});
  CHECK(config->ppp.mppe.policy == config::MppePolicy::kRequire);
  CHECK(config->ppp.mtu == 1400);
  CHECK(config->ppp.lcp_echo.interval == Seconds(20));
  CHECK(config->ppp.lcp_echo.failures == 3);
  CHECK(config->ppp.dns.size() == 2);
  CHECK(config->ppp.wins.size() == 1);
  REQUIRE(config->pools.size() == 2);
  CHECK(config->pools.at("default").gateway == Ipv4Address(0x0a400001));
  CHECK(config->pools.at("default").ranges.front().last == Ipv4Address(0x0a4000fe));
  CHECK(config->pools.at("default").ipv6_prefixes.size() == 1);
  REQUIRE(config->pools.at("default").delegated_prefixes.size() == 1);
  CHECK(config->pools.at("default").delegated_prefixes[0].to_string() == "2001:db8:4000::/40");
  CHECK(config->pools.at("default").delegated_length == 56);
  CHECK(config->pools.at("gold").ranges.size() == 1);
  CHECK(config->aaa.order == std::vector{config::AaaSource::kRadius, config::AaaSource::kLocal});
  REQUIRE(config->aaa.radius);
  CHECK(config->aaa.radius->nas_identifier == "old-name");
  REQUIRE(config->aaa.radius->servers.size() == 2);
  CHECK(config->aaa.radius->servers[0].weight == 3);
  CHECK(config->aaa.radius->servers[1].auth_port == 1645);
  CHECK_FALSE(config->aaa.radius->servers[1].does(config::RadiusKind::kAccounting));
  CHECK(config->aaa.radius->servers[0].priority < config->aaa.radius->servers[1].priority);
  CHECK(config->aaa.radius->accounting.interim_interval == Seconds(300));
  REQUIRE(config->aaa.radius->dynamic_authorization);
  CHECK(config->aaa.radius->dynamic_authorization->clients.size() == 2);
}

TEST_CASE("accel-ppp: secrets stand in files of their own", "[import]") {
  const auto files = files_of(imported());
  CHECK(files.at("radius-1.secret").text == "topsecret\n");
  CHECK(files.at("radius-2.secret").text == "othersecret\n");
  CHECK(files.at("radius-authorization.secret").text == "daesecret\n");
  CHECK(files.at("users.yaml").text.find("'alice': {password: 'wonderland', address: 10.64.0.7}") !=
        std::string::npos);
  for (const auto& [name, file] : files) {
    CAPTURE(name);
    CHECK(file.is_secret == (name != "pns.yaml"));
  }
  for (const char* secret : {"topsecret", "othersecret", "daesecret", "wonderland"})
    CHECK(files.at("pns.yaml").text.find(secret) == std::string::npos);
}

TEST_CASE("accel-ppp: the rest has remarks with line and remedy", "[import]") {
  const auto server = imported();
  CHECK(has_remark(server,
                   "accel-ppp.conf:19: [ppp] single-session: not carried over: "
                   "aaa.sessions_per_user"));
  CHECK(has_remark(server, "accel-ppp.conf:25: [pptp] fantasy: not carried over"));
  CHECK(has_remark(server, "accel-ppp.conf:55: [shaper] attr: not carried over"));
  CHECK(server.remarks.size() == 3);
}

TEST_CASE("accel-ppp: the pool of [pptp] is the default, and pools follow each other", "[import]") {
  const auto server = read_accel_ppp(
      "[modules]\nippool\n[ppp]\nmppe=deny\nipv6=deny\n[pptp]\nip-pool=b\n[ip-pool]\n"
      "gw-ip-address=10.0.0.1\n10.1.0.2-9,name=a,next=b\n10.2.0.2-9,name=b\n[ipv6-pool]\n"
      "2001:db8::/48,64\n",
      "a.conf", [](const std::string&) { return std::nullopt; });
  const auto config = config::parse(files_of(server).at("pns.yaml").text, "pns.yaml");
  REQUIRE(config);
  REQUIRE(config->pools.size() == 2);
  CHECK(config->pools.at("default").ranges.front().first == Ipv4Address(0x0a020002));
  CHECK(config->pools.at("a").next == "default");
  CHECK(config->pools.at("default").ipv6_prefixes.empty());  // IPv6 is off there
  CHECK(config->ppp.mppe.policy == config::MppePolicy::kOff);
}

TEST_CASE("accel-ppp: encryption is required where the old server did not say", "[import]") {
  const auto server = read_accel_ppp("[ip-pool]\ngw-ip-address=10.0.0.1\n10.0.0.2-9\n", "a.conf",
                                     [](const std::string&) { return std::nullopt; });
  CHECK(has_remark(server, "a.conf: no mppe is set: this server requires encryption"));
  CHECK(files_of(server).at("pns.yaml").text.find("mppe: {policy: require}") != std::string::npos);
}

TEST_CASE("accel-ppp: a secret may have an equals sign, and stands in no remark", "[import]") {
  const auto server = read_accel_ppp(
      "[modules]\nradius\n[radius]\nserver=192.0.2.1,se=cret,auth-port=1812,fantasy=9,backup\n"
      "server=192.0.2.2,\n",
      "a.conf", [](const std::string&) { return std::nullopt; });
  REQUIRE(server.radius.size() == 1);
  CHECK(server.radius[0].secret == "se=cret");
  CHECK(server.radius[0].backup);
  CHECK(has_remark(server, "a.conf:4: [radius] server: fantasy is not carried over"));
  CHECK(has_remark(server, "a.conf:5: [radius] server: has no address and secret"));
  for (const std::string& remark : server.remarks) CHECK(remark.find("cret,") == std::string::npos);
}

TEST_CASE("accel-ppp: values are YAML's text, whatever they have in them", "[import]") {
  const auto server =
      read_accel_ppp("[metrics]\naddress=x', other: 'y\n[ip-pool]\ngw-ip-address=|\n10.0.0.2-9\n",
                     "a.conf", [](const std::string&) { return std::nullopt; });
  const auto config = config::parse(write_files(server, "accel-ppp").front().text, "pns.yaml");
  REQUIRE_FALSE(config);
  for (const auto& error : config.error()) {
    CAPTURE(error.to_string());
    CHECK(error.to_string().find("other") != 0);
    CHECK(error.to_string().find("unknown") == std::string::npos);
  }
}

TEST_CASE("accel-ppp: without pool, gateway and secrets it says what is missing", "[import]") {
  const auto server = read_accel_ppp("[modules]\nchap-secrets\n", "a.conf",
                                     [](const std::string&) { return std::nullopt; });
  CHECK(has_remark(server, "/etc/ppp/chap-secrets: cannot be read"));
  CHECK(has_remark(server, "a.conf: there is no address pool"));
  CHECK(has_remark(server, "a.conf: there is no gw-ip-address"));
}
