// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker/reception.hpp"

#include <algorithm>
#include <utility>

namespace pns::dataplane {

using contract::PortRole;

Reception::Reception(WorkerConfig& config, StageContext& stage)
    : config_(config),
      stage_(stage),
      sorts_(config.one_device ||
             std::ranges::any_of(config.ports, [](const WorkerConfig::Port& port) {
               return port.vlan.count != 0;
             })) {
  for (std::size_t i = 0; i < ahead_.size(); ++i)
    ahead_[i].resize(config_.ports[i].rx_queues.size());
}

Reception::~Reception() {
  for (std::vector<Ahead>& port : ahead_)
    for (Ahead& ahead : port) rte_pktmbuf_free_bulk(ahead.packets.data(), ahead.count);
}

bool Reception::has_pending() const noexcept {
  bool waits = false;
  for (const std::vector<Ahead>& port : ahead_)
    for (const Ahead& ahead : port) waits |= ahead.count != 0;
  return waits;
}

void Reception::take(PortRole role, std::size_t queue, Burst& burst) noexcept {
  RxQueue& from = config_.ports[port_index(role)].rx_queues[queue];
  Ahead& ahead = ahead_[port_index(role)][queue];
  if (ahead.count != 0) {
    std::copy_n(ahead.packets.begin(), ahead.count, burst.packets.begin());
    burst.count = std::exchange(ahead.count, std::uint16_t{0});
  } else {
    burst.count = from.rx_burst(std::span(burst.packets).first(Burst::kReceive));
  }
  // Frames of a TAP have just been copied by this core.
  if (burst.count != Burst::kReceive || from.fd() >= 0) return;
  ahead.count = from.rx_burst(ahead.packets);
  ahead.fetched = 0;
  fetching_ = &ahead;
  fetching_from_ = role;
}

// Frames with tags of no port are counted as the access port's where both ports are one device.
void Reception::sort(PortRole role, Burst& received, Sorted& sorted) noexcept {
  for (rte_mbuf* packet : received.all()) {
    if (const auto port = port_of(role, packet)) {
      (void)sorted.frames[port_index(*port)].append(packet);
      continue;
    }
    contract::PortCounters& counters = stage_.port_counters(role);
    counters.rx_packets.add(1);
    counters.rx_bytes.add(packet->pkt_len);
    PacketContext& context = context_of(packet);
    context = PacketContext{};
    context.port = role;
    drop(context, DropReason::vlan_unknown);
    (void)sorted.strangers.append(packet);
  }
}

std::optional<PortRole> Reception::port_of(PortRole role, rte_mbuf* packet) noexcept {
  const auto vlan_of = [this](PortRole port) -> const VlanTags& {
    return config_.ports[port_index(port)].vlan;
  };
  const FrameTags tags = read_tags(packet);
  if (!tags.are(vlan_of(role))) {
    if (!config_.one_device || !tags.are(vlan_of(PortRole::kCore))) return std::nullopt;
    role = PortRole::kCore;
  } else if (config_.one_device && tags.are(vlan_of(PortRole::kCore))) {
    strip_tags(packet, tags);
    return port_of_frame(stage_, octets_of(packet));
  }
  strip_tags(packet, tags);
  return role;
}

}  // namespace pns::dataplane
