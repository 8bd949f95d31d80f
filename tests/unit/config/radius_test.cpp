// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "pns/config/config.hpp"

using namespace pns;
using namespace pns::config;
using namespace std::chrono_literals;

namespace {

const std::string kHead = R"(ports:
  access: {device: "xdp:eth0"}
  core: {device: "xdp:eth1"}
pools:
  default: {ranges: [10.64.0.2-10.64.0.254], gateway: 10.64.0.1}
node: {name: lns-7}
aaa:
)";

Config config_of(const std::string& aaa) {
  auto config = parse(kHead + aaa, "/etc/pns/pns.yaml");
  INFO((config ? std::string() : config.error().front().to_string()));
  REQUIRE(config);
  return std::move(*config);
}

std::string error_of(const std::string& aaa) {
  const auto config = parse(kHead + aaa, "pns.yaml");
  if (config) return "no error";
  if (config.error().size() != 1) return std::to_string(config.error().size()) + " errors";
  return config.error().front().to_string();
}

// An aaa.radius with these servers, and what else there is in it.
std::string radius(const std::string& servers, const std::string& rest = "") {
  return "  order: [radius]\n  radius: {servers: [" + servers + "]" + rest + "}\n";
}

}  // namespace

TEST_CASE("config: a minimal RADIUS server has the documented defaults", "[config][radius]") {
  const Config config = config_of(radius("{address: 10.0.0.9, secret_file: r.secret}"));
  CHECK(config.aaa.order == std::vector{AaaSource::kRadius});
  CHECK(config.aaa.local.users_file.empty());
  const Radius& radius = *config.aaa.radius;
  REQUIRE(radius.servers.size() == 1);
  const RadiusServer& server = radius.servers[0];
  CHECK(to_string(server.address) == "10.0.0.9");
  CHECK(server.auth_port == 1812);
  CHECK(server.accounting_port == 1813);
  CHECK(server.does(RadiusKind::kAuthentication));
  CHECK(server.does(RadiusKind::kAccounting));
  CHECK(server.secret_file == "/etc/pns/r.secret");
  CHECK(server.priority == 0);
  CHECK(server.weight == 1);
  CHECK(server.timeout == 1s);
  CHECK(server.tries == 3);
  CHECK(server.window == 1024);
  CHECK(server.status_server);
  CHECK_FALSE(radius.ipv4_source);
  CHECK_FALSE(radius.ipv6_source);
  CHECK(radius.nas_identifier == "lns-7");
  CHECK(radius.message_authenticator == RadiusMessageAuthenticator::kRequire);
  CHECK(radius.deadline == 25s);
  CHECK(radius.waiting == 8192);
  CHECK(radius.dead.after == 10s);
  CHECK(radius.dead.timeouts == 3);
  CHECK(radius.dead.probe_interval == 5s);
  CHECK(config.aaa.accounts());
  CHECK(radius.accounting.interim_interval == 5min);
  CHECK(radius.accounting.spool_directory == "/var/lib/pns/accounting");
  CHECK(radius.accounting.spool_megabytes == 256);
  CHECK(radius.accounting.on_full == OnFullSpool::kRefuseNewCalls);
}

TEST_CASE("config: accounting needs a server that takes it, and radius among the sources",
          "[config][radius]") {
  const std::string rest =
      ", accounting: {interim_interval: 10m, spool_directory: spool, spool_megabytes: 8, on_full: "
      "drop_interims_first}";
  const Config config = config_of(radius("{address: 10.0.0.9, secret_file: s}", rest));
  const RadiusAccounting& accounting = config.aaa.radius->accounting;
  CHECK(accounting.interim_interval == 10min);
  CHECK(accounting.spool_directory.is_absolute());
  CHECK(accounting.spool_directory.filename() == "spool");
  CHECK(accounting.spool_megabytes == 8);
  CHECK(accounting.on_full == OnFullSpool::kDropInterimsFirst);
  CHECK_FALSE(config_of(radius("{address: 10.0.0.9, secret_file: s, kind: [authentication]}"))
                  .aaa.accounts());
}

TEST_CASE("config: every value of a RADIUS server arrives", "[config][radius]") {
  const Config config = config_of(
      radius(R"({address: "2001:db8::9", auth_port: 1, accounting_port: 2, kind: [authentication],
               secret_file: /s, priority: 3, weight: 4, timeout: 500ms, tries: 5, window: 64,
               status_server: off}, {address: 127.0.0.1, secret_file: /t, kind: [accounting]})",
             R"(, source_addresses: [192.0.2.1, "2001:db8::1"], nas_identifier: "the one",
               message_authenticator: accept, deadline: 9s, waiting: 8,
               dead: {after: 7s, timeouts: 6, probe_interval: 2s})"));
  const Radius& radius = *config.aaa.radius;
  REQUIRE(radius.servers.size() == 2);
  const RadiusServer& server = radius.servers[0];
  CHECK(to_string(server.address) == "2001:db8::9");
  CHECK(server.auth_port == 1);
  CHECK(server.accounting_port == 2);
  CHECK(server.kinds == std::vector{RadiusKind::kAuthentication});
  CHECK(server.secret_file == "/s");
  CHECK(server.priority == 3);
  CHECK(server.weight == 4);
  CHECK(server.timeout == 500ms);
  CHECK(server.tries == 5);
  CHECK(server.window == 64);
  CHECK_FALSE(server.status_server);
  CHECK(radius.servers[1].kinds == std::vector{RadiusKind::kAccounting});
  CHECK(to_string(*radius.ipv4_source) == "192.0.2.1");
  CHECK(to_string(*radius.ipv6_source) == "2001:db8::1");
  CHECK(radius.nas_identifier == "the one");
  CHECK(radius.message_authenticator == RadiusMessageAuthenticator::kAccept);
  CHECK(radius.deadline == 9s);
  CHECK(radius.waiting == 8);
  CHECK(radius.dead.after == 7s);
  CHECK(radius.dead.timeouts == 6);
  CHECK(radius.dead.probe_interval == 2s);
  const std::string json = dump_json(config);
  CHECK_THAT(json, Catch::Contains(R"("address": "2001:db8::9")"));
  CHECK_THAT(json, Catch::Contains(R"("message_authenticator": "accept")"));
  CHECK_THAT(json, Catch::Contains(R"("source_addresses": [)"));
}

TEST_CASE("config: one error for each thing that is wrong with RADIUS", "[config][radius]") {
  const std::string good = "{address: 10.0.0.9, secret_file: s}";
  const std::pair<std::string, std::string> cases[] = {
      {radius("{address: 10.0.0.9}"),
       "pns.yaml:9: aaa.radius.servers.0.secret_file: must be given"},
      {radius("{address: 10.0.0.9, secret_file: s, kind: [accounting]}"),
       "pns.yaml:9: aaa.radius.servers: a server for authentication must be given when aaa.order "
       "or a realm names radius"},
      {radius("{address: 10.0.0.9, secret_file: s, accounting_port: 1812}"),
       "pns.yaml:9: aaa.radius.servers.0.accounting_port: is auth_port too"},
      {radius(good + ", {address: 10.0.0.9, secret_file: t, accounting_port: 9}"),
       "pns.yaml:9: aaa.radius.servers.1.address: aaa.radius.servers.0 has this address and "
       "auth_port too"},
      {radius(good, ", source_addresses: [10.0.0.1, 10.0.0.2]"),
       "pns.yaml:9: aaa.radius.source_addresses: at most one address of each family"},
      {radius(good, ", accounting: {spool_megabytes: 7}"),
       "pns.yaml:9: aaa.radius.accounting.spool_megabytes: 7 is out of range (8 to 65536)"},
      {radius(good, ", accounting: {on_full: stop}"),
       "pns.yaml:9: aaa.radius.accounting.on_full: 'stop' is not one of refuse_new_calls, "
       "drop_interims_first"},
      {radius(good, ", message_authenticator: maybe"),
       "pns.yaml:9: aaa.radius.message_authenticator: 'maybe' is not one of require, accept"},
      {radius(good, ", nas_identifier: ''"),
       "pns.yaml:9: aaa.radius.nas_identifier: '' does not have 1 to 253 octets"},
  };
  for (const auto& [text, expected] : cases) {
    INFO(text);
    CHECK(error_of(text) == expected);
  }
}

namespace {

const std::string kServer = "{address: 10.0.0.9, secret_file: s}";

std::string authorization(const std::string& keys) {
  return radius(kServer, ", dynamic_authorization: {" + keys + "}");
}

}  // namespace

TEST_CASE("config: dynamic authorization is off without its table, and has documented defaults",
          "[config][radius][rfc5176]") {
  CHECK_FALSE(config_of(radius(kServer)).aaa.authorizes_dynamically());
  const Config config = config_of(
      authorization("listen: [192.0.2.1], clients: [{address: 10.0.0.9, secret_file: c}]"));
  CHECK(config.aaa.authorizes_dynamically());
  const DynamicAuthorization& read = *config.aaa.radius->dynamic_authorization;
  REQUIRE(read.listen.size() == 1);
  CHECK(to_string(read.listen[0]) == "192.0.2.1");
  CHECK(read.port == 3799);
  REQUIRE(read.clients.size() == 1);
  CHECK(std::get<Ipv4Prefix>(read.clients[0].network).to_string() == "10.0.0.9/32");
  CHECK(read.clients[0].secret_file == "/etc/pns/c");
  CHECK(read.clients[0].rate == 2000);
  CHECK(read.message_authenticator == RadiusMessageAuthenticator::kAccept);
  CHECK(read.event_timestamp == RadiusEventTimestamp::kRequire);
  CHECK(read.timestamp_window == 300s);
}

TEST_CASE("config: every value of dynamic authorization arrives", "[config][radius][rfc5176]") {
  const Config config = config_of(authorization(
      R"(listen: [127.0.0.1, "2001:db8::1"], port: 1700, message_authenticator: require,
         event_timestamp: accept, timestamp_window: 1m,
         clients: [{address: 10.0.0.0/24, secret_file: c, rate: 5},
                   {address: "2001:db8:9::/48", secret_file: d}, {address: "::1", secret_file: e}])"));
  const DynamicAuthorization& read = *config.aaa.radius->dynamic_authorization;
  CHECK(read.listen.size() == 2);
  CHECK(read.port == 1700);
  CHECK(read.message_authenticator == RadiusMessageAuthenticator::kRequire);
  CHECK(read.event_timestamp == RadiusEventTimestamp::kAccept);
  CHECK(read.timestamp_window == 60s);
  REQUIRE(read.clients.size() == 3);
  CHECK(std::get<Ipv4Prefix>(read.clients[0].network).to_string() == "10.0.0.0/24");
  CHECK(read.clients[0].rate == 5);
  CHECK(std::get<Ipv6Prefix>(read.clients[1].network).to_string() == "2001:db8:9::/48");
  CHECK(std::get<Ipv6Prefix>(read.clients[2].network).length == 128);
  const std::string json = dump_json(config);
  CHECK_THAT(json, Catch::Contains(R"("address": "10.0.0.0/24")"));
  CHECK_THAT(json, Catch::Contains(R"("event_timestamp": "accept")"));
}

TEST_CASE("config: one error for each thing that is wrong with dynamic authorization",
          "[config][radius][rfc5176]") {
  const std::string client = "clients: [{address: 10.0.0.9, secret_file: c}]";
  const std::string place = "pns.yaml:9: aaa.radius.dynamic_authorization";
  const std::pair<std::string, std::string> cases[] = {
      {authorization(client), place + ".listen: must be given"},
      {authorization("listen: [], " + client), place + ".listen: 1 to 8 addresses"},
      {authorization("listen: [192.0.2.1]"), place + ".clients: must be given"},
      {authorization("listen: [192.0.2.1], clients: [{address: 10.0.0.9}]"),
       place + ".clients.0.secret_file: must be given"},
      {authorization("listen: [\"2001:db8::1\"], " + client),
       place + ".clients.0.address: no address of this family is in listen"},
      {authorization("listen: [192.0.2.1], clients: [{address: 10.0.0.9, secret_file: c}, "
                     "{address: 10.0.0.9/32, secret_file: d}]"),
       place + ".clients.1.address: is aaa.radius.dynamic_authorization.clients.0.address too"},
      {authorization("listen: [192.0.2.1], timestamp_window: 1s, " + client),
       place + ".timestamp_window: 1s is out of range (10s to 1h)"},
      {authorization("listen: [192.0.2.1], event_timestamp: maybe, " + client),
       place + ".event_timestamp: 'maybe' is not one of require, accept"},
      {"  order: [local]\n  local: {users_file: u}\n  radius: {servers: [" + kServer +
           "], dynamic_authorization: {listen: [192.0.2.1], " + client + "}}\n",
       "pns.yaml:10: aaa.radius.dynamic_authorization: needs radius in aaa.order or in a realm"},
  };
  for (const auto& [text, expected] : cases) {
    INFO(text);
    CHECK(error_of(text) == expected);
  }
}

TEST_CASE("config: realms and the default realm arrive", "[config][realms]") {
  const Config config = config_of(
      "  order: [local]\n  local: {users_file: users.yaml}\n"
      "  default_realm: Example.COM\n"
      "  realms:\n"
      "    example.com: {order: [radius, local], servers: [b, a], strip: true}\n"
      "    CORP: {}\n"
      "    DEFAULT: {order: [radius]}\n"
      "  radius:\n    servers:\n"
      "      - {name: a, address: 10.0.0.9, secret_file: s}\n"
      "      - {name: b, address: 10.0.0.8, secret_file: s}\n");
  const Aaa& aaa = config.aaa;
  CHECK(aaa.default_realm == "Example.COM");
  REQUIRE(aaa.realms.size() == 3);
  const auto realm_of = [&aaa](const char* name) {
    return *std::ranges::find(aaa.realms, name, &Realm::name);
  };
  const Realm example = realm_of("example.com");
  CHECK(example.order == std::vector{AaaSource::kRadius, AaaSource::kLocal});
  CHECK(example.servers == std::vector<std::string>{"b", "a"});
  CHECK(example.strip);
  CHECK(realm_of("CORP").order.empty());
  CHECK(realm_of("CORP").servers.empty());
  CHECK_FALSE(realm_of("CORP").strip);
  CHECK(realm_of("DEFAULT").order == std::vector{AaaSource::kRadius});
  CHECK(aaa.asks(AaaSource::kRadius));  // through a realm alone
  CHECK(aaa.accounts());
  CHECK(aaa.radius->find_server("b")->address == aaa.radius->servers[1].address);
  CHECK(aaa.radius->find_server("") == nullptr);
}

TEST_CASE("config: one error for each thing that is wrong with realms", "[config][realms]") {
  const std::string kServers =
      "  radius: {servers: [{name: a, address: 10.0.0.9, secret_file: s}, "
      "{name: c, kind: [accounting], address: 10.0.0.8, secret_file: s}]}\n";
  const auto error_in = [&](const std::string& realms, const std::string& order = "[radius]") {
    return error_of("  order: " + order + "\n  local: {users_file: u}\n" + realms + kServers);
  };
  using Catch::Contains;
  CHECK(error_in("  realms: {e.org: {servers: [a]}}\n") == "no error");
  CHECK_THAT(error_in("  realms: {e.org: {servers: [b]}}\n"),
             Contains("aaa.realms.e.org.servers.0") && Contains("has the name b"));
  CHECK_THAT(error_in("  realms: {e.org: {servers: [c]}}\n"),
             Contains("none of these servers does authentication"));
  CHECK_THAT(error_in("  realms: {e.org: {servers: [a], order: [local]}}\n"),
             Contains("order of this realm does not name radius"));
  CHECK_THAT(error_in("  realms: {e.org: {servers: [a]}}\n", "[local]"),
             Contains("order of this realm does not name radius"));
  CHECK_THAT(error_in("  realms: {e.org: {order: []}}\n"), Contains("at least one source"));
  CHECK_THAT(error_in("  realms: {e.org: {servers: []}}\n"), Contains("at least one server"));
  CHECK_THAT(error_in("  realms: {e.org: {strip: maybe}}\n"), Contains("'maybe' is not one of"));
  CHECK_THAT(error_in("  realms: {e.org: {}, E.ORG: {}}\n"), Contains("is the realm E.ORG too"));
  CHECK_THAT(error_in("  realms: {\"a@b\": {}}\n"), Contains("a realm's name has"));
  CHECK_THAT(error_in("  realms: {\"a b\": {}}\n"), Contains("a realm's name has"));
  CHECK_THAT(error_in("  default_realm: e.org\n"), Contains("there is no realm e.org"));
  CHECK_THAT(error_in("  realms: {DEFAULT: {}}\n  default_realm: DEFAULT\n"),
             Contains("there is no realm DEFAULT"));
  std::string many = "  realms:\n";
  for (int i = 0; i < 64; ++i) many += "    r" + std::to_string(i) + ": {}\n";
  CHECK(error_in(many) == "no error");
  CHECK_THAT(error_in(many + "    r64: {}\n"), Contains("more than 64 realms"));
  CHECK_THAT(error_of("  order: [radius]\n  radius: {servers: [{name: a, address: 10.0.0.9, "
                      "secret_file: s}, {name: a, address: 10.0.0.8, secret_file: s}]}\n"),
             Contains("servers.1.name") && Contains("another server is a too"));
}

TEST_CASE("config: meanings of other vendors' attributes arrive", "[config][radius][meanings]") {
  const Config config = config_of(
      radius("{address: 10.0.0.9, secret_file: s}",
             ", attributes: [{vendor: 9999, type: 7, means: rate_up, unit: kbit, format: text}, "
             "{vendor: 0, type: 197, means: pool}, {vendor: 14988, type: 19, means: filter}, "
             "{vendor: 9999, type: 8, means: session_timeout}]"));
  const auto& attributes = config.aaa.radius->attributes;
  REQUIRE(attributes.size() == 4);
  CHECK(attributes[0].vendor == 9999);
  CHECK(attributes[0].type == 7);
  CHECK(attributes[0].means == AttributeMeaning::kRateUp);
  CHECK(attributes[0].unit == AttributeUnit::kKbit);
  CHECK(attributes[0].is_text);
  CHECK(attributes[0].multiplier() == 1000);
  CHECK(attributes[1].means == AttributeMeaning::kPool);
  CHECK_FALSE(attributes[3].is_text);
  CHECK(attributes[3].multiplier() == 1);
}

TEST_CASE("config: one error for each thing that is wrong with a meaning",
          "[config][radius][meanings]") {
  const auto error_in = [](const std::string& attributes) {
    return error_of(
        radius("{address: 10.0.0.9, secret_file: s}", ", attributes: [" + attributes + "]"));
  };
  using Catch::Contains;
  CHECK_THAT(error_in("{vendor: 9999, type: 7, means: colour}"),
             Contains("attributes.0.means: 'colour' is not one of rate, rate_up"));
  CHECK_THAT(error_in("{vendor: 9999, type: 7}"), Contains("attributes.0.means"));
  CHECK_THAT(error_in("{vendor: 9999, type: 256, means: pool}"), Contains("attributes.0.type"));
  CHECK_THAT(error_in("{vendor: 16777216, type: 1, means: pool}"), Contains("attributes.0.vendor"));
  for (const char* const known :
       {"{vendor: 14988, type: 8, means: rate_limit}", "{vendor: 311, type: 28, means: dns}",
        "{vendor: 9, type: 1, means: pool}"})
    CHECK_THAT(error_in(known), Contains("knows the meaning of"));
  for (const char* const type : {"27", "191", "241", "246"})
    CHECK_THAT(error_in(std::string("{vendor: 0, means: pool, type: ") + type + "}"),
               Contains("without a vendor: 192 to 240 and 247 to 255"));
  CHECK_THAT(error_in("{vendor: 9999, type: 7, means: rate, unit: h}"),
             Contains("rate has no unit h"));
  CHECK_THAT(error_in("{vendor: 9999, type: 7, means: quota, unit: bit}"),
             Contains("quota has no unit bit"));
  CHECK_THAT(error_in("{vendor: 9999, type: 7, means: mtu, unit: byte}"),
             Contains("mtu has no unit byte"));
  CHECK_THAT(error_in("{vendor: 9999, type: 7, means: pool, format: text}"),
             Contains("pool is always a text"));
  CHECK_THAT(error_in("{vendor: 9999, type: 7, means: pool}, {vendor: 9999, type: 7, means: mtu}"),
             Contains("9999:7 is in the list already"));
  std::string many;
  for (int i = 1; i <= 64; ++i)
    many += "{vendor: 9999, means: pool, type: " + std::to_string(i) + "},";
  CHECK(error_in(many) == "no error");
  CHECK_THAT(error_in(many + "{vendor: 9999, type: 65, means: pool}"),
             Contains("more than 64 attributes"));
}
