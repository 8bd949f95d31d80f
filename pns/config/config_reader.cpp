// SPDX-License-Identifier: BSD-3-Clause
//
// The configuration file: reads the tables in order, and the keys that need no reader of their own.
#include <fmt/format.h>

#include <algorithm>

#include "pns/base/ip_ranges.hpp"
#include "pns/config/aaa_reader.hpp"
#include "pns/config/address_checks.hpp"
#include "pns/config/config.hpp"
#include "pns/config/filters_reader.hpp"
#include "pns/config/pools_reader.hpp"
#include "pns/config/ports_reader.hpp"
#include "pns/config/ppp_reader.hpp"
#include "pns/config/pptp_reader.hpp"
#include "pns/config/rates_reader.hpp"
#include "pns/config/reader.hpp"
#include "pns/config/words.hpp"

namespace pns::config {
namespace {

Parsed<std::string> parse_node_name(std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
  if (text.empty() || text.size() > 63 || !plain)  // RFC 2637 §2.1: Host Name has 64 octets
    return std::unexpected(
        fmt::format("'{}' is not a node name (1 to 63 letters, digits, '-', '.', '_')", text));
  return std::string(text);
}

Parsed<std::filesystem::path> parse_socket_path(std::string_view text) {
  constexpr std::size_t kLongest = 107;  // sun_path less its terminator
  if (!text.starts_with('/') || text.size() > kLongest)
    return std::unexpected(
        fmt::format("'{}' is not an absolute path of at most {} octets", text, kLongest));
  return std::filesystem::path(text);
}

struct MaybeEndpoint {
  std::optional<Endpoint> endpoint;  // empty: off
};

constexpr std::uint16_t kFirstUnprivilegedPort = 1024;

Parsed<MaybeEndpoint> parse_endpoint_or_off(std::string_view text) {
  if (text == "off") return MaybeEndpoint{};
  auto endpoint = parse_endpoint(text);
  if (!endpoint) return std::unexpected(endpoint.error() + ", nor off");
  // Control has no capability when it opens the port.
  if (endpoint->port < kFirstUnprivilegedPort)
    return std::unexpected(
        fmt::format("{}: a port from {} on is needed", text, kFirstUnprivilegedPort));
  return MaybeEndpoint{*endpoint};
}

constexpr std::uint16_t kHighestLcore = 127;  // Debian's DPDK is built with RTE_MAX_LCORE 128
constexpr std::size_t kMostWorkers = 64;      // contract::kMaxWorkers

void check_cores(const Cores& cores, Document& document) {
  constexpr const char* kWorkers = "dataplane.cores.workers";
  if (cores.workers.size() > kMostWorkers)
    document.error_at(kWorkers, fmt::format("at most {} workers", kMostWorkers));
  if (std::find(cores.workers.begin(), cores.workers.end(), cores.main) != cores.workers.end())
    document.error_at(
        kWorkers,
        fmt::format("lcore {} is dataplane.cores.main: a worker needs its own", cores.main));
}

void read_dataplane(const Section& section, Document& document, Dataplane& out) {
  const Section cores = section.section("cores");
  out.cores.workers = {1};
  cores.read("main", out.cores.main, integer(0, kHighestLcore));
  cores.read_list("workers", out.cores.workers, integer(0, kHighestLcore));
  if (cores.is_empty_list("workers"))
    document.error_at(cores.path("workers"), "at least one worker is needed");
  check_cores(out.cores, document);
  const Section memory = section.section("memory");
  memory.read("hugepages", out.memory.hugepages, one_of(kHugePages));
  memory.read("megabytes", out.memory.megabytes, integer(64, 1024 * 1024));
  const Section idle = section.section("idle");
  idle.read("mode", out.idle.mode, one_of(kIdleModes));
  idle.read("spin_polls", out.idle.spin_polls, integer(0, 1'000'000'000));
  idle.read("sleep", out.idle.sleep, duration(Microseconds(1), Microseconds(100'000)));
  idle.read("wait", out.idle.wait, duration(Milliseconds(1), Milliseconds(1'000)));
  section.read("mppe_variant", out.mppe_variant, one_of(kMppeVariants));
  section.read("mppe_rc4", out.mppe_rc4, one_of(kMppeRc4s));
  section.read("steering", out.steering, one_of(kSteerings));
  section.read("max_sessions", out.max_sessions, integer(1, 1024 * 1024));
}

void check_eap(const Config& config, Document& document) {
  if (config.ppp.eap.size() == 1 && relays_eap(config.ppp) && !config.aaa.asks(AaaSource::kRadius))
    document.error_at("ppp.eap",
                      "radius needs a RADIUS server: neither aaa.order nor a realm names radius");
}

Config read_config(const std::string& text, Document& document) {
  const YAML::Node root = document.parse(text);
  if (!document.ok()) return {};
  const Section top(document, root);
  Config config;
  config.file = document.file();
  top.section("node").read("name", config.node.name, parse_node_name);
  read_dataplane(top.section("dataplane"), document, config.dataplane);
  read_ports(top, document, config.ports);
  read_pptp(top.section("pptp"), document, config.pptp);
  read_ppp(top.section("ppp"), document, config.ppp);
  read_pools(top, document, config.pools);
  read_filters(top, document, config.filters);
  read_rates(top, config.rates);
  read_rate_groups(top, document, config.rate_groups);
  add_gateways(config);
  read_aaa(top, config.node.name, document, config.aaa);
  check_eap(config, document);
  check_pool_choice(config, document);
  MaybeEndpoint metrics{config.metrics.listen};
  top.section("metrics").read("listen", metrics, parse_endpoint_or_off);
  config.metrics.listen = metrics.endpoint;
  top.section("control").section("memory").read("megabytes", config.control.memory_megabytes,
                                                integer(0, 1'048'576));
  top.section("management").read("socket", config.management.socket, parse_socket_path);
  const Section log = top.section("log");
  log.read("level", config.log.level, one_of(kLogLevels));
  log.read("format", config.log.format, one_of(kLogFormats));
  check_addresses(config, document);
  if (config.ppp.broadcast_relay != 0 && config.ports.core.leads_to_host())
    document.error_at("ppp.broadcast_relay",
                      "broadcasts of the LAN do not reach a kernel: port; use xdp: with the "
                      "interface in the LAN, or off");
  return config;
}

}  // namespace

std::expected<Config, std::vector<ConfigError>> parse(const std::string& text,
                                                      const std::filesystem::path& file) {
  Document document(file, known_keys());
  Config config = read_config(text, document);
  if (!document.ok()) return std::unexpected(document.take_errors());
  return config;
}

std::expected<Config, std::vector<ConfigError>> load(const std::filesystem::path& file) {
  auto text = read_file(file);
  if (!text)
    return std::unexpected(
        std::vector<ConfigError>{{file.string(), 0, "", std::move(text.error())}});
  auto config = parse(*text, file);
  wipe_text(*text);
  return config;
}

Networks prefixes_of_pools(const Config& config) {
  Networks all;
  for (const auto& [name, pool] : config.pools) {
    for (const Ipv4Range& range : pool.ranges)
      for (const Ipv4Prefix& prefix : prefixes_of(range)) all.ipv4.push_back(prefix);
    for (const auto* prefixes : {&pool.ipv6_prefixes, &pool.delegated_prefixes})
      all.ipv6.insert(all.ipv6.end(), prefixes->begin(), prefixes->end());
  }
  return all;
}

}  // namespace pns::config
