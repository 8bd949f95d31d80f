// SPDX-License-Identifier: BSD-3-Clause
//
// Steering: which worker a new session is given to, and by that the buckets that its Call ID and
// its inner address come from. The published ports of the dataplane are copied here when it has
// attached: a restarted one may have other workers, another hash and other tables. Event loop.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "controlplane/model/statistics.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/contract/port_steering.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::subscriber {

class Steering {
 public:
  // A worker whose sessions exceed the mean by more than a quarter and by more than this many gets
  // no more of them by prediction: everybody behind one NAT arrives at one queue, and a packet that
  // is handed over costs less than one that waits for a busy worker.
  static constexpr std::uint64_t kSessionsAboveMean = 64;

  // Copies and checks what the dataplane published.
  void read(const contract::SessionMemoryHeader& header) noexcept;

  [[nodiscard]] std::uint16_t workers() const noexcept { return workers_; }  // at least 1
  [[nodiscard]] contract::SteeringWay way(contract::PortRole port) const noexcept {
    return ports_[static_cast<std::size_t>(port)].way;
  }
  [[nodiscard]] WorkerId owner(OurCallId our_call_id) const noexcept {
    return WorkerId(buckets_[steering_bucket(our_call_id)]);
  }

  struct Choice {
    WorkerId worker;
    std::optional<WorkerId> predicted;  // where the peer's GRE packets arrive
    // The counter for a session that is with `owner`.
    [[nodiscard]] model::SteeredBy by(WorkerId owner) const noexcept {
      if (!predicted) return model::SteeredBy::kBalance;
      return owner == *predicted ? model::SteeredBy::kPrediction
                                 : model::SteeredBy::kAgainstPrediction;
    }
  };
  // For a call between these outer addresses. `sessions`: by worker, at least workers() of them.
  [[nodiscard]] Choice choose(std::span<const std::uint32_t> sessions, Ipv4Address local,
                              Ipv4Address peer) const noexcept;

  // The buckets of Call IDs that a worker owns.
  [[nodiscard]] std::bitset<kSteeringBuckets> call_id_buckets(WorkerId worker) const noexcept;

  // Inner addresses: the bucket of each, empty: its low 8 bits; and the buckets whose packets from
  // the core reach a worker. By predicted worker where the core port hashes destinations.
  using AddressBucket = std::function<std::uint8_t(Ipv4Address)>;
  [[nodiscard]] AddressBucket address_bucket() const;
  [[nodiscard]] std::bitset<kSteeringBuckets> address_buckets(WorkerId worker) const noexcept;
  // Whether address_bucket() was the same before the last read().
  [[nodiscard]] bool same_address_bucket() const noexcept { return same_address_bucket_; }

 private:
  [[nodiscard]] bool predicts_addresses() const noexcept;

  std::uint16_t workers_ = 1;
  std::array<std::uint8_t, kSteeringBuckets> buckets_{};  // bucket → worker
  std::array<contract::PortSteering, contract::kPorts> ports_;
  bool same_address_bucket_ = true;
};

}  // namespace pns::subscriber
