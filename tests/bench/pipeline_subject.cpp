// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/pipeline_subject.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace pns::bench {

Subject::Subject(std::vector<Wires*> wires, const std::vector<std::vector<rte_ring*>>& handover,
                 std::uint32_t sessions, bool huge_pages, const Services& services)
    : wires_(std::move(wires)) {
  const std::size_t count = wires_.size();
  const auto ground =
      std::make_shared<Ground>(sessions, static_cast<std::uint16_t>(count), huge_pages);
  for (std::size_t n = 0; n < count; ++n) {
    RigSettings settings{.ground = ground, .worker = WorkerId(static_cast<std::uint8_t>(n))};
    settings.filters = services.filters;
    settings.rate_groups = services.rate_groups;
    settings.shapes = services.shapes;
    for (std::size_t other = 0; count > 1 && other < count; ++other) {
      settings.handover_in[other] = handover[n][other];
      settings.handover_out[other] = handover[other][n];
    }
    rigs_.push_back(std::make_unique<Rig>(*wires_[n], settings));
  }
}

void Subject::arm() {
  for (const auto& rig : rigs_) rig->arm();
}

void Subject::set_service(const contract::SessionService& service) {
  for (const auto& rig : rigs_) rig->set_service(service);
}

void Subject::build(const Batch& batch) {
  for (const auto& rig : rigs_) rig->build(batch.direction, batch.size, batch.hosts);
  for (const auto& rig : rigs_) rig->cool(batch.frames);
}

unsigned Subject::feed(unsigned most) {
  if (!is_pair()) return rigs_[0]->feed(most);
  struct Packet {
    rte_mbuf* packet;
    std::size_t owner;
  };
  std::vector<Packet> packets;
  for (std::size_t owner = 0; owner < rigs_.size(); ++owner)
    for (unsigned n = 0; n < most; ++n)
      if (rte_mbuf* const packet = rigs_[owner]->take_down(); packet != nullptr)
        packets.push_back({packet, owner});
  std::ranges::shuffle(packets, random_);
  for (std::size_t n = 0; n < packets.size(); ++n) {
    const std::size_t port = n < packets.size() / 2 ? 0 : 1;
    wires_[port]->receive(contract::PortRole::kCore, packets[n].packet);
    misled_ += port != packets[n].owner ? 1 : 0;
  }
  return static_cast<unsigned>(packets.size());
}

void Subject::settle() {
  const auto waits = [](const auto& rig) { return rig->has_pending(); };
  while (std::ranges::any_of(rigs_, waits)) poll();
  for (const auto& rig : rigs_) rig->settle();
  if (handed() != misled_)
    throw std::runtime_error(fmt::format("packets handed over: {}, not {}", handed(), misled_));
}

std::uint64_t Subject::carried() const {
  std::uint64_t sum = 0;
  for (const auto& rig : rigs_) sum += rig->carried();
  return sum;
}

std::uint64_t Subject::acks() const {
  std::uint64_t sum = 0;
  for (const auto& rig : rigs_) sum += rig->acks();
  return sum;
}

std::uint64_t Subject::handed() const {
  std::uint64_t sum = 0;
  for (const auto& rig : rigs_) sum += rig->counters().handed_out.get();
  return sum;
}

LineCost Subject::cost_of_line(FrameState state) {
  build({Direction::kUp, 64, Hosts::kAll, state});
  const LineCost cost = bench::cost_of_line(rigs_[0]->upstream_batch());
  while (feed(32) != 0) poll();
  settle();
  return cost;
}

}  // namespace pns::bench
