// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/bond.hpp"

#include <fmt/format.h>
#include <rte_alarm.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <array>

#include "dataplane/port/device_check.hpp"
#include "dataplane/port/queue.hpp"

namespace pns::dataplane {
namespace {

constexpr std::uint64_t kLacpIntervalUs = 50'000;
// DPDK's numbers of the modes.
constexpr int kModeActiveBackup = 1;
constexpr int kMode8023ad = 4;

// One for each port: the alarm thread has its address.
std::array<TxQueue, contract::kPorts> lacp_queues;

void on_lacp_alarm(void* queue) {
  (void)static_cast<TxQueue*>(queue)->tx_burst({});
  (void)rte_eal_alarm_set(kLacpIntervalUs, on_lacp_alarm, queue);
}

std::expected<std::uint16_t, std::string> find_port(const std::string& name) {
  std::uint16_t id = 0;
  if (rte_eth_dev_get_port_by_name(name.c_str(), &id) != 0)
    return std::unexpected(
        fmt::format("DPDK has no driver for {}, or it is not bound to vfio-pci", name));
  return id;
}

// A PCI device was probed by EAL.
std::expected<BondMember, std::string> make_member(const std::string& text) {
  const auto comma = text.find(',');
  BondMember member{.name = text.substr(0, comma)};
  if (text.starts_with("net_")) {
    const std::string arguments = comma == std::string::npos ? "" : text.substr(comma + 1);
    if (const int error = rte_eal_hotplug_add("vdev", member.name.c_str(), arguments.c_str());
        error != 0)
      return std::unexpected(
          fmt::format("DPDK cannot make {}: {}", member.name, rte_strerror(-error)));
  }
  const auto id = find_port(member.name);
  if (!id) return std::unexpected(id.error());
  member.ethdev_id = *id;
  return member;
}

}  // namespace

std::expected<Bond, std::string> make_bond(contract::PortRole role, const config::Device& device) {
  Bond bond;
  const bool lacp = device.bond_mode == config::BondMode::kLacp;
  std::string arguments = lacp ? fmt::format("mode={},xmit_policy=l34", kMode8023ad)
                               : fmt::format("mode={}", kModeActiveBackup);
  for (const std::string& text : device.members) {
    auto member = make_member(text);
    if (!member) return std::unexpected(member.error());
    arguments += ",slave=" + member->name;
    bond.members.push_back(std::move(*member));
  }
  const std::string name = "net_bonding_" + role_name(role);
  if (const int error = rte_eal_hotplug_add("vdev", name.c_str(), arguments.c_str()); error != 0)
    return std::unexpected(fmt::format("DPDK cannot make a bond: {}", rte_strerror(-error)));
  const auto id = find_port(name);
  if (!id) return std::unexpected(id.error());
  bond.ethdev_id = *id;
  return bond;
}

void start_lacp(contract::PortRole role, std::uint16_t ethdev_id, std::uint16_t queue,
                bool shared) {
  TxQueue& own = lacp_queues[static_cast<std::size_t>(role)];
  own = TxQueue::ethdev(ethdev_id, queue, shared);
  (void)rte_eal_alarm_set(kLacpIntervalUs, on_lacp_alarm, &own);
}

void stop_lacp(contract::PortRole role) noexcept {
  (void)rte_eal_alarm_cancel(on_lacp_alarm, &lacp_queues[static_cast<std::size_t>(role)]);
}

}  // namespace pns::dataplane
