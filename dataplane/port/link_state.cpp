// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/link_state.hpp"

#include <rte_eth_bond.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <chrono>

#include "dataplane/port/port.hpp"
#include "pns/host/devices.hpp"
#include "pns/privilege/confinement.hpp"

namespace pns::dataplane {
namespace {

int on_event(std::uint16_t id, rte_eth_event_type event, void* faults, void*) noexcept {
  static_cast<DeviceFaults*>(faults)->note(id, event == RTE_ETH_EVENT_INTR_RMV
                                                   ? DeviceFaults::Kind::kRemoved
                                                   : DeviceFaults::Kind::kReset);
  return 0;
}

constexpr std::chrono::seconds kInterval{1};
constexpr std::chrono::milliseconds kMemberInterval{50};
constexpr std::size_t kMaxWaiting = 64;
constexpr rte_eth_event_type kEvents[] = {RTE_ETH_EVENT_INTR_RESET, RTE_ETH_EVENT_INTR_RMV};

}  // namespace

LinkState::LinkState(const Port& port)
    : role_(port.role), shared_interface_(port.shared_interface) {
  for (const BondMember& member : port.members) ethdev_ids_.push_back(member.ethdev_id);
  if (port.members.empty() && port.ethdev_id != UINT16_MAX) ethdev_ids_.push_back(port.ethdev_id);
}

std::optional<bool> LinkState::ask() const {
  if (!shared_interface_.empty()) return host::has_carrier(shared_interface_);
  std::optional<bool> any;
  for (const std::uint16_t id : ethdev_ids_)
    if (rte_eth_link link{}; rte_eth_link_get_nowait(id, &link) == 0)
      any = any.value_or(false) || link.link_status == RTE_ETH_LINK_UP;
  return any;
}

std::optional<bool> LinkState::poll() {
  const std::optional<bool> now = ask();
  if (!now || up_ == now) return std::nullopt;
  up_ = now;
  return now;
}

void LinkWatch::add(const Port& port) {
  links_.emplace_back(port);
  if (port.members.empty() || port.on_others_device) return;
  WatchedBond bond{port.ethdev_id, !port.lacp, {}};
  for (const BondMember& member : port.members)
    bond.members.push_back({{port.role, member.name, true}, member.ethdev_id});
  bonds_.push_back(std::move(bond));
}

void LinkWatch::start() {
  thread_ = std::thread([this] { run(); });
}

LinkWatch::~LinkWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void LinkWatch::run() {
  privilege::drop_capabilities();
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    for (LinkState& link : links_)
      if (const auto up = link.poll())
        seen_[static_cast<std::size_t>(link.role())] =
            *up ? contract::PortLink::kUp : contract::PortLink::kDown;
    lock.lock();
    const auto next = std::chrono::steady_clock::now() + kInterval;
    while (!bonds_.empty() && !stop_ && std::chrono::steady_clock::now() < next) {
      lock.unlock();
      for (WatchedBond& bond : bonds_) poll_bond(bond);
      lock.lock();
      wake_.wait_for(lock, kMemberInterval, [this] { return stop_; });
    }
    wake_.wait_until(lock, next, [this] { return stop_; });
  }
}

void LinkWatch::poll_bond(WatchedBond& bond) {
  for (WatchedMember& member : bond.members) {
    rte_eth_link link{};
    if (rte_eth_link_get_nowait(member.ethdev_id, &link) != 0) continue;
    const bool up = link.link_status == RTE_ETH_LINK_UP;
    member.polls_down = up ? 0 : member.polls_down + 1;
    if (up == member.told.up) continue;
    const std::lock_guard lock(mutex_);
    if (members_changed_.size() >= kMaxWaiting) continue;
    member.told.up = up;
    members_changed_.push_back(member.told);
  }
  if (!bond.active_backup) return;
  // DPDK's bond changes over when the member's driver raises an event. net_tap raises none, and an
  // event may be lost: where a second look finds the dead member active still, another one is made
  // so. Members then get their addresses again, as DPDK does it.
  const int active = rte_eth_bond_primary_get(bond.ethdev_id);
  const auto dead = std::ranges::find(bond.members, active, &WatchedMember::ethdev_id);
  if (dead == bond.members.end() || dead->polls_down < 2) return;
  const auto alive = std::ranges::find(bond.members, 0U, &WatchedMember::polls_down);
  if (alive == bond.members.end() ||
      rte_eth_bond_primary_set(bond.ethdev_id, alive->ethdev_id) != 0)
    return;
  rte_ether_addr mac{};
  if (rte_eth_macaddr_get(bond.ethdev_id, &mac) == 0)
    (void)rte_eth_bond_mac_address_set(bond.ethdev_id, &mac);
}

std::optional<LinkWatch::MemberLink> LinkWatch::member_changed() {
  const std::lock_guard lock(mutex_);
  if (members_changed_.empty()) return std::nullopt;
  MemberLink first = std::move(members_changed_.front());
  members_changed_.pop_front();
  return first;
}

std::optional<bool> LinkWatch::changed(contract::PortRole role) noexcept {
  const auto index = static_cast<std::size_t>(role);
  const contract::PortLink now = seen_[index].load();
  if (now == told_[index]) return std::nullopt;
  told_[index] = now;
  return now == contract::PortLink::kUp;
}

bool DeviceFaults::watch() noexcept {
  watching_ = true;
  for (const rte_eth_event_type event : kEvents)
    if (rte_eth_dev_callback_register(RTE_ETH_ALL, event, on_event, this) != 0) return false;
  return true;
}

DeviceFaults::~DeviceFaults() {
  if (!watching_) return;
  for (const rte_eth_event_type event : kEvents)
    (void)rte_eth_dev_callback_unregister(RTE_ETH_ALL, event, on_event, this);
}

void DeviceFaults::note(std::uint16_t ethdev_id, Kind kind) noexcept {
  std::uint64_t none = 0;
  first_.compare_exchange_strong(none, static_cast<std::uint64_t>(kind) << 16 | ethdev_id);
}

DeviceFaults::Fault DeviceFaults::first() const noexcept {
  const std::uint64_t first = first_.load();
  return {static_cast<std::uint16_t>(first), static_cast<Kind>(first >> 16)};
}

}  // namespace pns::dataplane
