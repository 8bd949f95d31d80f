// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/link_state.hpp"

#include <rte_ethdev.h>

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
    wake_.wait_for(lock, kInterval, [this] { return stop_; });
  }
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
