// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/dataplane.hpp"

#include <fmt/format.h>
#include <linux/capability.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "dataplane/filter/filter_numbers.hpp"
#include "dataplane/pipeline/classify.hpp"
#include "dataplane/pipeline/host_unreachable.hpp"
#include "dataplane/port/device_check.hpp"
#include "dataplane/port/steering.hpp"
#include "dataplane/start/confine.hpp"
#include "dataplane/start/need.hpp"
#include "dataplane/start/pools.hpp"
#include "dataplane/start_check.hpp"
#include "dataplane/worker/worker_clock.hpp"
#include "pns/log/log.hpp"
#include "pns/privilege/identity.hpp"
#include "pns/privilege/run_places.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;

constexpr unsigned kCommandBuffersPerWorker = 3 * 1024;  // as many as its rings hold
constexpr unsigned kBuffersPerWorker = 8192;
constexpr unsigned kBuffersForShaping = 16'384;  // of a worker, beside the others
constexpr unsigned kBuffersInAll = 8192;
constexpr unsigned kBuffersPerFurtherQueue = 4096;  // the ring of an AF_XDP socket, and room
constexpr std::uint64_t kRouteTimerNs = 100'000'000;
constexpr std::uint64_t kWatchdogNs = 2'000'000'000;
constexpr std::uint64_t kPortLossesNs = 1'000'000'000;
constexpr int kMaxWaitMs = 100;
config::Config load_config(const config::Source& source) {
  auto loaded = config::load(source);
  if (!loaded) fail(loaded.error().front().to_string());
  return std::move(*loaded);
}

// SIGTERM and SIGINT as a descriptor of the main loop; before any thread is made.
UniqueFd take_signals() {
  sigset_t signals{};
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return UniqueFd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

// A share of the buffers bounds the packets that wait, so that they never use up all of them.
void set_gre(WorkerConfig& worker, const config::Gre& gre) {
  const auto nanoseconds = [](auto duration) {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(duration).count());
  };
  const auto share = worker.pool->size / worker.worker_count - worker.rates.packets_in_all;
  worker.reassembly = {.packets = std::min(gre.reassembly.packets, share / 64),
                       .wait_ns = nanoseconds(gre.reassembly.wait)};
  worker.reorder = {.packets = gre.reorder.packets,
                    .wait_ns = nanoseconds(gre.reorder.wait),
                    .packets_in_all = share / 8};
  worker.gaps.packets_in_all = share / 4;
  worker.send_window = {.adaptive = gre.send_window == config::SendWindow::kAdaptive,
                        .packets_in_all = share / 8};
}

void set_rates(WorkerConfig& worker, const config::Rates& rates) {
  const auto direction = [](const config::Rates::Direction& from) {
    return RateSettings::Direction{
        .shapes = from.mode == config::RateMode::kShape,
        .max_delay_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(from.delay).count())};
  };
  worker.rates.up = direction(rates.up);
  worker.rates.down = direction(rates.down);
  if (!rates.shape()) return;
  worker.rates.packets_in_all = kBuffersForShaping;
  worker.rates.max_session_packets = kBuffersForShaping / 4;
}

// The address our ICMP errors come from: the core port's; unspecified when there is none.
Ipv4Address ipv4_source(const Routes& routes, const config::Config& config) {
  if (const auto& found = routes.addresses(PortRole::kCore); !found.empty()) return found.front();
  if (const auto& configured = config.ports.core.addresses; !configured.empty())
    return configured.front().address;
  return {};
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

}  // namespace

Dataplane::Dataplane(const config::Source& source, std::filesystem::path run_dir,
                     UniqueFd supervisor)
    : run_dir_(std::move(run_dir)),
      supervisor_(std::move(supervisor)),
      config_(load_config(source)),
      lan_(config_.ppp.broadcast_relay) {}

void Dataplane::run() {
  start();
  stop(serve());
}

// --- start ---

void Dataplane::start() {
  log::start(static_cast<log::Level>(config_.log.level),
             static_cast<log::Format>(config_.log.format), "dataplane");
  signals_ = take_signals();
  take_grants();
  times_.config = watch_.lap_ms();
  choose_kernels();
  start_dpdk();
  times_.eal = watch_.lap_ms();
  open_ports();
  announce_twins();
  times_.ports = watch_.lap_ms();
  drop_privileges();
  publish_steering();
  make_routes();
  adopt_sessions();
  make_filters();
  make_rate_groups();
  times_.sessions = watch_.lap_ms();
  make_places();
  connect_control();
  start_routes();
  make_workers();
  launch();
  times_.workers = watch_.lap_ms();
  report_start();
}

void Dataplane::take_grants() {
  grants_ = need(supervisor_.receive_grants());
  memory_ = need(contract::SessionMemory::attach(grants_.session_memory.get()));
}

void Dataplane::choose_kernels() {
  mppe_ = need(choose_mppe(config_.dataplane));
  log_choice(mppe_);
  publish(mppe_, memory_.header().mppe);
}

void Dataplane::start_dpdk() {
  host_ = read_host_facts();
  if (const auto wrong = host_objections(config_, host_); !wrong.empty()) fail(wrong.front());
  plan_ = need(plan_eal(config_, host_));
  need(start_eal(plan_));
  const unsigned workers = worker_count();
  const unsigned buffers =
      kBuffersInAll +
      workers * (kBuffersPerWorker + (config_.rates.shape() ? kBuffersForShaping : 0)) +
      (further_xdp_queues(config_) + further_bond_queues(config_)) * kBuffersPerFurtherQueue;
  packet_pool_ = need(make_packet_pool("pns-packets", buffers, config_.ports.use_xdp()));
  command_pool_ =
      need(make_packet_pool("pns-commands", kCommandBuffersPerWorker * (workers + 1U), false));
}

void Dataplane::open_ports() {
  need(ports_.open(config_, grants_.wires, packet_pool_, memory_.header()));
  const Port& core = ports_[PortRole::kCore];
  if (core.has_twin || core.leads_to_host) return;
  xdp_prefixes_ = need(XdpPrefixes::open(core.kernel_interface));
  need(xdp_prefixes_->add(config::prefixes_of_pools(config_)));
  if (lan_.rate() != 0) need(lan_.open(core));
}

// One link has one twin.
void Dataplane::announce_twins() {
  for (const Port& port : ports_)
    if (port.has_twin && (port.role == PortRole::kAccess || !config_.ports.one_link()) &&
        !supervisor_.set_twin(port))
      fail("the supervisor does not take messages");
}

// Before anything is read that control may have written. Ports, huge pages and the names of sockets
// are the last things that need root.
void Dataplane::drop_privileges() {
  const privilege::Identity control = privilege::find_identity(privilege::kControlUser);
  control_uid_ = control.uid;
  control_socket_ =
      need(privilege::bind_socket_for(run_dir_ / "dataplane.sock", SOCK_SEQPACKET, control));
  const std::vector<unsigned> kept = kept_capabilities();
  confine(kept);
}

std::vector<unsigned> Dataplane::kept_capabilities() const {
  // A lab's TAP lies in another network namespace: only the namespace's administrator may read its
  // counters. An earlier supervisor asks for no neighbour on our behalf.
  const bool has_tap =
      std::ranges::any_of(ports_, [](const Port& port) { return port.wire.get() >= 0; });
  if (has_tap || !supervisor_.asks_neighbours()) return {CAP_NET_ADMIN};
  return {};
}

// Before sessions are adopted: a restart with other workers gives them other buckets.
void Dataplane::publish_steering() {
  contract::SessionMemoryHeader& header = memory_.header();
  const Buckets buckets = assign_buckets(worker_count());
  for (std::size_t bucket = 0; bucket < buckets.size(); ++bucket)
    header.steering[bucket].store(buckets[bucket]);
  for (const Port& port : ports_) header.port_steering[index_of(port.role)] = port.steering;
  header.worker_count.store(worker_count());
  header.tsc_hz.store(rte_get_tsc_hz());
  header.dataplane_epoch.fetch_add(1);
}

// The kernel is not asked yet. Sessions that are adopted may need routes.
void Dataplane::make_routes() {
  outer_ = need(NextHops::create("pns-outer", {.ipv6_routes = 0}));
  inner_ = need(NextHops::create("pns-inner"));
  Routes::Tell tell;
  if (supervisor_.asks_neighbours())
    tell = [this](PortRole role, const Ipv6Address& neighbour, netlink::NeighbourVerb verb) {
      supervisor_.ask_neighbour(role, neighbour, verb);
    };
  routes_.emplace(
      routing(), routes_settings(),
      [this](PortRole role, rte_mbuf* packet) { endpoint_->transmit(role, packet); },
      [this](PortRole role, rte_mbuf* packet) { report_unanswered(role, packet); },
      std::move(tell));
  // The kernel's way back from services of the host, or from the host itself.
  const bool kernel_has_routes =
      config_.ports.core.services.enabled || ports_[PortRole::kCore].leads_to_host;
  subscriber_routes_.emplace(
      config::prefixes_of_pools(config_), std::exchange(xdp_prefixes_, std::nullopt), *routes_,
      [this, kernel_has_routes](const SubscriberPrefixes& subscriber, bool bound) {
        if (kernel_has_routes) supervisor_.set_subscriber_route(subscriber, bound);
      });
}

Routes::Settings Dataplane::routes_settings() {
  Routes::Settings settings;
  for (const Port& port : ports_) {
    const config::Port& configured =
        port.role == PortRole::kAccess ? config_.ports.access : config_.ports.core;
    settings.ports[index_of(port.role)] = {port.kernel_interface, port.mac, configured.table,
                                           port.leads_to_host};
  }
  settings.pools = routes_of(config::prefixes_of_pools(config_));
  settings.access_from_inside = config_.ports.access.reachable_by_subscribers;
  if (has_services()) settings.services_interface = config_.ports.core.services.interface;
  // Before sessions are adopted no worker looks into the tables.
  settings.quiescence = {
      .begin = [this] { return sessions_ ? rte_rcu_qsbr_start(&sessions_->quiescence()) : 0; },
      .passed = [this](std::uint64_t token) { return token == 0 || sessions_->quiescent(token); }};
  settings.relays_broadcasts = lan_.rate() != 0;
  return settings;
}

void Dataplane::adopt_sessions() {
  sessions_ = need(SessionTable::create(memory_, worker_count()));
  sessions_->watch(
      {.bound =
           [this](const SessionTable::Binding& binding) {
             if (binding.prefix == 0) announcer_.add(binding.address);
             subscriber_routes_->take(binding);
           },
       .unbound =
           [this](const SessionTable::Binding& binding) { subscriber_routes_->leave(binding); }});
  adopted_ = sessions_->adopt();
  // Networks behind subscribers are told by the control process once it has attached.
  networks_.emplace(SessionNetworks::Watcher{
      .added = [this](
                   const auto& network,
                   SlotId session) { return subscriber_routes_->take_network(network, session); },
      .removed = [this](const auto& network) { subscriber_routes_->leave_network(network); },
      .forgotten = [this](SlotId session) { routes_->forget_session(session); }});
  memory_.header().networks.set(0);
}

void Dataplane::make_filters() {
  const auto numbers = need(assign_filter_numbers(memory_, config_.filters));
  if (numbers.orphans != 0) log::warn("filters without rules", {{"count", numbers.orphans}});
  if (config_.filters.empty() && numbers.orphans == 0) return;
  std::vector<FilterSet::Numbered> list;
  for (const auto& [name, number] : numbers.by_name)
    list.push_back({number, &config_.filters.at(name)});
  filters_ = need(FilterSet::create(list));
}

void Dataplane::make_rate_groups() {
  const auto numbers = need(assign_group_numbers(memory_, config_.rate_groups));
  if (numbers.orphans != 0) log::warn("rate groups without rates", {{"count", numbers.orphans}});
  if (numbers.by_name.empty()) return;
  std::vector<RateGroups::Limits> limits(contract::kRateGroupRoom);
  for (const auto& [name, number] : numbers.by_name) {
    const config::RateGroup& group = config_.rate_groups.at(name);
    const auto limit = [](std::uint64_t rate, const config::Rates::Direction& direction) {
      return contract::OctetRate(rate, direction.burst_octets(rate));
    };
    limits[number] = {limit(group.up.value_or(0), config_.rates.up),
                      limit(group.down.value_or(0), config_.rates.down)};
  }
  rate_groups_ = std::make_unique<RateGroups>(limits);
}

void Dataplane::make_places() {
  workers_.make_places(config_, packet_pool_);
  const bool services = has_services();
  twins_.emplace(
      workers_.connect_twins(
          ports_, {.taps = grants_.twins, .services = services ? &grants_.services : nullptr},
          config_.ports.one_link()),
      packet_pool_, memory_.header());
  if (lan_.is_open()) lan_.connect(workers_.connect_lan(), workers_.first_doorbell());
}

void Dataplane::connect_control() {
  endpoint_.emplace(*sessions_, *networks_, workers_.lines(), command_pool_, random_,
                    [this](PortRole role, const Ipv6Address& next_hop, rte_mbuf* packet) {
                      routes_->hold(role, next_hop, packet, monotonic_ns());
                    });
}

void Dataplane::start_routes() {
  need(routes_->start());
  publish_routes();
}

void Dataplane::make_workers() {
  key_change_ns_ = measure_key_change_ns(mppe_.kernels);
  workers_.make_workers(
      *sessions_, routing(), [this](WorkerConfig& worker) { configure_worker(worker); },
      [this](WorkerId worker) { return loop_settings(worker); });
}

void Dataplane::configure_worker(WorkerConfig& worker) {
  for (auto& settings : worker.ports) settings.twin_doorbell = &twins_->doorbell();
  worker.main_doorbell = &doorbell_;
  worker.control_attached = &endpoint_->control_attached();
  worker.icmp_source = ipv4_source(*routes_, config_);
  worker.icmp_source_ipv6 = ipv6_source(*routes_, config_);
  set_rates(worker, config_.rates);
  set_gre(worker, config_.pptp.gre);
  worker.mppe = mppe_.kernels;
  worker.gaps.step_ns = key_change_ns_;
  worker.filters = filters_.get();
  worker.rate_groups = rate_groups_.get();
  if (lan_.rate() != 0) worker.broadcasts = {.rate = lan_.rate(), .networks = &lan_.networks()};
}

config::IdleMode Dataplane::idle_mode(WorkerId worker) const {
  const config::IdleMode idle = resolve_idle_mode(config_, host_);
  // A port that nothing can be waited on must not nap for as long as the others may.
  const bool can_wait = std::ranges::all_of(ports_, [&](const Port& opened) {
    return opened.rx_queues.size() <= worker.value || opened.capabilities.can_wait;
  });
  return idle == config::IdleMode::kWait && !can_wait ? config::IdleMode::kSleep : idle;
}

WorkerLoop::Settings Dataplane::loop_settings(WorkerId worker) const {
  WorkerLoop::Settings settings;
  settings.mode = idle_mode(worker);
  settings.spin_polls = config_.dataplane.idle.spin_polls;
  settings.sleep = config_.dataplane.idle.sleep;
  settings.wait = config_.dataplane.idle.wait;
  settings.ns_per_cycle = 1e9 / static_cast<double>(rte_get_tsc_hz());
  for (const Port& port : ports_) {
    const std::vector<int> own = wait_fds_of(port, worker, worker_count());
    settings.wait_fds.insert(settings.wait_fds.end(), own.begin(), own.end());
  }
  return settings;
}

void Dataplane::launch() {
  need(endpoint_->listen(std::move(control_socket_), control_uid_));
  twins_->start();
  ports_.start_links();
  workers_.launch();
}

void Dataplane::report_start() {
  supervisor_.report_ready();
  log::info("dataplane serves", {{"sessions", adopted_},
                                 {"workers", worker_count()},
                                 {"idle", config::name_of(idle_mode(WorkerId{0}))},
                                 {"mppe", name_of(mppe_.variant)},
                                 {"key_change_ns", key_change_ns_},
                                 {"huge_pages", plan_.huge_pages},
                                 {"config_ms", times_.config},
                                 {"eal_ms", times_.eal},
                                 {"ports_ms", times_.ports},
                                 {"sessions_ms", times_.sessions},
                                 {"workers_ms", times_.workers},
                                 {"took_ms", watch_.total_ms()}});
}

// --- serving ---

Dataplane::End Dataplane::serve() {
  End end = End::kNotYet;
  while (end == End::kNotYet) {
    run_timers(monotonic_ns());
    wait();
    const std::uint64_t now_ns = monotonic_ns();
    endpoint_->turn(now_ns, Endpoint::readable(std::span(polled_).subspan(kPollPlaces)));
    if (polled_[kRoutes].revents != 0) {
      routes_->on_readable(now_ns);
      publish_routes();
    }
    if (polled_[kLan].revents != 0) lan_.take(packet_pool_, now_ns);
    if (polled_[kSupervisor].revents != 0) end = on_supervisor();
    if (polled_[kSignals].revents != 0 && end == End::kNotYet) end = End::kStop;
  }
  return end;
}

void Dataplane::run_timers(std::uint64_t now_ns) {
  if (now_ns >= next_watchdog_ns_) {
    supervisor_.feed_watchdog();
    next_watchdog_ns_ = now_ns + kWatchdogNs;
  }
  announce_addresses(now_ns);
  if (now_ns >= next_route_timer_ns_) {
    if (routes_->on_timer(now_ns)) publish_routes();
    publish_lost();
    supervisor_.send_waiting();
    next_route_timer_ns_ = now_ns + kRouteTimerNs;
  }
  if (now_ns >= next_port_losses_ns_) {
    ports_.read_losses();
    follow_links();
    // Opening the device anew is what the start does. The supervisor starts another dataplane, and
    // sessions lie in session memory.
    if (const auto fault = ports_.fault()) fail(*fault);
    publish_buffers();
    next_port_losses_ns_ = now_ns + kPortLossesNs;
  }
}

// To the hosts of the core network whose addresses these are: they may know them elsewhere.
void Dataplane::announce_addresses(std::uint64_t now_ns) {
  const MacAddress& mac = ports_[PortRole::kCore].mac;
  announcer_.take_due(
      now_ns, [this](Ipv4Address address) { return routes_->is_on_link(PortRole::kCore, address); },
      [&](Ipv4Address address) {
        rte_mbuf* const made = rte_pktmbuf_alloc(command_pool_);
        if (made == nullptr) return;
        const std::size_t length = write_announcement(
            {rte_pktmbuf_mtod(made, std::byte*), rte_pktmbuf_tailroom(made)}, address, mac);
        made->data_len = static_cast<std::uint16_t>(length);
        made->pkt_len = static_cast<std::uint32_t>(length);
        endpoint_->transmit(PortRole::kCore, made);
      });
}

// The twin follows its port: the kernel and routing daemons see the carrier.
void Dataplane::follow_links() {
  for (const auto& [role, up] : ports_.take_link_changes())
    if (ports_[role].has_twin) twins_->set_carrier(role, up);
}

// Buffers in the caches of lcores are free ones. The count costs one look at each lcore's cache.
void Dataplane::publish_buffers() {
  contract::SessionMemoryHeader& header = memory_.header();
  header.packet_buffers.set(packet_pool_->size);
  header.packet_buffers_in_use.set(rte_mempool_in_use_count(packet_pool_));
}

void Dataplane::publish_lost() {
  contract::SessionMemoryHeader& header = memory_.header();
  const auto set = [&](DropReason reason, std::uint64_t count) {
    header.main_drops[static_cast<std::size_t>(reason)].set(count);
  };
  set(DropReason::neighbour_unanswered, routes_->unanswered());
  set(DropReason::neighbour_queue_full, routes_->queue_full());
  if (lan_.is_open()) {
    set(DropReason::broadcast_limited, lan_.lost());
    set(DropReason::broadcast_queue_full, lan_.not_passed());
  }
  header.neighbour_lost.set(routes_->unresolved_drops());
}

// The sender is told only where it is a subscriber: what came from the core is inside a tunnel.
void Dataplane::report_unanswered(PortRole role, rte_mbuf* packet) {
  if ((context_of(packet).flags & (kPacketNoIcmp | kPacketOuter)) != 0 || packet->nb_segs != 1 ||
      !unanswered_reports_.admit_one(monotonic_ns()))
    return;
  rte_mbuf* const made = rte_pktmbuf_alloc(command_pool_);
  if (made == nullptr) return;
  const std::size_t length = write_host_unreachable(
      {rte_pktmbuf_mtod(made, std::byte*), rte_pktmbuf_tailroom(made)}, octets_of(packet),
      ports_[role].mac, {ipv4_source(*routes_, config_), ipv6_source(*routes_, config_)});
  made->data_len = static_cast<std::uint16_t>(length);
  made->pkt_len = static_cast<std::uint32_t>(length);
  if (length != 0 && subscriber_of(*sessions_, *inner_, octets_of(made)))
    endpoint_->transmit(PortRole::kCore, made);
  else
    rte_pktmbuf_free(made);
}

void Dataplane::wait() {
  doorbell_.prepare_sleep();
  // With work at hand only a look: netlink and the supervisor must not starve while it never ends.
  const bool idle_turn = endpoint_->prepare_sleep();
  polled_.assign(kPollPlaces, {});
  polled_[kSupervisor] = {supervisor_.fd(), POLLIN, 0};
  polled_[kSignals] = {signals_.get(), POLLIN, 0};
  polled_[kDoorbell] = {doorbell_.fd(), POLLIN, 0};
  polled_[kRoutes] = {routes_->fd(), POLLIN, 0};
  polled_[kLan] = {lan_.poll_fd(monotonic_ns()), POLLIN, 0};
  endpoint_->add_poll_fds(polled_);
  const int limit_ms = endpoint_->poll_timeout_ms();
  (void)::poll(polled_.data(), polled_.size(),
               !idle_turn     ? 0
               : limit_ms < 0 ? kMaxWaitMs
                              : limit_ms);
  doorbell_.cancel_sleep();
  doorbell_.drain();
}

// GRE to our own addresses is ours before the first session exists.
void Dataplane::publish_routes() {
  for (const Ipv4Address address : routes_->addresses(PortRole::kAccess))
    if (!sessions_->add_local_address(address))
      log::warn("too many local addresses", {{"address", address}});
  lan_.set_networks(routes_->networks(PortRole::kCore));
  memory_.header().neighbours.set(routes_->neighbours());
  memory_.header().routes.set(routes_->routes());
}

// The sessions stay in session memory whatever comes; control decides which calls end.
Dataplane::End Dataplane::on_supervisor() {
  switch (supervisor_.receive()) {
    case SupervisorLine::Order::kStop:
      return End::kStop;
    case SupervisorLine::Order::kLeave:
      return End::kLeave;
    case SupervisorLine::Order::kGone:
      fail("the supervisor is gone");
    case SupervisorLine::Order::kNone:
      break;
  }
  return End::kNotYet;
}

// --- end ---

void Dataplane::stop(End end) {
  workers_.stop();
  ports_.read_losses();  // sockets take their numbers along
  if (end == End::kLeave) {
    // A successor waits: it opens the ports as after a crash, and the kernel frees the rest faster.
    log::info("dataplane left to its successor");
    std::fflush(nullptr);
    ::_exit(0);
  }
  // Whoever knows the workers' doorbells goes before the workers.
  twins_.reset();
  routes_.reset();
  endpoint_.reset();
  workers_.clear();
  // The ports go with the process: what a driver does to close one needs privileges that are gone.
  // The supervisor takes XDP programs off.
  log::info("dataplane stopped");
}

}  // namespace pns::dataplane
