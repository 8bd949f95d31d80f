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

#include <array>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/control/announcer.hpp"
#include "dataplane/control/endpoint.hpp"
#include "dataplane/filter/filter_set.hpp"
#include "dataplane/packet/doorbell.hpp"
#include "dataplane/packet/policer.hpp"
#include "dataplane/port/broadcast_socket.hpp"
#include "dataplane/port/link_state.hpp"
#include "dataplane/port/port.hpp"
#include "dataplane/port/port_losses.hpp"
#include "dataplane/port/port_statistics.hpp"
#include "dataplane/port/twin_bridge.hpp"
#include "dataplane/port/xdp/xdp_prefixes.hpp"
#include "dataplane/routing/broadcast_networks.hpp"
#include "dataplane/routing/next_hops.hpp"
#include "dataplane/routing/routes.hpp"
#include "dataplane/session/session_networks.hpp"
#include "dataplane/session/session_table.hpp"
#include "dataplane/start/eal.hpp"
#include "dataplane/start/mppe_start.hpp"
#include "dataplane/worker/worker.hpp"
#include "dataplane/worker/worker_loop.hpp"
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
  ~Dataplane();
  Dataplane(const Dataplane&) = delete;
  Dataplane& operator=(const Dataplane&) = delete;

  // Starts, serves until the supervisor or a signal ends it, and stops. Does not return when a
  // successor takes over (kLeave): the process exits with 0.
  void run();

 private:
  // One worker with everything around it.
  struct WorkerPlace {
    unsigned lcore = 0;
    Doorbell doorbell;
    std::unique_ptr<Worker> worker;
    std::unique_ptr<WorkerLoop> loop;
    WorkerConfig config;
  };
  // The device of a port counts losses by itself; the totals lie in session memory.
  struct PortLossWatch {
    PortLossWatch(const Port& port, contract::SessionMemoryHeader& header);
    void poll() { book.take(statistics.read()); }

    PortStatistics statistics;
    PortLossBook book;
  };
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
  void make_worker_places();
  void connect_twins();
  void connect_services(TwinBridge::Twin& services);
  void connect_lan();
  void connect_control();
  void start_routes();
  void make_workers();
  void launch();
  void report_start();

  // --- steps of the start ---
  [[nodiscard]] std::vector<unsigned> kept_capabilities() const;
  // Whether the supervisor asks the kernel for neighbours: one of an earlier release does not.
  [[nodiscard]] bool supervisor_asks() const noexcept {
    return grants_.supervisor_version >= contract::kAskNeighbourSince;
  }
  // Whether subscribers reach programs of the host. Until connect_twins().
  [[nodiscard]] bool has_services() const noexcept {
    return config_.ports.core.services.enabled && static_cast<bool>(grants_.services);
  }
  [[nodiscard]] bool relays_broadcasts() const noexcept { return config_.ppp.broadcast_relay != 0; }
  void configure_worker(WorkerConfig& worker);
  // Worker 0 has a receive queue of each port.
  [[nodiscard]] config::IdleMode idle_mode(WorkerId worker) const;
  [[nodiscard]] WorkerLoop::Settings loop_settings(const WorkerConfig& worker) const;
  // A subscriber's fixed address or prefix outside all pools has a route as long as a session has
  // it, and its packets are taken from the kernel too.
  void take_subscriber(const SessionTable::Binding& binding);
  void leave_subscriber(const SessionTable::Binding& binding);
  // So do networks behind subscribers. False: there is no room.
  [[nodiscard]] bool take_network(const Ipv6Prefix& network, SlotId session);
  void leave_network(const Ipv6Prefix& network);
  void tell_of_subscriber(const SubscriberPrefixes& subscriber, bool bound);
  void tell_route_changes();
  // GRE to our own addresses is ours before the first session exists.
  void take_local_addresses();

  // --- serving ---
  [[nodiscard]] End serve();
  void run_timers(std::uint64_t now_ns);
  // Into session memory: how many packet buffers are in use, and packets that main has given up.
  void announce_addresses(std::uint64_t now_ns);
  void poll_links();
  void leave_faulty_device();
  void publish_buffers();
  void publish_lost();
  // Waits until something is readable, and no longer than the next timer allows.
  void report_unanswered(contract::PortRole role, rte_mbuf* packet);
  void take_lan_broadcasts(std::uint64_t now_ns);
  void wait();
  void on_routes_changed(std::uint64_t now_ns);
  [[nodiscard]] RoutingTables routing() const noexcept { return {*outer_, *inner_}; }
  void tell_of_neighbour(contract::PortRole role, const Ipv6Address& neighbour,
                         netlink::NeighbourVerb verb);
  void publish_routes();
  void publish_broadcast_networks();
  [[nodiscard]] End on_supervisor();
  void tell_supervisor(contract::SupervisorMessageType type);

  // --- end ---
  void stop_workers() noexcept;
  void stop(End end);

  [[nodiscard]] Port& port(contract::PortRole role) noexcept {
    return ports_[static_cast<std::size_t>(role)];
  }
  [[nodiscard]] const config::Port& settings_of(contract::PortRole role) const noexcept {
    return role == contract::PortRole::kAccess ? config_.ports.access : config_.ports.core;
  }
  [[nodiscard]] std::uint16_t worker_count() const noexcept {
    return static_cast<std::uint16_t>(config_.dataplane.cores.workers.size());
  }

  // Places of the descriptors that the main loop polls; the endpoint's descriptors follow.
  enum PollPlace : std::size_t { kSupervisor, kSignals, kDoorbell, kRoutes, kLan, kPollPlaces };

  Stopwatch watch_;
  StartTimes times_;
  std::filesystem::path run_dir_;
  UniqueFd supervisor_;
  config::Config config_;
  UniqueFd signals_;
  contract::Grants grants_;  // descriptors move to where they are used
  contract::SessionMemory memory_;
  MppeChoice mppe_;
  HostFacts host_;
  EalPlan plan_;
  rte_mempool* packet_pool_ = nullptr;
  rte_mempool* command_pool_ = nullptr;
  SubscriberPrefixes pool_prefixes_;  // of the configuration's address pools
  std::array<Port, contract::kPorts> ports_;
  std::optional<XdpPrefixes> xdp_prefixes_;  // xdp: core ports only
  std::optional<BroadcastSocket> lan_;       // likewise, where broadcasts are relayed
  UniqueFd control_socket_;                  // bound; the endpoint listens on it
  uid_t control_uid_ = 0;                    // who may connect to it, besides root
  std::unique_ptr<NextHops> outer_;
  std::unique_ptr<NextHops> inner_;
  std::optional<Routes> routes_;
  std::unique_ptr<SessionTable> sessions_;
  std::optional<SessionNetworks> networks_;
  // Subscribers outside the pools that the supervisor has not been told of: as text, and whether a
  // session has them.
  std::deque<std::pair<std::string, bool>> route_changes_;
  Announcer announcer_;
  std::unique_ptr<FilterSet> filters_;  // null: no session can have a filter
  BroadcastNetworks broadcast_networks_;
  std::size_t networks_with_broadcast_ = 0;  // as broadcast_networks_ was told last
  rte_ring* from_lan_ = nullptr;             // to the first worker
  EventBucket lan_rate_;
  std::uint64_t lan_not_passed_ = 0;  // frames that found no room, or no buffer
  std::uint32_t adopted_ = 0;         // sessions in service at the start
  std::vector<std::unique_ptr<WorkerPlace>> places_;
  std::optional<TwinBridge> twins_;
  Doorbell doorbell_;  // the main thread's
  SystemRandom random_;
  std::optional<Endpoint> endpoint_;
  // ICMP host unreachable: 100 a second, of all sessions. A session's packets that wait for
  // neighbours have a rate of their own.
  EventBucket unanswered_reports_{100, 100};
  std::uint32_t key_change_ns_ = 0;  // time of one MPPE key change on this CPU
  std::list<PortLossWatch> port_losses_;
  LinkWatch links_;
  DeviceFaults device_faults_;
  std::vector<pollfd> polled_;
  std::uint64_t next_watchdog_ns_ = 0;  // CLOCK_MONOTONIC, as the next two
  std::uint64_t next_route_timer_ns_ = 0;
  std::uint64_t next_port_losses_ns_ = 0;
};

}  // namespace pns::dataplane
