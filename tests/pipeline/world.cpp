// SPDX-License-Identifier: BSD-3-Clause
#include "tests/pipeline/world.hpp"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "dataplane/routing/mapped_address.hpp"
#include "pns/base/drop_reason.hpp"
#include "tests/support/tsan_dpdk.hpp"

namespace pns::test {
namespace {

using namespace dataplane;

constexpr unsigned kQueues = 4;
constexpr NextHopId kPoolHop(8);
constexpr NextHopId kBroadcastHop(9);

// Start keys of armed sessions: the first octet, each further one is larger by 1.
constexpr unsigned kOurKey = 0x10;
constexpr unsigned kTheirKey = 0x80;

std::array<std::byte, 16> start_key(unsigned first) {
  std::array<std::byte, 16> key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(first + i);
  return key;
}

MacAddress mac(std::string_view hex) {
  MacAddress out{};
  const Octets o = octets(hex);
  std::memcpy(out.data(), o.data(), 6);
  return out;
}

// Ring ports live as long as the process: four queues each, shared by all Worlds.
struct RingPorts {
  rte_mempool* pool = nullptr;
  std::array<std::array<rte_ring*, kQueues>, 2> rx{}, tx{};
  std::array<std::uint16_t, 2> id{};
  std::unique_ptr<NextHops> outer, inner;

  RingPorts() {
    pool = rte_pktmbuf_pool_create_by_ops("world", 8191, 0, kMbufPrivateSize,
                                          RTE_MBUF_DEFAULT_BUF_SIZE,
                                          static_cast<int>(rte_socket_id()), visible_pool_ops());
    REQUIRE(pool != nullptr);
    for (unsigned port = 0; port < 2; ++port) {
      for (unsigned queue = 0; queue < kQueues; ++queue) {
        const auto suffix = std::to_string(port) + std::to_string(queue);
        rx[port][queue] = rte_ring_create(("rx" + suffix).c_str(), 1024, 0, 0);
        tx[port][queue] = rte_ring_create(("tx" + suffix).c_str(), 1024, 0, 0);
        REQUIRE((rx[port][queue] != nullptr && tx[port][queue] != nullptr));
      }
      const int made = rte_eth_from_rings(port == 0 ? "access" : "core", rx[port].data(), kQueues,
                                          tx[port].data(), kQueues, 0);
      REQUIRE(made >= 0);
      id[port] = static_cast<std::uint16_t>(made);
      const rte_eth_conf conf{};
      REQUIRE(rte_eth_dev_configure(id[port], kQueues, kQueues, &conf) == 0);
      for (std::uint16_t queue = 0; queue < kQueues; ++queue) {
        REQUIRE(rte_eth_rx_queue_setup(id[port], queue, 64, 0, nullptr, pool) == 0);
        REQUIRE(rte_eth_tx_queue_setup(id[port], queue, 64, 0, nullptr) == 0);
      }
      make_port_visible(id[port], kQueues);
      REQUIRE(rte_eth_dev_start(id[port]) == 0);
    }
    outer = NextHops::create("outer", {.ipv6_routes = 0}).value();
    inner = NextHops::create("inner").value();
    const auto add_to = [](NextHops& table, std::uint16_t number, const NextHop& hop,
                           const char* prefix) {
      REQUIRE(table.set(NextHopId(number), hop));
      REQUIRE(table.add_route(*Ipv4Prefix::parse(prefix), NextHopId(number)));
    };
    const auto add = [&](std::uint16_t number, const NextHop& hop, const char* prefix) {
      add_to(*inner, number, hop, prefix);
    };
    const NextHop access{
        NextHopKind::kResolved, kAccess, mac(kAccessRouterMac), mac(kAccessMac), {}};
    const NextHop core{NextHopKind::kResolved, kCore, mac(kCoreRouterMac), mac(kCoreMac), {}};
    const NextHop glean{NextHopKind::kGlean, kCore, {}, mac(kCoreMac), {}};
    const NextHop gateway{
        NextHopKind::kGlean, kCore, {}, mac(kCoreMac), mapped(Ipv4Address(address("10.0.0.254")))};
    const NextHop local{NextHopKind::kLocal, kCore, {}, {}, {}};
    add_to(*outer, 1, access, "203.0.113.0/24");
    add_to(*outer, 2, NextHop{NextHopKind::kGlean, kAccess, {}, mac(kAccessMac), {}},
           "198.51.100.0/24");
    add_to(*outer, 3, NextHop{NextHopKind::kLocal, kAccess, {}, {}, {}}, "198.51.100.1/32");
    add(2, core, "10.0.0.0/8");
    add(3, glean, "10.99.0.0/16");
    add(4, gateway, "192.168.0.0/16");
    add(5, local, "10.0.0.1/32");
    add(5, local, "10.65.0.1/32");
    // Pools of which no test leases an address unless it says so.
    add(8, NextHop{NextHopKind::kPool, kCore, {}, {}, {}}, "10.65.0.0/16");
    const NextHop router{
        NextHopKind::kGlean, kCore, {}, mac(kCoreMac), *Ipv6Address::parse("fe80::fe")};
    const auto add6 = [&](std::uint16_t number, const NextHop& hop, const char* prefix) {
      REQUIRE(inner->set(NextHopId(number), hop));
      REQUIRE(inner->add_route(*Ipv6Prefix::parse(prefix), NextHopId(number)));
    };
    add6(2, core, "2001:db8:c::/48");
    add6(3, glean, "2001:db8:99::/64");
    add6(7, router, "2001:db8:a8::/48");
    add6(5, local, "2001:db8:c::1/128");
    add6(8, NextHop{NextHopKind::kPool, kCore, {}, {}, {}}, "2001:db8:65::/48");
  }
};

RingPorts& ports() {
  static RingPorts* const the = new RingPorts;  // outlives EAL, which the end of main takes down
  return *the;
}

Octets take_octets(rte_mbuf* packet) {
  Octets out(packet->pkt_len);
  std::size_t at = 0;
  for (const rte_mbuf* segment = packet; segment != nullptr; segment = segment->next) {
    if (segment->data_len == 0) continue;  // a report without a frame: out has no memory
    std::memcpy(out.data() + at, rte_pktmbuf_mtod(segment, const std::byte*), segment->data_len);
    at += segment->data_len;
  }
  rte_pktmbuf_free(packet);
  return out;
}

// Null: no buffer, or the frame is too long.
rte_mbuf* try_make_packet(Bytes frame) {
  rte_mbuf* packet = rte_pktmbuf_alloc(ports().pool);
  if (packet == nullptr) return nullptr;
  auto* room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size()));
  if (room == nullptr) {
    rte_pktmbuf_free(packet);
    return nullptr;
  }
  std::memcpy(room, frame.data(), frame.size());
  // Octets that a driver leaves in the private area are not to be trusted.
  std::memset(rte_mbuf_to_priv(packet), 0xa5, kMbufPrivateSize);
  return packet;
}

rte_mbuf* make_packet(Bytes frame) {
  rte_mbuf* packet = try_make_packet(frame);
  REQUIRE(packet != nullptr);
  return packet;
}

std::vector<Octets> drain(rte_ring* ring) {
  std::vector<Octets> out;
  void* packet = nullptr;
  while (rte_ring_dequeue(ring, &packet) == 0) {
    after_port_has_sent();
    out.push_back(take_octets(static_cast<rte_mbuf*>(packet)));
  }
  return out;
}

}  // namespace

World::World(WorldOptions options)
    : options_(options), control_attached_(options.control_attached) {
  auto made = contract::SessionMemory::create(options_.max_sessions, false, 1);
  REQUIRE(made);
  fd_ = std::move(*made);
  auto attached = contract::SessionMemory::attach(fd_.get());
  REQUIRE(attached);
  memory_ = std::move(*attached);
  routing_.emplace(RoutingTables{*ports().outer, *ports().inner});
  if (options_.broadcast_relay != 0) set_broadcast_route(true);
  start(options_.workers);
}

World::~World() {
  // The packets that wait behind a gap are given up, and so are broadcasts.
  advance(2 * dataplane::GapQueue::kMaxWaitNs);
  run();
  for (const auto port : {kAccess, kCore}) {
    for (auto& frame : sent(port)) leftovers_.push_back(frame);
    (void)punted(port);
  }
  (void)control();
  (void)resolves();
  check_books();
  stop();
  for (const Ipv6Prefix& route : subscribers_) set_route(route, false);
  if (options_.broadcast_relay != 0) set_broadcast_route(false);
  CHECK(rte_mempool_in_use_count(ports().pool) == 0);
}

rte_mempool* World::pool() { return ports().pool; }

rte_ring* World::make_ring() { return make_ring(options_.ring_size); }

rte_ring* World::make_ring(unsigned size) {
  static unsigned number = 0;
  rte_ring* ring = rte_ring_create(("r" + std::to_string(number++)).c_str(), size, 0,
                                   RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
  REQUIRE(ring != nullptr);
  rings_.push_back(ring);
  return ring;
}

void World::start(std::uint16_t count) {
  auto& header = memory_.header();
  header.worker_count.store(count);
  for (unsigned bucket = 0; bucket < kSteeringBuckets; ++bucket)
    header.steering[bucket].store(static_cast<std::uint8_t>(bucket % count));
  auto table = SessionTable::create(memory_, count);
  REQUIRE(table);
  table_ = std::move(*table);
  table_->watch({.bound = [this](const auto& binding) { lead_to_session(binding, true); },
                 .unbound = [this](const auto& binding) { lead_to_session(binding, false); }});
  table_->add_local_address(Ipv4Address(address(kLocal)));
  table_->adopt();

  if (!options_.filters.empty() && !filters_) {
    std::vector<dataplane::FilterSet::Numbered> list;
    for (const auto& [number, rules] : options_.filters) list.push_back({number, &rules});
    auto made = dataplane::FilterSet::create(list);
    REQUIRE(made);
    filters_ = std::move(*made);
  }
  if (!options_.rate_groups.empty())
    rate_groups_ = std::make_unique<dataplane::RateGroups>(options_.rate_groups);
  std::vector<WorkerConfig> configs(count);
  for (unsigned w = 0; w < count; ++w) {
    WorkerConfig& config = configs[w];
    config.id = WorkerId(static_cast<std::uint16_t>(w));
    config.worker_count = count;
    for (unsigned p = 0; p < 2; ++p) {
      auto& port = config.ports[p];
      const auto queue = static_cast<std::uint16_t>(w);
      port.rx_queues = {RxQueue::ethdev(ports().id[p], queue)};
      port.tx_queue = TxQueue::ethdev(ports().id[p], queue);
      port.mac = mac(p == 0 || options_.one_device ? kAccessMac : kCoreMac);
      port.vlan = dataplane::VlanTags::of(options_.vlans[p]);
      if (p == 1 && options_.one_device) port.rx_queues.clear();
      port.has_twin = options_.twins;
      port.mtu = options_.mtu;
      for (std::size_t k = 0; k < kPuntClassCount; ++k) {
        const bool service = static_cast<PuntClass>(k) == PuntClass::service;
        if (service ? p == 0 || !options_.services : !options_.twins) continue;
        const PuntClassInfo& listed = kPuntClasses[k];
        port.punt[k] = options_.listed_punt_classes
                           ? PuntQueue{listed.rate, listed.ring, make_ring(listed.ring)}
                           : PuntQueue{options_.punt_rate, options_.punt_burst, make_ring()};
        (service ? to_services_ : to_twin_[p]).push_back(port.punt[k].ring);
      }
      if (options_.twins) {
        port.from_twin = make_ring();
        from_twin_[p].push_back(port.from_twin);
      }
    }
    config.one_device = options_.one_device;
    if (options_.services) from_services_.push_back(config.from_services = make_ring());
    if (options_.broadcast_relay != 0) {
      config.broadcasts = {.rate = options_.broadcast_relay, .networks = &lan_};
      if (w == 0 && !options_.twins) config.from_lan = from_lan_ = make_ring();
    }
    config.pool = ports().pool;
    config.commands = make_ring();
    commands_.push_back(config.commands);
    for (rte_ring*& ring : config.to_main) to_main_.push_back(ring = make_ring());
    config.icmp_source = Ipv4Address(address(kIcmpSource));
    config.icmp_source_ipv6 = *Ipv6Address::parse(kOurs6);
    config.reassembly = options_.reassembly;
    config.reorder = options_.reorder;
    config.gaps = options_.gaps;
    config.send_window = options_.send_window;
    config.rates = options_.rates;
    config.rate_groups = rate_groups_.get();
    config.filters = filters_.get();
    config.mppe = dataplane::kernels_of(options_.mppe_variant, options_.mppe_rc4);
    config.control_attached = &control_attached_;
    doorbells_.push_back(std::make_unique<Doorbell>());
  }
  for (unsigned from = 0; from < count; ++from)
    for (unsigned to = 0; to < count; ++to) {
      configs[from].worker_doorbells[to] = doorbells_[to].get();
      if (from == to) continue;
      rte_ring* ring = make_ring();
      configs[from].handover_out[to] = ring;
      configs[to].handover_in[from] = ring;
    }
  for (WorkerConfig& config : configs)
    workers_.push_back(std::make_unique<Worker>(std::move(config), *table_, *routing_));
}

// Subscribers have routes of their own, as main gives them to those outside its pools.
void World::lead_to_session(const SessionTable::Binding& binding, bool bound) {
  const Ipv6Prefix route = binding.prefix != 0 ? Ipv6Prefix{{binding.prefix, 0}, 64}
                                               : Ipv6Prefix{mapped(binding.address), 128};
  if (bound ? subscribers_.insert(route).second : subscribers_.erase(route) != 0)
    set_route(route, bound);
}

void World::set_route(const Ipv6Prefix& route, bool exists) {
  NextHops& inner = routing_->inner;
  // A test, or another World with the same subscribers, may have taken it away.
  const auto change = [&](const auto& prefix) {
    return exists ? inner.add_route(prefix, kPoolHop) : inner.delete_route(prefix) || true;
  };
  REQUIRE((is_mapped(route.address) ? change(unmapped(route)) : change(route)));
}

void World::set_broadcast_route(bool exists) {
  const Ipv4Prefix own = *Ipv4Prefix::parse(options_.lan);
  REQUIRE(lan_.set(std::span(&own, 1)) == 1);
  const Ipv4Prefix route{own.last(), 32};
  NextHops& inner = routing_->inner;
  REQUIRE(inner.set(kBroadcastHop, NextHop{NextHopKind::kBroadcast, kCore, {}, {}, {}}));
  REQUIRE((exists ? inner.add_route(route, kBroadcastHop) : inner.delete_route(route)));
}

void World::stop() {
  workers_.clear();
  table_.reset();
  for (rte_ring* ring : rings_) {
    (void)drain(ring);
    rte_ring_free(ring);
  }
  rings_.clear();
  commands_.clear();
  to_main_.clear();
  to_services_.clear();
  from_services_.clear();
  for (unsigned p = 0; p < 2; ++p) {
    to_twin_[p].clear();
    from_twin_[p].clear();
  }
  doorbells_.clear();
}

void World::restart(std::uint16_t workers) {
  for (const auto& worker : workers_) lost_in_restart_ += worker->packets_waiting();
  stop();
  start(workers);
}

Subscriber World::add(unsigned n, bool open, bool mppe_required) {
  Subscriber s;
  s.n = n;
  s.address = "10.64.0." + std::to_string(n);
  add(s, open, mppe_required);
  return s;
}

Subscriber World::add(unsigned n, std::string inner, unsigned our_call) {
  Subscriber s;
  s.n = n;
  s.our_call = our_call;
  s.address = std::move(inner);
  add(s, true, false);
  return s;
}

void World::add(Subscriber& s, bool open, bool mppe_required) {
  const unsigned n = s.n;
  s.peer = "203.0.113." + std::to_string(n);
  char six[32];
  std::snprintf(six, sizeof(six), "2001:db8:64:%x::7", n);
  s.address6 = six;
  contract::InstallSession request;
  request.our_call_id = OurCallId(static_cast<std::uint16_t>(s.call()));
  request.peer_call_id = PeerCallId(static_cast<std::uint16_t>(s.peer_call()));
  request.local = Ipv4Address(address(kLocal));
  request.peer = Ipv4Address(address(s.peer));
  request.mppe_required = mppe_required;
  const auto generation = table_->install(s.slot(), request, now_ns_);
  REQUIRE(generation);
  s.generation = *generation;
  if (!open) return;
  WorkerCommand::Body body;
  body.configure_link = {};
  body.configure_link.open = true;
  body.configure_link.our_magic = 0x11223344;
  command(s, WorkerCommandType::kConfigureLink, body);
  REQUIRE(table_->bind_address(s.slot(), Ipv4Address(address(s.address))) ==
          contract::ReplyResult::kDone);
  body.open_ipv4 = {};
  body.open_ipv4.subscriber = Ipv4Address(address(s.address));
  body.open_ipv4.inner_mtu = 1400;
  command(s, WorkerCommandType::kOpenIpv4, body);
  run();
}

void World::open_ipv6(const Subscriber& s, std::uint16_t mtu) {
  REQUIRE(table_->bind_prefix(s.slot(), s.prefix()) == contract::ReplyResult::kDone);
  WorkerCommand::Body body;
  body.open_ipv6 = {};
  body.open_ipv6.prefix = s.prefix();
  body.open_ipv6.our_interface_id = Ipv6Address::parse(kOurLink)->low;
  body.open_ipv6.peer_interface_id = Ipv6Address::parse(kPeerLink)->low;
  body.open_ipv6.inner_mtu = mtu;
  command(s, WorkerCommandType::kOpenIpv6, body);
  run();
}

ArmedPeer::ArmedPeer(bool stateless, unsigned bits) {
  const auto mode = stateless ? mppe::Mode::kStateless : mppe::Mode::kStateful;
  mppe::init(send, start_key(kTheirKey), bits, mode);
  mppe::init(receive, start_key(kOurKey), bits, mode);
}

Octets ArmedPeer::seal(Bytes inner) {
  Octets frame(inner.size() + 2);
  std::copy(inner.begin(), inner.end(), frame.begin() + 2);
  REQUIRE(mppe::seal(send, frame));
  return ppp("00fd", frame);
}

std::string ArmedPeer::open(const Octets& frame) {
  const unsigned flags = get16(frame, 34);
  const std::size_t at = 42 + ((flags & 0x1000) != 0 ? 4U : 0U) + ((flags & 0x80) != 0 ? 4U : 0U);
  REQUIRE(hex(Bytes(frame).subspan(at, 4)) == "ff0300fd");
  Octets packet(frame.begin() + static_cast<long>(at) + 4, frame.end());
  const auto inner = mppe::open(receive, packet);
  return inner ? hex(*inner) : std::string(name_of(inner.error()));
}

void World::arm(const Subscriber& s, bool stateless, unsigned bits) {
  WorkerCommand::Body body;
  body.arm_mppe = {};
  body.arm_mppe.key_bits = static_cast<std::uint8_t>(bits);
  body.arm_mppe.stateless = stateless;
  body.arm_mppe.send_start_key = start_key(kOurKey);
  body.arm_mppe.receive_start_key = start_key(kTheirKey);
  command(s, WorkerCommandType::kArmMppe, body);
  run();
}

void World::command(const Subscriber& s, WorkerCommandType type, WorkerCommand::Body body,
                    Bytes frame) {
  REQUIRE(try_command(s, type, body, frame));
}

bool World::try_command(const Subscriber& s, WorkerCommandType type, WorkerCommand::Body body,
                        Bytes frame) {
  WorkerCommand command;
  command.type = type;
  command.slot = s.slot();
  command.generation = s.generation;
  command.body = body;
  rte_mbuf* packet = make_command(ports().pool, command, frame);
  if (packet == nullptr) return false;
  const unsigned owner = table_->owner(OurCallId(static_cast<std::uint16_t>(s.call()))).value;
  if (rte_ring_enqueue(commands_[owner], packet) == 0) return true;
  rte_pktmbuf_free(packet);
  return false;
}

void World::send_frame(contract::PortRole port, Bytes frame) {
  WorkerCommand command;
  command.type = WorkerCommandType::kSendFrame;
  command.port = port;
  rte_mbuf* packet = make_command(ports().pool, command, frame);
  REQUIRE(packet != nullptr);
  REQUIRE(rte_ring_enqueue(commands_[0], packet) == 0);
}

void World::receive(contract::PortRole port, Bytes frame, unsigned queue) {
  receive_mbuf(port, make_packet(frame), queue);
}

void World::receive_mbuf(contract::PortRole port, rte_mbuf* packet, unsigned queue) {
  REQUIRE(rte_ring_enqueue(ports().rx[static_cast<std::size_t>(port)][queue], packet) == 0);
}

bool World::offer(contract::PortRole port, Bytes frame, unsigned queue) {
  rte_mbuf* packet = try_make_packet(frame);
  if (packet == nullptr) return false;
  before_port_receives();
  if (rte_ring_enqueue(ports().rx[static_cast<std::size_t>(port)][queue], packet) == 0) return true;
  rte_pktmbuf_free(packet);
  return false;
}

void World::from_twin(contract::PortRole port, Bytes frame) {
  REQUIRE(rte_ring_enqueue(from_twin_[static_cast<std::size_t>(port)][0], make_packet(frame)) == 0);
}

void World::from_services(Bytes packet) {
  REQUIRE(rte_ring_enqueue(from_services_[0], make_packet(packet)) == 0);
}

void World::from_lan(Bytes frame) { REQUIRE(rte_ring_enqueue(from_lan_, make_packet(frame)) == 0); }

void World::run() {
  for (unsigned quiet = 0; quiet < 2;) {
    bool busy = false;
    for (auto& worker : workers_) {
      cycles_ += 1000;
      busy |= !worker->poll_once(Tsc{cycles_}, now_ns_).idle();
    }
    quiet = busy ? 0 : quiet + 1;
  }
}

std::vector<Octets> World::sent(contract::PortRole port) {
  std::vector<Octets> out;
  for (rte_ring* ring : ports().tx[static_cast<std::size_t>(port)])
    for (auto& frame : drain(ring)) out.push_back(std::move(frame));
  return out;
}

std::vector<Octets> World::punted(contract::PortRole port) {
  std::vector<Octets> out;
  for (rte_ring* ring : to_twin_[static_cast<std::size_t>(port)])
    for (auto& frame : drain(ring)) out.push_back(std::move(frame));
  return out;
}

std::vector<Octets> World::to_services() {
  std::vector<Octets> out;
  for (rte_ring* ring : to_services_)
    for (auto& packet : drain(ring)) out.push_back(std::move(packet));
  return out;
}

std::vector<rte_mbuf*> World::take_from_main(Lane lane) {
  for (rte_ring* ring : to_main_) {
    void* packet = nullptr;
    while (rte_ring_dequeue(ring, &packet) == 0)
      from_main_.push_back(static_cast<rte_mbuf*>(packet));
  }
  const auto wanted =
      std::stable_partition(from_main_.begin(), from_main_.end(),
                            [lane](rte_mbuf* packet) { return context_of(packet).lane != lane; });
  std::vector<rte_mbuf*> out(wanted, from_main_.end());
  from_main_.erase(wanted, from_main_.end());
  return out;
}

std::vector<ControlFrame> World::control() {
  std::vector<ControlFrame> out;
  for (rte_mbuf* packet : take_from_main(Lane::kControl)) {
    const PacketContext context = context_of(packet);
    Octets frame = take_octets(packet);
    if ((context.flags & dataplane::kPacketPathDead) != 0)
      path_reports_.push_back(
          {context.slot, context.generation, (context.flags & dataplane::kPacketOpenedOnce) != 0});
    else
      out.push_back({context.slot, context.generation, std::move(frame)});
  }
  return out;
}

std::vector<PathReport> World::path_reports() {
  (void)control();
  return std::exchange(path_reports_, {});
}

std::vector<ResolveRequest> World::resolves() {
  std::vector<ResolveRequest> out;
  for (rte_mbuf* packet : take_from_main(Lane::kResolve)) {
    const PacketContext context = context_of(packet);
    out.push_back(
        {context.next_hop, context.port, take_octets(packet), (context.flags & kPacketOuter) != 0});
  }
  return out;
}

std::map<std::string, std::uint64_t> World::totals() const {
  std::map<std::string, std::uint64_t> out;
  for (const contract::WorkerCounters& c : memory_.workers()) {
    const std::array<const char*, 2> names = {"access", "core"};
    for (unsigned p = 0; p < 2; ++p) {
      const std::string name = names[p];
      out[name + "_rx"] += c.ports[p].rx_packets.get();
      out[name + "_tx"] += c.ports[p].tx_packets.get();
      out[name + "_punted"] += c.ports[p].punted.get();
      out[name + "_handed_out"] += c.ports[p].handed_out.get();
    }
    out["punted_control"] += c.punted_control.get();
    out["injected"] += c.injected.get();
    out["generated"] += c.generated.get();
    out["consumed"] += c.consumed.get();
    out["handed_out"] += c.handed_out.get();
    out["handed_in"] += c.handed_in.get();
    out["neighbour_answers"] += c.neighbour_answers.get();
    out["broadcasts_up"] += c.broadcasts_up.get();
    out["broadcasts_down"] += c.broadcasts_down.get();
    out["broadcast_copies"] += c.broadcast_copies.get();
    out["acks_sent"] += c.acks_sent.get();
    out["acks_received"] += c.acks_received.get();
    out["sequence_gaps"] += c.sequence_gaps.get();
    out["reordered"] += c.reordered.get();
    out["reassembled"] += c.reassembled.get();
    out["shaped"] += c.shaped.get();
    out["window_waits"] += c.window_waits.get();
    out["window_timeouts"] += c.window_timeouts.get();
    out["mppe_key_steps"] += c.mppe_key_steps.get();
    out["upstream_packets"] += c.upstream_packets.get();
    out["upstream_bytes"] += c.upstream_bytes.get();
    out["downstream_packets"] += c.downstream_packets.get();
    out["downstream_bytes"] += c.downstream_bytes.get();
    for (std::size_t r = 0; r < kDropReasonCount; ++r)
      out["drop " + std::string(name_of(static_cast<DropReason>(r)))] += c.drops[r].get();
  }
  return out;
}

std::map<std::string, std::uint64_t> World::counted() {
  auto now = totals();
  std::map<std::string, std::uint64_t> out;
  for (const auto& [name, value] : now)
    if (value != last_[name]) out[name] = value - last_[name];
  last_ = std::move(now);
  return out;
}

std::map<std::string, std::uint64_t> World::punt_classes() const {
  std::map<std::string, std::uint64_t> out;
  for (const contract::WorkerCounters& c : memory_.workers())
    for (std::size_t k = 0; k < kPuntClassCount; ++k) {
      const std::string name(kPuntClasses[k].name);
      const auto& counted = c.punt_classes[k];
      if (counted.passed.get() != 0) out[name + " passed"] += counted.passed.get();
      if (counted.policed.get() != 0) out[name + " policed"] += counted.policed.get();
    }
  return out;
}

std::map<std::string, std::uint64_t> World::drops() {
  std::map<std::string, std::uint64_t> out;
  for (const auto& [name, value] : counted())
    if (name.starts_with("drop ")) out[name.substr(5)] = value;
  return out;
}

void World::check_books() {
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  for (const auto& [name, value] : totals()) {
    if (name.ends_with("_rx") || name == "injected" || name == "generated" || name == "handed_in")
      in += value;
    if (name.ends_with("_tx") || name.ends_with("_punted") || name == "punted_control" ||
        name == "handed_out" || name == "consumed" || name.starts_with("drop "))
      out += value;
  }
  CHECK(in == out + lost_in_restart_);
}

Octets from_peer(const Subscriber& s, std::optional<std::uint32_t> sequence, Bytes ppp_frame,
                 std::optional<std::uint32_t> ack) {
  return ethernet(kAccessMac, kAccessRouterMac, 0x0800,
                  ip({.source = s.peer, .destination = kLocal, .protocol = 47, .ttl = 57},
                     gre({.call = s.call(), .sequence = sequence, .ack = ack}, ppp_frame)));
}

Octets to_peer(const Subscriber& s, unsigned id, std::optional<std::uint32_t> sequence,
               Bytes ppp_frame, std::optional<std::uint32_t> ack) {
  return ethernet(kAccessRouterMac, kAccessMac, 0x0800,
                  ip({.source = kLocal, .destination = s.peer, .protocol = 47, .ttl = 64, .id = id},
                     gre({.call = s.peer_call(), .sequence = sequence, .ack = ack}, ppp_frame)));
}

Octets from_core(Bytes packet) { return ethernet(kCoreMac, kCoreRouterMac, 0x0800, packet); }
Octets to_core(Bytes packet) { return ethernet(kCoreRouterMac, kCoreMac, 0x0800, packet); }
Octets from_core6(Bytes packet) { return ethernet(kCoreMac, kCoreRouterMac, 0x86dd, packet); }
Octets to_core6(Bytes packet) { return ethernet(kCoreRouterMac, kCoreMac, 0x86dd, packet); }

Octets ppp(std::string_view protocol, Bytes information) {
  return concat({octets("ff03"), octets(protocol), information});
}

}  // namespace pns::test
