// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/dataplane.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>

#include "dataplane/filter/filter_numbers.hpp"
#include "dataplane/pipeline/classify.hpp"
#include "dataplane/pipeline/host_unreachable.hpp"
#include "dataplane/port/device_check.hpp"
#include "dataplane/port/steering.hpp"
#include "dataplane/routing/mapped_address.hpp"
#include "dataplane/start/confine.hpp"
#include "dataplane/start/pools.hpp"
#include "dataplane/start_check.hpp"
#include "dataplane/worker/worker_clock.hpp"
#include "pns/log/log.hpp"
#include "pns/privilege/identity.hpp"
#include "pns/privilege/run_places.hpp"
#include "pns/wire/ethernet.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;

constexpr int kGrantTimeoutMs = 10'000;
constexpr unsigned kRingSize = 1024;
constexpr unsigned kLanRingSize = 256;
constexpr unsigned kLanBatch = 32;          // broadcasts of one turn
constexpr unsigned kResolveRingSize = 256;  // as many packets as a worker may ask for at once
constexpr unsigned kBuffersPerWorker = 8192;
constexpr unsigned kBuffersInAll = 8192;
constexpr unsigned kBuffersPerFurtherQueue = 4096;  // the ring of an AF_XDP socket, and room
constexpr std::uint64_t kRouteTimerNs = 100'000'000;
constexpr std::uint64_t kWatchdogNs = 2'000'000'000;
constexpr std::uint64_t kPortLossesNs = 1'000'000'000;
constexpr int kMaxWaitMs = 100;
constexpr std::array kRoles = {PortRole::kAccess, PortRole::kCore};

constexpr std::size_t index_of(PortRole role) noexcept { return static_cast<std::size_t>(role); }

[[noreturn]] void fail(const std::string& reason) { throw std::runtime_error(reason); }

template <class T>
T need(std::expected<T, std::string> value) {
  if (!value) fail(value.error());
  if constexpr (!std::is_void_v<T>) return std::move(*value);
}

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

int run_worker(void* argument) {
  static_cast<WorkerLoop*>(argument)->run();
  return 0;
}

// A share of the buffers bounds the packets that wait, so that they never use up all of them.
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

// Frames of a class that may wait in one worker's ring to the twin of a port. The numbers of
// punt_classes.def are those of a worker with 16,384 buffers; one with fewer gets its share, so
// that all its rings together hold little more than half of its buffers.
unsigned punt_ring_size(PuntClass punt_class, PortRole role, const rte_mempool& pool,
                        unsigned workers) {
  constexpr unsigned kBuffers = 16'384;
  constexpr unsigned kMaxOnCore = 256;  // no clients dial there
  constexpr unsigned kMin = 64;
  const unsigned listed = kPuntClasses[static_cast<std::size_t>(punt_class)].ring;
  const bool few = role == PortRole::kCore && punt_class != PuntClass::service;
  const unsigned wanted = few ? std::min(listed, kMaxOnCore) : listed;
  const unsigned share = std::min(pool.size / workers, kBuffers);
  return std::max(kMin, std::bit_floor(wanted * share / kBuffers));
}

SubscriberPrefixes prefixes_of(const SessionTable::Binding& binding) {
  SubscriberPrefixes all;
  if (binding.prefix != 0)
    all.ipv6.push_back({{binding.prefix, 0}, 64});
  else
    all.ipv4.push_back({binding.address, 32});
  return all;
}

SubscriberPrefixes prefixes_of(const Ipv6Prefix& network) {
  SubscriberPrefixes all;
  if (is_mapped(network.address))
    all.ipv4.push_back(unmapped(network));
  else
    all.ipv6.push_back(network);
  return all;
}

// As routes are written.
std::vector<Ipv6Prefix> routes_of(const SubscriberPrefixes& prefixes) {
  std::vector<Ipv6Prefix> all = prefixes.ipv6;
  for (const Ipv4Prefix& prefix : prefixes.ipv4) all.push_back(mapped(prefix));
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

void log_port(const Port& port) {
  log::info("port open", {{"port", port.role == PortRole::kAccess ? "access" : "core"},
                          {"device", port.device},
                          {"mac", to_string(port.mac)},
                          {"rx_queues", port.rx_queues.size()},
                          {"steering", steering_text(port.steering)},
                          {"no_key_rules", port.no_key_rules.empty() ? "-" : port.no_key_rules},
                          {"mtu", port.mtu},
                          {"multicast", port.no_multicast.empty() ? "all" : port.no_multicast},
                          {"xdp", port.xdp_mode.empty() ? "-" : port.xdp_mode},
                          {"zero_copy", port.zero_copy},
                          {"vlan", port.vlan.count == 0 ? "-" : port.vlan.to_string()},
                          {"twin", port.has_twin ? port.kernel_interface : "none"}});
}

// A worker on another node than the NIC reads each packet over the interconnect.
void warn_of_numa(const Port& port, const std::vector<std::uint16_t>& lcores) {
  if (port.numa_node < 0) return;
  for (const std::uint16_t lcore : lcores)
    if (const unsigned node = rte_lcore_to_socket_id(lcore);
        node != static_cast<unsigned>(port.numa_node))
      log::warn("worker on another NUMA node than a port", {{"port", role_name(port.role)},
                                                            {"device", port.device},
                                                            {"port_node", port.numa_node},
                                                            {"lcore", lcore},
                                                            {"lcore_node", node}});
}

}  // namespace

Dataplane::PortLossWatch::PortLossWatch(const Port& port, contract::SessionMemoryHeader& header)
    : statistics(port), book(header.port_losses[index_of(port.role)], port.device) {
  poll();
}

Dataplane::Dataplane(const config::Source& source, std::filesystem::path run_dir,
                     UniqueFd supervisor)
    : run_dir_(std::move(run_dir)),
      supervisor_(std::move(supervisor)),
      config_(load_config(source)) {}

Dataplane::~Dataplane() { stop_workers(); }

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
  times_.sessions = watch_.lap_ms();
  make_worker_places();
  connect_twins();
  connect_control();
  start_routes();
  make_workers();
  launch();
  times_.workers = watch_.lap_ms();
  report_start();
}

void Dataplane::take_grants() {
  grants_ = need(contract::receive_grants(supervisor_.get(), kGrantTimeoutMs));
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
      kBuffersInAll + workers * kBuffersPerWorker +
      (further_xdp_queues(config_) + further_bond_queues(config_)) * kBuffersPerFurtherQueue;
  packet_pool_ = need(make_packet_pool("pns-packets", buffers, config_.ports.use_xdp()));
  command_pool_ = need(make_packet_pool("pns-commands", kRingSize * 3U * (workers + 1U), false));
}

void Dataplane::open_ports() {
  if (!device_faults_.watch()) fail("DPDK takes no callback for device events");
  for (const PortRole role : kRoles)
    port(role) = role == PortRole::kCore && config_.ports.one_device()
                     ? port_on_device_of(port(PortRole::kAccess), config_)
                     : need(open_port(role, config_, std::move(grants_.wires[index_of(role)]),
                                      packet_pool_));
  pool_prefixes_ = config::prefixes_of_pools(config_);
  if (const Port& core = port(PortRole::kCore); !core.has_twin && !core.leads_to_host) {
    xdp_prefixes_ = need(XdpPrefixes::open(core.kernel_interface));
    need(xdp_prefixes_->add(pool_prefixes_));
    if (relays_broadcasts()) lan_ = need(BroadcastSocket::open(core.kernel_interface));
  }
  for (const Port& opened : ports_) {
    port_losses_.emplace_back(opened, memory_.header());
    links_.add(opened);
    log_port(opened);
    warn_of_numa(opened, config_.dataplane.cores.workers);
  }
}

// The supervisor gives the twins our MACs and their addresses.
void Dataplane::announce_twins() {
  for (const Port& opened : ports_) {
    // One link has one twin.
    if (!opened.has_twin || (opened.role == PortRole::kCore && config_.ports.one_link())) continue;
    contract::SupervisorMessage message;
    message.type = contract::SupervisorMessageType::kSetTwin;
    message.port = static_cast<std::uint32_t>(opened.role);
    message.mac = opened.mac;
    message.value = opened.mtu;
    if (!contract::send_supervisor_message(supervisor_.get(), message))
      fail("the supervisor does not take messages");
  }
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
  if (has_tap || !supervisor_asks()) return {CAP_NET_ADMIN};
  return {};
}

// Before sessions are adopted: a restart with other workers gives them other buckets.
void Dataplane::publish_steering() {
  contract::SessionMemoryHeader& header = memory_.header();
  const Buckets buckets = assign_buckets(worker_count());
  for (std::size_t bucket = 0; bucket < buckets.size(); ++bucket)
    header.steering[bucket].store(buckets[bucket]);
  for (const Port& opened : ports_) header.port_steering[index_of(opened.role)] = opened.steering;
  header.worker_count.store(worker_count());
  header.tsc_hz.store(rte_get_tsc_hz());
  header.dataplane_epoch.fetch_add(1);
}

// The kernel is not asked yet. Sessions that are adopted may need routes.
void Dataplane::make_routes() {
  outer_ = need(NextHops::create("pns-outer", {.ipv6_routes = 0}));
  inner_ = need(NextHops::create("pns-inner"));
  Routes::Settings settings;
  for (const Port& opened : ports_)
    settings.ports[index_of(opened.role)] = {opened.kernel_interface, opened.mac,
                                             settings_of(opened.role).table, opened.leads_to_host};
  settings.pools = routes_of(pool_prefixes_);
  settings.access_from_inside = config_.ports.access.reachable_by_subscribers;
  if (has_services()) settings.services_interface = config_.ports.core.services.interface;
  // Before sessions are adopted no worker looks into the tables.
  settings.quiescence = {
      .begin = [this] { return sessions_ ? rte_rcu_qsbr_start(&sessions_->quiescence()) : 0; },
      .passed = [this](std::uint64_t token) { return token == 0 || sessions_->quiescent(token); }};
  settings.relays_broadcasts = relays_broadcasts();
  Routes::Tell tell;
  if (supervisor_asks())
    tell = [this](PortRole role, const Ipv6Address& neighbour, netlink::NeighbourVerb verb) {
      tell_of_neighbour(role, neighbour, verb);
    };
  routes_.emplace(
      routing(), std::move(settings),
      [this](PortRole role, rte_mbuf* packet) { endpoint_->transmit(role, packet); },
      [this](PortRole role, rte_mbuf* packet) { report_unanswered(role, packet); },
      std::move(tell));
}

void Dataplane::adopt_sessions() {
  sessions_ = need(SessionTable::create(memory_, worker_count()));
  sessions_->watch({.bound = [this](const auto& binding) { take_subscriber(binding); },
                    .unbound = [this](const auto& binding) { leave_subscriber(binding); }});
  adopted_ = sessions_->adopt();
  // Networks behind subscribers are told by the control process once it has attached.
  networks_.emplace(SessionNetworks::Watcher{
      .added = [this](const auto& network,
                      SlotId session) { return take_network(network, session); },
      .removed = [this](const auto& network) { leave_network(network); },
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

void Dataplane::take_subscriber(const SessionTable::Binding& binding) {
  if (binding.prefix == 0) announcer_.add(binding.address);
  const SubscriberPrefixes subscriber = prefixes_of(binding);
  if (is_within(pool_prefixes_, subscriber)) return;
  for (const Ipv6Prefix& route : routes_of(subscriber)) routes_->add_subscriber(route);
  tell_of_subscriber(subscriber, true);
  if (!xdp_prefixes_) return;
  if (const auto added = xdp_prefixes_->add(subscriber); !added)
    log::warn("subscriber packets left to the kernel", {{"error", added.error()}});
}

void Dataplane::leave_subscriber(const SessionTable::Binding& binding) {
  const SubscriberPrefixes subscriber = prefixes_of(binding);
  if (is_within(pool_prefixes_, subscriber)) return;
  for (const Ipv6Prefix& route : routes_of(subscriber)) routes_->remove_subscriber(route);
  tell_of_subscriber(subscriber, false);
  if (!xdp_prefixes_) return;
  if (const auto removed = xdp_prefixes_->remove(subscriber); !removed)
    log::warn("subscriber packets not left to the kernel", {{"error", removed.error()}});
}

bool Dataplane::take_network(const Ipv6Prefix& network, SlotId session) {
  if (!routes_->add_network(network, session)) return false;
  if (!xdp_prefixes_) return true;
  const auto added = xdp_prefixes_->add(prefixes_of(network));
  if (added) return true;
  log::warn("subscriber packets left to the kernel", {{"error", added.error()}});
  routes_->remove_network(network);
  return false;
}

void Dataplane::leave_network(const Ipv6Prefix& network) {
  routes_->remove_network(network);
  if (!xdp_prefixes_) return;
  if (const auto removed = xdp_prefixes_->remove(prefixes_of(network)); !removed)
    log::warn("subscriber packets not left to the kernel", {{"error", removed.error()}});
}

// Each worker's place, with its rings to main and to every other worker.
void Dataplane::make_worker_places() {
  for (std::uint16_t i = 0; i < worker_count(); ++i) {
    auto& place = *places_.emplace_back(std::make_unique<WorkerPlace>());
    place.lcore = config_.dataplane.cores.workers[i];
    place.config.id = WorkerId(i);
    place.config.worker_count = worker_count();
    place.config.pool = packet_pool_;
    place.config.one_device = config_.ports.one_device();
    place.config.commands = need(make_ring(fmt::format("commands{}", i), kRingSize));
    // A storm of 5,000 clients sends as much while a worker waits for a core.
    const unsigned control_frames = std::clamp(
        std::bit_floor(packet_pool_->size / worker_count() / 4), kRingSize, 4 * kRingSize);
    place.config.to_main = {need(make_ring(fmt::format("control{}", i), control_frames)),
                            need(make_ring(fmt::format("gateways{}", i), kResolveRingSize)),
                            need(make_ring(fmt::format("neighbours{}", i), 2 * kResolveRingSize))};
  }
  for (std::size_t from = 0; from < places_.size(); ++from)
    for (std::size_t to = 0; to < places_.size(); ++to) {
      places_[from]->config.worker_doorbells[to] = &places_[to]->doorbell;
      if (from == to) continue;
      rte_ring* ring = need(make_ring(fmt::format("handover{}-{}", from, to), kRingSize));
      places_[from]->config.handover_out[to] = ring;
      places_[to]->config.handover_in[from] = ring;
    }
}

// The queues of the ports go to the workers, and rings join workers and twins. The first worker
// sends what the kernel has for a port.
void Dataplane::connect_twins() {
  std::array<TwinBridge::Twin, TwinBridge::kTwins> twins;
  for (const Port& opened : ports_) {
    const std::size_t index = index_of(opened.role);
    TwinBridge::Twin& twin = twins[index];
    twin.fd = std::move(grants_.twins[index]);
    // The twin of one link: the access port reads it, and both write.
    const bool only_writes = opened.role == PortRole::kCore && config_.ports.one_link();
    if (only_writes && opened.has_twin)
      twin.fd.reset(::fcntl(twins[index_of(PortRole::kAccess)].fd.get(), F_DUPFD_CLOEXEC, 0));
    if (opened.has_twin && !twin.fd) fail("the supervisor granted no twin for " + opened.device);
    for (std::size_t i = 0; i < places_.size(); ++i) {
      WorkerConfig::Port& settings = places_[i]->config.ports[index];
      for (std::size_t queue = i; queue < opened.rx_queues.size(); queue += places_.size())
        settings.rx_queues.push_back(opened.rx_queues[queue]);
      settings.tx_queue = opened.tx_queues[i];
      settings.mac = opened.mac;
      settings.vlan = opened.vlan;
      settings.mtu = opened.mtu;
      settings.has_twin = opened.has_twin;
      settings.leads_to_host = opened.leads_to_host;
      if (!opened.has_twin) continue;
      for (std::size_t n = 0; n < kPuntClassCount; ++n) {
        if (static_cast<PuntClass>(n) == PuntClass::service) continue;
        rte_ring* const ring = need(make_ring(
            fmt::format("twin{}-{}-{}", index, i, n),
            punt_ring_size(static_cast<PuntClass>(n), opened.role, *packet_pool_, worker_count())));
        settings.punt[n] = {kPuntClasses[n].rate, rte_ring_get_capacity(ring), ring};
        twin.from_workers.push_back(ring);
      }
      if (i != 0 || only_writes) continue;
      settings.from_twin = need(make_ring(fmt::format("from-twin{}", index), kRingSize));
      twin.to_worker = settings.from_twin;
      twin.worker_doorbell = &places_.front()->doorbell;
    }
  }
  connect_services(twins[TwinBridge::kServices]);
  connect_lan();
  twins_.emplace(std::move(twins), packet_pool_, memory_.header());
}

// Services of the host are PuntClass::service of the core port, whatever device that is.
void Dataplane::connect_services(TwinBridge::Twin& services) {
  if (!has_services()) return;
  services.fd = std::move(grants_.services);
  constexpr auto kClass = static_cast<std::size_t>(PuntClass::service);
  for (std::size_t i = 0; i < places_.size(); ++i) {
    rte_ring* const ring = need(make_ring(
        fmt::format("services{}", i),
        punt_ring_size(PuntClass::service, PortRole::kCore, *packet_pool_, worker_count())));
    places_[i]->config.ports[index_of(PortRole::kCore)].punt[kClass] = {
        kPuntClasses[kClass].rate, rte_ring_get_capacity(ring), ring};
    services.from_workers.push_back(ring);
  }
  WorkerConfig& first = places_.front()->config;
  first.from_services = need(make_ring("from-services", kRingSize));
  services.to_worker = first.from_services;
  services.worker_doorbell = &places_.front()->doorbell;
}

// The kernel's copies of broadcasts, where the port itself does not see them.
void Dataplane::connect_lan() {
  if (!lan_) return;
  from_lan_ = need(make_ring("from-lan", kLanRingSize));
  places_.front()->config.from_lan = from_lan_;
  lan_rate_ = EventBucket(config_.ppp.broadcast_relay, config_.ppp.broadcast_relay);
}

void Dataplane::connect_control() {
  std::vector<Endpoint::WorkerLine> lines;
  for (const auto& place : places_)
    lines.push_back({place->config.commands, place->config.to_main, &place->doorbell});
  endpoint_.emplace(*sessions_, *networks_, std::move(lines), command_pool_, random_,
                    [this](PortRole role, const Ipv6Address& next_hop, rte_mbuf* packet) {
                      routes_->hold(role, next_hop, packet, monotonic_ns());
                    });
}

void Dataplane::start_routes() {
  need(routes_->start());
  publish_routes();
}

// A request that finds the socket full is made again: Routes asks until it knows the address.
void Dataplane::tell_of_neighbour(PortRole role, const Ipv6Address& neighbour,
                                  netlink::NeighbourVerb verb) {
  contract::SupervisorMessage message;
  message.type = contract::SupervisorMessageType::kAskNeighbour;
  message.value = verb == netlink::NeighbourVerb::kAsk ? 0 : 1;
  message.port = static_cast<std::uint32_t>(role);
  const std::string text =
      is_mapped(neighbour) ? unmapped(neighbour).to_string() : neighbour.to_string();
  text.copy(message.text.data(), message.text.size() - 1);
  (void)contract::send_supervisor_message(supervisor_.get(), message);
}

// The kernel's way back from services of the host. Changes wait while the socket is full: a start
// may adopt many sessions.
void Dataplane::tell_of_subscriber(const SubscriberPrefixes& subscriber, bool bound) {
  if (grants_.supervisor_version < contract::kSubscriberRouteSince ||
      (!config_.ports.core.services.enabled && !port(PortRole::kCore).leads_to_host))
    return;
  for (const Ipv4Prefix& prefix : subscriber.ipv4)
    route_changes_.push_back({prefix.address.to_string(), bound});
  for (const Ipv6Prefix& prefix : subscriber.ipv6)
    route_changes_.push_back({prefix.address.to_string(), bound});
  tell_route_changes();
}

void Dataplane::tell_route_changes() {
  contract::SupervisorMessage message;
  message.type = contract::SupervisorMessageType::kSubscriberRoute;
  while (!route_changes_.empty()) {
    const auto& [subscriber, bound] = route_changes_.front();
    message.value = bound ? 0 : 1;
    message.text.fill('\0');
    subscriber.copy(message.text.data(), message.text.size() - 1);
    if (!contract::send_supervisor_message(supervisor_.get(), message)) return;
    route_changes_.pop_front();
  }
}

void Dataplane::take_local_addresses() {
  for (const Ipv4Address address : routes_->addresses(PortRole::kAccess))
    if (!sessions_->add_local_address(address))
      log::warn("too many local addresses", {{"address", address}});
}

void Dataplane::make_workers() {
  key_change_ns_ = measure_key_change_ns(mppe_.kernels);
  for (const auto& place : places_) {
    configure_worker(place->config);
    place->worker = std::make_unique<Worker>(place->config, *sessions_, routing());
    if (!place->worker->complete())
      fail("no memory for pptp.gre.reassembly (dataplane.memory.megabytes)");
    place->loop =
        std::make_unique<WorkerLoop>(*place->worker, place->doorbell, loop_settings(place->config));
  }
}

void Dataplane::configure_worker(WorkerConfig& worker) {
  for (auto& settings : worker.ports) settings.twin_doorbell = &twins_->doorbell();
  worker.main_doorbell = &doorbell_;
  worker.control_attached = &endpoint_->control_attached();
  worker.icmp_source = ipv4_source(*routes_, config_);
  worker.icmp_source_ipv6 = ipv6_source(*routes_, config_);
  set_gre(worker, config_.pptp.gre, places_.size());
  worker.mppe = mppe_.kernels;
  worker.gaps.step_ns = key_change_ns_;
  worker.filters = filters_.get();
  if (relays_broadcasts())
    worker.broadcasts = {.rate = config_.ppp.broadcast_relay, .networks = &broadcast_networks_};
}

config::IdleMode Dataplane::idle_mode(WorkerId worker) const {
  const config::IdleMode idle = resolve_idle_mode(config_, host_);
  // A port that nothing can be waited on must not nap for as long as the others may.
  const bool can_wait = std::ranges::all_of(ports_, [&](const Port& opened) {
    return opened.rx_queues.size() <= worker.value || opened.capabilities.can_wait;
  });
  return idle == config::IdleMode::kWait && !can_wait ? config::IdleMode::kSleep : idle;
}

WorkerLoop::Settings Dataplane::loop_settings(const WorkerConfig& worker) const {
  WorkerLoop::Settings settings;
  settings.mode = idle_mode(worker.id);
  settings.spin_polls = config_.dataplane.idle.spin_polls;
  settings.sleep = config_.dataplane.idle.sleep;
  settings.wait = config_.dataplane.idle.wait;
  settings.ns_per_cycle = 1e9 / static_cast<double>(rte_get_tsc_hz());
  for (const Port& opened : ports_) {
    const std::vector<int> own = wait_fds_of(opened, worker.id, worker_count());
    settings.wait_fds.insert(settings.wait_fds.end(), own.begin(), own.end());
  }
  return settings;
}

void Dataplane::launch() {
  need(endpoint_->listen(std::move(control_socket_), control_uid_));
  twins_->start();
  links_.start();
  for (const auto& place : places_)
    if (rte_eal_remote_launch(run_worker, place->loop.get(), place->lcore) != 0)
      fail(fmt::format("lcore {} cannot be started", place->lcore));
}

void Dataplane::report_start() {
  contract::SupervisorMessage ready;
  ready.type = contract::SupervisorMessageType::kReady;
  // Requests of the start may have filled the socket. A supervisor that is gone shows in serve().
  while (!contract::send_supervisor_message(supervisor_.get(), ready) && errno == EAGAIN) {
    pollfd room{supervisor_.get(), POLLOUT, 0};
    (void)::poll(&room, 1, kMaxWaitMs);
  }
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
    if (polled_[kRoutes].revents != 0) on_routes_changed(now_ns);
    if (polled_[kLan].revents != 0) take_lan_broadcasts(now_ns);
    if (polled_[kSupervisor].revents != 0) end = on_supervisor();
    if (polled_[kSignals].revents != 0 && end == End::kNotYet) end = End::kStop;
  }
  return end;
}

void Dataplane::run_timers(std::uint64_t now_ns) {
  if (now_ns >= next_watchdog_ns_) {
    tell_supervisor(contract::SupervisorMessageType::kWatchdog);
    next_watchdog_ns_ = now_ns + kWatchdogNs;
  }
  announce_addresses(now_ns);
  if (now_ns >= next_route_timer_ns_) {
    if (routes_->on_timer(now_ns)) publish_routes();
    publish_lost();
    tell_route_changes();
    next_route_timer_ns_ = now_ns + kRouteTimerNs;
  }
  if (now_ns >= next_port_losses_ns_) {
    for (PortLossWatch& watched : port_losses_) watched.poll();
    poll_links();
    leave_faulty_device();
    publish_buffers();
    next_port_losses_ns_ = now_ns + kPortLossesNs;
  }
}

// To the hosts of the core network whose addresses these are: they may know them elsewhere.
void Dataplane::announce_addresses(std::uint64_t now_ns) {
  const MacAddress& mac = port(PortRole::kCore).mac;
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

// The twin follows its port: the kernel and routing daemons see the carrier. A bond has a link as
// long as one of its members has.
void Dataplane::poll_links() {
  while (const auto member = links_.member_changed())
    log::warn("port member link", {{"port", role_name(member->role)},
                                   {"member", member->name},
                                   {"state", member->up ? "up" : "down"}});
  for (const PortRole role : kRoles) {
    const auto changed = links_.changed(role);
    if (!changed) continue;
    if (port(role).has_twin) twins_->set_carrier(role, *changed);
    memory_.header().port_link[index_of(role)].set(
        static_cast<std::uint64_t>(*changed ? contract::PortLink::kUp : contract::PortLink::kDown));
    log::info("port link", {{"port", role_name(role)},
                            {"device", port(role).device},
                            {"state", *changed ? "up" : "down"}});
  }
}

// Opening the device anew is what the start does. The supervisor starts another dataplane, and
// sessions lie in session memory.
void Dataplane::leave_faulty_device() {
  const DeviceFaults::Fault fault = device_faults_.first();
  if (fault.kind == DeviceFaults::Kind::kNone) return;
  const auto found = std::ranges::find_if(ports_, [&](const Port& opened) {
    return opened.ethdev_id == fault.ethdev_id ||
           std::ranges::find(opened.members, fault.ethdev_id, &BondMember::ethdev_id) !=
               opened.members.end();
  });
  if (found == ports_.end()) return device_faults_.ignore_first();
  fail(
      fmt::format("port {} ({}): the device {}", role_name(found->role), found->device,
                  fault.kind == DeviceFaults::Kind::kRemoved ? "was removed" : "asks for a reset"));
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
  if (lan_) {
    set(DropReason::broadcast_limited, lan_->lost());
    set(DropReason::broadcast_queue_full, lan_not_passed_);
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
      port(role).mac, {ipv4_source(*routes_, config_), ipv6_source(*routes_, config_)});
  made->data_len = static_cast<std::uint16_t>(length);
  made->pkt_len = static_cast<std::uint32_t>(length);
  if (length != 0 && subscriber_of(*sessions_, *inner_, octets_of(made)))
    endpoint_->transmit(PortRole::kCore, made);
  else
    rte_pktmbuf_free(made);
}

void Dataplane::take_lan_broadcasts(std::uint64_t now_ns) {
  std::array<std::byte, config::kMaxPortMtu + wire::kEthernetHeaderSize> room;
  bool passed = false;
  for (unsigned n = 0; n < kLanBatch && lan_rate_.next_due_ns() <= now_ns; ++n) {
    const auto frame = lan_->receive(room);
    if (!frame) break;
    (void)lan_rate_.admit_one(now_ns);
    rte_mbuf* const made = packet_of(packet_pool_, *frame);
    if (made != nullptr && rte_ring_enqueue(from_lan_, made) == 0) {
      passed = true;
      continue;
    }
    ++lan_not_passed_;
    if (made != nullptr) rte_pktmbuf_free(made);
  }
  if (passed) places_.front()->doorbell.ring();
}

void Dataplane::wait() {
  doorbell_.prepare_sleep();
  // With work at hand only a look: netlink and the supervisor must not starve while it never ends.
  const bool idle_turn = endpoint_->prepare_sleep();
  polled_.assign(kPollPlaces, {});
  polled_[kSupervisor] = {supervisor_.get(), POLLIN, 0};
  polled_[kSignals] = {signals_.get(), POLLIN, 0};
  polled_[kDoorbell] = {doorbell_.fd(), POLLIN, 0};
  polled_[kRoutes] = {routes_->fd(), POLLIN, 0};
  // Over their rate, broadcasts wait in the kernel, which drops what is too much.
  const bool takes_broadcasts = lan_ && lan_rate_.next_due_ns() <= monotonic_ns();
  polled_[kLan] = {takes_broadcasts ? lan_->fd() : -1, POLLIN, 0};
  endpoint_->add_poll_fds(polled_);
  const int limit_ms = endpoint_->poll_timeout_ms();
  (void)::poll(polled_.data(), polled_.size(),
               !idle_turn     ? 0
               : limit_ms < 0 ? kMaxWaitMs
                              : limit_ms);
  doorbell_.cancel_sleep();
  doorbell_.drain();
}

void Dataplane::on_routes_changed(std::uint64_t now_ns) {
  routes_->on_readable(now_ns);
  publish_routes();
}

void Dataplane::publish_routes() {
  take_local_addresses();
  if (relays_broadcasts()) publish_broadcast_networks();
  memory_.header().neighbours.set(routes_->neighbours());
  memory_.header().routes.set(routes_->routes());
}

void Dataplane::publish_broadcast_networks() {
  const std::size_t networks = broadcast_networks_.set(routes_->networks(PortRole::kCore));
  if (networks > BroadcastNetworks::kMaxNetworks && networks != networks_with_broadcast_)
    log::warn("too many networks for the broadcast relay",
              {{"networks", networks}, {"relayed", BroadcastNetworks::kMaxNetworks}});
  networks_with_broadcast_ = networks;
}

// The sessions stay in session memory whatever comes; control decides which calls end.
Dataplane::End Dataplane::on_supervisor() {
  const auto message = contract::receive_supervisor_message(supervisor_.get());
  if (!message) {
    if (message.error() != contract::ReceiveError::kWouldBlock) fail("the supervisor is gone");
    return End::kNotYet;
  }
  if (message->message.type == contract::SupervisorMessageType::kStop) return End::kStop;
  if (message->message.type == contract::SupervisorMessageType::kLeave) return End::kLeave;
  return End::kNotYet;
}

void Dataplane::tell_supervisor(contract::SupervisorMessageType type) {
  contract::SupervisorMessage message;
  message.type = type;
  (void)contract::send_supervisor_message(supervisor_.get(), message);
}

// --- end ---

void Dataplane::stop_workers() noexcept {
  if (places_.empty()) return;
  for (const auto& place : places_)
    if (place->loop) place->loop->stop();
  rte_eal_mp_wait_lcore();
}

void Dataplane::stop(End end) {
  stop_workers();
  for (PortLossWatch& watched : port_losses_) watched.poll();  // sockets take their numbers along
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
  places_.clear();
  port_losses_.clear();
  // The ports go with the process: what a driver does to close one needs privileges that are gone.
  // The supervisor takes XDP programs off.
  log::info("dataplane stopped");
}

}  // namespace pns::dataplane
