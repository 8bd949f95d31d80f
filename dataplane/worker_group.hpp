// SPDX-License-Identifier: BSD-3-Clause
//
// WorkerGroup: all workers of the process with everything around them: rings to main, to each
// other, to the twins and to services of the host. The calls of the start come in the order in
// which they stand here. Main thread only; workers run on their lcores from launch() to stop().
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/control/endpoint.hpp"
#include "dataplane/packet/doorbell.hpp"
#include "dataplane/port/port_set.hpp"
#include "dataplane/port/twin_bridge.hpp"
#include "dataplane/routing/next_hops.hpp"
#include "dataplane/session/session_table.hpp"
#include "dataplane/worker/worker.hpp"
#include "dataplane/worker/worker_loop.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"

namespace pns::dataplane {

class WorkerGroup {
 public:
  // Descriptors of the supervisor's grant: TAPs by PortRole, and the TUN of services; empty: none.
  struct Twins {
    std::span<UniqueFd> taps;
    UniqueFd* services = nullptr;
  };

  WorkerGroup() = default;
  ~WorkerGroup() { stop(); }
  WorkerGroup(const WorkerGroup&) = delete;
  WorkerGroup& operator=(const WorkerGroup&) = delete;

  // --- start; each throws std::runtime_error with one line ---
  // Each worker's place, with its rings to main and to every other worker.
  void make_places(const config::Config& config, rte_mempool* pool);
  // The queues of the ports go to the workers, and rings join workers and twins. The first worker
  // sends what the kernel has for a port. Result: the other ends of the rings.
  [[nodiscard]] std::array<TwinBridge::Twin, TwinBridge::kTwins> connect_twins(const PortSet& ports,
                                                                               Twins twins,
                                                                               bool one_link);
  // Frames of the core network that the kernel has enter here, by the first worker.
  [[nodiscard]] rte_ring* connect_lan();
  // `settings` completes what is the same for all workers, and `idle` says how one waits.
  void make_workers(SessionTable& sessions, RoutingTables routing,
                    const std::function<void(WorkerConfig&)>& settings,
                    const std::function<WorkerLoop::Settings(WorkerId)>& idle);
  void launch();

  // The workers leave their loops; returns when all have.
  void stop() noexcept;
  // After stop(): nobody else may know their doorbells any more.
  void clear() noexcept { places_.clear(); }

  [[nodiscard]] std::uint16_t size() const noexcept {
    return static_cast<std::uint16_t>(places_.size());
  }
  [[nodiscard]] Doorbell& first_doorbell() noexcept { return places_.front()->doorbell; }
  [[nodiscard]] std::vector<Endpoint::WorkerLine> lines();

 private:
  // One worker with everything around it.
  struct Place {
    unsigned lcore = 0;
    Doorbell doorbell;
    std::unique_ptr<Worker> worker;
    std::unique_ptr<WorkerLoop> loop;
    WorkerConfig config;
  };

  void join_workers();
  void connect_port(const Port& port, std::size_t worker, TwinBridge::Twin& twin, bool only_writes);
  void connect_services(TwinBridge::Twin& services);
  [[nodiscard]] rte_ring* punt_ring(const std::string& name, PuntClass punt_class,
                                    contract::PortRole role) const;

  rte_mempool* pool_ = nullptr;
  std::vector<std::unique_ptr<Place>> places_;
};

}  // namespace pns::dataplane
