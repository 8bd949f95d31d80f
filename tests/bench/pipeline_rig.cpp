// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/pipeline_rig.hpp"

#include <fmt/core.h>
#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <utility>

#include "dataplane/gre/sequence_window.hpp"
#include "dataplane/mppe/kernel_choice.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/gre.hpp"
#include "pns/wire/ipv4.hpp"

namespace pns::bench {
namespace {

using namespace dataplane;
using contract::PortRole;

constexpr MacAddress kAccessMac{0x02, 0, 0, 0, 0, 0x01};
constexpr MacAddress kCoreMac{0x02, 0, 0, 0, 0, 0x02};
constexpr MacAddress kAccessRouterMac{0x02, 0, 0, 0, 0, 0x11};
constexpr MacAddress kCoreRouterMac{0x02, 0, 0, 0, 0, 0x12};
constexpr Ipv4Address kGateway = kPools.last();  // our end of each session
constexpr std::uint32_t kFewHosts = 0xc6120000;  // 198.18.0.0
constexpr std::uint32_t kFewHostCount = 4'096;
constexpr NextHopId kFirstGateway(1);
constexpr NextHopId kPoolsHop(kFirstGateway.value + Internet::kGateways);
constexpr std::uint64_t kPrefixes = 0x2001'0db8'1000'0000;
constexpr std::uint16_t kInnerMtu = 1'400;
constexpr std::uint8_t kTcp = 6;
constexpr std::array<std::byte, 4> kPppIpv4{std::byte{0xff}, std::byte{0x03}, std::byte{0x00},
                                            std::byte{0x21}};
constexpr std::array<std::byte, 4> kPppMppe{std::byte{0xff}, std::byte{0x03}, std::byte{0x00},
                                            std::byte{0xfd}};

void must(bool good, const char* what) {
  if (!good) throw std::runtime_error(fmt::format("cannot set up: {}", what));
}
template <class T>
T must(std::expected<T, std::string> made) {
  if (!made) throw std::runtime_error(made.error());
  return std::move(*made);
}

// As in the server: what a measurement finds best on this CPU, once a process.
const MppeKernels& chosen_kernels() {
  static const MppeKernels kernels = measured_choice(best_variant()).kernels;
  return kernels;
}

OurCallId call_of(std::uint32_t n) { return OurCallId(static_cast<std::uint16_t>(n % 65'535 + 1)); }
Ipv4Address local_of(std::uint32_t n) {
  return Ipv4Address(kLocalAddresses.address.value + n / 65'535);
}
Ipv4Address inner_of(std::uint32_t n) { return Ipv4Address(kPools.address.value + n); }
Ipv4Address peer_of(std::uint32_t n) { return Internet::host_of(n); }

std::array<std::byte, 16> key_of(std::uint32_t n, unsigned direction) {
  std::array<std::byte, 16> key;
  for (unsigned i = 0; i < key.size(); ++i)
    key[i] = static_cast<std::byte>((n >> (8 * (i % 4))) + i * 17 + direction);
  return key;
}

// Octets of this process that are resident, huge pages too.
std::uint64_t resident_octets() {
  std::ifstream file("/proc/self/status");
  std::uint64_t kib = 0;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("VmRSS:") || line.starts_with("HugetlbPages:"))
      kib += std::stoull(line.substr(line.find(':') + 1));
  return kib * 1024;
}

// A TCP segment in mid-stream.
void write_inner(MutableBytes out, Ipv4Address source, Ipv4Address destination) {
  wire::Ipv4Header header;
  header.total_length = static_cast<std::uint16_t>(out.size());
  header.dont_fragment = true;
  header.time_to_live = 63;
  header.protocol = kTcp;
  header.source = source;
  header.destination = destination;
  wire::write_ipv4(out, header);
  std::memset(out.data() + wire::kIpv4HeaderSize, 0x5a, out.size() - wire::kIpv4HeaderSize);
  out[wire::kIpv4HeaderSize + 12] = std::byte{0x50};  // data offset
  out[wire::kIpv4HeaderSize + 13] = std::byte{0x10};  // ACK
}

MutableBytes allocate(rte_mempool* pool, std::size_t size, rte_mbuf*& packet) {
  packet = rte_pktmbuf_alloc(pool);
  must(packet != nullptr, "a packet buffer");
  auto* room = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(size));
  must(room != nullptr, "a packet so large");
  return {reinterpret_cast<std::byte*>(room), size};
}

// An upstream frame of session n as far as GRE; `payload` is for the caller to fill.
rte_mbuf* make_gre(rte_mempool* pool, std::uint32_t n, const wire::GreHeader& gre,
                   MutableBytes& payload, Ipv4Address source) {
  wire::Ipv4Header outer;
  outer.total_length =
      static_cast<std::uint16_t>(wire::kIpv4HeaderSize + gre.size() + gre.payload_length);
  outer.time_to_live = 57;
  outer.protocol = wire::kIpProtocolGre;
  outer.source = source;
  outer.destination = local_of(n);

  rte_mbuf* packet = nullptr;
  const MutableBytes out = allocate(pool, wire::kEthernetHeaderSize + outer.total_length, packet);
  wire::write_ethernet(out, {kAccessMac, kAccessRouterMac, be16::from_host(wire::kEtherTypeIpv4)});
  wire::write_ipv4(out.subspan(wire::kEthernetHeaderSize), outer);
  const std::size_t headers = wire::kEthernetHeaderSize + wire::kIpv4HeaderSize;
  wire::write_gre(out.subspan(headers), gre);
  payload = out.subspan(headers + gre.size());
  return packet;
}

// Leaves the buffers of a new pool in any order, as those of a pool that has been in use are. The
// CPU prefetches frames that lie at even distances, without being asked.
void shuffle(rte_mempool* pool, unsigned count) {
  std::vector<rte_mbuf*> packets(count);
  must(rte_pktmbuf_alloc_bulk(pool, packets.data(), count) == 0, "all packet buffers");
  std::mt19937 random(1'701);
  std::ranges::shuffle(packets, random);
  rte_pktmbuf_free_bulk(packets.data(), count);
}

// The routes of the Internet, by gateways at a port.
void route(NextHops& table, const Internet& internet, PortRole port) {
  const bool access = port == PortRole::kAccess;
  for (unsigned n = 0; n < Internet::kGateways; ++n) {
    MacAddress gateway = access ? kAccessRouterMac : kCoreRouterMac;
    gateway[4] = static_cast<std::uint8_t>(n);
    must(table.set(NextHopId(static_cast<std::uint16_t>(kFirstGateway.value + n)),
                   {NextHopKind::kResolved, port, gateway, access ? kAccessMac : kCoreMac, {}}),
         "a gateway");
  }
  for (const Internet::Route& each : internet.routes())
    must(table.add_route(each.prefix,
                         NextHopId(static_cast<std::uint16_t>(kFirstGateway.value + each.gateway))),
         "a route");
}

}  // namespace

rte_ring* Wires::make_ring(const std::string& name) {
  rte_ring* ring = rte_ring_create(name.c_str(), 2 * kBatch, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
  must(ring != nullptr, "a ring");
  return ring;
}

Wires::Wires(unsigned sets) {
  const unsigned buffers = 2 * kBatch * sets - 1;  // a batch, and as many acknowledgements
  pool_ = rte_pktmbuf_pool_create("bench", buffers, 256, kMbufPrivateSize,
                                  RTE_MBUF_DEFAULT_BUF_SIZE, static_cast<int>(rte_socket_id()));
  must(pool_ != nullptr, "packet buffers");
  shuffle(pool_, buffers);
  open_ports(0);
  outer_ = must(NextHops::create("bench-outer", {.ipv6_routes = 0}));
  inner_ = must(NextHops::create("bench-inner"));
  internet_ = std::make_shared<const Internet>();
  route(*outer_, *internet_, PortRole::kAccess);
  route(*inner_, *internet_, PortRole::kCore);
  must(inner_->set(kPoolsHop, {NextHopKind::kPool, PortRole::kCore, {}, {}, {}}) &&
           inner_->add_route(kPools, kPoolsHop),
       "the route of the pools");
}

Wires::Wires(const Wires& with, unsigned number)
    : pool_(with.pool_), internet_(with.internet_), outer_(with.outer_), inner_(with.inner_) {
  open_ports(number);
}

void Wires::open_ports(unsigned number) {
  const std::string suffix = std::to_string(number);
  commands_ = rte_ring_create(("commands" + suffix).c_str(), 64, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
  must(commands_ != nullptr, "a ring");
  for (std::size_t port = 0; port < contract::kPorts; ++port) {
    const std::string name = suffix + "_" + std::to_string(port);
    rx_[port] = make_ring("rx" + name);
    tx_[port] = make_ring("tx" + name);
    const int made = rte_eth_from_rings(("bench" + name).c_str(), &rx_[port], 1, &tx_[port], 1, 0);
    must(made >= 0, "a ring port");
    ids_[port] = static_cast<std::uint16_t>(made);
    const rte_eth_conf conf{};
    must(rte_eth_dev_configure(ids_[port], 1, 1, &conf) == 0 &&
             rte_eth_rx_queue_setup(ids_[port], 0, 64, 0, nullptr, pool_) == 0 &&
             rte_eth_tx_queue_setup(ids_[port], 0, 64, 0, nullptr) == 0 &&
             rte_eth_dev_start(ids_[port]) == 0,
         "a ring port");
  }
}

void Wires::receive(PortRole role, rte_mbuf* packet) {
  must(rte_ring_sp_enqueue(rx_[index(role)], packet) == 0, "room in a receive ring");
}

std::uint64_t Wires::drain(PortRole role) {
  std::array<void*, 64> packets;
  std::uint64_t total = 0;
  while (const unsigned count =
             rte_ring_sc_dequeue_burst(tx_[index(role)], packets.data(), packets.size(), nullptr)) {
    rte_pktmbuf_free_bulk(reinterpret_cast<rte_mbuf**>(packets.data()), count);
    total += count;
  }
  return total;
}

void Wires::receive_plain(std::size_t size, unsigned count, FrameState state) {
  std::vector<rte_mbuf*> packets;
  for (unsigned n = 0; n < count; ++n) {
    rte_mbuf* packet = nullptr;
    const MutableBytes frame = allocate(pool_, wire::kEthernetHeaderSize + size, packet);
    wire::write_ethernet(frame, {kAccessMac, kAccessRouterMac, be16::from_host(0x0800)});
    write_inner(frame.subspan(wire::kEthernetHeaderSize), peer_of(n), local_of(0));
    packets.push_back(packet);
  }
  cooler_.cool(packets, state);
  for (rte_mbuf* packet : packets) receive(PortRole::kAccess, packet);
}

unsigned Wires::echo() {
  std::array<rte_mbuf*, Burst::kReceive> packets;
  const std::uint16_t port = ids_[0];
  const std::uint16_t count = rte_eth_rx_burst(port, 0, packets.data(), packets.size());
  std::uint64_t octets = 0;
  for (std::uint16_t n = 0; n < count; ++n) octets += packets[n]->pkt_len;  // as every user counts
  asm volatile("" : : "r"(octets));
  const std::uint16_t sent = rte_eth_tx_burst(port, 0, packets.data(), count);
  must(sent == count, "room in a transmit ring");
  return count;
}

Ground::Ground(std::uint32_t sessions, std::uint16_t count, bool huge_pages) : workers(count) {
  const std::uint64_t before = resident_octets();
  const auto created_ns = static_cast<std::uint64_t>(static_cast<double>(rte_rdtsc()) * 1e9 /
                                                     static_cast<double>(rte_get_tsc_hz()));
  fd = must(contract::SessionMemory::create(sessions, huge_pages, created_ns));
  memory = must(contract::SessionMemory::attach(fd.get()));
  record_octets = resident_octets() - before;
  memory.header().worker_count.store(workers);
  for (std::size_t bucket = 0; bucket < kSteeringBuckets; ++bucket)
    memory.header().steering[bucket].store(static_cast<std::uint8_t>(bucket % workers));
  table = must(SessionTable::create(memory, workers));
  table_octets = resident_octets() - before - record_octets;
}

Rig::Rig(Wires& wires, std::uint32_t sessions, bool huge_pages)
    : Rig(wires, {.ground = std::make_shared<Ground>(sessions, 1, huge_pages)}) {}

Rig::Rig(Wires& wires, const RigSettings& settings)
    : wires_(wires),
      ns_per_cycle_(1e9 / static_cast<double>(rte_get_tsc_hz())),
      ground_(settings.ground) {
  const std::uint32_t all = ground_->memory.header().max_sessions;
  for (std::uint32_t n = 0; n < all; ++n)
    if (ground_->table->owner(call_of(n)) == settings.worker) mine_.push_back(n);
  sent_up_.resize(mine_.size());
  sent_down_.resize(mine_.size());
  std::uint64_t resident = resident_octets();
  const auto note = [&](double& octets, std::uint64_t more) {
    const std::uint64_t now = resident_octets();
    octets += static_cast<double>(now - resident + more) / static_cast<double>(all);
    resident = now;
  };
  note(resident_.records, ground_->record_octets);
  struct stat status {};
  resident_.huge_pages = ::fstat(ground_->fd.get(), &status) == 0 && status.st_blksize > 4096;
  note(resident_.table, ground_->table_octets);

  WorkerConfig config;
  config.id = settings.worker;
  config.worker_count = ground_->workers;
  for (const PortRole role : {PortRole::kAccess, PortRole::kCore}) {
    WorkerConfig::Port& port = config.ports[static_cast<std::size_t>(role)];
    port.rx_queues = {RxQueue::ethdev(wires_.port(role), 0)};
    port.tx_queue = TxQueue::ethdev(wires_.port(role), 0);
    port.mac = role == PortRole::kAccess ? kAccessMac : kCoreMac;
  }
  config.pool = wires_.pool();
  config.commands = wires_.commands();
  config.mppe = chosen_kernels();
  config.reorder = settings.reorder;
  config.gaps = {.packets_in_all = Wires::kBatch / 8, .step_ns = settings.key_change_ns};
  config.filters = settings.filters;
  config.rate_groups = settings.rate_groups;
  if (settings.shapes)
    config.rates = {.up = {true, 50'000'000},
                    .down = {true, 50'000'000},
                    .packets_in_all = Wires::kBatch / 8,
                    .max_session_packets = 64};
  config.handover_in = settings.handover_in;
  config.handover_out = settings.handover_out;
  worker_ = std::make_unique<Worker>(std::move(config), *ground_->table, wires_.routing());
  note(resident_.worker, 0);
  for (const std::uint32_t n : mine_) install(n);
  run_commands();
  note(resident_.table, 0);
  before_ = books();
}

Rig::~Rig() {
  worker_.reset();
  rte_pktmbuf_free_bulk(up_.data() + up_at_, static_cast<unsigned>(up_.size() - up_at_));
  rte_pktmbuf_free_bulk(down_.data() + down_at_, static_cast<unsigned>(down_.size() - down_at_));
}

std::uint64_t Rig::now_tsc() { return rte_rdtsc(); }

std::uint64_t Rig::now_ns() const {
  return static_cast<std::uint64_t>(static_cast<double>(now_tsc()) * ns_per_cycle_);
}

void Rig::install(std::uint32_t n) {
  contract::InstallSession request;
  request.our_call_id = call_of(n);
  request.peer_call_id = PeerCallId(static_cast<std::uint16_t>(n));
  request.local = local_of(n);
  request.peer = peer_of(n);
  request.peer_window = 64;
  must(ground_->table->install(SlotId(n), request, now_ns()).has_value() &&
           ground_->table->bind_address(SlotId(n), inner_of(n)) == contract::ReplyResult::kDone &&
           ground_->table->bind_prefix(SlotId(n), kPrefixes + n) == contract::ReplyResult::kDone,
       "a session");
  WorkerCommand::Body body;
  body.configure_link = {};
  body.configure_link.open = true;
  command(n, WorkerCommandType::kConfigureLink, body);
  body.open_ipv4 = {};
  body.open_ipv4.subscriber = inner_of(n);
  body.open_ipv4.gateway = kGateway;
  body.open_ipv4.inner_mtu = kInnerMtu;
  command(n, WorkerCommandType::kOpenIpv4, body);
}

void Rig::command(std::uint32_t n, WorkerCommandType type, const WorkerCommand::Body& body) {
  WorkerCommand command;
  command.type = type;
  command.slot = SlotId(n);
  command.generation = ground_->memory.sessions()[n].generation.load(std::memory_order_relaxed);
  command.body = body;
  rte_mbuf* packet = make_command(wires_.pool(), command);
  must(packet != nullptr && rte_ring_sp_enqueue(wires_.commands(), packet) == 0, "a command");
  if (rte_ring_count(wires_.commands()) >= Burst::kReceive) run_commands();
}

void Rig::set_service(const contract::SessionService& service) {
  WorkerCommand::Body body;
  body.set_service = service;
  for (const std::uint32_t n : mine_) command(n, WorkerCommandType::kSetService, body);
  run_commands();
}

void Rig::run_commands() {
  while (worker_->has_pending()) (void)worker_->poll_once(Tsc{now_tsc()}, now_ns());
}

void Rig::arm(mppe::Mode mode) {
  peers_.resize(mine_.size());
  for (std::size_t at = 0; at < mine_.size(); ++at) {
    const std::uint32_t n = mine_[at];
    WorkerCommand::Body body;
    body.arm_mppe = {};
    body.arm_mppe.stateless = mode == mppe::Mode::kStateless;
    body.arm_mppe.send_start_key = key_of(n, 0);
    body.arm_mppe.receive_start_key = key_of(n, 1);
    command(n, WorkerCommandType::kArmMppe, body);
    mppe::init(peers_[at], key_of(n, 1), 128, mode);
  }
  run_commands();
}

rte_mbuf* Rig::make_up(std::uint32_t at, std::size_t size, bool with_ack) {
  const std::uint32_t n = mine_[at];
  wire::GreHeader gre;
  gre.payload_length = static_cast<std::uint16_t>(kPppIpv4.size() + (armed() ? 4 : 0) + size);
  gre.call_id = call_of(n).value;
  gre.has_sequence = true;
  gre.sequence = sent_up_[at]++;
  gre.has_ack = with_ack && sent_down_[at] != 0;
  gre.ack = sent_down_[at] - 1;
  MutableBytes out;
  rte_mbuf* packet = make_gre(wires_.pool(), n, gre, out, peer_of(n));
  std::ranges::copy(armed() ? kPppMppe : kPppIpv4, out.begin());
  out = out.subspan(kPppIpv4.size());
  const MutableBytes sealed = out;
  if (armed()) {
    std::copy_n(kPppIpv4.begin() + 2, 2, out.begin() + mppe::kHeaderSize);
    out = out.subspan(mppe::kHeaderSize + 2);
  }
  write_inner(out, inner_of(n), any_host());
  if (armed()) must(mppe::seal(peers_[at], sealed).has_value(), "an encrypted packet");
  return packet;
}

rte_mbuf* Rig::make_forged(std::uint32_t at, const Forgery& forgery) {
  constexpr std::size_t kNoise = 20;  // the smaller a packet, the cheaper to send
  const std::uint32_t n = mine_[at];
  wire::GreHeader gre;
  gre.payload_length = static_cast<std::uint16_t>(kPppMppe.size() + mppe::kHeaderSize + kNoise);
  gre.call_id = call_of(n).value;
  gre.has_sequence = true;
  gre.sequence = sent_up_[at] - 1 + forgery.ahead;
  if (forgery.ahead > window::kTrustedJump)
    gre.sequence += static_cast<std::uint32_t>(random_() % (1U << 30));
  MutableBytes out;
  rte_mbuf* packet =
      make_gre(wires_.pool(), n, gre, out, forgery.stranger ? local_of(n) : peer_of(n));
  std::ranges::copy(kPppMppe, out.begin());
  out = out.subspan(kPppMppe.size());
  const unsigned count = (peers_[at].coherency + forgery.jump) & mppe::kCoherencyMask;
  const unsigned header = count | mppe::kEncrypted | (forgery.flushed ? mppe::kFlushed : 0U);
  out[0] = static_cast<std::byte>(header >> 8);
  out[1] = static_cast<std::byte>(header);
  for (std::byte& octet : out.subspan(mppe::kHeaderSize)) octet = static_cast<std::byte>(random_());
  return packet;
}

rte_mbuf* Rig::make_down(std::uint32_t at, std::size_t size) {
  rte_mbuf* packet = nullptr;
  const MutableBytes out = allocate(wires_.pool(), wire::kEthernetHeaderSize + size, packet);
  wire::write_ethernet(out, {kCoreMac, kCoreRouterMac, be16::from_host(wire::kEtherTypeIpv4)});
  write_inner(out.subspan(wire::kEthernetHeaderSize), any_host(), inner_of(mine_[at]));
  return packet;
}

void Rig::clear_batch() {
  up_.clear();
  down_.clear();
  up_at_ = down_at_ = 0;
  up_sessions_.clear();
  down_sessions_.clear();
}

Ipv4Address Rig::any_host() {
  if (hosts_ == Hosts::kAll) return wires_.internet().any_host(random_);
  return Ipv4Address(kFewHosts + static_cast<std::uint32_t>(random_() % kFewHostCount));
}

void Rig::cool(FrameState state) {
  cooler_.cool(std::span(up_).subspan(up_at_), state);
  cooler_.cool(std::span(down_).subspan(down_at_), state);
}

void Rig::build(Direction direction, std::size_t size, Hosts hosts) {
  hosts_ = hosts;
  const bool both = direction == Direction::kBoth;
  const unsigned share = both ? Wires::kBatch / 2 : Wires::kBatch;
  const std::vector<std::uint32_t> answered = std::exchange(up_sessions_, {});
  std::uniform_int_distribution<std::uint32_t> any(0, static_cast<std::uint32_t>(mine_.size()) - 1);
  clear_batch();
  for (unsigned n = 0; n < share; ++n) {
    if (direction != Direction::kDown) {
      up_sessions_.push_back(any(random_));
      up_.push_back(make_up(up_sessions_.back(), size, both));
    }
    if (direction != Direction::kUp) {
      down_sessions_.push_back(both && answered.size() == share ? answered[n] : any(random_));
      down_.push_back(make_down(down_sessions_.back(), size));
    }
  }
  for (const std::uint32_t n : down_sessions_) ++sent_down_[n];  // acknowledged from now on
}

std::uint64_t Rig::build_mixture(const Mixture& mixture) {
  std::uniform_int_distribution<std::uint32_t> any(0, static_cast<std::uint32_t>(mine_.size()) - 1);
  const Forgery* forgery = mixture.forgery;
  clear_batch();
  std::uint64_t real = 0;
  for (unsigned n = 0; n < mixture.packets; ++n) {
    if (forgery != nullptr && n % forgery->one_in == forgery->one_in - 1) {
      up_sessions_.push_back(forgery->all_sessions ? any(random_) : 0);
      up_.push_back(make_forged(up_sessions_.back(), *forgery));
      continue;
    }
    const auto at = mixture.in_turn ? static_cast<std::uint32_t>(n % mine_.size()) : any(random_);
    rte_mbuf* packet = make_up(at, mixture.sizes[random_() % mixture.sizes.size()], false);
    if (mixture.lost_one_in != 0 && random_() % mixture.lost_one_in == 0) {
      rte_pktmbuf_free(packet);
      continue;
    }
    up_sessions_.push_back(at);
    up_.push_back(packet);
    ++real;
  }
  return real;
}

unsigned Rig::feed_all(Wires& other, unsigned percent) {
  unsigned elsewhere = 0;
  const auto give = [&](PortRole role, const std::vector<rte_mbuf*>& packets, std::size_t& next,
                        const std::vector<std::uint32_t>& sessions) {
    for (; next < packets.size(); ++next) {
      const bool away = sessions[next] % 100 < percent;
      (away ? other : wires_).receive(role, packets[next]);
      elsewhere += away ? 1 : 0;
    }
  };
  give(PortRole::kAccess, up_, up_at_, up_sessions_);
  give(PortRole::kCore, down_, down_at_, down_sessions_);
  return elsewhere;
}

unsigned Rig::feed(unsigned most) {
  const std::size_t up = std::min<std::size_t>(most, up_.size() - up_at_);
  const std::size_t down = std::min<std::size_t>(most, down_.size() - down_at_);
  for (std::size_t n = 0; n < up; ++n) wires_.receive(PortRole::kAccess, up_[up_at_++]);
  for (std::size_t n = 0; n < down; ++n) wires_.receive(PortRole::kCore, down_[down_at_++]);
  return static_cast<unsigned>(up + down);
}

Rig::Books Rig::books() const {
  const contract::WorkerCounters& counters = this->counters();
  Books now;
  now.up = counters.upstream_packets.get();
  now.down = counters.downstream_packets.get();
  now.to_access = counters.ports[0].tx_packets.get();
  now.to_core = counters.ports[1].tx_packets.get();
  // An acknowledgement that was not owed any more when it was to leave ends as consumed.
  now.acks = counters.generated.get() - counters.consumed.get();
  for (std::size_t r = 0; r < kDropReasonCount; ++r) now.drops[r] = counters.drops[r].get();
  return now;
}

void Rig::discard() {
  (void)wires_.drain(PortRole::kAccess);
  (void)wires_.drain(PortRole::kCore);
  before_ = books();
}

void Rig::settle() {
  const std::uint64_t to_access = wires_.drain(PortRole::kAccess);
  const std::uint64_t to_core = wires_.drain(PortRole::kCore);
  const Books now = books();
  for (std::size_t r = 0; r < kDropReasonCount; ++r)
    if (now.drops[r] != before_.drops[r])
      throw std::runtime_error(fmt::format("{} packets dropped: {}",
                                           now.drops[r] - before_.drops[r],
                                           name_of(static_cast<DropReason>(r))));
  const std::uint64_t made = now.acks - before_.acks;
  const auto same = [](const char* what, std::uint64_t is, std::uint64_t wanted) {
    if (is != wanted) throw std::runtime_error(fmt::format("{}: {}, not {}", what, is, wanted));
  };
  same("packets carried upstream", now.up - before_.up, up_.size());
  same("packets carried downstream", now.down - before_.down, down_.size());
  same("packets out of the core port", to_core, up_.size());
  same("packets out of the access port", to_access, down_.size() + made);
  same("packets counted out of the core port", now.to_core - before_.to_core, to_core);
  same("packets counted out of the access port", now.to_access - before_.to_access, to_access);
  carried_ += up_.size() + down_.size();
  acks_ += made;
  before_ = now;
}

}  // namespace pns::bench
