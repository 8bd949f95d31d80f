// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_authorization.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <utility>

#include "pns/radius/packet_builder.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::aaa;
using radius::PacketBuilder;
namespace attribute = pns::radius::attribute;
using Reason = IgnoredAttribute::Reason;

namespace {

using Fill = std::function<void(PacketBuilder&)>;
constexpr std::chrono::sys_seconds kNow{Seconds(1'800'000'000)};  // 2027-01-15T08:00:00Z

struct Read {
  std::expected<void, EndReason> result;
  model::AuthGrant grant;
  IgnoredAttributes ignored;
};

Read read(const Fill& fill, const AttributeMeanings& meanings = {}) {
  PacketBuilder packet(radius::Code::kAccessAccept, 1);
  fill(packet);
  const auto view = radius::PacketView::parse(packet.finish().value());
  REQUIRE(view);
  Read out;
  out.result = read_authorization(*view, kNow, meanings, out.grant, out.ignored);
  return out;
}

// A grant of a packet that is not refused and has no attribute without effect.
model::AuthGrant granted(const Fill& fill) {
  Read out = read(fill);
  REQUIRE(out.result);
  CHECK(out.ignored.empty());
  return std::move(out.grant);
}

IgnoredAttributes ignored_of(const Fill& fill) {
  Read out = read(fill);
  REQUIRE(out.result);
  return out.ignored;
}

EndReason refusal_of(const Fill& fill) {
  const Read out = read(fill);
  return out.result ? EndReason::kNone : out.result.error();
}

model::ServiceChange change(const Fill& fill, IgnoredAttributes& ignored,
                            const AttributeMeanings& meanings = {}) {
  PacketBuilder packet(radius::Code::kCoaRequest, 1, {},
                       PacketBuilder::MessageAuthenticator::kNone);
  fill(packet);
  const auto view = radius::PacketView::parse(packet.finish().value());
  REQUIRE(view);
  return read_service_change(*view, meanings, ignored);
}

Ipv4Prefix net(std::string_view text) { return Ipv4Prefix::parse(text).value(); }

}  // namespace

TEST_CASE("radius authorization: time-outs, and the earlier of two ends of a session",
          "[aaa][radius][rfc2865-5.27]") {
  auto limits = granted([](PacketBuilder& packet) {
                  packet.add_u32(attribute::kSessionTimeout, 3600);
                  packet.add_u32(attribute::kIdleTimeout, 300);
                  packet.add_u32(attribute::kSessionTimeout, 7200);  // the first one counts
                }).terms.limits;
  CHECK(limits.session_time == Seconds(3600));
  CHECK(limits.idle_time == Seconds(300));
  CHECK(limits.quota == model::VolumeQuota());

  limits = granted([](PacketBuilder& packet) {
             packet.add_u32(attribute::kSessionTimeout, 3600);
             packet.add_text(attribute::kWisprSessionTerminateTime, "2027-01-15T08:30:00Z");
           }).terms.limits;
  CHECK(limits.session_time == Seconds(1800));

  // In the past: as soon as possible.
  limits = granted([](PacketBuilder& packet) {
             packet.add_text(attribute::kWisprSessionTerminateTime, "2020-01-01T00:00:00+01:00");
           }).terms.limits;
  CHECK(limits.session_time == Seconds(1));

  // 0 is none.
  limits = granted([](PacketBuilder& packet) {
             packet.add_u32(attribute::kSessionTimeout, 0);
             packet.add_u32(attribute::kIdleTimeout, 0);
           }).terms.limits;
  CHECK(limits == model::ServiceLimits());
}

TEST_CASE("radius authorization: rates by precedence, upload is upstream", "[aaa][radius]") {
  const auto wispr = [](PacketBuilder& packet) {
    packet.add_u32(attribute::kWisprBandwidthMaxUp, 1'000'000);
    packet.add_u32(attribute::kWisprBandwidthMaxDown, 2'000'000);
  };
  const auto cisco = [](PacketBuilder& packet) {
    packet.add_text(attribute::kCiscoAvPair,
                    "lcp:interface-config#1=rate-limit output 3000000 64000 128000 conform-action "
                    "transmit exceed-action drop");
  };
  auto rates = granted(wispr).terms.rates;
  CHECK(rates.upstream == model::RateLimit{.bits_per_second = 1'000'000});
  CHECK(rates.downstream == model::RateLimit{.bits_per_second = 2'000'000});

  // A rate-limit of one direction leaves the other one to WISPr.
  rates = granted([&](PacketBuilder& packet) {
            wispr(packet);
            cisco(packet);
          }).terms.rates;
  CHECK(rates.upstream == model::RateLimit{.bits_per_second = 1'000'000});
  CHECK(rates.downstream == model::RateLimit{.bits_per_second = 3'000'000, .burst_octets = 64'000});

  // 4M - 2M over 8 s, and no burst downstream.
  rates = granted([&](PacketBuilder& packet) {
            wispr(packet);
            cisco(packet);
            packet.add_text(attribute::kMikrotikRateLimit, "1M/20M 4M/20M 2M/20M 8/8");
          }).terms.rates;
  CHECK(rates.upstream ==
        model::RateLimit{.bits_per_second = 1'000'000, .burst_octets = 2'000'000});
  CHECK(rates.downstream == model::RateLimit{.bits_per_second = 20'000'000});

  // Its 0 is no limit, whatever the others say.
  rates = granted([&](PacketBuilder& packet) {
            wispr(packet);
            packet.add_text(attribute::kMikrotikRateLimit, "0/5M");
          }).terms.rates;
  CHECK(rates.upstream == model::RateLimit());
  CHECK(rates.downstream == model::RateLimit{.bits_per_second = 5'000'000});
}

TEST_CASE("radius authorization: a filter of one direction or of both", "[aaa][radius]") {
  auto filters = granted([](PacketBuilder& packet) {
                   packet.add_text(attribute::kFilterId, "web");
                 }).terms.filters;
  CHECK(filters.upstream == "web");
  CHECK(filters.downstream == "web");
  filters = granted([](PacketBuilder& packet) {
              packet.add_text(attribute::kFilterId, "no-mail.in");
              packet.add_text(attribute::kFilterId, "quiet.out");
            }).terms.filters;
  CHECK(filters.upstream == "no-mail");
  CHECK(filters.downstream == "quiet");
  const auto ignored = ignored_of([](PacketBuilder& packet) {
    packet.add_text(attribute::kFilterId, ".in");
    packet.add_text(attribute::kFilterId, std::string(80, 'f'));
  });
  CHECK(ignored.size() == 2);
}

TEST_CASE("radius authorization: a quota has two halves", "[aaa][radius][mikrotik]") {
  auto quota = granted([](PacketBuilder& packet) {
                 packet.add_u32(attribute::kMikrotikRecvLimit, 7);
                 packet.add_u32(attribute::kMikrotikRecvLimitGigawords, 2);
                 packet.add_u32(attribute::kMikrotikXmitLimit, 4'000'000'000);
                 packet.add_u32(attribute::kMikrotikTotalLimitGigawords, 1);
               }).terms.limits.quota;
  CHECK(quota.upstream == (std::uint64_t{2} << 32) + 7);
  CHECK(quota.downstream == 4'000'000'000);
  CHECK(quota.total == std::uint64_t{1} << 32);
  quota = granted([](PacketBuilder& packet) {
            packet.add_u32(attribute::kMikrotikTotalLimit, 0);
          }).terms.limits.quota;
  CHECK(quota == model::VolumeQuota());
}

TEST_CASE("radius authorization: networks behind the subscriber", "[aaa][radius][rfc2865-5.22]") {
  const auto grant = granted([](PacketBuilder& packet) {
    packet.add_ipv4(attribute::kFramedIpAddress, Ipv4Address(0xc0000241));
    packet.add_u32(attribute::kFramedIpNetmask, 0xfffffff8);
    packet.add_text(attribute::kFramedRoute, "192.168.50.0/24 0.0.0.0 1");
    packet.add_text(attribute::kFramedRoute, "192.168.60.0/24 192.0.2.65 1");
    packet.add_text(attribute::kCiscoAvPair, "ip:route=10.9.0.0 255.255.0.0");
    packet.add_text(attribute::kFramedIpv6Route, "2001:db8:50::/48 :: 1");
  });
  CHECK(grant.address == Ipv4Address(0xc0000241));
  REQUIRE(grant.networks);
  CHECK(grant.networks->ipv4 == std::vector{net("192.168.50.0/24"), net("192.168.60.0/24"),
                                            net("10.9.0.0/16"), net("192.0.2.64/29")});
  CHECK(grant.networks->ipv6 == std::vector{Ipv6Prefix::parse("2001:db8:50::/48").value()});
  // One host: no network.
  CHECK_FALSE(granted([](PacketBuilder& packet) {
                packet.add_ipv4(attribute::kFramedIpAddress, Ipv4Address(0xc0000241));
                packet.add_u32(attribute::kFramedIpNetmask, 0xffffffff);
              }).networks);
}

TEST_CASE("radius authorization: a network that cannot be served refuses the login",
          "[aaa][radius]") {
  for (const char* const route : {"192.168.50.7/24 0.0.0.0 1", "0.0.0.0/0 0.0.0.0",
                                  "192.168.50.0/24 203.0.113.1", "nonsense", "224.0.0.0/24"}) {
    INFO(route);
    CHECK(refusal_of([&](PacketBuilder& packet) {
            packet.add_text(attribute::kFramedRoute, route);
          }) == EndReason::auth_bad_route);
  }
  CHECK(refusal_of([](PacketBuilder& packet) {
          for (int i = 0; i < 17; ++i)
            packet.add_text(attribute::kFramedRoute, "10." + std::to_string(i) + ".0.0/16 0.0.0.0");
        }) == EndReason::auth_bad_route);
}

TEST_CASE("radius authorization: terms of the link", "[aaa][radius][rfc2548]") {
  const auto grant = granted([](PacketBuilder& packet) {
    packet.add_ipv4(attribute::kMsPrimaryDnsServer, Ipv4Address(0x08080808));
    packet.add_ipv4(attribute::kMsSecondaryDnsServer, Ipv4Address(0x08080404));
    packet.add_ipv4(attribute::kMsPrimaryNbnsServer, Ipv4Address(0x0a000001));
    packet.add_ipv6(attribute::kDnsServerIpv6Address, Ipv6Address(1, 2));
    packet.add_ipv6(attribute::kDnsServerIpv6Address, Ipv6Address(1, 3));
    packet.add_u32(attribute::kFramedMtu, 1300);
    packet.add_u32(attribute::kMsMppeEncryptionPolicy, 2);
    packet.add_u32(attribute::kMsMppeEncryptionTypes, 6);
    packet.add_u32(attribute::kPortLimit, 3);
    packet.add_u32(attribute::kAcctInterimInterval, 20);
    packet.add_text(attribute::kCiscoAvPair, "ip:addr-pool=lab");
  });
  CHECK(grant.link.dns == std::array{Ipv4Address(0x08080808), Ipv4Address(0x08080404)});
  CHECK(grant.link.wins == std::array{Ipv4Address(0x0a000001), Ipv4Address()});
  CHECK(grant.link.ipv6_dns == std::array{Ipv6Address(1, 2), Ipv6Address(1, 3), Ipv6Address()});
  CHECK(grant.link.mtu == 1300);
  CHECK(grant.link.mppe ==
        model::MppeTerms{.required = true, .bits40 = true, .bits56 = false, .bits128 = true});
  CHECK(grant.sessions == 3);
  CHECK(grant.interim_interval == Seconds(60));  // not less
  CHECK(grant.pool == "lab");
  CHECK(granted([](PacketBuilder& packet) {
          packet.add_text(attribute::kCiscoAvPair, "ip:addr-pool=lab");
          packet.add_text(attribute::kFramedPool, "staff");
          packet.add_u32(attribute::kAcctInterimInterval, 0);
        }).pool == "staff");
}

TEST_CASE("radius authorization: prefixes, addresses and pools for DHCPv6",
          "[aaa][radius][rfc4818][rfc6911]") {
  const auto grant = granted([](PacketBuilder& packet) {
    packet.add_ipv6_prefix(attribute::kDelegatedIpv6Prefix,
                           *Ipv6Prefix::parse("2001:db8:200::/56"));
    packet.add_ipv6_prefix(attribute::kDelegatedIpv6Prefix,
                           *Ipv6Prefix::parse("2001:db8:300::/56"));  // the first one counts
    packet.add_ipv6(attribute::kFramedIpv6Address, *Ipv6Address::parse("2001:db8:77::7"));
    packet.add_text(attribute::kFramedIpv6Pool, "slaac");
    packet.add_text(attribute::kStatefulIpv6AddressPool, "stateful");
    packet.add_text(attribute::kDelegatedIpv6PrefixPool, "homes");
  });
  CHECK(grant.delegated_prefix == Ipv6Prefix::parse("2001:db8:200::/56"));
  CHECK(grant.ipv6_address == Ipv6Address::parse("2001:db8:77::7"));
  CHECK(grant.ipv6_pool == "slaac");
  CHECK(grant.delegated_pool == "homes");
  CHECK(granted([](PacketBuilder& packet) {
          packet.add_text(attribute::kStatefulIpv6AddressPool, "stateful");
        }).ipv6_pool == "stateful");
  // Values that nobody can use have no effect, and are named.
  const auto ignored = ignored_of([](PacketBuilder& packet) {
    packet.add_ipv6_prefix(attribute::kDelegatedIpv6Prefix,
                           *Ipv6Prefix::parse("2001:db8:200::/65"));
    packet.add_ipv6_prefix(attribute::kDelegatedIpv6Prefix, *Ipv6Prefix::parse("ff00::/16"));
    packet.add_ipv6(attribute::kFramedIpv6Address, *Ipv6Address::parse("fe80::1"));
  });
  REQUIRE(ignored.size() == 3);
  for (const IgnoredAttribute& one : ignored)
    CHECK(one.reason == IgnoredAttribute::Reason::kUnreadable);
}

TEST_CASE("radius authorization: attributes without effect are named and refuse nobody",
          "[aaa][radius]") {
  const auto ignored = ignored_of([](PacketBuilder& packet) {
    packet.add_u32(attribute::kFramedMtu, 575);
    packet.add(attribute::kSessionTimeout, test::octets("0102"));
    packet.add_text(attribute::kMikrotikRateLimit, "fast");
    packet.add_text(attribute::kCiscoAvPair, "ip:sub-qos-policy-in=gold");
    packet.add_u32({.vendor = 0, .number = 13}, 1);
    packet.add_text(attribute::kReplyMessage, "welcome");
  });
  const auto has = [&](radius::AttributeId id, Reason reason) {
    return std::ranges::find(ignored, IgnoredAttribute{.id = id, .reason = reason}) !=
           ignored.end();
  };
  CHECK(ignored.size() == 5);
  CHECK(has(attribute::kFramedMtu, Reason::kUnreadable));
  CHECK(has(attribute::kSessionTimeout, Reason::kUnreadable));
  CHECK(has(attribute::kMikrotikRateLimit, Reason::kUnreadable));
  CHECK(has(attribute::kCiscoAvPair, Reason::kUnsupported));
  CHECK(has({.vendor = 0, .number = 13}, Reason::kUnsupported));
  // Without a fixed address it tells no network.
  CHECK(ignored_of([](PacketBuilder& packet) {
          packet.add_u32(attribute::kFramedIpNetmask, 0xffffff00);
        }).size() == 1);
}

TEST_CASE("radius authorization: a CoA-Request changes what it names", "[aaa][radius][rfc5176-3]") {
  IgnoredAttributes ignored;
  const auto some = change(
      [](PacketBuilder& packet) {
        packet.add_text(attribute::kAcctSessionId, "0a1b");
        packet.add_u32(attribute::kEventTimestamp, 1);
        packet.add_text(attribute::kMikrotikRateLimit, "1M/2M");
        packet.add_text(attribute::kFilterId, "slow.out");
        packet.add_u32(attribute::kIdleTimeout, 0);
        packet.add_u32(attribute::kMikrotikTotalLimit, 500);
        packet.add(attribute::kClass, test::octets("c1"));
        packet.add(attribute::kClass, test::octets("c2"));
      },
      ignored);
  // Which session it means is not read here.
  CHECK(std::exchange(ignored, {}) ==
        IgnoredAttributes{{attribute::kAcctSessionId, Reason::kUnsupported},
                          {attribute::kEventTimestamp, Reason::kUnsupported}});
  CHECK(some.upstream_rate == model::RateLimit{.bits_per_second = 1'000'000});
  CHECK(some.downstream_rate == model::RateLimit{.bits_per_second = 2'000'000});
  CHECK_FALSE(some.upstream_filter);
  CHECK(some.downstream_filter == "slow");
  CHECK_FALSE(some.session_time);
  CHECK(some.idle_time == Seconds(0));  // none from now on
  CHECK(some.quota == model::VolumeQuota{.upstream = {}, .downstream = {}, .total = 500});
  CHECK(some.classes == std::vector{test::octets("c1"), test::octets("c2")});

  const auto none = change(
      [](PacketBuilder& packet) {
        packet.add_text(attribute::kFramedRoute, "10.0.0.0/8");
        packet.add_text(attribute::kMikrotikRateLimit, "fast");
      },
      ignored);
  CHECK(ignored == IgnoredAttributes{{attribute::kFramedRoute, Reason::kUnsupported},
                                     {attribute::kMikrotikRateLimit, Reason::kUnreadable}});
  CHECK_FALSE(none.upstream_rate);
  CHECK_FALSE(none.classes);
}

// ---- Attributes whose meaning the configuration gives

namespace {

using Meaning = config::AttributeMeaning;
using Unit = config::AttributeUnit;
constexpr std::uint32_t kVendor = 9999;

AttributeMeanings meaning(Meaning means, std::optional<Unit> unit = std::nullopt,
                          bool is_text = false) {
  return AttributeMeanings(
      {{.vendor = kVendor, .type = 7, .means = means, .unit = unit, .is_text = is_text}});
}

// The grant of an Access-Accept with this value, which has an effect.
model::AuthGrant meant(const AttributeMeanings& meanings, const std::vector<std::byte>& value) {
  Read out = read([&](PacketBuilder& packet) { packet.add({kVendor, 7}, value); }, meanings);
  CHECK(out.ignored.empty());
  return std::move(out.grant);
}

bool is_unreadable(const AttributeMeanings& meanings, const std::vector<std::byte>& value) {
  const Read out = read([&](PacketBuilder& packet) { packet.add({kVendor, 7}, value); }, meanings);
  return out.ignored == IgnoredAttributes{{{kVendor, 7}, Reason::kUnreadable}};
}

std::vector<std::byte> text(std::string_view value) {
  const Bytes octets = as_octets(value);
  return {octets.begin(), octets.end()};
}

}  // namespace

TEST_CASE("radius authorization: a rate of the configuration, in its unit and form",
          "[aaa][radius][meanings]") {
  auto rates = meant(meaning(Meaning::kRate), test::octets("000f4240")).terms.rates;
  CHECK(rates.upstream == model::RateLimit{.bits_per_second = 1'000'000});
  CHECK(rates.downstream == rates.upstream);
  rates = meant(meaning(Meaning::kRateUp, Unit::kKbit), test::octets("000003e8")).terms.rates;
  CHECK(rates.upstream.bits_per_second == 1'000'000);
  CHECK(rates.downstream == model::RateLimit());
  rates = meant(meaning(Meaning::kRateDown, Unit::kByte, true), text("125000")).terms.rates;
  CHECK(rates.downstream.bits_per_second == 1'000'000);
  rates = meant(meaning(Meaning::kRateDown, Unit::kKbyte), test::octets("0000007d")).terms.rates;
  CHECK(rates.downstream.bits_per_second == 1'000'000);
  rates = meant(meaning(Meaning::kRate, Unit::kMbit), test::octets("000000000000000a")).terms.rates;
  CHECK(rates.upstream.bits_per_second == 10'000'000);
  rates = meant(meaning(Meaning::kRateLimit), text("1M/2M")).terms.rates;
  CHECK(rates.downstream.bits_per_second == 2'000'000);

  const auto rate = meaning(Meaning::kRate);
  for (const char* const wrong : {"01", "010203", "0102030405", "0000ffffffffffff"})
    CHECK(is_unreadable(rate, test::octets(wrong)));
  CHECK(is_unreadable(meaning(Meaning::kRate, Unit::kMbit), test::octets("ffffffffffffffff")));
  for (const char* const wrong : {"1M", "-1", " 1", "1 ", "99999999999999999999"})
    CHECK(is_unreadable(meaning(Meaning::kRate, Unit::kBit, true), text(wrong)));
}

TEST_CASE("radius authorization: a rate of the configuration is stronger than those of vendors",
          "[aaa][radius][meanings]") {
  const Read out = read(
      [](PacketBuilder& packet) {
        packet.add_text(attribute::kMikrotikRateLimit, "5M/6M");
        packet.add_u32({kVendor, 7}, 1'000'000);
      },
      meaning(Meaning::kRateUp));
  CHECK(out.grant.terms.rates.upstream.bits_per_second == 1'000'000);
  CHECK(out.grant.terms.rates.downstream.bits_per_second == 6'000'000);
}

TEST_CASE("radius authorization: each other meaning", "[aaa][radius][meanings]") {
  CHECK(meant(meaning(Meaning::kFilter), text("basic")).terms.filters ==
        model::ServiceFilters{.upstream = "basic", .downstream = "basic"});
  CHECK(meant(meaning(Meaning::kFilterUp), text("a.out")).terms.filters ==
        model::ServiceFilters{.upstream = "a.out"});
  CHECK(meant(meaning(Meaning::kFilterDown), text("b")).terms.filters ==
        model::ServiceFilters{.downstream = "b"});
  CHECK(meant(meaning(Meaning::kPool), text("gold")).pool == "gold");
  const auto routed = meant(meaning(Meaning::kRoute), text("198.51.100.0/24 0.0.0.0 1"));
  REQUIRE(routed.networks);
  CHECK(routed.networks->ipv4 == std::vector{net("198.51.100.0/24")});

  const auto limits_of = [](Meaning means, std::optional<Unit> unit, const char* value) {
    return meant(meaning(means, unit), test::octets(value)).terms.limits;
  };
  CHECK(limits_of(Meaning::kSessionTimeout, std::nullopt, "0000003c").session_time == Seconds(60));
  CHECK(limits_of(Meaning::kSessionTimeout, Unit::kHour, "00000002").session_time == Seconds(7200));
  CHECK(limits_of(Meaning::kIdleTimeout, Unit::kMinute, "00000005").idle_time == Seconds(300));
  CHECK(limits_of(Meaning::kIdleTimeout, Unit::kMinute, "00000000").idle_time == std::nullopt);
  CHECK(limits_of(Meaning::kQuota, Unit::kGbyte, "00000005").quota.total == 5'000'000'000);
  CHECK(limits_of(Meaning::kQuotaUp, std::nullopt, "0000000100000000").quota.upstream ==
        0x100000000);
  CHECK(limits_of(Meaning::kQuotaDown, Unit::kKbyte, "00000001").quota.downstream == 1000u);

  CHECK(meant(meaning(Meaning::kDns), test::octets("c0000235")).link.dns[0] ==
        Ipv4Address(0xc0000235));
  CHECK(meant(meaning(Meaning::kDns, std::nullopt, true), text("192.0.2.53")).link.dns[0] ==
        Ipv4Address(0xc0000235));
  CHECK(meant(meaning(Meaning::kDns, std::nullopt, true), text("2001:db8::53")).link.ipv6_dns[0] ==
        *Ipv6Address::parse("2001:db8::53"));
  CHECK(meant(meaning(Meaning::kDns), test::octets("20010db8000000000000000000000053"))
            .link.ipv6_dns[0] == *Ipv6Address::parse("2001:db8::53"));
  CHECK(meant(meaning(Meaning::kWins), test::octets("c0000235")).link.wins[0] ==
        Ipv4Address(0xc0000235));
  CHECK(meant(meaning(Meaning::kSessions), test::octets("00000003")).sessions == 3u);
  CHECK(meant(meaning(Meaning::kInterimInterval), test::octets("00000001")).interim_interval ==
        Seconds(60));
  CHECK(meant(meaning(Meaning::kMtu), test::octets("00000578")).link.mtu == 1400);

  CHECK(is_unreadable(meaning(Meaning::kSessionTimeout, Unit::kHour), test::octets("ffffffff")));
  CHECK(is_unreadable(meaning(Meaning::kFilter), test::octets("00")));
  CHECK(is_unreadable(meaning(Meaning::kFilter), std::vector(65, std::byte{'a'})));
  CHECK(is_unreadable(meaning(Meaning::kWins), test::octets("20010db8000000000000000000000053")));
  CHECK(is_unreadable(meaning(Meaning::kDns), test::octets("00000000")));
  CHECK(is_unreadable(meaning(Meaning::kSessions), test::octets("00000000")));
  CHECK(is_unreadable(meaning(Meaning::kSessions), test::octets("0000000100000000")));
  CHECK(is_unreadable(meaning(Meaning::kMtu), test::octets("0000ffff")));
}

TEST_CASE("radius authorization: a CoA-Request changes by a meaning what it changes by name",
          "[aaa][radius][meanings][rfc5176-3]") {
  IgnoredAttributes ignored;
  const auto value = [](std::uint32_t number) {
    return [number](PacketBuilder& packet) { packet.add_u32({kVendor, 7}, number); };
  };
  const auto rate = change(value(1000), ignored, meaning(Meaning::kRateDown, Unit::kKbit));
  CHECK(rate.downstream_rate == model::RateLimit{.bits_per_second = 1'000'000});
  CHECK_FALSE(rate.upstream_rate);
  CHECK(change(value(0), ignored, meaning(Meaning::kQuota)).quota.total == 0u);
  CHECK(ignored.empty());
  (void)change(value(3), ignored, meaning(Meaning::kSessions));
  CHECK(ignored == IgnoredAttributes{{{kVendor, 7}, Reason::kUnsupported}});
}

TEST_CASE("radius authorization: Termination-Action asks for another login, with State",
          "[aaa][radius][rfc2865-5.29][rfc2865-5.24]") {
  const auto fill = [](PacketBuilder& packet, std::uint32_t action, bool timeout) {
    packet.add_u32(attribute::kTerminationAction, action);
    packet.add(attribute::kState, test::octets("00ff"));
    if (timeout) packet.add_u32(attribute::kSessionTimeout, 60);
  };
  CHECK(granted([&](PacketBuilder& packet) { fill(packet, 1, true); }).login_again ==
        test::octets("00ff"));
  CHECK_FALSE(granted([&](PacketBuilder& packet) { fill(packet, 0, true); }).login_again);
  const auto without_state = granted([](PacketBuilder& packet) {
    packet.add_u32(attribute::kTerminationAction, 1);
    packet.add_u32(attribute::kSessionTimeout, 60);
  });
  REQUIRE(without_state.login_again);
  CHECK(without_state.login_again->empty());
  // Without an end there is nothing to do at it; 2 is none of the values.
  CHECK(ignored_of([&](PacketBuilder& packet) { fill(packet, 1, false); }) ==
        IgnoredAttributes{{attribute::kTerminationAction, Reason::kUnsupported}});
  CHECK(ignored_of([&](PacketBuilder& packet) { fill(packet, 2, true); }) ==
        IgnoredAttributes{{attribute::kTerminationAction, Reason::kUnreadable}});
}
