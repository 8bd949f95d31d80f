// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>
#include <string>

#include "pns/config/config.hpp"

using namespace pns;
using namespace pns::config;

namespace {

const std::string kHead = R"(ports:
  access: {device: "xdp:eth0"}
  core: {device: "xdp:eth1"}
pools:
  default: {ranges: [10.64.0.2-10.64.0.254], gateway: 10.64.0.1}
aaa: {local: {users_file: users.yaml}}
filters:
)";

std::string error_of(const std::string& rule) {
  const auto config = parse(kHead + "  web: {rules: [" + rule + "]}\n", "pns.yaml");
  if (config) return "no error";
  if (config.error().size() != 1) return std::to_string(config.error().size()) + " errors";
  return config.error().front().key + ": " + config.error().front().reason;
}

}  // namespace

TEST_CASE("config: filters are read in the order of their rules", "[config][filters]") {
  const auto config = parse(kHead + R"(  web:
    rules:
      - {action: deny, destination: 10.0.0.0/8}
      - {action: permit, protocol: tcp, destination_ports: 80-443, source: "2001:db8::/32"}
      - {action: permit, protocol: icmp}
      - {action: permit, protocol: 47, source: 192.0.2.1/32}
  nothing: {rules: []}
)",
                            "pns.yaml");
  INFO((config ? std::string() : config.error().front().to_string()));
  REQUIRE(config);
  REQUIRE(config->filters.size() == 2);
  CHECK(config->filters.at("nothing").empty());
  const Filter& web = config->filters.at("web");
  REQUIRE(web.size() == 4);
  CHECK_FALSE(web[0].permit);
  CHECK(web[0].family == 4);
  CHECK(web[0].ipv4_destination == Ipv4Prefix::parse("10.0.0.0/8"));
  CHECK_FALSE(web[0].protocol);
  CHECK(web[1].permit);
  CHECK(web[1].family == 6);
  CHECK(web[1].protocol == std::uint8_t{6});
  CHECK(web[1].ipv6_source == Ipv6Prefix::parse("2001:db8::/32"));
  CHECK((web[1].destination_ports == FilterRule::Ports{80, 443}));
  CHECK_FALSE(web[1].source_ports);
  CHECK(web[2].family == 4);
  CHECK(web[2].protocol == std::uint8_t{1});
  CHECK(web[3].family == 4);
  CHECK(web[3].protocol == std::uint8_t{47});
}

TEST_CASE("config: what a rule of a filter cannot say", "[config][filters]") {
  CHECK(error_of("{protocol: tcp}") == "filters.web.rules.0.action: must be given");
  CHECK(error_of("{action: allow}") ==
        "filters.web.rules.0.action: 'allow' is not one of deny, permit");
  CHECK(error_of("{action: deny, destination_ports: 25}") ==
        "filters.web.rules.0.destination_ports: needs protocol tcp or udp");
  CHECK(error_of("{action: deny, protocol: udp, source_ports: 9-8}") ==
        "filters.web.rules.0.source_ports: '9-8' is neither a port nor a range of ports");
  CHECK(error_of("{action: deny, source: 10.0.0.0/8, destination: '2001:db8::/32'}") ==
        "filters.web.rules.0.destination: is of another family than the rest of the rule");
  CHECK(error_of("{action: deny, protocol: icmpv6, source: 10.0.0.0/8}") ==
        "filters.web.rules.0.source: is of another family than the rest of the rule");
  CHECK(error_of("{action: deny, protocol: tls}") ==
        "filters.web.rules.0.protocol: 'tls' is neither a number from 0 to 255 nor tcp, udp, icmp, "
        "icmpv6, gre or esp");
  const auto name = parse(kHead + "  'a b': {rules: []}\n", "pns.yaml");
  REQUIRE_FALSE(name);
  CHECK(name.error().front().reason ==
        "a filter's name has 1 to 64 letters, digits, hyphens and underscores");
}
