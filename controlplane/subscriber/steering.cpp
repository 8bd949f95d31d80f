// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/steering.hpp"

#include <algorithm>
#include <numeric>

namespace pns::subscriber {
namespace {

constexpr auto kAccess = static_cast<std::size_t>(contract::PortRole::kAccess);
constexpr auto kCore = static_cast<std::size_t>(contract::PortRole::kCore);

}  // namespace

void Steering::read(const contract::SessionMemoryHeader& header) noexcept {
  workers_ = static_cast<std::uint16_t>(std::clamp<std::uint32_t>(
      header.worker_count.load(std::memory_order_relaxed), 1, contract::kMaxWorkers));
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    const std::uint8_t worker = header.steering[bucket].load(std::memory_order_relaxed);
    buckets_[bucket] = worker < workers_ ? worker : 0;
  }
  const bool predicted = predicts_addresses();
  const contract::PortSteering before = ports_[kCore];
  for (std::size_t port = 0; port < ports_.size(); ++port) {
    const contract::PortSteering copy = header.port_steering[port];
    ports_[port] = contract::checked(copy, workers_);
  }
  same_address_bucket_ =
      predicted == predicts_addresses() && (!predicted || before == ports_[kCore]);
}

Steering::Choice Steering::choose(std::span<const std::uint32_t> sessions, Ipv4Address local,
                                  Ipv4Address peer) const noexcept {
  const auto mine = sessions.first(workers_);
  const auto predicted = contract::predict(ports_[kAccess], peer, local);
  if (predicted) {
    const std::uint64_t mean =
        std::accumulate(mine.begin(), mine.end(), std::uint64_t{0}) / workers_;
    if (mine[predicted->value] <= mean + std::max(mean / 4, kSessionsAboveMean))
      return {*predicted, predicted};
  }
  const auto lightest = std::min_element(mine.begin(), mine.end()) - mine.begin();
  return {WorkerId(static_cast<std::uint16_t>(lightest)), predicted};
}

std::bitset<kSteeringBuckets> Steering::call_id_buckets(WorkerId worker) const noexcept {
  std::bitset<kSteeringBuckets> out;
  for (std::size_t bucket = 0; bucket < out.size(); ++bucket)
    out[bucket] = buckets_[bucket] == worker.value;
  return out;
}

bool Steering::predicts_addresses() const noexcept {
  return contract::predict(ports_[kCore], Ipv4Address()).has_value();
}

Steering::AddressBucket Steering::address_bucket() const {
  if (!predicts_addresses()) return {};
  return [core = ports_[kCore]](Ipv4Address address) {
    return static_cast<std::uint8_t>(contract::predict(core, address)->value);
  };
}

std::bitset<kSteeringBuckets> Steering::address_buckets(WorkerId worker) const noexcept {
  // Where nothing is known of the core port, those of the Call ID: a NIC that is told to steer by
  // the low bits of the destination does the same.
  if (!predicts_addresses()) return call_id_buckets(worker);
  std::bitset<kSteeringBuckets> out;
  out[worker.value] = true;
  return out;
}

}  // namespace pns::subscriber
