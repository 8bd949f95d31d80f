// SPDX-License-Identifier: BSD-3-Clause
//
// The configuration file: which keys there are, how each is read, and what must hold between them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <variant>

#include "pns/base/ip_ranges.hpp"
#include "pns/config/config.hpp"
#include "pns/config/filters_reader.hpp"
#include "pns/config/radius_reader.hpp"
#include "pns/config/reader.hpp"
#include "pns/config/source_limits_reader.hpp"

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
    "dataplane.mppe_variant",
    "dataplane.mppe_rc4",
    "dataplane.steering",
    "dataplane.max_sessions",
    "ports.access.device",
    "ports.access.members",
    "ports.access.twin",
    "ports.access.addresses",
    "ports.access.routes.*.to",
    "ports.access.routes.*.via",
    "ports.access.gateway",
    "ports.access.ipv6_gateway",
    "ports.access.mtu",
    "ports.access.table",
    "ports.access.vlan",
    "ports.access.reachable_by_subscribers",
    "ports.core.device",
    "ports.core.members",
    "ports.core.twin",
    "ports.core.addresses",
    "ports.core.routes.*.to",
    "ports.core.routes.*.via",
    "ports.core.gateway",
    "ports.core.ipv6_gateway",
    "ports.core.mtu",
    "ports.core.table",
    "ports.core.vlan",
    "ports.core.services.enabled",
    "ports.core.services.interface",
    "ports.core.services.table",
    "pptp.listen",
    "pptp.echo_interval",
    "pptp.max_connections",
    "pptp.admission.set_ups",
    "pptp.admission.per_source_set_ups",
    "pptp.admission.waiting",
    "pptp.admission.per_source_waiting",
    "pptp.admission.wait",
    "pptp.admission.set_up_time",
    "pptp.limits.connections",
    "pptp.limits.new_calls.rate",
    "pptp.limits.new_calls.burst",
    "pptp.limits.messages.rate",
    "pptp.limits.messages.burst",
    "pptp.limits.idle_connection_time",
    "pptp.limits.set_up_deadline",
    "pptp.limits.failed_logins.per_account",
    "pptp.limits.failed_logins.per_source",
    "pptp.limits.allow",
    "pptp.limits.deny",
    "pptp.limits.exempt",
    "pptp.gre.reorder.packets",
    "pptp.gre.reorder.wait",
    "pptp.gre.send_window",
    "pptp.gre.reassembly.packets",
    "pptp.gre.reassembly.wait",
    "pptp.incoming_calls",
    "pptp.wan_error_notify",
    "ppp.mtu",
    "ppp.lcp_echo.interval",
    "ppp.lcp_echo.failures",
    "ppp.auth",
    "ppp.eap",
    "ppp.auth_retries",
    "ppp.mppe.policy",
    "ppp.mppe.key_bits",
    "ppp.mppe.mode",
    "ppp.dns",
    "ppp.wins",
    "ppp.domain",
    "ppp.broadcast_relay",
    "pools.*.ranges",
    "pools.*.gateway",
    "pools.*.ipv6_prefixes",
    "pools.*.skip_0_and_255",
    "pools.*.routes",
    "pools.*.exclude",
    "pools.*.next",
    "pools.*.groups",
    "pools.*.dialled",
    "filters.*.rules.*.action",
    "filters.*.rules.*.protocol",
    "filters.*.rules.*.source",
    "filters.*.rules.*.destination",
    "filters.*.rules.*.source_ports",
    "filters.*.rules.*.destination_ports",
    "aaa.order",
    "aaa.on_conflict",
    "aaa.sessions_per_user",
    "aaa.on_limit",
    "aaa.local.users_file",
    "aaa.local.password_changes_file",
    "aaa.radius.servers.*.address",
    "aaa.radius.servers.*.auth_port",
    "aaa.radius.servers.*.accounting_port",
    "aaa.radius.servers.*.kind",
    "aaa.radius.servers.*.secret_file",
    "aaa.radius.servers.*.priority",
    "aaa.radius.servers.*.weight",
    "aaa.radius.servers.*.timeout",
    "aaa.radius.servers.*.tries",
    "aaa.radius.servers.*.window",
    "aaa.radius.servers.*.status_server",
    "aaa.radius.source_addresses",
    "aaa.radius.nas_identifier",
    "aaa.radius.message_authenticator",
    "aaa.radius.deadline",
    "aaa.radius.waiting",
    "aaa.radius.dead.after",
    "aaa.radius.dead.timeouts",
    "aaa.radius.dead.probe_interval",
    "aaa.radius.accounting.interim_interval",
    "aaa.radius.accounting.spool_directory",
    "aaa.radius.accounting.spool_megabytes",
    "aaa.radius.accounting.on_full",
    "aaa.radius.dynamic_authorization.listen",
    "aaa.radius.dynamic_authorization.port",
    "aaa.radius.dynamic_authorization.clients.*.address",
    "aaa.radius.dynamic_authorization.clients.*.secret_file",
    "aaa.radius.dynamic_authorization.clients.*.rate",
    "aaa.radius.dynamic_authorization.message_authenticator",
    "aaa.radius.dynamic_authorization.event_timestamp",
    "aaa.radius.dynamic_authorization.timestamp_window",
    "metrics.listen",
    "control.memory.megabytes",
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
constexpr Word<MppeVariant> kMppeVariants[] = {{"auto", MppeVariant::kAuto},
                                               {"portable", MppeVariant::kPortable},
                                               {"avx2", MppeVariant::kAvx2},
                                               {"avx512", MppeVariant::kAvx512}};
constexpr Word<MppeRc4> kMppeRc4s[] = {
    {"auto", MppeRc4::kAuto}, {"bytes", MppeRc4::kBytes}, {"words", MppeRc4::kWords}};
constexpr Word<Steering> kSteerings[] = {{"auto", Steering::kAuto},
                                         {"key", Steering::kKey},
                                         {"rss", Steering::kRss},
                                         {"none", Steering::kNone}};
constexpr Word<DeviceKind> kDeviceKinds[] = {
    {"xdp", DeviceKind::kXdp}, {"tap", DeviceKind::kTap},   {"kernel", DeviceKind::kKernel},
    {"pci", DeviceKind::kPci}, {"vdev", DeviceKind::kVdev}, {"bond", DeviceKind::kBond}};
constexpr std::size_t kMinBondMembers = 2;
constexpr std::size_t kMaxBondMembers = 8;
constexpr Word<SendWindow> kSendWindows[] = {{"ignore", SendWindow::kIgnore},
                                             {"adaptive", SendWindow::kAdaptive}};
constexpr Word<AuthMethod> kAuthMethods[] = {{"eap", AuthMethod::kEap},
                                             {"mschapv2", AuthMethod::kMsChapV2},
                                             {"mschap", AuthMethod::kMsChap},
                                             {"chap", AuthMethod::kChap},
                                             {"pap", AuthMethod::kPap}};
constexpr Word<EapMethod> kEapMethods[] = {
    {"mschapv2", EapMethod::kMsChapV2}, {"md5", EapMethod::kMd5}, {"radius", EapMethod::kRadius}};
constexpr std::pair<std::string_view, bool> kAcceptOrRefuse[] = {{"accept", true},
                                                                 {"refuse", false}};
constexpr std::pair<std::string_view, bool> kTrueOrFalse[] = {{"true", true}, {"false", false}};
constexpr Word<MppePolicy> kMppePolicies[] = {
    {"off", MppePolicy::kOff}, {"prefer", MppePolicy::kPrefer}, {"require", MppePolicy::kRequire}};
constexpr Word<MppeMode> kMppeModes[] = {{"stateless", MppeMode::kStateless},
                                         {"stateful", MppeMode::kStateful},
                                         {"any", MppeMode::kAny}};
constexpr Word<std::uint8_t> kKeyBits[] = {{"128", 128}, {"56", 56}, {"40", 40}};
constexpr Word<OnLimit> kOnLimits[] = {{"refuse", OnLimit::kRefuse},
                                       {"replace", OnLimit::kReplace},
                                       {"replace_if_silent", OnLimit::kReplaceIfSilent}};
constexpr Word<OnConflict> kOnConflicts[] = {{"refuse", OnConflict::kRefuse},
                                             {"replace", OnConflict::kReplace}};
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

// RFC 3079 derives keys from MS-CHAP, also inside EAP. A RADIUS server has methods with keys.
bool gives_mppe_keys(AuthMethod method, const Ppp& ppp) noexcept {
  if (method == AuthMethod::kEap)
    return std::any_of(ppp.eap.begin(), ppp.eap.end(),
                       [](EapMethod inner) { return inner != EapMethod::kMd5; });
  return method == AuthMethod::kMsChapV2 || method == AuthMethod::kMsChap;
}

bool relays_eap(const Ppp& ppp) noexcept {
  return std::find(ppp.eap.begin(), ppp.eap.end(), EapMethod::kRadius) != ppp.eap.end();
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

// RFC 1035 §2.3.1, digits in front allowed (RFC 1123 §2.1).
Parsed<std::string> parse_domain(std::string_view text) {
  const auto is_label = [](std::string_view label) {
    return !label.empty() && label.front() != '-' && label.back() != '-' &&
           std::all_of(label.begin(), label.end(), [](char c) {
             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-';
           });
  };
  std::string_view rest = text;
  bool good = text.size() <= kMaxDomain;
  for (std::size_t dot = 0; good && dot != std::string_view::npos;) {
    dot = rest.find('.');
    good = is_label(rest.substr(0, dot));
    if (dot != std::string_view::npos) rest.remove_prefix(dot + 1);
  }
  if (!good)
    return std::unexpected(fmt::format(
        "'{}' is not a domain (labels of letters, digits and '-', 1 to {} octets in all)", text,
        kMaxDomain));
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

// Routing tables of the twins.
constexpr std::uint32_t kAccessTable = 1723;
constexpr std::uint32_t kCoreTable = 1724;

// A routing table of the kernel that nobody else uses by default (linux/rtnetlink.h).
Parsed<std::uint32_t> parse_table(std::string_view text) {
  const auto table = parse_unsigned(text, 1, UINT32_MAX);
  if (!table) return std::unexpected(table.error());
  constexpr std::uint64_t kDefault = 253;
  constexpr std::uint64_t kLocal = 255;
  if (*table >= kDefault && *table <= kLocal)
    return std::unexpected(std::string("253 to 255 are the kernel's own: default, main, local"));
  return static_cast<std::uint32_t>(*table);
}

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

// Broadcasts a second.
Parsed<std::uint64_t> parse_rate_or_off(std::string_view text) {
  if (text == "off") return 0;
  auto rate = parse_unsigned(text, 1, kMaxBroadcastRelay);
  if (!rate) return std::unexpected(rate.error() + ", nor off");
  return rate;
}

// A pool's prefix is cut into /64s, one for each session.
Parsed<Ipv6Prefix> parse_pool_prefix(std::string_view text) {
  auto prefix = parse_ipv6_network(text);
  if (!prefix) return prefix;
  if (prefix->length < 40 || prefix->length > 64)
    return std::unexpected(fmt::format("{}: a length from 40 to 64 is needed", text));
  if (prefix->address.is_link_local() || prefix->address.is_multicast())
    return std::unexpected(fmt::format("{} is not a network of unicast addresses", text));
  return prefix;
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
    read_filters(top, document_, config.filters);
    add_gateways(config);
    read_aaa(top, config.node.name, config.aaa);
    check_eap(config);
    check_pool_choice(config);
    MaybeEndpoint metrics{config.metrics.listen};
    top.section("metrics").read("listen", metrics, parse_endpoint_or_off);
    config.metrics.listen = metrics.endpoint;
    top.section("control").section("memory").read("megabytes", config.control.memory_megabytes,
                                                  integer(0, 1'048'576));
    top.section("management").read("socket", config.management.socket, parse_socket_path);
    const Section log = top.section("log");
    log.read("level", config.log.level, one_of(kLogLevels));
    log.read("format", config.log.format, one_of(kLogFormats));
    check_addresses(config);
    if (config.ppp.broadcast_relay != 0 && config.ports.core.leads_to_host())
      document_.error_at("ppp.broadcast_relay",
                         "broadcasts of the LAN do not reach a kernel: port; use xdp: with the "
                         "interface in the LAN, or off");
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
    section.read("mppe_variant", out.mppe_variant, one_of(kMppeVariants));
    section.read("mppe_rc4", out.mppe_rc4, one_of(kMppeRc4s));
    section.read("steering", out.steering, one_of(kSteerings));
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
    read_port(ports.section("access"), out.access, {"pns-access", kAccessTable}, nullptr);
    read_port(ports.section("core"), out.core, {"pns-core", kCoreTable}, &out.access);
    if (out.access.table != 0 && out.access.table == out.core.table)
      document_.error_at("ports.core.table",
                         fmt::format("{} is the access port's table already", out.core.table));
    ports.section("access").read("reachable_by_subscribers", out.access.reachable_by_subscribers,
                                 one_of(kTrueOrFalse));
    if (out.access.leads_to_host())
      document_.error_at("ports.access.device",
                         "kernel: is for the core port: the clients' packets come by a NIC");
    if (out.core.leads_to_host())
      for (const std::string& name : {out.core.device.interface, out.core.device.xdp_interface()})
        if (name == out.access.device.interface || name == out.access.twin)
          document_.error_at("ports.core.device",
                             fmt::format("{} is an interface of the access port already", name));
    read_services(ports.section("core").section("services"), out);
    const auto access_devices = devices_of(out.access.device);
    for (const std::string& device : devices_of(out.core.device))
      if (!out.one_device() && !device.empty() &&
          std::ranges::find(access_devices, device) != access_devices.end())
        document_.error_at(
            out.core.device.kind == DeviceKind::kBond ? "ports.core.members" : "ports.core.device",
            fmt::format("{} is {}the access port already", device,
                        out.access.device.kind == DeviceKind::kBond ? "a member of " : ""));
    if (!out.access.twin.empty() && out.access.twin == out.core.twin && !out.one_link())
      document_.error_at("ports.core.twin",
                         fmt::format("{} is the access port's twin already", out.core.twin));
    for (const Port* port : {&out.access, &out.core})
      for (const Port* other : {&out.access, &out.core})
        if (!port->twin.empty() && port->twin == other->device.interface)
          document_.error_at(
              port == &out.access ? "ports.access.twin" : "ports.core.twin",
              fmt::format("{} is the interface of a port's device already", port->twin));
  }

  // One link has one interface in the kernel, which is the access port's.
  void join_link(const Section& section, const Port& access, Port& core) {
    for (const char* key : {"twin", "addresses", "mtu"})
      if (section.has(key))
        document_.error_at(section.path(key),
                           "both ports are one link: give it to ports.access alone");
    core.twin = access.twin;
    core.addresses = access.addresses;
    core.ipv6_addresses = access.ipv6_addresses;
    core.mtu = access.mtu;
  }

  void read_vlan(const Section& section, Port& out) {
    if (section.is_list("vlan"))
      section.read_list("vlan", out.vlan, integer(1, kMaxVlanId));
    else if (std::uint16_t tag = 0; section.has("vlan")) {
      section.read("vlan", tag, integer(1, kMaxVlanId));
      if (tag != 0) out.vlan = {tag};
    }
    if (out.vlan.size() > kMaxVlanTags || section.is_empty_list("vlan"))
      document_.error_at(section.path("vlan"), "one tag, or [OUTER, INNER]");
    if (out.vlan.empty()) return;
    if (out.leads_to_host()) return document_.error_at(section.path("vlan"), "kernel: has no wire");
    // The kernel has an interface for each VLAN, which keeps its addresses and its tags.
    if (out.device.kind != DeviceKind::kXdp) return;
    for (const std::uint16_t tag : out.vlan) out.device.interface += fmt::format(".{}", tag);
    if (auto name = parse_interface_name(out.device.interface); !name)
      document_.error_at(
          section.path("vlan"),
          fmt::format("{} is longer than the kernel takes: use xdp: with the name of "
                      "the VLAN interface",
                      out.device.interface));
  }

  void read_services(const Section& section, Ports& ports) {
    Services& out = ports.core.services;
    section.read("enabled", out.enabled, one_of(kTrueOrFalse));
    section.read("interface", out.interface, parse_interface_name);
    section.read("table", out.table, parse_table);
    if (ports.core.leads_to_host()) {
      for (const char* key : {"enabled", "interface", "table"})
        if (section.has(key))
          document_.error_at(
              section.path(key),
              "not with kernel:, where the host's firewall says what subscribers reach");
      out.enabled = false;
      return;
    }
    if (!out.enabled) {
      for (const char* key : {"interface", "table"})
        if (section.has(key))
          document_.error_at(section.path(key), "has no meaning with enabled: false");
      return;
    }
    for (const auto& [role, port] :
         {std::pair{"access", &ports.access}, std::pair{"core", &ports.core}}) {
      if (out.interface == port->twin || out.interface == port->device.interface)
        document_.error_at(section.path("interface"),
                           fmt::format("{} is of the {} port already", out.interface, role));
      if (out.table == port->table)
        document_.error_at(section.path("table"),
                           fmt::format("{} is the {} port's table already", out.table, role));
    }
  }

  struct PortDefaults {
    const char* twin;
    std::uint32_t table;
  };

  // `other`: the port that may have the same device.
  void read_port(const Section& section, Port& out, const PortDefaults& defaults,
                 const Port* other) {
    section.require("device");
    section.read("device", out.device, parse_device);
    read_members(section, out.device);
    read_vlan(section, out);
    section.read("twin", out.twin, parse_interface_name);
    read_families(section, "addresses", out.addresses, out.ipv6_addresses, parse_interface_address,
                  parse_ipv6_interface_address);
    if (other != nullptr && !out.device.text.empty() && Ports{*other, out}.one_link() &&
        out.has_twin())
      join_link(section, *other, out);
    for (const Section& item : section.list_sections("routes")) read_route(item, out);
    section.read("gateway", out.gateway, [](auto text) { return parse_host_address(text); });
    section.read("ipv6_gateway", out.ipv6_gateway,
                 [](auto text) { return parse_ipv6_host_address(text, true); });
    section.read("mtu", out.mtu, integer(576, kMaxPortMtu));
    section.read("table", out.table, parse_table);
    if (out.device.text.empty()) return;
    if (out.leads_to_host()) {
      for (const char* key : {"twin", "routes", "gateway", "ipv6_gateway", "table"})
        if (section.has(key))
          document_.error_at(section.path(key),
                             fmt::format("not with {}: the kernel routes its packets (ip route, "
                                         "ip rule add iif {})",
                                         out.device.text, out.device.interface));
      out.twin.clear();
      return;
    }
    if (!out.has_twin()) {
      for (const char* key : {"twin", "addresses", "routes", "gateway", "ipv6_gateway", "mtu"})
        if (section.has(key))
          document_.error_at(section.path(key),
                             fmt::format("not with {}: that interface is the kernel's, which keeps "
                                         "its own addresses, routes and MTU",
                                         out.device.text));
      out.twin.clear();
      return;
    }
    if (out.twin.empty()) out.twin = defaults.twin;
    if (out.table == 0) out.table = defaults.table;
    if (out.gateway && !on_link(out, *out.gateway))
      document_.error_at(section.path("gateway"),
                         out.gateway->to_string() + " is in no network of this port");
    if (out.ipv6_gateway && !on_link(out, *out.ipv6_gateway))
      document_.error_at(section.path("ipv6_gateway"),
                         out.ipv6_gateway->to_string() + " is in no network of this port");
  }

  void read_members(const Section& section, Device& device) {
    section.read_list("members", device.members, parse_bond_member);
    if (device.kind == DeviceKind::kBond)
      section.require("members");
    else if (section.has("members") && !device.text.empty())
      document_.error_at(section.path("members"),
                         fmt::format("not with {}: a bond alone has members", device.text));
    if (device.kind != DeviceKind::kBond) return device.members.clear();
    const std::size_t given = section.words("members").size();
    if (section.has("members") && (given < kMinBondMembers || given > kMaxBondMembers))
      document_.error_at(
          section.path("members"),
          fmt::format("a bond has {} to {} members, and {} given", kMinBondMembers, kMaxBondMembers,
                      given == 1 ? "1 is" : fmt::format("{} are", given)));
    for (const std::string& member : device.members) device.text += "," + member;
  }

  // A port's own device, or the members of its bond.
  static std::vector<std::string> devices_of(const Device& device) {
    if (device.kind == DeviceKind::kBond) return device.members;
    // Each VLAN of an interface is an interface.
    return {device.kind == DeviceKind::kXdp ? "xdp:" + device.interface : device.text};
  }

  static bool on_link(const Port& port, Ipv4Address address) {
    return std::any_of(port.addresses.begin(), port.addresses.end(),
                       [&](const Ipv4Prefix& own) { return own.contains(address); });
  }
  static bool on_link(const Port& port, const Ipv6Address& address) {
    return address.is_link_local() ||
           std::any_of(port.ipv6_addresses.begin(), port.ipv6_addresses.end(),
                       [&](const Ipv6Prefix& own) { return own.contains(address); });
  }

  void read_route(const Section& item, Port& out) {
    item.require("to");
    item.require("via");
    std::optional<std::variant<Ipv4Prefix, Ipv6Prefix>> to;
    std::optional<std::variant<Ipv4Address, Ipv6Address>> via;
    item.read("to", to, of_either_family(parse_network, parse_ipv6_network));
    item.read("via", via,
              of_either_family([](auto text) { return parse_host_address(text); },
                               [](auto text) { return parse_ipv6_host_address(text, true); }));
    if (!to || !via) return;
    if (to->index() != via->index())
      return document_.error_at(item.path("via"), "is not of the family of to");
    const auto check = [&](const auto& address) {
      if (!on_link(out, address))
        document_.error_at(item.path("via"),
                           address.to_string() + " is in no network of this port");
    };
    std::visit(check, *via);
    if (const auto* to6 = std::get_if<Ipv6Prefix>(&*to))
      out.ipv6_routes.push_back({*to6, std::get<Ipv6Address>(*via)});
    else
      out.routes.push_back({std::get<Ipv4Prefix>(*to), std::get<Ipv4Address>(*via)});
  }

  void read_pptp(const Section& section, Pptp& out) {
    section.read_list("listen", out.listen,
                      [](auto text) { return parse_host_address(text, true); });
    section.read("echo_interval", out.echo_interval,
                 duration(Milliseconds(1'000), Milliseconds(3'600'000)));
    section.read("max_connections", out.max_connections, integer(1, 1'000'000));
    read_admission(section.section("admission"), out.admission);
    read_source_limits(section.section("limits"), out.max_connections, document_, out.limits);
    const Section gre = section.section("gre");
    const Section reorder = gre.section("reorder");
    reorder.read("packets", out.gre.reorder.packets, integer(0, 64));
    reorder.read("wait", out.gre.reorder.wait, duration(Milliseconds(1), Milliseconds(1'000)));
    gre.read("send_window", out.gre.send_window, one_of(kSendWindows));
    const Section reassembly = gre.section("reassembly");
    reassembly.read("packets", out.gre.reassembly.packets, integer(0, 65'536));
    reassembly.read("wait", out.gre.reassembly.wait,
                    duration(Milliseconds(10), Milliseconds(30'000)));
    section.read("incoming_calls", out.incoming_calls, one_of(kAcceptOrRefuse));
    section.read("wan_error_notify", out.wan_error_notify, one_of(kOnOrOff));
  }

  void read_admission(const Section& section, Admission& out) {
    section.read("set_ups", out.set_ups, integer(1, 65'536));
    out.per_source_set_ups = std::max<std::uint32_t>(1, out.set_ups / 4);
    section.read("per_source_set_ups", out.per_source_set_ups, integer(1, 65'536));
    if (out.per_source_set_ups > out.set_ups)
      document_.error_at(section.path("per_source_set_ups"), "above pptp.admission.set_ups");
    section.read("waiting", out.waiting, integer(1, 1'000'000));
    out.per_source_waiting = std::min(out.per_source_waiting, out.waiting);
    section.read("per_source_waiting", out.per_source_waiting, integer(1, 1'000'000));
    if (out.per_source_waiting > out.waiting)
      document_.error_at(section.path("per_source_waiting"), "above pptp.admission.waiting");
    section.read("wait", out.wait, duration(Milliseconds(100), Milliseconds(300'000)));
    section.read("set_up_time", out.set_up_time,
                 duration(Milliseconds(1'000), Milliseconds(3'600'000)));
  }

  void read_ppp(const Section& section, Ppp& out) {
    section.read("mtu", out.mtu, integer(576, 1500));
    const Section echo = section.section("lcp_echo");
    echo.read("interval", out.lcp_echo.interval,
              duration(Milliseconds(0), Milliseconds(3'600'000)));
    echo.read("failures", out.lcp_echo.failures, integer(1, 100));

    section.read_list("auth", out.auth, one_of(kAuthMethods));
    section.read_list("eap", out.eap, one_of(kEapMethods));
    for (const char* key : {"auth", "eap"})
      if (section.is_empty_list(key))
        document_.error_at(section.path(key), "at least one method is needed");
    if (out.eap.size() > 1 && relays_eap(out))
      document_.error_at(section.path("eap"),
                         "radius stands alone: the RADIUS server chooses the method");
    section.read("auth_retries", out.auth_retries, integer(0, 10));

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

    const auto host4 = [](auto text) { return parse_host_address(text); };
    read_families(section, "dns", out.dns, out.ipv6_dns, host4,
                  [](auto text) { return parse_ipv6_host_address(text); });
    section.read_list("wins", out.wins, host4);
    section.read("domain", out.domain, parse_domain);
    section.read("broadcast_relay", out.broadcast_relay, parse_rate_or_off);
    for (const auto& [key, list] : {std::pair{"dns", &out.dns}, std::pair{"wins", &out.wins}})
      if (list->size() > 2)  // RFC 1877: a primary and a secondary
        document_.error_at(section.path(key), "at most two IPv4 servers");
    if (out.ipv6_dns.size() > 3)
      document_.error_at(section.path("dns"), "at most three IPv6 servers");
  }

  // MPPE needs a method that gives keys. A list with a wrong word in it has an error of its own.
  void check_keys(const Section& section, const Ppp& ppp) {
    if (ppp.mppe.policy != MppePolicy::kRequire || ppp.auth.empty() ||
        section.words("auth").size() > ppp.auth.size())
      return;
    if (std::none_of(ppp.auth.begin(), ppp.auth.end(),
                     [&ppp](AuthMethod method) { return gives_mppe_keys(method, ppp); }))
      document_.error_at("ppp.mppe.policy",
                         "require cannot be met: no method of ppp.auth gives MPPE keys (mschapv2, "
                         "mschap, and eap with mschapv2 or radius in ppp.eap do)");
  }

  void read_pools(const Section& top, std::map<std::string, Pool>& out) {
    for (const auto& [name, section] : top.named_sections("pools")) {
      Pool pool;
      section.require("ranges");
      section.require("gateway");
      section.read_list("ranges", pool.ranges, parse_range);
      section.read("gateway", pool.gateway, [](auto text) { return parse_host_address(text); });
      section.read_list("ipv6_prefixes", pool.ipv6_prefixes, parse_pool_prefix);
      section.read("skip_0_and_255", pool.skip_0_and_255, one_of(kTrueOrFalse));
      section.read_list("routes", pool.routes, parse_network);
      section.read_list("exclude", pool.exclude, parse_range);
      section.read("next", pool.next, parse_text);
      section.read_list("groups", pool.groups, parse_text);
      section.read_list("dialled", pool.dialled,
                        [](auto text) { return parse_host_address(text); });
      std::size_t octets = 0;
      for (const Ipv4Prefix& route : pool.routes) octets += 5 + (route.length + 7U) / 8;
      if (octets > kMaxRouteOctets)
        document_.error_at(section.path("routes"),
                           fmt::format("too many for one DHCP option: {} octets, at most {}",
                                       octets, kMaxRouteOctets));
      out.emplace(name, std::move(pool));
    }
    if (!out.contains("default")) document_.error_at("pools.default", "must be given");
  }

  // How pools are chosen, and which follows which.
  void check_pool_choice(const Config& config) {
    std::map<std::string, std::string> pool_of_group;
    std::map<Ipv4Address, std::string> pool_of_dialled;
    for (const auto& [name, pool] : config.pools) {
      const std::string key = "pools." + name;
      for (const std::string& group : pool.groups)
        if (const auto [other, first] = pool_of_group.emplace(group, name); !first)
          document_.error_at(key + ".groups",
                             fmt::format("{} has pool {} already", group, other->second));
      for (const Ipv4Address address : pool.dialled) {
        if (const auto [other, first] = pool_of_dialled.emplace(address, name); !first)
          document_.error_at(key + ".dialled", fmt::format("{} has pool {} already",
                                                           address.to_string(), other->second));
        if (!config.pptp.listen.empty() &&
            std::ranges::find(config.pptp.listen, address) == config.pptp.listen.end())
          document_.error_at(key + ".dialled",
                             fmt::format("{} is not of pptp.listen", address.to_string()));
      }
      for (const Ipv4Range& excluded : pool.exclude)
        if (std::ranges::none_of(pool.ranges, [&](const Ipv4Range& range) {
              return range.contains(excluded.first) && range.contains(excluded.last);
            }))
          document_.error_at(key + ".exclude",
                             fmt::format("{}-{} is in no range of the pool",
                                         excluded.first.to_string(), excluded.last.to_string()));
      check_next_pools(config, name);
    }
  }

  void check_next_pools(const Config& config, const std::string& first) {
    const std::string key = "pools." + first + ".next";
    std::size_t steps = 0;
    for (const std::string* next = &config.pools.at(first).next; !next->empty();) {
      const auto found = config.pools.find(*next);
      if (found == config.pools.end()) {
        if (steps == 0) document_.error_at(key, "there is no pool " + *next);
        return;
      }
      if (*next == first) return document_.error_at(key, "the pool comes after itself");
      if (++steps > config.pools.size()) return;  // a circle of others, which they tell
      next = &found->second.next;
    }
  }

  // Subscribers take the gateway of their pool for this host.
  static void add_gateways(Config& config) {
    Port& core = config.ports.core;
    if (!core.leads_to_host() || !core.addresses.empty()) return;
    for (const auto& [name, pool] : config.pools) {
      const Ipv4Prefix gateway{pool.gateway, 32};
      if (std::find(core.addresses.begin(), core.addresses.end(), gateway) == core.addresses.end())
        core.addresses.push_back(gateway);
    }
  }

  void read_aaa(const Section& top, const std::string& node_name, Aaa& out) {
    const Section aaa = top.section("aaa");
    aaa.read_list("order", out.order, one_of(kAaaSources));
    aaa.read("sessions_per_user", out.sessions_per_user, integer(0, 1'000'000));
    aaa.read("on_limit", out.on_limit, one_of(kOnLimits));
    aaa.read("on_conflict", out.on_conflict, one_of(kOnConflicts));
    if (aaa.is_empty_list("order"))
      document_.error_at("aaa.order", "at least one source of users is needed");
    const Section local = aaa.section("local");
    local.read("users_file", out.local.users_file, file_beside(document_));
    local.read("password_changes_file", out.local.password_changes_file, file_beside(document_));
    if (!out.local.users_file.empty() && out.local.users_file == out.local.password_changes_file)
      document_.error_at("aaa.local.password_changes_file",
                         "is the users file: that one is never written");
    if (out.asks(AaaSource::kLocal) && !local.has("users_file"))
      document_.error_at("aaa.local.users_file", "must be given when aaa.order names local");
    if (aaa.has("radius"))
      read_radius(aaa.section("radius"), node_name, document_, out.radius.emplace());
    if (out.radius && out.radius->dynamic_authorization && !out.asks(AaaSource::kRadius))
      document_.error_at("aaa.radius.dynamic_authorization", "needs radius in aaa.order");
    const auto authenticates = [](const RadiusServer& server) {
      return server.does(RadiusKind::kAuthentication);
    };
    if (out.asks(AaaSource::kRadius) &&
        (!out.radius || std::ranges::none_of(out.radius->servers, authenticates)))
      document_.error_at("aaa.radius.servers",
                         "a server for authentication must be given when aaa.order names radius");
  }

  void check_eap(const Config& config) {
    if (config.ppp.eap.size() == 1 && relays_eap(config.ppp) &&
        !config.aaa.asks(AaaSource::kRadius))
      document_.error_at("ppp.eap", "radius needs a RADIUS server: aaa.order does not name radius");
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
      for (const auto& [role, port] : named_ports(config)) {
        for (const Ipv4Prefix& own : port->addresses)
          if (range.range.contains(own.address))
            document_.error_at(range.key, fmt::format("contains {}, which is of ports.{}.addresses",
                                                      own.address.to_string(), role));
        if (role == "core") check_core_network(range.range, range.key, *port);
      }
      for (const Ipv4Address listen : config.pptp.listen)
        if (range.range.contains(listen))
          document_.error_at(
              range.key, fmt::format("contains {}, which is of pptp.listen", listen.to_string()));
    }
    check_ipv6_addresses(config);
    const auto& [access, core] = config.ports;
    for (const Ipv4Prefix& a : access.addresses)
      for (const Ipv4Prefix& b : core.addresses)
        if (config.ports.one_link() || (core.leads_to_host() && b.length == 32))
          continue;  // of the same link; an address of this host, and no network
        else if (a.contains(b.network()) || b.contains(a.network()))
          document_.error_at("ports.core.addresses",
                             fmt::format("{} and {} of ports.access.addresses are one network",
                                         b.to_string(), a.to_string()));
    if (!access.device.text.empty() && access.has_twin() && access.addresses.empty() &&
        config.pptp.listen.empty())
      document_.error_at("ports.access.addresses",
                         "must be given when pptp.listen is not: there is no address to listen on");
  }

  // A pool may lie in the core network, whose routers keep their addresses.
  void check_core_network(const Ipv4Range& range, const std::string& key, const Port& core) {
    if (core.gateway && range.contains(*core.gateway))
      document_.error_at(
          key, fmt::format("contains {}, which is ports.core.gateway", core.gateway->to_string()));
    for (const Route& route : core.routes)
      if (range.contains(route.via))
        document_.error_at(key, fmt::format("contains {}, which is a next hop of ports.core.routes",
                                            route.via.to_string()));
  }

  void check_ipv6_addresses(const Config& config) {
    const auto overlap = [](const Ipv6Prefix& a, const Ipv6Prefix& b) {
      return a.contains(b.address) || b.contains(a.address);
    };
    std::vector<std::pair<Ipv6Prefix, std::string>> placed;
    for (const auto& [name, pool] : config.pools)
      for (std::size_t i = 0; i < pool.ipv6_prefixes.size(); ++i) {
        const Ipv6Prefix& prefix = pool.ipv6_prefixes[i];
        const std::string key = fmt::format("pools.{}.ipv6_prefixes.{}", name, i);
        for (const auto& [other, other_key] : placed)
          if (overlap(prefix, other))
            document_.error_at(key, fmt::format("overlaps {} of {}", other.to_string(), other_key));
        for (const auto& [role, port] : named_ports(config))
          for (const Ipv6Prefix& own : port->ipv6_addresses)
            // A pool may be a part of the core network that has none of our addresses.
            if (overlap(prefix, own) &&
                (role != "core" || own.length >= prefix.length || prefix.contains(own.address)))
              document_.error_at(
                  key, fmt::format("overlaps {} of ports.{}.addresses", own.to_string(), role));
        placed.emplace_back(prefix, key);
      }
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
  auto config = parse(*text, file);
  wipe_text(*text);
  return config;
}

std::span<const std::string_view> known_keys() noexcept { return kKeys; }

Networks prefixes_of_pools(const Config& config) {
  Networks all;
  for (const auto& [name, pool] : config.pools) {
    for (const Ipv4Range& range : pool.ranges)
      for (const Ipv4Prefix& prefix : prefixes_of(range)) all.ipv4.push_back(prefix);
    all.ipv6.insert(all.ipv6.end(), pool.ipv6_prefixes.begin(), pool.ipv6_prefixes.end());
  }
  return all;
}

std::string_view name_of(HugePages value) noexcept { return word_of(kHugePages, value); }
std::string_view name_of(IdleMode value) noexcept { return word_of(kIdleModes, value); }
std::string_view name_of(MppeVariant value) noexcept { return word_of(kMppeVariants, value); }
std::string_view name_of(MppeRc4 value) noexcept { return word_of(kMppeRc4s, value); }
std::string_view name_of(Steering value) noexcept { return word_of(kSteerings, value); }
std::string_view name_of(DeviceKind value) noexcept { return word_of(kDeviceKinds, value); }
std::string_view name_of(SendWindow value) noexcept { return word_of(kSendWindows, value); }
std::string_view name_of(AuthMethod value) noexcept { return word_of(kAuthMethods, value); }
std::string_view name_of(EapMethod value) noexcept { return word_of(kEapMethods, value); }
std::string_view name_of(MppePolicy value) noexcept { return word_of(kMppePolicies, value); }
std::string_view name_of(MppeMode value) noexcept { return word_of(kMppeModes, value); }
std::string_view name_of(AaaSource value) noexcept { return word_of(kAaaSources, value); }
std::string_view name_of(OnConflict value) noexcept { return word_of(kOnConflicts, value); }
std::string_view name_of(OnLimit value) noexcept { return word_of(kOnLimits, value); }
std::string_view name_of(LogLevel value) noexcept { return word_of(kLogLevels, value); }
std::string_view name_of(LogFormat value) noexcept { return word_of(kLogFormats, value); }

}  // namespace pns::config
