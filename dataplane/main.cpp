// SPDX-License-Identifier: BSD-3-Clause
//
// pns-dataplane: the poll-mode process. Started by the supervisor, which grants it session memory,
// the TAPs and the socket to talk back. Reads top to bottom as the start-up order:
//   arguments → configuration → grants → EAL → pools → ports → twins → routes → sessions → workers
//   → endpoint → ready → the main loop.
// After SIGKILL it starts the same way and goes on with the sessions it finds in session memory.

#include <fmt/format.h>
#include <poll.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cstdio>
#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "dataplane/control/endpoint.hpp"
#include "dataplane/port/port.hpp"
#include "dataplane/port/port_losses.hpp"
#include "dataplane/port/port_statistics.hpp"
#include "dataplane/port/steering.hpp"
#include "dataplane/port/twin_bridge.hpp"
#include "dataplane/port/xdp/xdp_prefixes.hpp"
#include "dataplane/routing/next_hops.hpp"
#include "dataplane/routing/routes.hpp"
#include "dataplane/session/session_table.hpp"
#include "dataplane/start/eal.hpp"
#include "dataplane/start/mppe_start.hpp"
#include "dataplane/worker/worker.hpp"
#include "dataplane/worker/worker_loop.hpp"
#include "pns/base/privileges.hpp"
#include "pns/base/stopwatch.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/build_contract.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"
#include "pns/log/log.hpp"

namespace pns::dataplane {
namespace {

constexpr int kGrantTimeoutMs = 10'000;
constexpr unsigned kRingSize = 1024;
constexpr unsigned kToTwinRingSize = 4096;  // of the access port: callers' SYNs come at once
constexpr unsigned kBuffersPerWorker = 8192;
constexpr unsigned kBuffersInAll = 8192;
constexpr unsigned kPoolCache = 256;
constexpr std::uint64_t kRouteTimerNs = 100'000'000;
constexpr std::uint64_t kWatchdogNs = 2'000'000'000;
constexpr std::uint64_t kPortLossesNs = 1'000'000'000;

using contract::PortRole;
constexpr std::array kRoles = {PortRole::kAccess, PortRole::kCore};

[[noreturn]] void fail(const std::string& reason) { throw std::runtime_error(reason); }

template <class T>
T need(std::expected<T, std::string> value) {
  if (!value) fail(value.error());
  if constexpr (!std::is_void_v<T>) return std::move(*value);
}

std::uint64_t monotonic_now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// `gapless`: objects lie end to end, also over the border of two pages. net_af_xdp of DPDK 22.11
// registers object count times object size with the kernel; with gaps the last objects fall
// outside, and whatever is sent from one of those is lost without a trace. Not for NICs without an
// IOMMU.
rte_mempool* make_pool(const char* name, unsigned buffers, bool gapless) {
  const unsigned element = sizeof(rte_mbuf) + kMbufPrivateSize + RTE_MBUF_DEFAULT_BUF_SIZE;
  rte_mempool* pool = rte_mempool_create_empty(
      name, buffers, element, kPoolCache, sizeof(rte_pktmbuf_pool_private),
      static_cast<int>(rte_socket_id()), gapless ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0);
  rte_pktmbuf_pool_private settings{};
  settings.mbuf_data_room_size = RTE_MBUF_DEFAULT_BUF_SIZE;
  settings.mbuf_priv_size = kMbufPrivateSize;
  // ring_mt_rts: with the default ring a thread that is preempted inside the pool makes every other
  // one spin, which is the rule where lcores share CPUs.
  if (pool == nullptr || rte_mempool_set_ops_byname(pool, "ring_mt_rts", nullptr) != 0)
    fail(fmt::format("pool {}: {}", name, rte_strerror(rte_errno)));
  rte_pktmbuf_pool_init(pool, &settings);
  if (rte_mempool_populate_default(pool) < static_cast<int>(buffers))
    fail(fmt::format("{} packet buffers: no memory (dataplane.memory.megabytes)", buffers));
  if (gapless && pool->nb_mem_chunks != 1)
    fail(fmt::format("{} packet buffers: memory is in {} pieces, xdp: ports need one", buffers,
                     pool->nb_mem_chunks));
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return pool;
}

rte_ring* make_ring(const std::string& name, unsigned size = kRingSize) {
  rte_ring* ring = rte_ring_create(name.c_str(), size, static_cast<int>(rte_socket_id()),
                                   RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (ring == nullptr) fail(fmt::format("ring {}: {}", name, rte_strerror(rte_errno)));
  return ring;
}

// One worker with everything around it.
struct WorkerPlace {
  unsigned lcore = 0;
  Doorbell doorbell;
  std::unique_ptr<Worker> worker;
  std::unique_ptr<WorkerLoop> loop;
  WorkerConfig config;
};

void give_up_root();

int run_worker(void* argument) {
  give_up_root();  // each thread its own: EAL made this one while we had them all
  static_cast<WorkerLoop*>(argument)->run();
  return 0;
}

// Stops the workers before anything they use goes away, whichever way run() is left.
class RunningWorkers {
 public:
  explicit RunningWorkers(const std::vector<std::unique_ptr<WorkerPlace>>& places)
      : places_(places) {}
  RunningWorkers(const RunningWorkers&) = delete;
  RunningWorkers& operator=(const RunningWorkers&) = delete;
  ~RunningWorkers() { stop(); }
  void stop() {
    for (const auto& place : places_)
      if (place->loop) place->loop->stop();
    rte_eal_mp_wait_lcore();
  }

 private:
  const std::vector<std::unique_ptr<WorkerPlace>>& places_;
};

// Of the calling thread: keeps what netlink, AF_XDP and neighbours need.
void give_up_root() {
  if (!drop_privileges({CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_BPF}))
    log::warn("privileges not dropped", {{"error", std::strerror(errno)}});
}

// Nanoseconds of one MPPE key change on this CPU, the least of some runs.
std::uint32_t measure_key_change_ns(const MppeKernels& kernels) {
  constexpr unsigned kRuns = 8;
  constexpr std::uint32_t kSteps = 32;
  const auto engine = std::make_unique<MppeEngine>(kernels);
  std::array<std::byte, 16> start{}, key{};
  std::uint64_t least = UINT64_MAX;
  for (unsigned run = 0; run < kRuns; ++run) {
    const std::uint64_t before = rte_rdtsc();
    engine->change_keys(start, key, 128, kSteps);
    least = std::min(least, rte_rdtsc() - before);
  }
  const double cycles = static_cast<double>(least) / kSteps;
  return static_cast<std::uint32_t>(cycles * 1e9 / static_cast<double>(rte_get_tsc_hz()) + 1);
}

// What may wait is bounded by a share of the buffers, so that waiting packets never use them up.
void set_gre(WorkerConfig& worker, const config::Gre& gre, std::size_t workers) {
  const auto nanoseconds = [](auto duration) {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(duration).count());
  };
  const auto share = static_cast<std::uint32_t>(worker.pool->size / workers);
  worker.reassembly = {.packets = std::min(gre.reassembly.packets, share / 64),
                       .wait_ns = nanoseconds(gre.reassembly.wait)};
  worker.reorder = {.packets = gre.reorder.packets,
                    .wait_ns = nanoseconds(gre.reorder.wait),
                    .packets_in_all = share / 8};
  worker.gaps.packets_in_all = share / 4;
  worker.send_window = {.adaptive = gre.send_window == config::SendWindow::kAdaptive,
                        .packets_in_all = share / 8};
}

// Frames of a port that may wait in one worker's ring to the twin: on the access port no more than
// a quarter of the worker's share of the buffers.
unsigned to_twin_ring_size(PortRole role, const rte_mempool& pool, unsigned workers) {
  if (role != PortRole::kAccess) return kRingSize;
  return std::min(kToTwinRingSize, std::bit_floor(pool.size / workers / 4));
}

// Of the pools.
SubscriberPrefixes subscriber_prefixes(const config::Config& config) {
  SubscriberPrefixes all;
  for (const auto& [name, pool] : config.pools) {
    for (const Ipv4Range& range : pool.ranges)
      for (const Ipv4Prefix& prefix : prefixes_of(range)) all.ipv4.push_back(prefix);
    all.ipv6.insert(all.ipv6.end(), pool.ipv6_prefixes.begin(), pool.ipv6_prefixes.end());
  }
  return all;
}

bool is_within(const SubscriberPrefixes& all, const SubscriberPrefixes& one) {
  const auto covers = [](const auto& prefixes, const auto& wanted) {
    return std::ranges::all_of(wanted, [&](const auto& prefix) {
      return std::ranges::any_of(prefixes,
                                 [&](const auto& wide) { return wide.contains(prefix.address); });
    });
  };
  return covers(all.ipv4, one.ipv4) && covers(all.ipv6, one.ipv6);
}

// The address our ICMPv6 errors come from: the core port's, else the access port's; unspecified
// when there is none.
Ipv6Address ipv6_source(const Routes& routes, const config::Config& config) {
  for (const PortRole role : {PortRole::kCore, PortRole::kAccess}) {
    if (const auto& found = routes.ipv6_addresses(role); !found.empty()) return found.front();
    const config::Port& port = role == PortRole::kCore ? config.ports.core : config.ports.access;
    for (const Ipv6Prefix& configured : port.ipv6_addresses)
      if (!configured.address.is_link_local()) return configured.address;
  }
  return {};
}

// The device of a port counts losses by itself; the totals lie in session memory.
struct PortLossWatch {
  PortLossWatch(const Port& port, contract::SessionMemoryHeader& header)
      : statistics(port),
        book(header.port_losses[static_cast<std::size_t>(port.role)], port.device) {
    poll();
  }
  void poll() { book.take(statistics.read()); }

  PortStatistics statistics;
  PortLossBook book;
};

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

void send_to_supervisor(int socket, contract::SupervisorMessageType type) {
  contract::SupervisorMessage message;
  message.type = type;
  (void)contract::send_supervisor_message(socket, message);
}

int run(const std::filesystem::path& config_file, const std::filesystem::path& run_dir,
        UniqueFd supervisor) {
  Stopwatch watch;
  const auto loaded = config::load(config_file);
  if (!loaded) fail(loaded.error().front().to_string());
  const config::Config& config = *loaded;
  log::start(static_cast<log::Level>(config.log.level), static_cast<log::Format>(config.log.format),
             "dataplane");
  // Signals come as a descriptor of the main loop; set before any thread is made.
  sigset_t signals{};
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const UniqueFd signal_fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));

  auto grants = need(contract::receive_grants(supervisor.get(), kGrantTimeoutMs));
  auto memory = need(contract::SessionMemory::attach(grants.session_memory.get()));
  auto& header = memory.header();

  const auto config_ms = watch.lap_ms();
  const MppeChoice mppe = need(choose_mppe(config.dataplane));
  log_choice(mppe);
  publish(mppe, header.mppe);
  const HostFacts host = read_host_facts();
  const EalPlan plan = need(plan_eal(config, host));
  need(start_eal(plan));
  const auto workers = static_cast<std::uint16_t>(config.dataplane.cores.workers.size());
  rte_mempool* pool =
      make_pool("pns-packets", kBuffersInAll + workers * kBuffersPerWorker, uses_xdp(config));
  rte_mempool* command_pool = make_pool("pns-commands", kRingSize * 3U * (workers + 1U), false);

  const auto eal_ms = watch.lap_ms();
  std::vector<Port> ports;
  for (const PortRole role : kRoles)
    ports.push_back(need(
        open_port(role, config, std::move(grants.wires[static_cast<std::size_t>(role)]), pool)));
  const SubscriberPrefixes of_pools = subscriber_prefixes(config);
  std::optional<XdpPrefixes> xdp_prefixes;
  if (const Port& core = ports[1]; !core.has_twin) {
    xdp_prefixes = need(XdpPrefixes::open(core.kernel_interface));
    need(xdp_prefixes->add(of_pools));
  }
  // Fixed addresses and prefixes of accounts that lie in no pool. They stay: what comes for them
  // later meets no session here instead of in the kernel.
  const auto take_subscriber = [&](const SubscriberPrefixes& subscriber) {
    if (!xdp_prefixes || is_within(of_pools, subscriber)) return;
    if (const auto added = xdp_prefixes->add(subscriber); !added)
      log::warn("packets to a subscriber stay with the kernel", {{"error", added.error()}});
  };
  for (const Port& port : ports)
    log::info("port open", {{"port", port.role == PortRole::kAccess ? "access" : "core"},
                            {"device", port.device},
                            {"mac", to_string(port.mac)},
                            {"rx_queues", port.rx_queues.size()},
                            {"steering", steering_text(port.steering)},
                            {"no_key_rules", port.no_key_rules.empty() ? "-" : port.no_key_rules},
                            {"twin", port.has_twin ? port.kernel_interface : "none"}});

  // Twins: the supervisor gives them our MAC and their addresses.
  for (const Port& port : ports) {
    if (!port.has_twin) continue;
    contract::SupervisorMessage message;
    message.type = contract::SupervisorMessageType::kSetTwin;
    message.port = static_cast<std::uint32_t>(port.role);
    message.mac = port.mac;
    message.value = port.mtu;
    if (!contract::send_supervisor_message(supervisor.get(), message))
      fail("the supervisor does not take messages");
  }

  const auto ports_ms = watch.lap_ms();
  // Steering before sessions are adopted: a restart with other workers deals the buckets anew.
  const Buckets buckets = deal_buckets(workers);
  for (std::size_t bucket = 0; bucket < buckets.size(); ++bucket)
    header.steering[bucket].store(buckets[bucket]);
  for (const Port& port : ports)
    header.port_steering[static_cast<std::size_t>(port.role)] = port.steering;
  header.worker_count.store(workers);
  header.tsc_hz.store(rte_get_tsc_hz());
  header.dataplane_epoch.fetch_add(1);

  const auto next_hops = need(NextHops::create());
  const auto sessions = need(SessionTable::create(memory, workers));
  const std::uint32_t adopted = sessions->adopt();
  for (const contract::SessionRecord& session : memory.sessions()) {
    if (session.state.load(std::memory_order_relaxed) != contract::SlotState::kInstalled) continue;
    SubscriberPrefixes subscriber;
    if (!session.subscriber.is_unspecified()) subscriber.ipv4.push_back({session.subscriber, 32});
    if (session.ipv6_prefix != 0) subscriber.ipv6.push_back({{session.ipv6_prefix, 0}, 64});
    take_subscriber(subscriber);
  }

  const auto sessions_ms = watch.lap_ms();
  std::vector<std::unique_ptr<WorkerPlace>> places;
  for (std::uint16_t i = 0; i < workers; ++i) {
    places.push_back(std::make_unique<WorkerPlace>());
    auto& place = *places.back();
    place.lcore = config.dataplane.cores.workers[i];
    place.config.id = WorkerId(i);
    place.config.worker_count = workers;
    place.config.pool = pool;
    place.config.commands = make_ring(fmt::format("commands{}", i));
    place.config.to_main = make_ring(fmt::format("to-main{}", i));
  }
  for (std::uint16_t from = 0; from < workers; ++from)
    for (std::uint16_t to = 0; to < workers; ++to) {
      places[from]->config.worker_doorbells[to] = &places[to]->doorbell;
      if (from == to) continue;
      rte_ring* ring = make_ring(fmt::format("handover{}-{}", from, to));
      places[from]->config.handover_out[to] = ring;
      places[to]->config.handover_in[from] = ring;
    }

  std::array<TwinBridge::Twin, contract::kPorts> twins;
  for (const Port& port : ports) {
    const auto index = static_cast<std::size_t>(port.role);
    auto& twin = twins[index];
    twin.fd = std::move(grants.twins[index]);
    if (port.has_twin && !twin.fd) fail("the supervisor granted no twin for " + port.device);
    for (std::uint16_t i = 0; i < workers; ++i) {
      auto& settings = places[i]->config.ports[index];
      for (std::size_t queue = i; queue < port.rx_queues.size(); queue += workers)
        settings.rx_queues.push_back(port.rx_queues[queue]);
      settings.tx_queue = port.tx_queues[i];
      settings.mac = port.mac;
      settings.mtu = port.mtu;
      settings.has_twin = port.has_twin;
      if (!port.has_twin) continue;
      settings.punt_burst = to_twin_ring_size(port.role, *pool, workers);
      settings.to_twin = make_ring(fmt::format("to-twin{}-{}", index, i), settings.punt_burst);
      twin.from_workers.push_back(settings.to_twin);
      if (i != 0) continue;
      settings.from_twin = make_ring(fmt::format("from-twin{}", index));
      twin.to_worker = settings.from_twin;
      twin.worker_doorbell = &places[0]->doorbell;
    }
  }
  TwinBridge punt(std::move(twins), pool, header);

  Doorbell main_doorbell;
  std::vector<Endpoint::WorkerLine> lines;
  for (const auto& place : places)
    lines.push_back({place->config.commands, place->config.to_main, &place->doorbell});
  Routes* routes_for_resolve = nullptr;
  Endpoint endpoint(
      *sessions, lines, command_pool,
      [&](PortRole port, const Ipv6Address& next_hop, rte_mbuf* packet) {
        routes_for_resolve->hold(port, next_hop, packet, monotonic_now_ns());
      },
      take_subscriber);
  Routes routes(*next_hops,
                {Routes::PortInfo{ports[0].kernel_interface, ports[0].mac},
                 Routes::PortInfo{ports[1].kernel_interface, ports[1].mac}},
                [&](PortRole port, rte_mbuf* packet) { endpoint.transmit(port, packet); });
  routes_for_resolve = &routes;
  need(routes.start());
  // GRE to our own addresses is ours before the first session exists.
  const auto take_local_addresses = [&] {
    for (const Ipv4Address address : routes.addresses(PortRole::kAccess))
      if (!sessions->add_local_address(address))
        log::warn("too many local addresses", {{"address", address}});
  };
  take_local_addresses();

  const config::IdleMode idle = resolve_idle_mode(config, host);
  const std::uint32_t key_change_ns = measure_key_change_ns(mppe.kernels);
  for (const auto& place : places) {
    for (auto& port : place->config.ports) port.twin_doorbell = &punt.doorbell();
    place->config.main_doorbell = &main_doorbell;
    place->config.control_attached = &endpoint.control_attached();
    if (const auto& core = routes.addresses(PortRole::kCore); !core.empty())
      place->config.icmp_source = core.front();
    else if (!config.ports.core.addresses.empty())
      place->config.icmp_source = config.ports.core.addresses.front().address;
    place->config.icmp_source_ipv6 = ipv6_source(routes, config);
    set_gre(place->config, config.pptp.gre, places.size());
    place->config.mppe = mppe.kernels;
    place->config.gaps.step_ns = key_change_ns;
    WorkerLoop::Settings settings;
    // A port that nothing can be waited on must not nap for as long as the others may.
    const bool can_wait =
        std::ranges::all_of(ports, [i = place->config.id.value](const Port& port) {
          return port.rx_queues.size() <= i || port.capabilities.can_wait;
        });
    settings.mode = idle == config::IdleMode::kWait && !can_wait ? config::IdleMode::kSleep : idle;
    settings.spin_polls = config.dataplane.idle.spin_polls;
    settings.sleep = config.dataplane.idle.sleep;
    settings.wait = config.dataplane.idle.wait;
    settings.ns_per_cycle = 1e9 / static_cast<double>(rte_get_tsc_hz());
    // Descriptors of devices with fewer queues than workers are waited on by the first ones only.
    if (!place->config.ports[0].rx_queues.empty())
      for (const Port& port : ports)
        settings.wait_fds.insert(settings.wait_fds.end(), port.wait_fds.begin(),
                                 port.wait_fds.end());
    place->worker = std::make_unique<Worker>(place->config, *sessions, *next_hops);
    place->loop = std::make_unique<WorkerLoop>(*place->worker, place->doorbell, settings);
  }
  std::list<PortLossWatch> port_losses;
  for (const Port& port : ports) port_losses.emplace_back(port, header);
  need(endpoint.listen(run_dir / "dataplane.sock"));
  give_up_root();
  punt.start();
  RunningWorkers running(places);
  for (const auto& place : places)
    if (rte_eal_remote_launch(run_worker, place->loop.get(), place->lcore) != 0)
      fail(fmt::format("lcore {} cannot be started", place->lcore));

  send_to_supervisor(supervisor.get(), contract::SupervisorMessageType::kReady);
  log::info("dataplane serves", {{"sessions", adopted},
                                 {"workers", workers},
                                 {"idle", config::name_of(idle)},
                                 {"mppe", name_of(mppe.variant)},
                                 {"key_change_ns", key_change_ns},
                                 {"huge_pages", plan.huge_pages},
                                 {"config_ms", config_ms},
                                 {"eal_ms", eal_ms},
                                 {"ports_ms", ports_ms},
                                 {"sessions_ms", sessions_ms},
                                 {"workers_ms", watch.lap_ms()},
                                 {"took_ms", watch.total_ms()}});

  bool stopping = false;
  bool leaving = false;
  std::uint64_t next_watchdog_ns = 0;
  std::uint64_t next_route_timer_ns = 0;
  std::uint64_t next_port_losses_ns = 0;
  std::vector<pollfd> fds;
  while (!stopping) {
    std::uint64_t now_ns = monotonic_now_ns();
    if (now_ns >= next_watchdog_ns) {
      send_to_supervisor(supervisor.get(), contract::SupervisorMessageType::kWatchdog);
      next_watchdog_ns = now_ns + kWatchdogNs;
    }
    if (now_ns >= next_route_timer_ns) {
      routes.on_timer(now_ns);
      next_route_timer_ns = now_ns + kRouteTimerNs;
    }
    if (now_ns >= next_port_losses_ns) {
      for (PortLossWatch& port : port_losses) port.poll();
      next_port_losses_ns = now_ns + kPortLossesNs;
    }
    main_doorbell.prepare_sleep();
    // With work at hand only a look: netlink and the supervisor must not starve while it never
    // ends.
    const bool idle_turn = endpoint.prepare_sleep();
    fds = {{supervisor.get(), POLLIN, 0},
           {signal_fd.get(), POLLIN, 0},
           {main_doorbell.fd(), POLLIN, 0},
           {routes.fd(), POLLIN, 0}};
    endpoint.add_poll_fds(fds);
    const int limit = endpoint.poll_timeout_ms();
    (void)::poll(fds.data(), fds.size(), !idle_turn ? 0 : limit < 0 ? 100 : limit);
    main_doorbell.cancel_sleep();
    main_doorbell.drain();
    now_ns = monotonic_now_ns();
    endpoint.turn(now_ns);
    if (fds[3].revents != 0) {
      routes.on_readable(now_ns);
      take_local_addresses();
      header.neighbours.set(routes.neighbours());
      header.routes.set(routes.routes());
    }
    if (fds[1].revents != 0) stopping = true;
    if (fds[0].revents != 0) {
      auto message = contract::receive_supervisor_message(supervisor.get());
      if (!message && message.error() != contract::ReceiveError::kWouldBlock)
        fail("the supervisor is gone");
      // The sessions stay in session memory either way; who ends the calls is control.
      if (message && message->message.type == contract::SupervisorMessageType::kStop)
        stopping = true;
      if (message && message->message.type == contract::SupervisorMessageType::kLeave)
        stopping = leaving = true;
    }
  }
  running.stop();
  for (PortLossWatch& port : port_losses) port.poll();  // sockets take their numbers with them
  if (leaving) {
    // A successor waits: it opens the ports as after a crash, and the kernel frees the rest faster.
    log::info("dataplane leaves to a successor");
    std::fflush(nullptr);
    ::_exit(0);
  }
  places.clear();
  for (Port& port : ports) close_port(port);
  log::info("dataplane stopped");
  return 0;
}

}  // namespace
}  // namespace pns::dataplane

int main(int argc, char** argv) {
  CLI::App app("PPTP dataplane; started by `pns run`, not by hand", "pns-dataplane");
  std::string config_file;
  std::string run_dir = "/run/pns";
  int supervisor_fd = -1;
  app.add_option("--config", config_file, "configuration file")->required();
  app.add_option("--run-dir", run_dir, "directory of sockets");
  app.add_option("--supervisor-fd", supervisor_fd, "socket to the supervisor")->required();
  app.add_flag_callback(
      "--contract",
      [] {
        throw CLI::CallForVersion(
            pns::contract::to_json(pns::contract::build_contract(), "pns-dataplane"), 0);
      },
      "print what this program was built to share with the others");
  CLI11_PARSE(app, argc, argv);
  pns::log::start(pns::log::Level::kInfo, pns::log::Format::kText, "dataplane");
  try {
    return pns::dataplane::run(config_file, run_dir, pns::UniqueFd(supervisor_fd));
  } catch (const std::exception& error) {
    pns::log::error("dataplane cannot go on", {{"reason", error.what()}});
    return 1;
  }
}
