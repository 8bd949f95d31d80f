// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/settings.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "pns/crypto/mschap.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::subscriber;

TEST_CASE("settings: every key of ppp reaches the links", "[settings]") {
  config::Config config;
  config.node.name = "gate";
  config.ppp.mtu = 1320;
  config.ppp.auth = {config::AuthMethod::kEap, config::AuthMethod::kChap, config::AuthMethod::kPap,
                     config::AuthMethod::kMsChap, config::AuthMethod::kMsChapV2};
  config.ppp.eap = {config::EapMethod::kMd5, config::EapMethod::kMsChapV2};
  config.ppp.auth_retries = 7;
  config.ppp.mppe = {
      .policy = config::MppePolicy::kPrefer, .key_bits = {40, 128}, .mode = config::MppeMode::kAny};
  config.ppp.lcp_echo = {.interval = std::chrono::milliseconds(1500), .failures = 9};
  const auto link = make_link_settings(config);
  CHECK(link.mru == 1320);
  CHECK(link.name == "gate");
  CHECK(link.auth == std::vector{model::AuthMethod::kEap, model::AuthMethod::kChapMd5,
                                 model::AuthMethod::kPap, model::AuthMethod::kMsChap,
                                 model::AuthMethod::kMsChapV2});
  CHECK(link.eap == std::vector{ppp::EapMethod::kMd5, ppp::EapMethod::kMsChapV2});
  CHECK(link.auth_retries == 7);
  CHECK(link.mppe == ppp::MppePolicy::kPrefer);
  CHECK(link.mppe_mode == ppp::MppeMode::kAny);
  CHECK(link.mppe_strengths.bits40);
  CHECK_FALSE(link.mppe_strengths.bits56);
  CHECK(link.mppe_strengths.bits128);
  CHECK(link.lcp_echo_interval == std::chrono::milliseconds(1500));
  CHECK(link.lcp_echo_failures == 9);
  config.ppp.mppe = {
      .policy = config::MppePolicy::kOff, .key_bits = {}, .mode = config::MppeMode::kStateful};
  const auto off = make_link_settings(config);
  CHECK(off.mppe == ppp::MppePolicy::kOff);
  CHECK(off.mppe_mode == ppp::MppeMode::kStateful);
  CHECK_FALSE(off.mppe_strengths.bits128);
}

TEST_CASE("settings: a server keeps its DHCPv6 identifier, and no two have the same",
          "[settings][dhcpv6]") {
  config::Config config;
  config.node.name = "a";
  config.ppp.domain = "lab.example";
  const auto of = [&config](std::string_view machine) {
    return make_link_settings(config, machine).dhcpv6;
  };
  const auto first = of("0123");
  CHECK(first.mode == ppp::Dhcpv6Mode::kStateless);
  // DUID-UUID (RFC 6355 §4) with a UUID of version 5.
  REQUIRE(first.server_identifier.size() == 18);
  const std::string text = test::hex(first.server_identifier);
  CHECK(text.substr(0, 4) == "0004");
  CHECK(text[4 + 12] == '5');
  CHECK(of("0123").server_identifier == first.server_identifier);
  CHECK(of("0124").server_identifier != first.server_identifier);
  CHECK(test::hex(first.domain_list) == "036c6162076578616d706c6500");
  config.node.name = "b";
  config.ppp.domain.clear();
  config.ppp.dhcpv6 = config::Dhcpv6::kStateful;
  CHECK(of("0123").server_identifier != first.server_identifier);
  CHECK(of("0123").domain_list.empty());
  CHECK(of("0123").mode == ppp::Dhcpv6Mode::kStateful);
  config.ppp.dhcpv6 = config::Dhcpv6::kOff;
  CHECK(of("0123").mode == ppp::Dhcpv6Mode::kOff);
}

TEST_CASE("settings: a lease and the name servers make the offer of the network phase",
          "[settings]") {
  config::Ppp ppp;
  ppp.mtu = 1400;
  ppp.dns = {Ipv4Address(1), Ipv4Address(2), Ipv4Address(3)};  // one more than IPCP can tell
  ppp.wins = {Ipv4Address(4)};
  ppp.ipv6_dns = {Ipv6Address{5, 0}};
  model::Lease lease{.address = Ipv4Address(10), .gateway = Ipv4Address(11), .pool = "default"};
  const auto ipv4 = make_network_parameters(lease, ppp, 1500, {});
  CHECK(ipv4.our_address == lease.gateway);
  CHECK(ipv4.subscriber_address == lease.address);
  CHECK(ipv4.dns == std::array{Ipv4Address(1), Ipv4Address(2)});
  CHECK(ipv4.wins == std::array{Ipv4Address(4), Ipv4Address()});
  CHECK_FALSE(ipv4.ipv6);

  lease.ipv6_prefix = Ipv6Prefix{{0x20010db800000001, 0}, 64};
  lease.delegation = model::Delegation{.prefix = Ipv6Prefix{{0x20010db802000000, 0}, 56},
                                       .address = Ipv6Address{7, 7},
                                       .bindings = {.prefix = true}};
  const auto both = make_network_parameters(lease, ppp, 1500, {});
  REQUIRE(both.ipv6);
  CHECK(both.ipv6->prefix == *lease.ipv6_prefix);
  CHECK(both.ipv6->dns[0] == Ipv6Address{5, 0});
  CHECK(both.ipv6->delegation == lease.delegation);
  CHECK(both.ipv6->delegation->bindings.prefix);
  // RFC 8200 §5: 1,280 octets must fit into a frame, with the overhead of MPPE.
  CHECK(make_network_parameters(lease, ppp, 1284, {}).ipv6);
  CHECK_FALSE(make_network_parameters(lease, ppp, 1283, {}).ipv6);
  // The account's terms come first.
  const auto granted = make_network_parameters(lease, ppp, 1500,
                                               {.dns = {Ipv4Address(9), Ipv4Address()},
                                                .wins = {Ipv4Address(8), Ipv4Address(4)},
                                                .ipv6_dns = {Ipv6Address{7, 0}, Ipv6Address{5, 0}},
                                                .mtu = 1280,
                                                .mppe = {}});
  CHECK(granted.dns == std::array{Ipv4Address(9), Ipv4Address(1)});
  CHECK(granted.wins == std::array{Ipv4Address(8), Ipv4Address(4)});
  CHECK(granted.mtu == 1280);
  REQUIRE(granted.ipv6);
  CHECK(granted.ipv6->dns == std::array{Ipv6Address{7, 0}, Ipv6Address{5, 0}, Ipv6Address()});
  CHECK_FALSE(make_network_parameters(lease, ppp, 1500, {.mtu = 1279, .mppe = {}}).ipv6);
  ppp.mtu = 1283;
  CHECK_FALSE(make_network_parameters(lease, ppp, 1500, {}).ipv6);
}

TEST_CASE("settings: connections and pools are as configured", "[settings]") {
  config::Config config;
  config.node.name = "gate";
  config.pptp.echo_interval = std::chrono::milliseconds(12'345);
  config.pools["b"] = {.ranges = {{Ipv4Address(5), Ipv4Address(9)}}, .gateway = Ipv4Address(4)};
  config.pptp.admission.wait = std::chrono::milliseconds(7000);
  config.pptp.admission.set_ups = 12;
  config.pptp.admission.per_source_set_ups = 11;
  config.pptp.admission.waiting = 10;
  config.pptp.admission.per_source_waiting = 9;
  config.pptp.admission.set_up_time = std::chrono::milliseconds(8000);
  const auto connection = make_connection_settings(config);
  CHECK(connection.answer_timeout > std::chrono::seconds(7));  // we answer before the machine does
  const auto admission = make_admission_settings(config);
  CHECK(admission.set_ups == 12);
  CHECK(admission.per_source_set_ups == 11);
  CHECK(admission.waiting == 10);
  CHECK(admission.per_source_waiting == 9);
  CHECK(admission.wait == std::chrono::seconds(7));
  CHECK(admission.set_up_time == std::chrono::seconds(8));
  CHECK(connection.host_name == "gate");
  CHECK(connection.echo_interval == std::chrono::milliseconds(12'345));
  const auto pools = make_pools(config);
  REQUIRE(pools.size() == 1);
  CHECK(pools[0].name == "b");
  CHECK(pools[0].gateway == Ipv4Address(4));
  CHECK(pools[0].ranges == config.pools["b"].ranges);
}

TEST_CASE("settings: passwords become hashes, and what cannot is refused by name", "[settings]") {
  std::vector<config::LocalUser> users(2);
  users[0].name = "alice";
  users[0].password = SecretText("clientPass");
  users[0].address = Ipv4Address(7);
  users[0].terms.rate_up = users[0].terms.rate_down = 5;
  users[0].groups = {"staff"};
  users[1].name = "bob";
  users[1].nt_hash = crypto::nt_password_hash("secret").value();
  users[1].pool = "guests";
  const auto made = make_users(users, config::Ppp{});
  REQUIRE(made.size() == 2);
  CHECK(
      std::ranges::equal(made[0].nt_hash.bytes(), crypto::nt_password_hash("clientPass")->bytes()));
  CHECK(made[0].pool.empty());
  CHECK(made[0].address == Ipv4Address(7));
  CHECK(made[0].terms.rates == model::ServiceRates{.upstream = {5, 0}, .downstream = {5, 0}});
  CHECK(made[0].groups == std::vector<std::string>{"staff"});
  CHECK(std::ranges::equal(made[1].nt_hash.bytes(), users[1].nt_hash->bytes()));
  CHECK(made[1].pool == "guests");
  users[0].password = SecretText("\xff");
  CHECK_THROWS_WITH(make_users(users, config::Ppp{}), Catch::Contains("alice"));
}

TEST_CASE("settings: with MPPE required, methods without keys are not asked for", "[settings]") {
  config::Config config;
  config.ppp.auth = {config::AuthMethod::kPap, config::AuthMethod::kChap, config::AuthMethod::kEap,
                     config::AuthMethod::kMsChap};
  config.ppp.eap = {config::EapMethod::kMd5, config::EapMethod::kMsChapV2};
  const auto link = make_link_settings(config);
  CHECK(link.auth == std::vector{model::AuthMethod::kEap, model::AuthMethod::kMsChap});
  CHECK(link.eap == std::vector{ppp::EapMethod::kMsChapV2});
  config.ppp.eap = {config::EapMethod::kMd5};
  CHECK(make_link_settings(config).auth == std::vector{model::AuthMethod::kMsChap});
}

TEST_CASE("settings: clear passwords and LM hashes are kept only where a method needs them",
          "[settings]") {
  std::vector<config::LocalUser> users(1);
  users[0].name = "alice";
  users[0].password = SecretText("clientPass");
  users[0].disabled = true;
  users[0].password_expired = true;
  config::Ppp ppp;
  const auto made = [&] { return make_users(users, ppp).at(0); };
  ppp.auth = {config::AuthMethod::kPap, config::AuthMethod::kMsChap, config::AuthMethod::kEap};
  CHECK(made().password.empty());
  CHECK_FALSE(made().lm_hash);
  CHECK(made().disabled);
  CHECK(made().password_expired);
  ppp.eap = {config::EapMethod::kMd5};
  CHECK(made().password.view() == "clientPass");
  ppp.auth = {config::AuthMethod::kChap};
  ppp.mppe.key_bits = {40, 128};
  CHECK(made().password.view() == "clientPass");
  CHECK_FALSE(made().lm_hash);
  ppp.auth = {config::AuthMethod::kMsChap};
  CHECK(made().password.empty());
  CHECK(made().lm_hash);
}

TEST_CASE("settings: the terms of a user of the file", "[subscriber]") {
  std::vector<config::LocalUser> users(1);
  users[0].password = SecretText("clientPass");
  config::UserTerms& terms = users[0].terms;
  terms.rate_up = 1'000'000;
  terms.burst_up = terms.burst_down = 64'000;
  terms.wins = {Ipv4Address(0xc0000235)};
  terms.mppe_key_bits = {56};
  const aaa::LocalUser user = make_users(users, config::Ppp()).at(0);
  CHECK(user.terms.rates.upstream ==
        model::RateLimit{.bits_per_second = 1'000'000, .burst_octets = 64'000});
  CHECK(user.terms.rates.downstream == model::RateLimit());  // a burst alone is no limit
  CHECK(user.link.wins[0] == Ipv4Address(0xc0000235));
  CHECK(user.link.mppe ==
        model::MppeTerms{.required = false, .bits40 = false, .bits56 = true, .bits128 = false});
}
