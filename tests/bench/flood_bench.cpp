// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/flood_bench.hpp"

#include <fmt/core.h>
#include <rte_cycles.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <stdexcept>

#include "pns/wire/ethernet.hpp"
#include "tests/bench/results.hpp"
#include "tests/bench/timing.hpp"

namespace pns::bench {
namespace {

using namespace dataplane;
using contract::PortRole;

constexpr std::uint64_t kFramesAReply = 10'000;
constexpr std::uint64_t kMillisecondNs = 1'000'000;
// Frames that the punt thread takes of a ring each millisecond: much less than a flood brings.
constexpr unsigned kTakenAMillisecond = 64;

constexpr MacAddress kMac{0x02, 0, 0, 0, 0, 0x01};
constexpr MacAddress kRouterMac{0x02, 0, 0, 0, 0, 0x11};

using Frame = std::vector<std::uint8_t>;

Frame ethernet(std::uint16_t type, const Frame& payload) {
  Frame out(wire::kEthernetHeaderSize + payload.size());
  wire::write_ethernet(std::as_writable_bytes(std::span(out)),
                       {kMac, kRouterMac, be16::from_host(type)});
  std::ranges::copy(payload, out.begin() + wire::kEthernetHeaderSize);
  return out;
}

// IPv4 from 192.0.2.66, with 20 octets behind the header.
Frame ipv4(std::uint8_t protocol, Ipv4Address destination, Frame payload) {
  payload.resize(20, 0x5a);
  std::array<std::byte, wire::kIpv4HeaderSize> head{};
  wire::Ipv4Header header;
  header.total_length = static_cast<std::uint16_t>(head.size() + payload.size());
  header.time_to_live = 57;
  header.protocol = protocol;
  header.source = Ipv4Address(0xc0000242);
  header.destination = destination;
  wire::write_ipv4(head, header);
  Frame packet(head.size());
  std::memcpy(packet.data(), head.data(), head.size());
  packet.insert(packet.end(), payload.begin(), payload.end());
  return ethernet(wire::kEtherTypeIpv4, packet);
}

Frame tcp_1723(std::uint8_t flags) {
  Frame segment{0x9c, 0x40, 0x06, 0xbb};
  segment.resize(13, 0);
  segment.push_back(flags);
  return segment;
}

struct Flood {
  const char* name;
  PortRole port;
  Frame frame;
};

std::vector<Flood> all_floods() {
  constexpr Ipv4Address kUs(0xc6336400);    // 198.51.100.0
  constexpr Ipv4Address kPool(0x0afe0007);  // 10.254.0.7
  return {{"flood/udp", PortRole::kAccess, ipv4(17, kUs, {})},
          {"flood/syn-1723", PortRole::kAccess, ipv4(6, kUs, tcp_1723(0x02))},
          {"flood/ack-1723", PortRole::kAccess, ipv4(6, kUs, tcp_1723(0x10))},
          {"flood/icmp", PortRole::kAccess, ipv4(1, kUs, {8})},
          {"flood/pool-address", PortRole::kCore, ipv4(17, kPool, {})}};
}

// A worker with twins, whose clock runs while it is busy.
class Target {
 public:
  Target(Wires& wires, bool huge_pages) : wires_(wires), ground_(1, 1, huge_pages) {
    static unsigned made = 0;
    WorkerConfig config;
    for (const PortRole role : {PortRole::kAccess, PortRole::kCore}) {
      WorkerConfig::Port& port = config.ports[static_cast<std::size_t>(role)];
      port.rx_queues = {RxQueue::ethdev(wires.port(role), 0)};
      port.tx_queue = TxQueue::ethdev(wires.port(role), 0);
      port.mac = kMac;
      port.has_twin = true;
      for (std::size_t n = 0; n < kPuntClassCount; ++n) {
        rte_ring* const ring =
            rte_ring_create(fmt::format("flood{}", made++).c_str(), kPuntClasses[n].ring, 0,
                            RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
        if (ring == nullptr) throw std::runtime_error("cannot set up: a ring");
        port.punt[n] = {kPuntClasses[n].rate, kPuntClasses[n].ring, ring};
        rings_.push_back(ring);
      }
    }
    config.pool = wires.pool();
    worker_ = std::make_unique<Worker>(std::move(config), *ground_.table, wires.routing());
  }
  ~Target() {
    (void)take_punted(UINT32_MAX);
    worker_.reset();
    for (rte_ring* ring : rings_) rte_ring_free(ring);
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  void receive(PortRole role, const Frame& frame) {
    rte_mbuf* packet = rte_pktmbuf_alloc(wires_.pool());
    if (packet == nullptr) throw std::runtime_error("cannot set up: a packet buffer");
    std::memcpy(rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size())), frame.data(),
                frame.size());
    wires_.receive(role, packet);
  }
  // Result: TSC cycles.
  std::uint64_t poll() {
    const auto busy_ns = static_cast<std::uint64_t>(static_cast<double>(cycles_) * 1e9 / hz_);
    const std::uint64_t spent =
        cycles_of([&] { (void)worker_->poll_once(Tsc{cycles_}, kStartNs + busy_ns); });
    cycles_ += spent;
    return spent;
  }
  [[nodiscard]] std::uint64_t busy_ns() const {
    return static_cast<std::uint64_t>(static_cast<double>(cycles_) * 1e9 / hz_);
  }
  // Plays the punt thread: takes up to `most` frames of each ring.
  unsigned take_punted(unsigned most) {
    unsigned taken = 0;
    for (rte_ring* ring : rings_) {
      void* packet = nullptr;
      for (unsigned n = 0; n < most && rte_ring_dequeue(ring, &packet) == 0; ++n, ++taken)
        rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
    }
    return taken;
  }
  [[nodiscard]] const contract::WorkerCounters& counters() const {
    return ground_.memory.workers()[0];
  }
  [[nodiscard]] std::uint64_t passed(PuntClass which) const {
    return counters().punt_classes[static_cast<std::size_t>(which)].passed.get();
  }

 private:
  static constexpr std::uint64_t kStartNs = 1'000'000'000;

  Wires& wires_;
  Ground ground_;
  std::vector<rte_ring*> rings_;
  std::unique_ptr<Worker> worker_;
  double hz_ = static_cast<double>(rte_get_tsc_hz());
  std::uint64_t cycles_ = 0;
};

FloodRow measure(Wires& wires, const Flood& flood, std::uint64_t frames, bool huge_pages) {
  Target target(wires, huge_pages);
  const Frame reply = ethernet(wire::kEtherTypeArp, Frame(28, 0x01));
  FloodRow row;
  row.name = flood.name;
  std::vector<double> bursts;
  std::uint64_t lost_in_row = 0;
  std::uint64_t next_punts_ns = 0;
  while (row.frames < frames) {
    for (unsigned n = 0; n < Burst::kReceive; ++n) target.receive(flood.port, flood.frame);
    bursts.push_back(static_cast<double>(target.poll()) / Burst::kReceive);
    row.frames += Burst::kReceive;
    if (target.busy_ns() >= next_punts_ns) {
      next_punts_ns = target.busy_ns() + kMillisecondNs;
      (void)target.take_punted(kTakenAMillisecond);
    }
    if (row.frames / kFramesAReply <= row.replies) continue;
    const std::uint64_t before = target.passed(PuntClass::neighbour);
    target.receive(PortRole::kAccess, reply);
    (void)target.poll();
    ++row.replies;
    const bool arrived = target.passed(PuntClass::neighbour) != before;
    row.replies_passed += arrived ? 1 : 0;
    lost_in_row = arrived ? 0 : lost_in_row + 1;
    row.longest_loss = std::max(row.longest_loss, lost_in_row);
  }
  for (std::size_t n = 0; n < kPuntClassCount; ++n)
    row.passed += target.passed(static_cast<PuntClass>(n));
  row.passed -= row.replies_passed;
  row.cycles = spread_of(bursts).median;
  row.frames_a_second =
      static_cast<double>(row.frames) * 1e9 / static_cast<double>(target.busy_ns());
  return row;
}

}  // namespace

std::vector<FloodRow> run_floods(Wires& wires, std::uint64_t frames, bool huge_pages,
                                 const std::string& filter) {
  std::vector<FloodRow> rows;
  const NextHopId pools(9);
  NextHops& inner = wires.routing().inner;
  if (!inner.set(pools, NextHop{NextHopKind::kPool, PortRole::kCore, {}, {}, {}}) ||
      !inner.add_route(Ipv4Prefix{Ipv4Address(0x0afe0000), 16}, pools))
    throw std::runtime_error("cannot set up: a route");
  for (const Flood& flood : all_floods())
    if (std::string_view(flood.name).find(filter) != std::string_view::npos)
      rows.push_back(measure(wires, flood, frames, huge_pages));
  return rows;
}

std::vector<std::string> print_floods(const std::vector<FloodRow>& rows) {
  std::vector<std::string> broken;
  if (rows.empty()) return broken;
  fmt::print(
      "\nfloods of frames that no session has: TSC cycles a frame, median; frames that reached the "
      "kernel's ring;\nARP replies of a gateway, one in {} frames\n\n{:<20} {:>9} {:>7} {:>11} "
      "{:>8} {:>13} {:>9}\n",
      kFramesAReply, "flood", "frames", "cycles", "Mframes/s", "passed", "replies", "gateway");
  for (const FloodRow& row : rows) {
    fmt::print("{:<20} {:>9} {:>7.0f} {:>11.2f} {:>8} {:>13} {:>9}\n", row.name, row.frames,
               row.cycles, row.frames_a_second / 1e6, row.passed,
               fmt::format("{}/{}", row.replies_passed, row.replies),
               row.gateway_resolved() ? "resolved" : "lost");
    if (row.replies_passed != row.replies)
      broken.push_back(fmt::format("{}: {} of {} ARP replies lost", row.name,
                                   row.replies - row.replies_passed, row.replies));
    if (!row.gateway_resolved())
      broken.push_back(fmt::format("{}: {} replies in a row lost", row.name, row.longest_loss));
  }
  return broken;
}

}  // namespace pns::bench
