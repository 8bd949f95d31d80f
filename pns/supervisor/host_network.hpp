// SPDX-License-Identifier: BSD-3-Clause
//
// HostNetwork: what the server has in the kernel's network: TAPs of the ports and their twins, the
// TUN of services, the interface of a kernel: port, rules, routes of sessions, and requests for
// neighbours. The planes ask for changes; they are believed nothing. A part of the Supervisor, in
// its thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pns/base/networks.hpp"
#include "pns/base/time.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"
#include "pns/log/log.hpp"
#include "pns/netlink/neighbour_request.hpp"
#include "pns/supervisor/handover.hpp"
#include "pns/supervisor/kernel_net.hpp"
#include "pns/supervisor/services_interface.hpp"
#include "pns/supervisor/session_routes.hpp"
#include "pns/supervisor/snapshot.hpp"
#include "pns/supervisor/ways_back.hpp"

namespace pns::supervisor {

class HostNetwork {
 public:
  using Result = std::expected<void, std::string>;

  // `config` must outlive this; a resumed supervisor changes its ports before resume().
  explicit HostNetwork(const config::Config& config) : config_(config), kernel_ways_(config) {}

  // --- the beginning ---
  // Makes all of it, and removes things that a run left when it was killed. `sessions`: the most
  // that there can be. After an error call remove().
  [[nodiscard]] Result open(std::uint32_t sessions);
  // Instead of that: what an earlier supervisor of this process left. take() owns the descriptors
  // and cannot fail; reopen() opens what is not handed over; resume() follows once the ports of the
  // configuration are known. `dataplane`: the configuration that the dataplane runs with; null:
  // unknown. No call hangs on services: a failure is logged.
  void take(const HandOver& state);
  [[nodiscard]] Result reopen(bool control_runs);
  void resume(const Snapshot::Pointer& dataplane, std::uint32_t sessions);
  // For the next supervisor: the changes that wait are made, and the descriptors are named.
  void describe(HandOver& state) const;
  void flush(TimePoint now) { ways_back_.flush(now); }

  // --- what the dataplane is given ---
  [[nodiscard]] bool has_wire(std::uint32_t role) const { return wires_.at(role).get() >= 0; }
  [[nodiscard]] bool has_twin(std::uint32_t role) const { return twins_.at(role).get() >= 0; }
  [[nodiscard]] bool has_services() const noexcept { return services_.get() >= 0; }
  // The descriptor that goes with a grant; -1: none.
  [[nodiscard]] int fd_for(const contract::SupervisorMessage& message) const;

  // --- the planes start, serve and end ---
  // `configuration`: what the dataplane starts with; null: the file.
  void on_dataplane_start(const Snapshot::Pointer& configuration);
  // `configuration`: what it serves with; null: unknown.
  void on_dataplane_ready(const Snapshot::Pointer& configuration);
  void on_control_ready() { session_routes_.forget_others(); }
  void on_control_end() { session_routes_.expect_again(); }

  // --- requests of the planes ---
  // False: there is no such twin, and no answer. Error: the first configuration of it failed.
  [[nodiscard]] std::expected<bool, std::string> set_twin(
      const contract::SupervisorMessage& message);
  void ask_neighbour(const contract::SupervisorMessage& message, TimePoint now);
  void set_way_back(const contract::SupervisorMessage& message, TimePoint now);
  void set_session_route(const contract::SupervisorMessage& message, TimePoint now) {
    session_routes_.set(message.text.data(), message.value != 0, now);
  }

  // --- time ---
  [[nodiscard]] std::optional<TimePoint> next_due() const noexcept { return ways_back_.next_due(); }
  void on_timer(TimePoint now) { ways_back_.on_timer(now); }

  // --- the end ---
  // Rules, routes and the interface of a kernel: port; TAPs and the TUN go with their descriptors.
  // Nothing where nothing was made.
  void remove();

 private:
  // The kernel's routes of ways_back_.
  class KernelWays final : public WaysBack::Kernel {
   public:
    explicit KernelWays(const config::Config& config) : config_(config) {}
    [[nodiscard]] std::expected<void, std::string> add(const Networks& prefix) override {
      return add_way_back(config_.ports.core, prefix);
    }
    void remove(const Networks& prefix) override { remove_way_back(config_.ports.core, prefix); }

   private:
    const config::Config& config_;
  };

  [[nodiscard]] Result open_taps();
  [[nodiscard]] Result open_kernel_port();
  [[nodiscard]] Result open_services();
  [[nodiscard]] Result open_services_routes();
  [[nodiscard]] Result open_neighbour_requests();
  [[nodiscard]] Result open_session_routes();
  void refresh_services(const Snapshot::Pointer& configuration);
  void forget_ways_back();
  void resume_ways_back(const config::Config& config);
  void resume_services();
  [[nodiscard]] const config::Port& port(std::uint32_t role) const noexcept {
    return role == static_cast<std::uint32_t>(contract::PortRole::kAccess) ? config_.ports.access
                                                                           : config_.ports.core;
  }
  // That rules of ours name.
  [[nodiscard]] std::vector<std::string> our_interfaces() const {
    return {config_.ports.access.twin, config_.ports.core.twin,
            config_.ports.core.services.interface};
  }

  const config::Config& config_;
  std::array<UniqueFd, contract::kPorts> wires_;
  std::array<UniqueFd, contract::kPorts> twins_;
  std::array<bool, contract::kPorts> twin_configured_{};
  UniqueFd services_;                // empty: they are off
  OwnAddresses services_addresses_;  // that the interface of services has
  OwnAddresses kernel_port_addresses_;
  Networks kernel_port_pools_;  // that have a route by the interface of a kernel: port
  bool made_ = false;           // rules, and the interface of a kernel: port
  std::optional<netlink::NeighbourRequests> neighbour_requests_;
  log::RateLimit neighbour_budget_{1000, Seconds(1)};  // requests of the dataplane
  log::RateLimit neighbour_log_{1, Seconds(1)};
  NetlinkRoutes kernel_routes_;
  NetlinkRoutes services_routes_;  // the second place, while services are on
  SessionRoutes session_routes_{kernel_routes_};
  KernelWays kernel_ways_;
  WaysBack ways_back_{kernel_ways_};
};

}  // namespace pns::supervisor
