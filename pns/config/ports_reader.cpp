// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/ports_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "pns/config/words.hpp"

namespace pns::config {
namespace {

constexpr std::size_t kMinBondMembers = 2;
constexpr std::size_t kMaxBondMembers = 8;

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

class PortsReader {
 public:
  explicit PortsReader(Document& document) : document_(document) {}

  void read(const Section& top, Ports& out) {
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

 private:
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

  Document& document_;
};

}  // namespace

void read_ports(const Section& top, Document& document, Ports& out) {
  PortsReader(document).read(top, out);
}

}  // namespace pns::config
