// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/link_state.hpp"

#include <rte_ethdev.h>

#include "dataplane/port/port.hpp"
#include "pns/host/devices.hpp"

namespace pns::dataplane {
namespace {

int on_event(std::uint16_t id, rte_eth_event_type event, void* faults, void*) noexcept {
  static_cast<DeviceFaults*>(faults)->note(id, event == RTE_ETH_EVENT_INTR_RMV
                                                   ? DeviceFaults::Kind::kRemoved
                                                   : DeviceFaults::Kind::kReset);
  return 0;
}

constexpr rte_eth_event_type kEvents[] = {RTE_ETH_EVENT_INTR_RESET, RTE_ETH_EVENT_INTR_RMV};

}  // namespace

LinkState::LinkState(const Port& port)
    : role_(port.role), ethdev_id_(port.ethdev_id), shared_interface_(port.shared_interface) {}

std::optional<bool> LinkState::ask() const {
  if (!shared_interface_.empty()) return host::has_carrier(shared_interface_);
  rte_eth_link link{};
  if (ethdev_id_ == UINT16_MAX || rte_eth_link_get_nowait(ethdev_id_, &link) != 0)
    return std::nullopt;
  return link.link_status == RTE_ETH_LINK_UP;
}

std::optional<bool> LinkState::poll() {
  const std::optional<bool> now = ask();
  if (!now || up_ == now) return std::nullopt;
  up_ = now;
  return now;
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
