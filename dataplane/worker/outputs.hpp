// SPDX-License-Identifier: BSD-3-Clause
//
// Outputs: carries out the fates of packets, and counts each packet once where it ends. It
// transmits frames, hands packets over to other workers, and gives them to the kernel, to main or
// to the relay of broadcasts. One worker; allocates nothing.
#pragma once

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/packet/burst.hpp"
#include "dataplane/packet/doorbell.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "dataplane/worker/worker_config.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

inline void count_drops(contract::WorkerCounters& counters, DropReason reason,
                        std::uint64_t count) noexcept {
  counters.drops[static_cast<std::size_t>(reason)].add(count);
}

// A plain list of packets on the stack.
struct PacketList {
  std::array<rte_mbuf*, Burst::kCapacity> packets;
  unsigned count = 0;
  void add(rte_mbuf* packet) noexcept { packets[count++] = packet; }
  [[nodiscard]] std::span<rte_mbuf*> span() noexcept { return {packets.data(), count}; }
};

class Outputs {
 public:
  // Both must outlive it.
  Outputs(WorkerConfig& config, const StageContext& stage) noexcept
      : config_(config), stage_(stage), counters_(stage.counters) {}

  // Carries out every packet's fate. The burst is empty afterwards.
  void finish(Burst& burst) noexcept;

 private:
  // The packets of a burst by their fate.
  struct Fates;

  bool finish_at_once(Burst& burst) noexcept;
  void assign(rte_mbuf* packet, Fates& fates) noexcept;
  void carry_out(Fates& fates) noexcept;
  void transmit(contract::PortRole role, std::span<rte_mbuf*> packets) noexcept;
  // Puts the port's tags on. Result: the frames that have them; the others are dropped.
  [[nodiscard]] std::span<rte_mbuf*> tag(const VlanTags& tags,
                                         std::span<rte_mbuf*> packets) noexcept;
  void hand_over(std::span<rte_mbuf*> packets) noexcept;
  // To the twin of a port, and to main for their next hop.
  void punt(contract::PortRole role, std::span<rte_mbuf*> packets) noexcept;
  void resolve(contract::PortRole role, std::span<rte_mbuf*> packets) noexcept;
  // Into a ring; what does not fit is dropped for `otherwise`. Result: how many went in.
  std::size_t push(rte_ring* ring, Doorbell* doorbell, std::span<rte_mbuf*> packets,
                   DropReason otherwise) noexcept;

  WorkerConfig& config_;
  const StageContext& stage_;
  contract::WorkerCounters& counters_;
};

}  // namespace pns::dataplane
