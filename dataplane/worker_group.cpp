// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker_group.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "dataplane/pipeline/classify.hpp"
#include "dataplane/start/need.hpp"
#include "dataplane/start/pools.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;

constexpr unsigned kRingSize = 1024;
constexpr unsigned kLanRingSize = 256;
constexpr unsigned kResolveRingSize = 256;  // as many packets as a worker may ask for at once

int run_worker(void* argument) {
  static_cast<WorkerLoop*>(argument)->run();
  return 0;
}

// Frames of a class that may wait in one worker's ring to the twin of a port. The numbers of
// punt_classes.def are those of a worker with 16,384 buffers; one with fewer gets its share, so
// that all its rings together hold little more than half of its buffers.
unsigned punt_ring_size(PuntClass punt_class, PortRole role, unsigned buffers) {
  constexpr unsigned kBuffers = 16'384;
  constexpr unsigned kMaxOnCore = 256;  // no clients dial there
  constexpr unsigned kMin = 64;
  const unsigned listed = kPuntClasses[static_cast<std::size_t>(punt_class)].ring;
  const bool few = role == PortRole::kCore && punt_class != PuntClass::service;
  const unsigned wanted = few ? std::min(listed, kMaxOnCore) : listed;
  return std::max(kMin, std::bit_floor(wanted * std::min(buffers, kBuffers) / kBuffers));
}

}  // namespace

void WorkerGroup::make_places(const config::Config& config, rte_mempool* pool) {
  pool_ = pool;
  const auto workers = static_cast<std::uint16_t>(config.dataplane.cores.workers.size());
  for (std::uint16_t i = 0; i < workers; ++i) {
    auto& place = *places_.emplace_back(std::make_unique<Place>());
    place.lcore = config.dataplane.cores.workers[i];
    place.config.id = WorkerId(i);
    place.config.worker_count = workers;
    place.config.pool = pool;
    place.config.one_device = config.ports.one_device();
    place.config.commands = need(make_ring(fmt::format("commands{}", i), kRingSize));
    // A storm of 5,000 clients sends as much while a worker waits for a core.
    const unsigned control_frames =
        std::clamp(std::bit_floor(pool->size / workers / 4), kRingSize, 4 * kRingSize);
    place.config.to_main = {need(make_ring(fmt::format("control{}", i), control_frames)),
                            need(make_ring(fmt::format("gateways{}", i), kResolveRingSize)),
                            need(make_ring(fmt::format("neighbours{}", i), 2 * kResolveRingSize))};
  }
  join_workers();
}

void WorkerGroup::join_workers() {
  for (std::size_t from = 0; from < places_.size(); ++from)
    for (std::size_t to = 0; to < places_.size(); ++to) {
      places_[from]->config.worker_doorbells[to] = &places_[to]->doorbell;
      if (from == to) continue;
      rte_ring* ring = need(make_ring(fmt::format("handover{}-{}", from, to), kRingSize));
      places_[from]->config.handover_out[to] = ring;
      places_[to]->config.handover_in[from] = ring;
    }
}

std::array<TwinBridge::Twin, TwinBridge::kTwins> WorkerGroup::connect_twins(const PortSet& ports,
                                                                            Twins granted,
                                                                            bool one_link) {
  std::array<TwinBridge::Twin, TwinBridge::kTwins> twins;
  for (const Port& port : ports) {
    TwinBridge::Twin& twin = twins[index_of(port.role)];
    twin.fd = std::move(granted.taps[index_of(port.role)]);
    // The twin of one link: the access port reads it, and both write.
    const bool only_writes = port.role == PortRole::kCore && one_link;
    if (only_writes && port.has_twin)
      twin.fd.reset(::fcntl(twins[index_of(PortRole::kAccess)].fd.get(), F_DUPFD_CLOEXEC, 0));
    if (port.has_twin && !twin.fd) fail("the supervisor granted no twin for " + port.device);
    for (std::size_t worker = 0; worker < places_.size(); ++worker)
      connect_port(port, worker, twin, only_writes);
  }
  if (granted.services != nullptr) {
    TwinBridge::Twin& services = twins[TwinBridge::kServices];
    services.fd = std::move(*granted.services);
    connect_services(services);
  }
  return twins;
}

void WorkerGroup::connect_port(const Port& port, std::size_t worker, TwinBridge::Twin& twin,
                               bool only_writes) {
  const std::size_t index = index_of(port.role);
  WorkerConfig::Port& settings = places_[worker]->config.ports[index];
  for (std::size_t queue = worker; queue < port.rx_queues.size(); queue += places_.size())
    settings.rx_queues.push_back(port.rx_queues[queue]);
  settings.tx_queue = port.tx_queues[worker];
  settings.mac = port.mac;
  settings.vlan = port.vlan;
  settings.mtu = port.mtu;
  settings.has_twin = port.has_twin;
  settings.leads_to_host = port.leads_to_host;
  if (!port.has_twin) return;
  for (std::size_t n = 0; n < kPuntClassCount; ++n) {
    if (static_cast<PuntClass>(n) == PuntClass::service) continue;
    rte_ring* const ring = punt_ring(fmt::format("twin{}-{}-{}", index, worker, n),
                                     static_cast<PuntClass>(n), port.role);
    settings.punt[n] = {kPuntClasses[n].rate, rte_ring_get_capacity(ring), ring};
    twin.from_workers.push_back(ring);
  }
  if (worker != 0 || only_writes) return;
  settings.from_twin = need(make_ring(fmt::format("from-twin{}", index), kRingSize));
  twin.to_worker = settings.from_twin;
  twin.worker_doorbell = &first_doorbell();
}

// Services of the host are PuntClass::service of the core port, whatever device that is.
void WorkerGroup::connect_services(TwinBridge::Twin& services) {
  constexpr auto kClass = static_cast<std::size_t>(PuntClass::service);
  for (std::size_t i = 0; i < places_.size(); ++i) {
    rte_ring* const ring =
        punt_ring(fmt::format("services{}", i), PuntClass::service, PortRole::kCore);
    places_[i]->config.ports[index_of(PortRole::kCore)].punt[kClass] = {
        kPuntClasses[kClass].rate, rte_ring_get_capacity(ring), ring};
    services.from_workers.push_back(ring);
  }
  WorkerConfig& first = places_.front()->config;
  first.from_services = need(make_ring("from-services", kRingSize));
  services.to_worker = first.from_services;
  services.worker_doorbell = &first_doorbell();
}

rte_ring* WorkerGroup::punt_ring(const std::string& name, PuntClass punt_class,
                                 PortRole role) const {
  return need(make_ring(name, punt_ring_size(punt_class, role, pool_->size / size())));
}

rte_ring* WorkerGroup::connect_lan() {
  rte_ring* const ring = need(make_ring("from-lan", kLanRingSize));
  places_.front()->config.from_lan = ring;
  return ring;
}

void WorkerGroup::make_workers(SessionTable& sessions, RoutingTables routing,
                               const std::function<void(WorkerConfig&)>& settings,
                               const std::function<WorkerLoop::Settings(WorkerId)>& idle) {
  for (const auto& place : places_) {
    settings(place->config);
    place->worker = std::make_unique<Worker>(place->config, sessions, routing);
    if (!place->worker->complete())
      fail("no memory for pptp.gre.reassembly (dataplane.memory.megabytes)");
    place->loop =
        std::make_unique<WorkerLoop>(*place->worker, place->doorbell, idle(place->config.id));
  }
}

void WorkerGroup::launch() {
  for (const auto& place : places_)
    if (rte_eal_remote_launch(run_worker, place->loop.get(), place->lcore) != 0)
      fail(fmt::format("lcore {} cannot be started", place->lcore));
}

void WorkerGroup::stop() noexcept {
  if (places_.empty()) return;
  for (const auto& place : places_)
    if (place->loop) place->loop->stop();
  rte_eal_mp_wait_lcore();
}

std::vector<Endpoint::WorkerLine> WorkerGroup::lines() {
  std::vector<Endpoint::WorkerLine> lines;
  for (const auto& place : places_)
    lines.push_back({place->config.commands, place->config.to_main, &place->doorbell});
  return lines;
}

}  // namespace pns::dataplane
