// SPDX-License-Identifier: BSD-3-Clause
//
// Dataplane: the running process, from its configuration to its end. The members stand in the order
// in which start() makes them, which is also the order of what they need of each other; they go in
// the reverse order. After SIGKILL a new process starts the same way and carries on with the
// sessions it finds in session memory.
//
// Main thread: everything here. Workers run WorkerLoop on their lcores; TwinBridge has a thread.
#pragma once

#include <poll.h>
#include <rte_mempool.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/control/announcer.hpp"
#include "dataplane/control/endpoint.hpp"
#include "dataplane/control/lan_broadcasts.hpp"
#include "dataplane/control/subscriber_routes.hpp"
#include "dataplane/control/supervisor_line.hpp"
#include "dataplane/filter/filter_set.hpp"
#include "dataplane/packet/doorbell.hpp"
#include "dataplane/packet/policer.hpp"
#include "dataplane/packet/rate_groups.hpp"
#include "dataplane/port/port_set.hpp"
#include "dataplane/port/twin_bridge.hpp"
#include "dataplane/port/xdp/xdp_prefixes.hpp"
#include "dataplane/routing/next_hops.hpp"
#include "dataplane/routing/routes.hpp"
#include "dataplane/session/session_networks.hpp"
#include "dataplane/session/session_table.hpp"
#include "dataplane/start/eal.hpp"
#include "dataplane/start/mppe_start.hpp"
#include "dataplane/worker/worker.hpp"
#include "dataplane/worker/worker_loop.hpp"
#include "dataplane/worker_group.hpp"
#include "pns/base/random.hpp"
#include "pns/base/stopwatch.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/config/source.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"

namespace pns::dataplane {

class Dataplane {
 public:
  // Reads the configuration. `supervisor`: the socket that grants arrive on. Throws
  // std::runtime_error, as run() does: one line that says why the process cannot go on.
  Dataplane(const config::Source& source, std::filesystem::path run_dir, UniqueFd supervisor);
  ~Dataplane() = default;
  Dataplane(const Dataplane&) = delete;
  Dataplane& operator=(const Dataplane&) = delete;

  // Starts, serves until the supervisor or a signal ends it, and stops. Does not return when a
  // successor takes over (kLeave): the process exits with 0.
  void run();

 private:
  // Milliseconds of the phases of the start, for its log line.
  struct StartTimes {
    std::int64_t config = 0, eal = 0, ports = 0, sessions = 0, workers = 0;
  };
  enum class End : std::uint8_t { kNotYet, kStop, kLeave };

  // --- start, in this order ---
  void start();
  void take_grants();
  void choose_kernels();
  void start_dpdk();
  void open_ports();
  void announce_twins();
  void drop_privileges();
  void publish_steering();
  void make_routes();
  void adopt_sessions();
  void make_filters();
  void make_rate_groups();
  void make_places();
  void connect_control();
  void start_routes();
  void make_workers();
  void launch();
  void report_start();

  // --- steps of the start ---
  [[nodiscard]] std::vector<unsigned> kept_capabilities() const;
  [[nodiscard]] Routes::Settings routes_settings();
  // Whether subscribers reach programs of the host. Until make_places().
  [[nodiscard]] bool has_services() const noexcept {
    return config_.ports.core.services.enabled && static_cast<bool>(grants_.services);
  }
  void configure_worker(WorkerConfig& worker);
  // Worker 0 has a receive queue of each port.
  [[nodiscard]] config::IdleMode idle_mode(WorkerId worker) const;
  [[nodiscard]] WorkerLoop::Settings loop_settings(WorkerId worker) const;

  // --- serving ---
  [[nodiscard]] End serve();
  void run_timers(std::uint64_t now_ns);
  void announce_addresses(std::uint64_t now_ns);
  void follow_links();
  // Into session memory: how many packet buffers are in use, and packets that main has given up.
  void publish_buffers();
  void publish_lost();
  void report_unanswered(contract::PortRole role, rte_mbuf* packet);
  // Waits until something is readable, and no longer than the next timer allows.
  void wait();
  void publish_routes();
  [[nodiscard]] End on_supervisor();

  // --- end ---
  void stop(End end);

  [[nodiscard]] RoutingTables routing() const noexcept { return {*outer_, *inner_}; }
  [[nodiscard]] std::uint16_t worker_count() const noexcept {
    return static_cast<std::uint16_t>(config_.dataplane.cores.workers.size());
  }

  // Places of the descriptors that the main loop polls; the endpoint's descriptors follow.
  enum PollPlace : std::size_t { kSupervisor, kSignals, kDoorbell, kRoutes, kLan, kPollPlaces };

  Stopwatch watch_;
  StartTimes times_;
  std::filesystem::path run_dir_;
  SupervisorLine supervisor_;
  config::Config config_;
  UniqueFd signals_;
  contract::Grants grants_;  // descriptors move to where they are used
  contract::SessionMemory memory_;
  MppeChoice mppe_;
  HostFacts host_;
  EalPlan plan_;
  rte_mempool* packet_pool_ = nullptr;
  rte_mempool* command_pool_ = nullptr;
  PortSet ports_;
  std::optional<XdpPrefixes> xdp_prefixes_;  // until make_routes(); xdp: core ports only
  LanBroadcasts lan_;
  UniqueFd control_socket_;  // bound; the endpoint listens on it
  uid_t control_uid_ = 0;    // who may connect to it, besides root
  std::unique_ptr<NextHops> outer_;
  std::unique_ptr<NextHops> inner_;
  std::optional<Routes> routes_;
  std::optional<SubscriberRoutes> subscriber_routes_;
  std::unique_ptr<SessionTable> sessions_;
  std::optional<SessionNetworks> networks_;
  Announcer announcer_;
  std::unique_ptr<FilterSet> filters_;       // null: no session can have a filter
  std::unique_ptr<RateGroups> rate_groups_;  // null: no session can have a group
  std::uint32_t adopted_ = 0;                // sessions in service at the start
  WorkerGroup workers_;
  std::optional<TwinBridge> twins_;
  Doorbell doorbell_;  // the main thread's
  SystemRandom random_;
  std::optional<Endpoint> endpoint_;
  // ICMP host unreachable: 100 a second, of all sessions. A session's packets that wait for
  // neighbours have a rate of their own.
  EventBucket unanswered_reports_{100, 100};
  std::uint32_t key_change_ns_ = 0;  // time of one MPPE key change on this CPU
  std::vector<pollfd> polled_;
  std::uint64_t next_watchdog_ns_ = 0;  // CLOCK_MONOTONIC, as the next two
  std::uint64_t next_route_timer_ns_ = 0;
  std::uint64_t next_port_losses_ns_ = 0;
};

}  // namespace pns::dataplane
