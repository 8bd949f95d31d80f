// SPDX-License-Identifier: BSD-3-Clause
//
// The configuration file: which keys there are, how each is read, and what must hold between them.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {
namespace {

// Every key. A key that is not here is refused; a key that is here must be read below and be
// explained in docs/configuration.md (tests/unit/config holds us to both).
constexpr auto kKeys = std::to_array<std::string_view>({
    "node.name",
    "dataplane.cores.main",
    "dataplane.cores.workers",
    "dataplane.memory.hugepages",
    "dataplane.memory.megabytes",
    "dataplane.idle.mode",
    "dataplane.idle.spin_polls",
    "dataplane.idle.sleep",
    "dataplane.idle.wait",
    "dataplane.max_sessions",
    "ports.access.device",
    "ports.access.twin",
    "ports.access.addresses",
    "ports.access.routes.*.to",
    "ports.access.routes.*.via",
    "ports.access.gateway",
    "ports.core.device",
    "ports.core.twin",
    "ports.core.addresses",
    "ports.core.routes.*.to",
    "ports.core.routes.*.via",
    "ports.core.gateway",
    "pptp.listen",
    "pptp.echo_interval",
    "pptp.max_connections",
    "pptp.incoming_calls",
    "pptp.wan_error_notify",
    "ppp.mtu",
    "ppp.lcp_echo.interval",
    "ppp.lcp_echo.failures",
    "ppp.auth",
    "ppp.mppe.policy",
    "ppp.mppe.key_bits",
    "ppp.mppe.mode",
    "ppp.dns",
    "ppp.wins",
    "pools.*.ranges",
    "pools.*.gateway",
    "aaa.order",
    "aaa.local.users_file",
    "aaa.radius.servers.*.address",
    "aaa.radius.servers.*.auth_port",
    "aaa.radius.servers.*.accounting_port",
    "aaa.radius.servers.*.secret_file",
    "aaa.radius.servers.*.timeout",
    "aaa.radius.servers.*.tries",
    "aaa.radius.accounting.interim_interval",
    "aaa.radius.dynamic_authorization.port",
    "metrics.listen",
    "management.socket",
    "log.level",
    "log.format",
});

template <class T>
using Word = std::pair<std::string_view, T>;

constexpr Word<HugePages> kHugePages[] = {
    {"auto", HugePages::kAuto}, {"on", HugePages::kOn}, {"off", HugePages::kOff}};
constexpr Word<IdleMode> kIdleModes[] = {{"auto", IdleMode::kAuto},
                                         {"spin", IdleMode::kSpin},
                                         {"sleep", IdleMode::kSleep},
                                         {"wait", IdleMode::kWait}};
constexpr Word<DeviceKind> kDeviceKinds[] = {{"xdp", DeviceKind::kXdp},
                                             {"tap", DeviceKind::kTap},
                                             {"pci", DeviceKind::kPci},
                                             {"vdev", DeviceKind::kVdev}};
constexpr Word<AuthMethod> kAuthMethods[] = {{"eap", AuthMethod::kEap},
                                             {"mschapv2", AuthMethod::kMsChapV2},
                                             {"mschap", AuthMethod::kMsChap},
                                             {"chap", AuthMethod::kChap},
                                             {"pap", AuthMethod::kPap}};
constexpr std::pair<std::string_view, bool> kAcceptOrRefuse[] = {{"accept", true},
                                                                 {"refuse", false}};
constexpr std::pair<std::string_view, bool> kOnOrOff[] = {{"off", false}, {"on", true}};
constexpr Word<MppePolicy> kMppePolicies[] = {
    {"off", MppePolicy::kOff}, {"prefer", MppePolicy::kPrefer}, {"require", MppePolicy::kRequire}};
constexpr Word<MppeMode> kMppeModes[] = {{"stateless", MppeMode::kStateless},
                                         {"stateful", MppeMode::kStateful},
                                         {"any", MppeMode::kAny}};
constexpr Word<std::uint8_t> kKeyBits[] = {{"128", 128}, {"56", 56}, {"40", 40}};
constexpr Word<AaaSource> kAaaSources[] = {{"local", AaaSource::kLocal},
                                           {"radius", AaaSource::kRadius}};
constexpr Word<LogLevel> kLogLevels[] = {{"trace", LogLevel::kTrace},
                                         {"debug", LogLevel::kDebug},
                                         {"info", LogLevel::kInfo},
                                         {"warn", LogLevel::kWarn},
                                         {"error", LogLevel::kError}};
constexpr Word<LogFormat> kLogFormats[] = {{"text", LogFormat::kText}, {"json", LogFormat::kJson}};

template <class T, std::size_t N>
std::string_view word_of(const Word<T> (&words)[N], T value) noexcept {
  for (const auto& [word, candidate] : words)
    if (candidate == value) return word;
  return "invalid";
}

// What the file format has a word for but this version cannot do yet. Such a word is refused, so
// that nobody believes in a setting that has no effect.
constexpr AuthMethod kAvailableAuthMethods[] = {AuthMethod::kMsChapV2};
constexpr AaaSource kAvailableAaaSources[] = {AaaSource::kLocal};

// `parser` restricted to the values of `available`.
template <class T, std::size_t N, class Parser>
auto if_available(const T (&available)[N], Parser parser) {
  return [&available, parser](std::string_view text) -> Parsed<T> {
    auto value = parser(text);
    if (value && std::find(available, available + N, *value) == available + N)
      return std::unexpected(fmt::format("{} is not available in this version", text));
    return value;
  };
}

// RFC 3079 derives keys from MS-CHAP; EAP methods may bring keys (RFC 5216 §2.3).
bool gives_mppe_keys(AuthMethod method) noexcept {
  return method == AuthMethod::kEap || method == AuthMethod::kMsChapV2 ||
         method == AuthMethod::kMsChap;
}

// A file that a key names; relative ones are relative to the configuration file.
auto file_beside(const Document& document) {
  return [directory = document.file().parent_path()](
             std::string_view text) -> Parsed<std::filesystem::path> {
    if (text.empty()) return std::unexpected("must not be empty");
    return (directory / std::filesystem::path(text)).lexically_normal();
  };
}

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

Parsed<MaybeEndpoint> parse_endpoint_or_off(std::string_view text) {
  if (text == "off") return MaybeEndpoint{};
  auto endpoint = parse_endpoint(text);
  if (!endpoint) return std::unexpected(endpoint.error() + ", nor off");
  return MaybeEndpoint{*endpoint};
}

constexpr std::uint16_t kHighestLcore = 127;  // Debian's DPDK is built with RTE_MAX_LCORE 128
constexpr std::size_t kMostWorkers = 64;      // contract::kMaxWorkers

class ConfigReader {
 public:
  explicit ConfigReader(Document& document) : document_(document) {}

  Config read(const std::string& text) {
    const YAML::Node root = document_.parse(text);
    if (!document_.ok()) return {};
    const Section top(document_, root);
    Config config;
    config.file = document_.file();
    top.section("node").read("name", config.node.name, parse_node_name);
    read_dataplane(top.section("dataplane"), config.dataplane);
    read_ports(top, config.ports);
    read_pptp(top.section("pptp"), config.pptp);
    read_ppp(top.section("ppp"), config.ppp);
    read_pools(top, config.pools);
    read_aaa(top, config.aaa);
    MaybeEndpoint metrics{config.metrics.listen};
    top.section("metrics").read("listen", metrics, parse_endpoint_or_off);
    config.metrics.listen = metrics.endpoint;
    top.section("management").read("socket", config.management.socket, parse_socket_path);
    const Section log = top.section("log");
    log.read("level", config.log.level, one_of(kLogLevels));
    log.read("format", config.log.format, one_of(kLogFormats));
    check_addresses(config);
    return config;
  }

 private:
  void read_dataplane(const Section& section, Dataplane& out) {
    const Section cores = section.section("cores");
    out.cores.workers = {1};
    cores.read("main", out.cores.main, integer(0, kHighestLcore));
    cores.read_list("workers", out.cores.workers, integer(0, kHighestLcore));
    if (cores.is_empty_list("workers"))
      document_.error_at(cores.path("workers"), "at least one worker is needed");
    check_cores(out.cores);
    const Section memory = section.section("memory");
    memory.read("hugepages", out.memory.hugepages, one_of(kHugePages));
    memory.read("megabytes", out.memory.megabytes, integer(64, 1024 * 1024));
    const Section idle = section.section("idle");
    idle.read("mode", out.idle.mode, one_of(kIdleModes));
    idle.read("spin_polls", out.idle.spin_polls, integer(0, 1'000'000'000));
    idle.read("sleep", out.idle.sleep, duration(Microseconds(1), Microseconds(100'000)));
    idle.read("wait", out.idle.wait, duration(Milliseconds(1), Milliseconds(1'000)));
    section.read("max_sessions", out.max_sessions, integer(1, 1024 * 1024));
  }

  void check_cores(const Cores& cores) {
    constexpr const char* kWorkers = "dataplane.cores.workers";
    if (cores.workers.size() > kMostWorkers)
      document_.error_at(kWorkers, fmt::format("at most {} workers", kMostWorkers));
    if (std::find(cores.workers.begin(), cores.workers.end(), cores.main) != cores.workers.end())
      document_.error_at(
          kWorkers,
          fmt::format("lcore {} is dataplane.cores.main: a worker needs its own", cores.main));
  }

  void read_ports(const Section& top, Ports& out) {
    const Section ports = top.section("ports");
    read_port(ports.section("access"), out.access, "pns-access");
    read_port(ports.section("core"), out.core, "pns-core");
    if (!out.access.device.text.empty() && out.access.device.text == out.core.device.text)
      document_.error_at("ports.core.device",
                         fmt::format("{} is the access port already", out.core.device.text));
    if (!out.access.twin.empty() && out.access.twin == out.core.twin)
      document_.error_at("ports.core.twin",
                         fmt::format("{} is the access port's twin already", out.core.twin));
    for (const Port* port : {&out.access, &out.core})
      for (const Port* other : {&out.access, &out.core})
        if (!port->twin.empty() && port->twin == other->device.interface)
          document_.error_at(
              port == &out.access ? "ports.access.twin" : "ports.core.twin",
              fmt::format("{} is the interface of a port's device already", port->twin));
  }

  void read_port(const Section& section, Port& out, const char* default_twin) {
    section.require("device");
    section.read("device", out.device, parse_device);
    section.read("twin", out.twin, parse_interface_name);
    section.read_list("addresses", out.addresses, parse_interface_address);
    for (const Section& item : section.list_sections("routes")) {
      Route route;
      item.require("to");
      item.require("via");
      item.read("to", route.to, parse_network);
      item.read("via", route.via, [](auto text) { return parse_host_address(text); });
      out.routes.push_back(route);
    }
    section.read("gateway", out.gateway, [](auto text) { return parse_host_address(text); });
    if (out.device.text.empty()) return;
    if (!out.has_twin()) {
      for (const char* key : {"twin", "addresses", "routes", "gateway"})
        if (section.has(key))
          document_.error_at(section.path(key),
                             fmt::format("not with {}: that interface is the kernel's, which keeps "
                                         "its own addresses and routes",
                                         out.device.text));
      out.twin.clear();
      return;
    }
    if (out.twin.empty()) out.twin = default_twin;
    const auto on_link = [&](Ipv4Address address) {
      return std::any_of(out.addresses.begin(), out.addresses.end(),
                         [&](const Ipv4Prefix& own) { return own.contains(address); });
    };
    for (std::size_t i = 0; i < out.routes.size(); ++i)
      if (!out.routes[i].via.is_unspecified() && !on_link(out.routes[i].via))
        document_.error_at(section.path("routes") + "." + std::to_string(i) + ".via",
                           out.routes[i].via.to_string() + " is in no network of this port");
    if (out.gateway && !on_link(*out.gateway))
      document_.error_at(section.path("gateway"),
                         out.gateway->to_string() + " is in no network of this port");
  }

  void read_pptp(const Section& section, Pptp& out) {
    section.read_list("listen", out.listen,
                      [](auto text) { return parse_host_address(text, true); });
    section.read("echo_interval", out.echo_interval,
                 duration(Milliseconds(1'000), Milliseconds(3'600'000)));
    section.read("max_connections", out.max_connections, integer(1, 1'000'000));
    section.read("incoming_calls", out.incoming_calls, one_of(kAcceptOrRefuse));
    section.read("wan_error_notify", out.wan_error_notify, one_of(kOnOrOff));
  }

  void read_ppp(const Section& section, Ppp& out) {
    section.read("mtu", out.mtu, integer(576, 1500));
    const Section echo = section.section("lcp_echo");
    echo.read("interval", out.lcp_echo.interval,
              duration(Milliseconds(0), Milliseconds(3'600'000)));
    echo.read("failures", out.lcp_echo.failures, integer(1, 100));

    section.read_list("auth", out.auth, if_available(kAvailableAuthMethods, one_of(kAuthMethods)));
    if (section.is_empty_list("auth"))
      document_.error_at(section.path("auth"), "at least one method is needed");

    const Section mppe = section.section("mppe");
    mppe.read("policy", out.mppe.policy, one_of(kMppePolicies));
    mppe.read_list("key_bits", out.mppe.key_bits, one_of(kKeyBits));
    mppe.read("mode", out.mppe.mode, one_of(kMppeModes));
    if (out.mppe.policy == MppePolicy::kOff) {
      for (const char* key : {"key_bits", "mode"})
        if (mppe.has(key))
          document_.error_at(mppe.path(key), "has no meaning with ppp.mppe.policy off");
      out.mppe.key_bits.clear();
    } else if (mppe.is_empty_list("key_bits")) {
      document_.error_at(mppe.path("key_bits"), "at least one key length is needed");
    }
    check_keys(section, out);

    for (const auto& [key, list] : {std::pair{"dns", &out.dns}, std::pair{"wins", &out.wins}}) {
      section.read_list(key, *list, [](auto text) { return parse_host_address(text); });
      if (list->size() > 2)  // RFC 1877: a primary and a secondary
        document_.error_at(section.path(key), "at most two servers");
    }
  }

  // MPPE needs a method that gives keys. Judged on what was written, available or not, so that
  // auth: [pap] with MPPE required tells the whole truth at once.
  void check_keys(const Section& section, const Ppp& ppp) {
    if (ppp.mppe.policy != MppePolicy::kRequire || !section.has("auth")) return;
    const std::vector<std::string> words = section.words("auth");
    const auto gives_keys = [](const std::string& word) {
      for (const auto& [name, method] : kAuthMethods)
        if (name == word) return gives_mppe_keys(method);
      return true;  // not a method at all: an error of its own
    };
    if (!words.empty() && std::none_of(words.begin(), words.end(), gives_keys))
      document_.error_at("ppp.mppe.policy",
                         "require cannot be met: no method of ppp.auth gives MPPE keys (mschapv2, "
                         "mschap and eap do)");
  }

  void read_pools(const Section& top, std::map<std::string, Pool>& out) {
    for (const auto& [name, section] : top.named_sections("pools")) {
      Pool pool;
      section.require("ranges");
      section.require("gateway");
      section.read_list("ranges", pool.ranges, parse_range);
      section.read("gateway", pool.gateway, [](auto text) { return parse_host_address(text); });
      out.emplace(name, std::move(pool));
    }
    if (!out.contains("default")) document_.error_at("pools.default", "must be given");
  }

  void read_aaa(const Section& top, Aaa& out) {
    const Section aaa = top.section("aaa");
    aaa.read_list("order", out.order, if_available(kAvailableAaaSources, one_of(kAaaSources)));
    if (aaa.is_empty_list("order"))
      document_.error_at("aaa.order", "at least one source of users is needed");
    const Section local = aaa.section("local");
    local.read("users_file", out.local.users_file, file_beside(document_));
    if (std::find(out.order.begin(), out.order.end(), AaaSource::kLocal) != out.order.end() &&
        !local.has("users_file"))
      document_.error_at("aaa.local.users_file", "must be given when aaa.order names local");
    if (aaa.has("radius")) read_radius(aaa.section("radius"), out.radius.emplace());
  }

  void read_radius(const Section& section, Radius& out) {
    section.require("servers");
    for (const Section& item : section.list_sections("servers")) {
      RadiusServer server;
      item.require("address");
      item.require("secret_file");
      item.read("address", server.address,
                [](auto text) { return parse_host_address(text, true); });
      item.read("auth_port", server.auth_port, integer(1, 65535));
      item.read("accounting_port", server.accounting_port, integer(1, 65535));
      item.read("secret_file", server.secret_file, file_beside(document_));
      item.read("timeout", server.timeout, duration(Milliseconds(100), Milliseconds(60'000)));
      item.read("tries", server.tries, integer(1, 10));
      out.servers.push_back(std::move(server));
    }
    section.section("accounting")
        .read("interim_interval", out.interim_interval,
              duration(Milliseconds(60'000), Milliseconds(86'400'000)));
    section.section("dynamic_authorization")
        .read("port", out.dynamic_authorization_port, integer(1, 65535));
  }

  // Whose address is whose: pools, gateways and interfaces must not share any.
  void check_addresses(const Config& config) {
    struct Placed {
      Ipv4Range range;
      std::string key;
    };
    std::vector<Placed> placed;
    for (const auto& [name, pool] : config.pools) {
      for (std::size_t i = 0; i < pool.ranges.size(); ++i) {
        const std::string key = fmt::format("pools.{}.ranges.{}", name, i);
        for (const Placed& other : placed)
          if (other.range.overlaps(pool.ranges[i]))
            document_.error_at(key,
                               fmt::format("overlaps {}-{} of {}", other.range.first.to_string(),
                                           other.range.last.to_string(), other.key));
        placed.push_back({pool.ranges[i], key});
      }
    }
    for (const Placed& range : placed) {
      for (const auto& [name, pool] : config.pools)
        if (range.range.contains(pool.gateway))
          document_.error_at(fmt::format("pools.{}.gateway", name),
                             fmt::format("{} is inside {}", pool.gateway.to_string(), range.key));
      for (const auto& [role, port] :
           {std::pair{"access", &config.ports.access}, std::pair{"core", &config.ports.core}})
        for (const Ipv4Prefix& own : port->addresses)
          if (range.range.contains(own.address))
            document_.error_at(range.key, fmt::format("contains {}, which is of ports.{}.addresses",
                                                      own.address.to_string(), role));
      for (const Ipv4Address listen : config.pptp.listen)
        if (range.range.contains(listen))
          document_.error_at(
              range.key, fmt::format("contains {}, which is of pptp.listen", listen.to_string()));
    }
    const auto& [access, core] = config.ports;
    for (const Ipv4Prefix& a : access.addresses)
      for (const Ipv4Prefix& b : core.addresses)
        if (a.contains(b.network()) || b.contains(a.network()))
          document_.error_at("ports.core.addresses",
                             fmt::format("{} and {} of ports.access.addresses are one network",
                                         b.to_string(), a.to_string()));
    if (!access.device.text.empty() && access.has_twin() && access.addresses.empty() &&
        config.pptp.listen.empty())
      document_.error_at("ports.access.addresses",
                         "must be given when pptp.listen is not: there is no address to listen on");
  }

  Document& document_;
};

}  // namespace

std::expected<Config, std::vector<ConfigError>> parse(const std::string& text,
                                                      const std::filesystem::path& file) {
  Document document(file, kKeys);
  Config config = ConfigReader(document).read(text);
  if (!document.ok()) return std::unexpected(document.take_errors());
  return config;
}

std::expected<Config, std::vector<ConfigError>> load(const std::filesystem::path& file) {
  auto text = read_file(file);
  if (!text)
    return std::unexpected(
        std::vector<ConfigError>{{file.string(), 0, "", std::move(text.error())}});
  return parse(*text, file);
}

std::span<const std::string_view> known_keys() noexcept { return kKeys; }

std::string_view name_of(HugePages value) noexcept { return word_of(kHugePages, value); }
std::string_view name_of(IdleMode value) noexcept { return word_of(kIdleModes, value); }
std::string_view name_of(DeviceKind value) noexcept { return word_of(kDeviceKinds, value); }
std::string_view name_of(AuthMethod value) noexcept { return word_of(kAuthMethods, value); }
std::string_view name_of(MppePolicy value) noexcept { return word_of(kMppePolicies, value); }
std::string_view name_of(MppeMode value) noexcept { return word_of(kMppeModes, value); }
std::string_view name_of(AaaSource value) noexcept { return word_of(kAaaSources, value); }
std::string_view name_of(LogLevel value) noexcept { return word_of(kLogLevels, value); }
std::string_view name_of(LogFormat value) noexcept { return word_of(kLogFormats, value); }

}  // namespace pns::config
