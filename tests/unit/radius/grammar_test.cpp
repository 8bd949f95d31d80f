// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "pns/radius/cisco_avpair.hpp"
#include "pns/radius/rate_limit.hpp"
#include "pns/radius/routes.hpp"
#include "pns/radius/terminate_time.hpp"

using namespace pns;
using namespace pns::radius;

TEST_CASE("rate limit: all fields are read, upload first", "[radius][mikrotik]") {
  const auto limit = MikrotikRateLimit::parse("5M/20M 10M/40M 4M/16M 8/9 3 1M/2M");
  REQUIRE(limit);
  CHECK(limit->upload == RateLimit{.rate = 5'000'000,
                                   .burst_rate = 10'000'000,
                                   .burst_threshold = 4'000'000,
                                   .burst_time = Seconds(8),
                                   .minimum_rate = 1'000'000});
  CHECK(limit->download == RateLimit{.rate = 20'000'000,
                                     .burst_rate = 40'000'000,
                                     .burst_threshold = 16'000'000,
                                     .burst_time = Seconds(9),
                                     .minimum_rate = 2'000'000});
  CHECK(limit->priority == 3);
  CHECK(limit->upload.burst_bits() == 6'000'000 * 8);
  CHECK(limit->download.burst_bits() == 24'000'000ull * 9);
}

TEST_CASE("rate limit: what is not told has a default", "[radius][mikrotik]") {
  const auto one = MikrotikRateLimit::parse("64k");
  REQUIRE(one);
  CHECK(one->upload.rate == 64'000);
  CHECK(one->download == one->upload);
  CHECK_FALSE(one->upload.has_burst());
  CHECK(one->priority == 8);

  const auto burst = MikrotikRateLimit::parse("1M 2M/4M");
  REQUIRE(burst);
  CHECK(burst->upload.burst_threshold == 1'000'000);
  CHECK(burst->download.burst_threshold == 1'000'000);
  CHECK(burst->download.burst_time == Seconds(1));
  CHECK(burst->download.burst_bits() == 3'000'000);

  // Operators write zeros for "none" to reach the later fields.
  const auto none = MikrotikRateLimit::parse("10M/10M 0/0 0/0 0/0 5 2M/2M");
  REQUIRE(none);
  CHECK_FALSE(none->upload.has_burst());
  CHECK(none->upload.burst_bits() == 0);
  CHECK(none->priority == 5);
  CHECK(none->download.minimum_rate == 2'000'000);
}

TEST_CASE("rate limit: units and bounds", "[radius][mikrotik]") {
  CHECK(MikrotikRateLimit::parse("5000/20000")->download.rate == 20'000);
  CHECK(MikrotikRateLimit::parse("1g/1G")->upload.rate == 1'000'000'000);
  CHECK(MikrotikRateLimit::parse("0/1K")->upload.rate == 0);
  CHECK(MikrotikRateLimit::parse("1000G")->upload.rate == kMaximumRate);
  CHECK(MikrotikRateLimit::parse("  1M\t2M  ")->upload.burst_rate == 2'000'000);
  CHECK(MikrotikRateLimit::parse("1M 2M 1M 86400"));
  for (const char* bad : {"",
                          " ",
                          "x",
                          "M",
                          "1M/",
                          "/1M",
                          "1M/2M/3M",
                          "1.5M",
                          "-1M",
                          "+1M",
                          "1 M",
                          "1001G",
                          "18446744073709551616",
                          "1T",
                          "1kk",
                          "1M 2M 1M 1s",
                          "1M 2M 1M 86401",
                          "1M 2M 1M 1 0",
                          "1M 2M 1M 1 9",
                          "1M 2M 1M 1 1/2",
                          "1M 2M 1M 1 8 1M 1M",
                          "1M x",
                          "1M 2M x",
                          "1M 2M 1M x"}) {
    INFO(bad);
    CHECK_FALSE(MikrotikRateLimit::parse(bad));
  }
}

TEST_CASE("cisco: a rate limit of the interface", "[radius][cisco]") {
  CHECK(parse_cisco_avpair("lcp:interface-config#1=rate-limit output 20000000 3750000 7500000 "
                           "conform-action transmit exceed-action drop") ==
        CiscoAvPair(CiscoRateLimit{.direction = TrafficDirection::kDownload,
                                   .rate = 20'000'000,
                                   .normal_burst = 3'750'000,
                                   .maximum_burst = 7'500'000}));
  CHECK(parse_cisco_avpair("lcp:interface-config=rate-limit input 8000 1500 1500 "
                           "conform-action continue exceed-action drop") ==
        CiscoAvPair(CiscoRateLimit{.direction = TrafficDirection::kUpload,
                                   .rate = 8'000,
                                   .normal_burst = 1'500,
                                   .maximum_burst = 1'500}));
  for (const char* bad :
       {"rate-limit", "rate-limit both 8000 1 1 conform-action transmit exceed-action drop",
        "rate-limit input 0 1 1 conform-action transmit exceed-action drop",
        "rate-limit input 8000 2 1 conform-action transmit exceed-action drop",
        "rate-limit input 8k 1 1 conform-action transmit exceed-action drop",
        "rate-limit input 8000 1 conform-action transmit exceed-action drop",
        "rate-limit input 8000 1 1 conform-action drop exceed-action drop",
        "rate-limit input 8000 1 1 conform-action transmit exceed-action transmit",
        "rate-limit input 8000 1 1 conform-action transmit exceed-action drop drop",
        "rate-limit input 8000 1 1 conform-action transmit",
        "rate-limit input 1000000000001 1 1 conform-action transmit exceed-action drop",
        "rate-limit input 8000 1 9999999999999 conform-action transmit exceed-action drop"}) {
    INFO(bad);
    CHECK_FALSE(parse_cisco_avpair("lcp:interface-config#1=" + std::string(bad)));
  }
}

TEST_CASE("cisco: names of policies and pools, and routes", "[radius][cisco]") {
  CHECK(parse_cisco_avpair("ip:sub-qos-policy-in=silver") ==
        CiscoAvPair(CiscoPolicy{.direction = TrafficDirection::kUpload, .name = "silver"}));
  CHECK(parse_cisco_avpair("ip:sub-qos-policy-out*gold") ==
        CiscoAvPair(CiscoPolicy{.direction = TrafficDirection::kDownload, .name = "gold"}));
  CHECK(parse_cisco_avpair("ip:addr-pool=pool-1") ==
        CiscoAvPair(CiscoAddressPool{.name = "pool-1"}));
  CHECK(parse_cisco_avpair("ip:route#2=198.51.100.0 255.255.255.0") ==
        CiscoAvPair(*FramedRoute::parse("198.51.100.0/24")));
  for (const char* bad :
       {"ip:addr-pool=", "ip:addr-pool=a b", "ip:sub-qos-policy-in=", "ip:sub-qos-policy-out= ",
        "ip:route=x", "ip:route=198.51.100.1/24", "ip:addr-pool", "ip:addr-pool#x=a", "=x", ""}) {
    INFO(bad);
    CHECK_FALSE(parse_cisco_avpair(bad));
  }
}

TEST_CASE("cisco: other pairs are unknown and no fault", "[radius][cisco]") {
  for (const char* unknown :
       {"shell:priv-lvl=15", "ip:inacl#1=permit ip any any", "subscriber:command=account-logoff",
        "lcp:interface-config=ip vrf forwarding x", "lcp:interface-config=", "x=",
        "lcp:interface-config=rate-limit input access-group 101 8000 1 1 conform-action transmit "
        "exceed-action drop",
        "IP:addr-pool=x"}) {
    INFO(unknown);
    CHECK(parse_cisco_avpair(unknown) == CiscoAvPair(CiscoUnknown{}));
  }
}

TEST_CASE("routes: the forms of Framed-Route", "[radius][rfc2865-5.22]") {
  struct Case {
    const char* text;
    const char* destination;  // empty: refused
    const char* gateway;
    std::optional<std::int32_t> metric;
  };
  const Case cases[] = {
      {"198.51.100.0/24 0.0.0.0 1", "198.51.100.0/24", "0.0.0.0", 1},
      {"192.168.1.0/24 192.168.1.1 1 2 -1 3 400", "192.168.1.0/24", "192.168.1.1", 1},  // the RFC's
      {"192.168.1.0 192.168.1.1 -1", "192.168.1.0/24", "192.168.1.1", -1},
      {"172.16.0.0 0.0.0.0", "172.16.0.0/16", "0.0.0.0", std::nullopt},
      {"10.0.0.0", "10.0.0.0/8", "0.0.0.0", std::nullopt},
      {"192.0.2.1/32", "192.0.2.1/32", "0.0.0.0", std::nullopt},
      {" 0.0.0.0/0  0.0.0.0 ", "0.0.0.0/0", "0.0.0.0", std::nullopt},
      {"198.51.100.1/24 0.0.0.0 1", "", "", {}},  // host bits
      {"192.0.2.1", "", "", {}},                  // host bits of its class
      {"224.0.0.0", "", "", {}},                  // no class
      {"198.51.100.0/33", "", "", {}},
      {"198.51.100.0/24 x", "", "", {}},
      {"198.51.100.0/24 0.0.0.0 x", "", "", {}},
      {"198.51.100.0/24 0.0.0.0 1 x", "", "", {}},
      {"198.51.100.0/24 0.0.0.0 2147483648", "", "", {}},
      {"198.51.100.0 255.255.255.0", "198.51.100.0/24", "255.255.255.0", std::nullopt},
      {"", "", "", {}},
  };
  for (const Case& each : cases) {
    INFO(each.text);
    const auto route = FramedRoute::parse(each.text);
    REQUIRE((route ? route->destination.to_string() : "") == each.destination);
    if (!route) continue;
    CHECK(route->gateway.to_string() == each.gateway);
    CHECK(route->metric == each.metric);
  }
}

TEST_CASE("routes: Cisco's form has a mask", "[radius][cisco]") {
  struct Case {
    const char* text;
    const char* destination;
    const char* gateway;
  };
  const Case cases[] = {
      {"198.51.100.0 255.255.255.128", "198.51.100.0/25", "0.0.0.0"},
      {"198.51.100.0 255.255.255.0 10.0.0.1 5", "198.51.100.0/24", "10.0.0.1"},
      {"198.51.100.0/24 10.0.0.1", "198.51.100.0/24", "10.0.0.1"},
      {"0.0.0.0 0.0.0.0", "0.0.0.0/0", "0.0.0.0"},
      {"192.0.2.7 255.255.255.255", "192.0.2.7/32", "0.0.0.0"},
      {"198.51.100.0 0.0.0.0 1", "198.51.100.0/24", "0.0.0.0"},  // a gateway
      {"198.51.100.0 10.0.0.1", "198.51.100.0/24", "10.0.0.1"},
      {"198.51.100.1 255.255.255.0", "", ""},
      {"198.51.100.0 255.255.0.255 10.0.0.1", "", ""},
  };
  for (const Case& each : cases) {
    INFO(each.text);
    const auto route = FramedRoute::parse_with_mask(each.text);
    REQUIRE((route ? route->destination.to_string() : "") == each.destination);
    if (route) CHECK(route->gateway.to_string() == each.gateway);
  }
}

TEST_CASE("routes: the forms of Framed-IPv6-Route", "[radius][rfc3162-2.5]") {
  const auto route =
      FramedIpv6Route::parse("2000:0:0:106::/64 2000::106:a00:20ff:fe99:a998 1");  // the RFC's
  REQUIRE(route);
  CHECK(route->destination.to_string() == "2000:0:0:106::/64");
  CHECK(route->gateway == Ipv6Address::parse("2000::106:a00:20ff:fe99:a998"));
  CHECK(route->metric == 1);
  CHECK(FramedIpv6Route::parse("2001:db8:7::/48 ::")->gateway.is_unspecified());
  CHECK(FramedIpv6Route::parse("2001:db8:7::/48")->destination.length == 48);
  for (const char* bad : {"", "2001:db8::", "2001:db8::1/48", "2001:db8::/129", "2001:db8::/48 x",
                          "2001:db8::/48 :: x", "198.51.100.0/24", "2001:db8::/48 10.0.0.1"}) {
    INFO(bad);
    CHECK_FALSE(FramedIpv6Route::parse(bad));
  }
}

TEST_CASE("terminate time: an instant of ISO 8601 with its zone", "[radius][wispr]") {
  const auto at = [](std::string_view text) -> std::int64_t {
    const auto time = parse_terminate_time(text);
    return time ? time->time_since_epoch().count() : -1;
  };
  CHECK(at("1970-01-01T00:00:00Z") == 0);
  CHECK(at("2001-12-18T19:00:00+00:00") == 1008702000);  // date -u -d … +%s
  CHECK(at("2026-11-30T23:59:59-05:30") == 1796102999);
  CHECK(at("2026-11-30T23:59:59+0530") == 1796063399);
  CHECK(at("2024-02-29T00:00:00Z") == 1709164800);
  for (const char* bad :
       {"", "2026-11-30", "2026-11-30T23:59:59", "2026-11-30 23:59:59Z", "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00ZZ", "2026-01-01T00:00:00+1",
        "2026-01-01T00:00:00+01:", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+-1:00",
        "26-01-01T00:00:00Z", "-026-01-01T00:00:00Z"}) {
    INFO(bad);
    CHECK(at(bad) == -1);
  }
}
