// SPDX-License-Identifier: BSD-3-Clause
//
// `routes` of the users file: the networks behind a user.
#include <catch2/catch.hpp>
#include <map>

#include "pns/config/config.hpp"

using namespace pns;
using namespace pns::config;

namespace {

Config sample() {
  auto config = parse(R"(
ports:
  access:
    device: "tap:w0"
    addresses: [198.51.100.1/24, "2001:db8:1:2::1/64"]
    gateway: 198.51.100.254
  core:
    device: "tap:w1"
    addresses: [10.0.0.1/24]
    gateway: 10.0.0.53
    routes: [{to: 10.8.0.0/16, via: 10.0.0.9}]
pptp: {listen: [203.0.113.1]}
pools:
  default: {ranges: [10.64.0.2-10.64.0.254], gateway: 10.65.0.1, ipv6_prefixes: ["2001:db8:100::/48"]}
  old: {ranges: [10.66.0.2-10.66.0.254], gateway: 10.66.0.1}
aaa: {local: {users_file: /none}}
)",
                      "pns.yaml");
  REQUIRE(config);
  return *config;
}

// The reasons, joined; "" when the file is good.
std::string errors_of(const std::string& text, const Config* config = nullptr) {
  const auto users = parse_users(text, "users.yaml", config);
  std::string all;
  if (users) return all;
  for (const ConfigError& error : users.error()) {
    if (!all.empty()) all += "; ";
    all += error.key + ": " + error.reason;
  }
  return all;
}

}  // namespace

TEST_CASE("user routes: networks of both families arrive", "[config][networks]") {
  const auto users = parse_users(
      "a: {password: x, routes: [192.168.50.0/24, '2001:db8:50::/48', 10.7.0.0/16]}\nb: {password: "
      "y}\n",
      "users.yaml");
  REQUIRE(users);
  CHECK(users->at(0).routes ==
        Networks{{{Ipv4Address(0xc0a83200), 24}, {Ipv4Address(0x0a070000), 16}},
                 {Ipv6Prefix::parse("2001:db8:50::/48").value()}});
  CHECK(users->at(1).routes.empty());
}

TEST_CASE("user routes: a list of networks, each of a kind that can be behind one user",
          "[config][networks]") {
  const auto one = [](const std::string& network) {
    return errors_of("a: {password: x, routes: ['" + network + "']}\n");
  };
  CHECK(one("192.168.50.0") == "a.routes.0: '192.168.50.0' is not a network (10.1.0.0/16)");
  CHECK_THAT(one("192.168.50.1/24"), Catch::Contains("192.168.50.0/24"));
  CHECK_FALSE(one("0.0.0.0/0").empty());
  CHECK_FALSE(one("::/0").empty());
  CHECK_FALSE(one("2001:db8::1/48").empty());
  for (const char* bad : {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/8", "64.0.0.0/4", "2000::/3"})
    CHECK_FALSE(one(bad).empty());
  for (const char* good : {"10.0.0.0/8", "192.168.50.7/32", "2001:db8::/32", "fd00:1::/64"})
    CHECK(one(good).empty());
  std::string many;
  for (int i = 0; i < 17; ++i)
    many += (i == 0 ? "" : ", ") + std::string("10.") + std::to_string(i) + ".0.0/16";
  CHECK(errors_of("a: {password: x, routes: [" + many + "]}\n") ==
        "a.routes: 17 networks: a user has at most 16");
}

TEST_CASE("user routes: a delegated prefix is one user's, and no part of his routes",
          "[config][networks][dhcpv6]") {
  const auto users =
      parse_users("a: {password: x, delegated_ipv6_prefix: '2001:db8:200::/56'}\n", "users.yaml");
  REQUIRE(users);
  CHECK(users->at(0).delegated_ipv6_prefix == Ipv6Prefix::parse("2001:db8:200::/56"));
  const auto two = [](const std::string& a, const std::string& b) {
    return errors_of("a: {password: x, " + a + "}\nb: {password: y, " + b + "}\n");
  };
  CHECK(two("delegated_ipv6_prefix: '2001:db8:200::/56'",
            "delegated_ipv6_prefix: '2001:db8:200::/56'") ==
        "b.delegated_ipv6_prefix: 2001:db8:200::/56 overlaps 2001:db8:200::/56, of "
        "delegated_ipv6_prefix of a");
  CHECK(two("delegated_ipv6_prefix: '2001:db8:200::/48'", "ipv6_prefix: '2001:db8:200:7::/64'") ==
        "a.delegated_ipv6_prefix: 2001:db8:200::/48 overlaps 2001:db8:200:7::/64, of ipv6_prefix "
        "of b");
  CHECK_FALSE(errors_of("a: {password: x, delegated_ipv6_prefix: '2001:db8:200::/56', "
                        "ipv6_prefix: '2001:db8:200:7::/64'}\n")
                  .empty());
  CHECK_FALSE(errors_of("a: {password: x, delegated_ipv6_prefix: '2001:db8:200::/56', "
                        "routes: ['2001:db8:200::/48']}\n")
                  .empty());
  for (const char* bad : {"2001:db8:200::/65", "2001:db8:200::1/56", "ff00::/16", "2000::/3"})
    CHECK_FALSE(
        errors_of("a: {password: x, delegated_ipv6_prefix: '" + std::string(bad) + "'}\n").empty());
}

TEST_CASE("user routes: a delegated prefix may be one of a pool, and no other part of it",
          "[config][networks][dhcpv6]") {
  Config config = sample();
  config.pools["default"].delegated_prefixes = {Ipv6Prefix::parse("2001:db8:200::/40").value()};
  const auto one = [&config](const std::string& keys) {
    return errors_of("a: {password: x, " + keys + "}\n", &config);
  };
  CHECK(one("delegated_ipv6_prefix: '2001:db8:200::/56'").empty());
  CHECK(one("delegated_ipv6_prefix: '2001:db8:300::/48'").empty());
  CHECK(one("delegated_ipv6_prefix: '2001:db8:200::/60'") ==
        "a.delegated_ipv6_prefix: 2001:db8:200::/60 overlaps 2001:db8:200::/40 of pool default");
  CHECK(one("delegated_ipv6_prefix: '2001:db8:100:100::/56'") ==
        "a.delegated_ipv6_prefix: 2001:db8:100:100::/56 overlaps 2001:db8:100::/48 of pool "
        "default");
  CHECK(one("routes: ['2001:db8:200::/56']") ==
        "a.routes: 2001:db8:200::/56 overlaps 2001:db8:200::/40 of pool default");
  CHECK(one("pool: old, delegated_ipv6_prefix: '2001:db8:300::/56'") ==
        "a.delegated_ipv6_prefix: 2001:db8:300::/56 needs IPv6 on the link: give ipv6_prefix, or "
        "ipv6_prefixes to pool old");
}

TEST_CASE("user routes: each address is behind one user", "[config][networks]") {
  const auto two = [](const std::string& a, const std::string& b) {
    return errors_of("a: {password: x, " + a + "}\nb: {password: y, " + b + "}\n");
  };
  CHECK(two("routes: [192.168.0.0/16]", "routes: [10.1.0.0/16, 192.168.50.0/24]") ==
        "b.routes: 192.168.50.0/24 overlaps 192.168.0.0/16, of routes of a");
  CHECK(two("routes: [192.168.50.0/24]", "routes: [192.168.50.0/24]") ==
        "b.routes: 192.168.50.0/24 overlaps 192.168.50.0/24, of routes of a");
  CHECK(two("routes: ['2001:db8:50::/48']", "routes: ['2001:db8::/32']") ==
        "a.routes: 2001:db8:50::/48 overlaps 2001:db8::/32, of routes of b");
  CHECK(two("routes: [192.168.50.0/24]", "address: 192.168.50.9") ==
        "a.routes: 192.168.50.0/24 overlaps 192.168.50.9/32, of address of b");
  CHECK(two("routes: ['2001:db8:50::/48']", "ipv6_prefix: '2001:db8:50:7::/64'") ==
        "a.routes: 2001:db8:50::/48 overlaps 2001:db8:50:7::/64, of ipv6_prefix of b");
  CHECK(errors_of("a: {password: x, routes: [192.168.0.0/16, 192.168.50.0/24]}\n") ==
        "a.routes: 192.168.50.0/24 overlaps 192.168.0.0/16, of routes of a");
  // Behind a narrow network that is not around it there may be a wide one that is.
  CHECK(two("routes: [10.0.0.0/8]", "routes: [10.1.0.0/16]").size() > 0);
  CHECK(errors_of("a: {password: x, routes: [10.0.0.0/8]}\n"
                  "b: {password: x, address: 10.1.0.1, pool: p}\n"
                  "c: {password: x, routes: [11.0.0.0/8]}\n")
            .find("10.0.0.0/8 overlaps 10.1.0.1/32") != std::string::npos);
  // The router's own address may lie in its network, but is not the whole of it.
  CHECK(errors_of("a: {password: x, address: 192.168.50.1, routes: [192.168.50.0/24]}\n").empty());
  CHECK_FALSE(
      errors_of("a: {password: x, address: 192.168.50.1, routes: [192.168.50.1/32]}\n").empty());
  CHECK(two("routes: [192.168.50.0/24]", "routes: [192.168.51.0/24], address: 10.64.0.9").empty());
}

TEST_CASE("user routes: a network that is another's in the configuration is refused, with whose",
          "[config][networks]") {
  const Config config = sample();
  const auto one = [&](const std::string& network) {
    return errors_of("a: {password: x, routes: ['" + network + "']}\n", &config);
  };
  for (const auto& [network, reason] : std::map<std::string, std::string>{
           {"10.64.0.128/25", "overlaps the ranges of pool default"},
           {"10.65.0.0/16", "holds 10.65.0.1, the gateway of pool default"},
           {"203.0.113.0/24", "holds 203.0.113.1, an address of this server (pptp.listen)"},
           {"10.0.0.128/25", "overlaps 10.0.0.1/24 (ports.core.addresses)"},
           {"10.8.0.0/15", "holds 10.8.0.0/16, a route of ports.core"},
           {"10.8.0.0/16", "holds 10.8.0.0/16, a route of ports.core"},
           {"2001:db8:1::/48", "overlaps 2001:db8:1:2::1/64 (ports.access.addresses)"},
           {"2001:db8:100:7::/64", "overlaps 2001:db8:100::/48 of pool default"}})
    CHECK(one(network) == "a.routes: " + network + " " + reason);
  CHECK_THAT(one("198.51.100.0/24"), Catch::Contains("(ports.access.addresses)"));
  // A site inside a wide route of the core port is the usual case.
  for (const char* good : {"10.8.7.0/24", "192.168.50.0/24", "2001:db8:50::/48"})
    CHECK(one(good).empty());
}

TEST_CASE("user routes: an IPv6 network needs IPv6 on the link", "[config][networks]") {
  const Config config = sample();
  const std::string routes = "routes: ['2001:db8:50::/48']";
  CHECK(errors_of("a: {password: x, " + routes + "}\n", &config).empty());
  CHECK(errors_of("a: {password: x, pool: old, " + routes + "}\n", &config) ==
        "a.routes: 2001:db8:50::/48 needs IPv6 on the link: give ipv6_prefix, or ipv6_prefixes to "
        "pool old");
  CHECK(errors_of("a: {password: x, pool: old, ipv6_prefix: '2001:db8:7:1::/64', " + routes + "}\n",
                  &config)
            .empty());
}
