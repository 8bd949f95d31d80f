// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/port_set.hpp"

#include <fmt/format.h>
#include <rte_lcore.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "dataplane/port/device_check.hpp"
#include "pns/log/log.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;

std::string_view steering_text(const contract::PortSteering& steering) {
  switch (steering.way) {
    case contract::SteeringWay::kKey:
      return "gre_key rules";
    case contract::SteeringWay::kRss:
      return steering.hashed == contract::HashedAddresses::kDestination
                 ? "rss prediction by destination"
                 : "rss prediction by both addresses";
    case contract::SteeringWay::kHandOver:
      break;
  }
  return "hand-over";
}

void log_port(const Port& port) {
  log::info("port open", {{"port", port.role == PortRole::kAccess ? "access" : "core"},
                          {"device", port.device},
                          {"mac", to_string(port.mac)},
                          {"rx_queues", port.rx_queues.size()},
                          {"steering", steering_text(port.steering)},
                          {"no_key_rules", port.no_key_rules.empty() ? "-" : port.no_key_rules},
                          {"mtu", port.mtu},
                          {"multicast", port.no_multicast.empty() ? "all" : port.no_multicast},
                          {"xdp", port.xdp_mode.empty() ? "-" : port.xdp_mode},
                          {"zero_copy", port.zero_copy},
                          {"vlan", port.vlan.count == 0 ? "-" : port.vlan.to_string()},
                          {"twin", port.has_twin ? port.kernel_interface : "none"}});
}

// A worker on another node than the NIC reads each packet over the interconnect.
void warn_of_numa(const Port& port, const std::vector<std::uint16_t>& lcores) {
  if (port.numa_node < 0) return;
  for (const std::uint16_t lcore : lcores)
    if (const unsigned node = rte_lcore_to_socket_id(lcore);
        node != static_cast<unsigned>(port.numa_node))
      log::warn("worker on another NUMA node than a port", {{"port", role_name(port.role)},
                                                            {"device", port.device},
                                                            {"port_node", port.numa_node},
                                                            {"lcore", lcore},
                                                            {"lcore_node", node}});
}

}  // namespace

PortSet::LossWatch::LossWatch(const Port& port, contract::SessionMemoryHeader& header)
    : statistics(port), book(header.port_losses[index_of(port.role)], port.device) {
  book.take(statistics.read());
}

std::expected<void, std::string> PortSet::open(const config::Config& config,
                                               std::span<UniqueFd> wires, rte_mempool* pool,
                                               contract::SessionMemoryHeader& header) {
  header_ = &header;
  if (!faults_.watch()) return std::unexpected("DPDK takes no callback for device events");
  for (const PortRole role : kPortRoles) {
    if (role == PortRole::kCore && config.ports.one_device()) {
      (*this)[role] = port_on_device_of((*this)[PortRole::kAccess], config);
      continue;
    }
    auto opened = open_port(role, config, std::move(wires[index_of(role)]), pool);
    if (!opened) return std::unexpected(std::move(opened.error()));
    (*this)[role] = std::move(*opened);
  }
  for (const Port& opened : ports_) {
    losses_.emplace_back(opened, header);
    links_.add(opened);
    log_port(opened);
    warn_of_numa(opened, config.dataplane.cores.workers);
  }
  return {};
}

void PortSet::read_losses() {
  for (LossWatch& watched : losses_) watched.book.take(watched.statistics.read());
}

std::vector<PortSet::LinkChange> PortSet::take_link_changes() {
  while (const auto member = links_.member_changed())
    log::warn("port member link", {{"port", role_name(member->role)},
                                   {"member", member->name},
                                   {"state", member->up ? "up" : "down"}});
  std::vector<LinkChange> changes;
  for (const PortRole role : kPortRoles) {
    const auto changed = links_.changed(role);
    if (!changed) continue;
    changes.push_back({role, *changed});
    header_->port_link[index_of(role)].set(
        static_cast<std::uint64_t>(*changed ? contract::PortLink::kUp : contract::PortLink::kDown));
    log::info("port link", {{"port", role_name(role)},
                            {"device", (*this)[role].device},
                            {"state", *changed ? "up" : "down"}});
  }
  return changes;
}

std::optional<std::string> PortSet::fault() {
  const DeviceFaults::Fault fault = faults_.first();
  if (fault.kind == DeviceFaults::Kind::kNone) return std::nullopt;
  const auto found = std::ranges::find_if(ports_, [&](const Port& opened) {
    return opened.ethdev_id == fault.ethdev_id ||
           std::ranges::find(opened.members, fault.ethdev_id, &BondMember::ethdev_id) !=
               opened.members.end();
  });
  if (found == ports_.end()) {
    faults_.ignore_first();
    return std::nullopt;
  }
  return fmt::format(
      "port {} ({}): the device {}", role_name(found->role), found->device,
      fault.kind == DeviceFaults::Kind::kRemoved ? "was removed" : "asks for a reset");
}

}  // namespace pns::dataplane
