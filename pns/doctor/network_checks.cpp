// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <ranges>
#include <vector>

#include "pns/base/ip_ranges.hpp"
#include "pns/doctor/checks.hpp"
#include "pns/host/devices.hpp"
#include "pns/supervisor/kernel_parameters.hpp"
#include "pns/wire/gre.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ppp.hpp"

namespace pns::doctor {
namespace {

using config::DeviceKind;

constexpr unsigned kEthernetMtu = 1500;
constexpr std::size_t kPingHeader = 8;  // RFC 792
constexpr unsigned kLeastMtu = 576;     // of ppp.mtu
// The octets around ppp.mtu, which MPPE is part of, in the longest packet that the server sends.
constexpr std::size_t kOverhead =
    wire::kPppHeaderMaximum + wire::kGreMaximumSize + wire::kIpv4HeaderSize;

// A setting of an interface. One that pns makes and that is not there yet will have the default.
struct Setting {
  std::string key;  // for sysctl(8)
  std::uint64_t value = 0;
};

// A path below /proc/sys for sysctl(8), which takes a slash for a dot of an interface's name when
// the rest has slashes.
std::string sysctl_text(std::string path) {
  if (path.find('.') == std::string::npos) std::ranges::replace(path, '/', '.');
  return path;
}

std::string sysctl_key(const std::string& family, const std::string& interface,
                       const std::string& name) {
  return sysctl_text(fmt::format("net/{}/conf/{}/{}", family, interface, name));
}

// Whether pns makes the interface, which is there while the server runs.
bool is_made(const config::Port& port) noexcept { return port.has_twin() || port.leads_to_host(); }

std::optional<Setting> setting(const Host& host, const std::string& family,
                               const config::Port& port, const std::string& name) {
  const std::string& interface = interface_of(port);
  const bool there = host.network.find(interface) != nullptr;
  if (!there && !is_made(port)) return std::nullopt;
  const std::string whose = there ? interface : "default";
  const auto value =
      host.read_number(std::filesystem::path("proc/sys/net") / family / "conf" / whose / name);
  if (!value) return std::nullopt;
  return Setting{sysctl_key(family, whose, name), *value};
}

std::uint64_t of_all(const Host& host, const std::string& name) {
  return host.read_number(std::filesystem::path("proc/sys/net/ipv4/conf/all") / name).value_or(0);
}

// The addresses of a port: the kernel's, or those that pns will give the interface.
std::vector<Ipv4Prefix> addresses_of(const config::Port& port, const Host& host) {
  if (is_made(port)) return port.addresses;
  return host.network.addresses_of(interface_of(port));
}

// The routes of the main table.
auto main_routes(const Host& host) {
  return host.network.routes |
         std::views::filter([](const KernelRoute& route) { return route.table == kMainTable; });
}

// The interface of a table's default route. Empty text: there is none.
std::string default_of(std::uint32_t table, const Host& host) {
  const KernelRoute* best = nullptr;
  for (const KernelRoute& route : host.network.routes)
    if (route.table == table && route.to.length == 0 &&
        (best == nullptr || route.metric < best->metric))
      best = &route;
  return best == nullptr ? std::string() : best->interface;
}

// The interface by which the kernel answers from an address of the port when no other route leads
// to the destination. Empty text: there is none. The port's own table stands before the main one; a
// twin's is filled from its gateway.
std::string default_interface(const config::Port& port, const Host& host) {
  if (port.has_twin() && port.gateway) return port.twin;
  if (!port.has_twin() && port.table != 0)
    if (std::string own = default_of(port.table, host); !own.empty()) return own;
  return default_of(kMainTable, host);
}

struct PoolRange {
  const std::string* name;
  Ipv4Range range;

  [[nodiscard]] std::string to_string() const {
    return fmt::format("{}-{} of pools.{}", range.first.to_string(), range.last.to_string(), *name);
  }
};
std::vector<PoolRange> pool_ranges(const config::Config& config) {
  std::vector<PoolRange> all;
  for (const auto& [name, pool] : config.pools)
    for (const Ipv4Range& range : pool.ranges) all.push_back({&name, range});
  return all;
}

Ipv4Range range_of(const Ipv4Prefix& prefix) noexcept { return {prefix.network(), prefix.last()}; }

// Those that lie in a network of the core port, whose hosts ask for them by ARP.
std::vector<PoolRange> ranges_in_core(const config::Config& config, const Host& host) {
  std::vector<PoolRange> inside;
  const auto networks = addresses_of(config.ports.core, host);
  for (const PoolRange& pool : pool_ranges(config))
    if (std::ranges::any_of(networks, [&](const Ipv4Prefix& own) {
          return own.length < 32 && range_of(own).overlaps(pool.range);
        }))
      inside.push_back(pool);
  return inside;
}

// Whether the kernel answers ARP for this range on the core port: its route leaves elsewhere.
bool has_route_elsewhere(const Ipv4Prefix& wanted, const std::string& core, const Host& host) {
  const KernelRoute* best = nullptr;
  for (const KernelRoute& route : main_routes(host))
    if (route.to.length <= wanted.length && route.to.contains(wanted.address) &&
        (best == nullptr || route.to.length > best->to.length))
      best = &route;
  return best != nullptr && best->interface != core;
}

// Whether an interface takes no packets.
bool swallows(const std::string& interface, const Host& host) {
  const Link* link = host.network.find(interface);
  return link != nullptr && link->kind == "dummy";
}

// A route of the kernel by another interface than the core port's.
Finding conflict(const PoolRange& pool, const KernelRoute& route, const Host& host) {
  Finding finding{Verdict::kWarning,
                  fmt::format("the kernel has a route {} by {}, which overlaps {}",
                              route.to.to_string(), route.interface, pool.to_string()),
                  Remedy{.configure = fmt::format("pools.{}.ranges: other addresses", *pool.name)}};
  const bool connected =
      std::ranges::any_of(host.network.addresses_of(route.interface), [&](const Ipv4Prefix& own) {
        return own.network() == route.to.network() && own.length == route.to.length;
      });
  if (connected) {
    finding.verdict = Verdict::kError;
    finding.text += ": hosts of that network have the addresses of subscribers";
    return finding;
  }
  finding.text +=
      ": answers of this host to subscribers leave there, and packets for those that are not up";
  // A route that serves nothing else may go.
  const Ipv4Prefix around = prefix_around(pool.range);
  if (route.to.length >= around.length && around.contains(route.to.address))
    finding.remedy.run = {
        fmt::format("ip route del {} dev {}", route.to.to_string(), route.interface)};
  return finding;
}

// A kernel: port hands every packet to the kernel, which routes.
void check_host_forwards(bool has_ipv6, const Host& host, Findings& out) {
  if (host.read_number("proc/sys/net/ipv4/ip_forward").value_or(1) == 0)
    out.push_back({Verdict::kError,
                   "net.ipv4.ip_forward is 0: subscribers reach this host and nothing beyond it",
                   Remedy{.run = {"sysctl -w net.ipv4.ip_forward=1"}}});
  if (has_ipv6 && host.read_number("proc/sys/net/ipv6/conf/all/forwarding").value_or(1) == 0)
    out.push_back({Verdict::kError,
                   "net.ipv6.conf.all.forwarding is 0: subscribers reach nothing beyond this host "
                   "by IPv6",
                   Remedy{.run = {"sysctl -w net.ipv6.conf.all.forwarding=1"}}});
}

}  // namespace

Findings check_rp_filter(const config::Config& config, const Host& host) {
  Findings out;
  for (const config::Port* port : {&config.ports.access, &config.ports.core}) {
    const std::string default_route = default_interface(*port, host);
    const std::string& interface = interface_of(*port);
    const auto own = setting(host, "ipv4", *port, "rp_filter");
    if (!own) {
      out.push_back({Verdict::kSkipped, fmt::format("no interface {}", interface)});
      continue;
    }
    const std::uint64_t all = of_all(host, "rp_filter");
    const std::uint64_t effective = std::max(all, own->value);
    const std::string values =
        fmt::format("{}: {} (all {}, {} {})", interface, effective, all, own->key, own->value);
    if (effective != 1) {
      out.push_back({Verdict::kOk, values});
      continue;
    }
    const bool access = port == &config.ports.access;
    if (port->leads_to_host()) {
      out.push_back({Verdict::kOk, values + ", and subscribers are reached by this interface"});
      continue;
    }
    // The kernel takes a client for real only where the answer leaves by the same interface.
    if (access && (default_route.empty() || default_route == interface)) {
      out.push_back({Verdict::kOk, values + ", and clients are reached by this interface"});
      continue;
    }
    const Remedy remedy{.run = {fmt::format("sysctl -w {}=2", own->key)}};
    if (access)
      out.push_back(
          {Verdict::kError,
           fmt::format(
               "{}: strict, but the default route leaves by {}: TCP 1723 from clients of other "
               "networks is dropped",
               values, default_route),
           remedy});
    else if (default_route != interface)
      out.push_back(
          {Verdict::kWarning,
           fmt::format(
               "{}: strict: packets to this host from networks without a route by {} are dropped",
               values, interface),
           remedy});
    else
      out.push_back({Verdict::kOk, values + ", and the default route leaves by it"});
  }
  return out;
}

Findings check_forwarding(const config::Config& config, const Host& host) {
  Findings out;
  for (const config::Port* port : {&config.ports.access, &config.ports.core}) {
    const std::string interface = host::interface_of_vdev(port->device.text);
    if (port->device.kind != DeviceKind::kVdev || interface.empty()) continue;
    const auto forwards = host.read_number(std::filesystem::path("proc/sys/net/ipv4/conf") /
                                           interface / "forwarding");
    if (forwards.value_or(0) != 0)
      out.push_back(
          {Verdict::kError,
           fmt::format(
               "the kernel forwards packets of {}, which the dataplane forwards too: each arrives "
               "twice",
               interface),
           Remedy{.run = {fmt::format("sysctl -w {}=0",
                                      sysctl_key("ipv4", interface, "forwarding"))}}});
  }
  const bool has_ipv6 = std::ranges::any_of(
      config.pools, [](const auto& pool) { return !pool.second.ipv6_prefixes.empty(); });
  if (config.ports.core.leads_to_host()) {
    check_host_forwards(has_ipv6, host, out);
    if (out.empty())
      out.push_back({Verdict::kOk, fmt::format("the kernel routes what comes by {}",
                                               config.ports.core.device.interface)});
    return out;
  }
  // pns sets it on a twin itself.
  if (has_ipv6 && !config.ports.core.has_twin())
    if (const auto own = setting(host, "ipv6", config.ports.core, "forwarding");
        own && own->value == 0)
      out.push_back(
          {Verdict::kWarning,
           fmt::format("{} is 0: neighbours take this host for no router of the IPv6 prefixes",
                       own->key),
           Remedy{.run = {fmt::format("sysctl -w {}=1", own->key)}}});
  if (out.empty())
    out.push_back(
        {Verdict::kOk, fmt::format("not needed: the dataplane forwards (net.ipv4.ip_forward is {})",
                                   host.read_number("proc/sys/net/ipv4/ip_forward").value_or(0))});
  return out;
}

// The parameters that pns sets on its own interfaces, which are there while the server runs.
Findings check_parameters(const config::Config& config, const Host& host) {
  Findings out;
  const auto wanted = supervisor::parameters_of(config);
  bool is_there = false;
  for (const supervisor::KernelParameter& parameter : wanted) {
    const auto value = host.read("proc/sys/" + parameter.path);
    if (!value) continue;
    is_there = true;
    if (*value == parameter.value) continue;
    const std::string key = sysctl_text(parameter.path);
    out.push_back({Verdict::kWarning,
                   fmt::format("{} is {}: {}; the server's log has `kernel parameter not set`, or "
                               "it was changed since",
                               key, *value, parameter.otherwise),
                   Remedy{.run = {fmt::format("sysctl -w {}={}", key, parameter.value)}}});
  }
  if (!wanted.empty() && host.is_root && !host.parameters_writable)
    out.push_back(
        {out.empty() && is_there ? Verdict::kOk : Verdict::kWarning,
         fmt::format("/proc/sys/net cannot be written: {} parameters of the server's interfaces "
                     "stay as the kernel has them",
                     wanted.size()),
         out.empty() && is_there
             ? Remedy{}
             : Remedy{.advice = "mount /proc/sys for writing, or set `default` from outside"}});
  if (out.empty())
    out.push_back(is_there ? Finding{Verdict::kOk, "interfaces of the server have what they need"}
                  : wanted.empty()
                      ? Finding{Verdict::kOk, "the server makes no interface"}
                      : Finding{Verdict::kOk, "the server can set those of its interfaces"});
  return out;
}

Findings check_mtu(const config::Config& config, const Host& host) {
  Findings out;
  const std::size_t outer = config.ppp.mtu + kOverhead;
  const auto test = fmt::format("a path that carries less: ping -M do -s {} CLIENT tells",
                                outer - wire::kIpv4HeaderSize - kPingHeader);
  for (const auto& [port, needed, why] :
       {std::tuple{&config.ports.access, outer,
                   fmt::format("outer packets of ppp.mtu {} have up to {} octets ({} of PPP, {} of "
                               "GRE, {} of IPv4)",
                               config.ppp.mtu, outer, wire::kPppHeaderMaximum,
                               wire::kGreMaximumSize, wire::kIpv4HeaderSize)},
        {&config.ports.core, std::size_t{config.ppp.mtu},
         fmt::format("packets of subscribers have up to {} octets", config.ppp.mtu)}}) {
    const std::string& interface = interface_of(*port);
    const Link* link = host.network.find(interface);
    const bool access = port == &config.ports.access;
    if (link == nullptr) {
      out.push_back({Verdict::kSkipped,
                     fmt::format("{}; {} is {}", why, interface,
                                 is_made(*port) ? "there while the server runs" : "no interface")});
    } else if (link->mtu < needed) {
      // A twin takes its MTU from the device: of ports.*.mtu, or of the interface below it.
      const std::string below = host::interface_of_vdev(port->device.text);
      Remedy remedy;
      if (is_made(*port) && below.empty())
        remedy.configure = fmt::format("ports.{}.mtu: {}", access ? "access" : "core", needed);
      else
        remedy.run = {
            fmt::format("ip link set {} mtu {}", below.empty() ? interface : below, needed)};
      if (access && remedy.configure.empty() && link->mtu >= kOverhead + kLeastMtu)
        remedy.configure = fmt::format("ppp.mtu: {}", link->mtu - kOverhead);
      out.push_back(
          {Verdict::kWarning,
           fmt::format("{}: MTU {}, but {}: they are fragmented", interface, link->mtu, why),
           std::move(remedy)});
    } else if (link->mtu > kEthernetMtu && port->device.kind == DeviceKind::kXdp) {
      out.push_back(
          {Verdict::kWarning,
           fmt::format("{}: MTU {}: a frame longer than a packet buffer is lost, and a driver may "
                       "refuse XDP",
                       interface, link->mtu),
           Remedy{.run = {fmt::format("ip link set {} mtu {}", interface, kEthernetMtu)}}});
    } else {
      out.push_back({Verdict::kOk, fmt::format("{}: MTU {}; {}{}", interface, link->mtu, why,
                                               access ? "; " + test : std::string())});
    }
  }
  return out;
}

Findings check_routes(const config::Config& config, const Host& host) {
  Findings out;
  const std::string& access = interface_of(config.ports.access);
  const std::string& core = interface_of(config.ports.core);
  const std::string way = default_interface(config.ports.access, host);
  if (way != access)
    out.push_back(
        {Verdict::kWarning,
         way.empty() ? "no default route: only clients of connected networks are answered"
                     : fmt::format("the default route leaves by {}: GRE reaches only clients of "
                                   "networks with a route by {}",
                                   way, access),
         config.ports.access.has_twin()
             ? Remedy{.configure = "ports.access.gateway: the router of the access network"}
         : way.empty()
             ? Remedy{.run = {fmt::format("ip route add default via GATEWAY dev {}", access)}}
             : Remedy{.configure = "ports.access.table: 1723",
                      .advice = fmt::format("a default route by {} in that table", access)}});
  const auto own = addresses_of(config.ports.core, host);
  if (own.empty())
    out.push_back(
        {Verdict::kError,
         fmt::format("{} has no IPv4 address: no router can send packets for subscribers to it",
                     core),
         config.ports.core.has_twin()
             ? Remedy{.configure = "ports.core.addresses: [ADDRESS/LENGTH]"}
             : Remedy{.run = {fmt::format("ip address add ADDRESS/LENGTH dev {}", core)}}});
  for (const PoolRange& pool : pool_ranges(config))
    for (const KernelRoute& route : main_routes(host))
      if (route.to.length != 0 && route.interface != core && !swallows(route.interface, host) &&
          range_of(route.to).overlaps(pool.range))
        out.push_back(conflict(pool, route, host));
  if (!out.empty()) return out;
  if (config.ports.core.leads_to_host()) {
    out.push_back(
        {Verdict::kOk, fmt::format("every pool is routed to {} while the server runs; the "
                                   "routers of other networks need routes to the pools, "
                                   "or this host translates addresses (docs/one-nic.md)",
                                   core)});
    return out;
  }
  const auto inside = ranges_in_core(config, host);
  std::vector<std::string> wanted;
  for (const PoolRange& pool : pool_ranges(config)) {
    const bool is_inside = std::ranges::any_of(
        inside, [&](const PoolRange& other) { return other.range == pool.range; });
    if (!is_inside)
      wanted.push_back(fmt::format("ip route add {} via {}", prefix_around(pool.range).to_string(),
                                   own.front().address.to_string()));
  }
  if (wanted.empty()) {
    out.push_back({Verdict::kOk, "every pool lies in a core network: see proxy-arp"});
    return out;
  }
  out.push_back(
      {Verdict::kOk,
       fmt::format("no route of this host is in the way; the routers of the core network need: {}",
                   fmt::join(wanted, "; "))});
  return out;
}

// The server answers ARP for the addresses that sessions have. A kernel that answers too does so
// for all of them, and while no server runs.
Findings check_proxy_arp(const config::Config& config, const Host& host) {
  const auto inside = ranges_in_core(config, host);
  if (inside.empty())
    return {{Verdict::kOk, "not needed: no pool lies in a network of the core port"}};
  const std::string& core = interface_of(config.ports.core);
  std::vector<std::string> names;
  bool has_way = false;
  for (const PoolRange& pool : inside) {
    names.push_back(pool.to_string());
    for (const Ipv4Prefix& prefix : prefixes_of(pool.range))
      has_way = has_way || has_route_elsewhere(prefix, core, host);
  }
  const std::string where = fmt::format("{} lies in a network of {}", fmt::join(names, ", "), core);
  const auto proxy = setting(host, "ipv4", config.ports.core, "proxy_arp");
  const auto forwards = setting(host, "ipv4", config.ports.core, "forwarding");
  const bool of_core = proxy && proxy->value != 0;
  const bool of_host = of_all(host, "proxy_arp") != 0;
  // The kernel answers only where it forwards, and where its own route leaves by another interface.
  if (!has_way || !forwards || forwards->value == 0 || (!of_core && !of_host))
    return {
        {Verdict::kOk, fmt::format("{}, and the server answers ARP for addresses in use", where)}};
  Remedy remedy;
  if (of_core) remedy.run.push_back(fmt::format("sysctl -w {}=0", proxy->key));
  if (of_host) remedy.run.emplace_back("sysctl -w net.ipv4.conf.all.proxy_arp=0");
  return {{Verdict::kWarning,
           fmt::format("{}: the kernel answers ARP for it too, also for addresses that no client "
                       "has; the server needs no proxy_arp",
                       where),
           std::move(remedy)}};
}

}  // namespace pns::doctor
