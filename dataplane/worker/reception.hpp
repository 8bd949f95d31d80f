// SPDX-License-Identifier: BSD-3-Clause
//
// Reception: the receive queues of one worker. Where a queue is busy it takes a burst ahead, whose
// lines arrive while the stages work on the burst before it. It also takes the VLAN tags off, where
// ports have any or share a device. Owns what was taken ahead. One worker; allocates at
// construction only.
#pragma once

#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/classify.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "dataplane/worker/worker_config.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

class Reception {
 public:
  // Both must outlive it.
  Reception(WorkerConfig& config, StageContext& stage);
  ~Reception();
  Reception(const Reception&) = delete;
  Reception& operator=(const Reception&) = delete;

  [[nodiscard]] std::size_t queues(contract::PortRole role) const noexcept {
    return ahead_[port_index(role)].size();
  }
  // Packets that were taken ahead wait for the next turn.
  [[nodiscard]] bool has_pending() const noexcept;

  // A burst of a queue: the one that was taken ahead, or a fresh one. Takes the next ahead where
  // the burst is full.
  void take(contract::PortRole role, std::size_t queue, Burst& burst) noexcept;
  // Fetches some of the packets that were taken ahead. Between two stages: a stage cannot begin
  // before the CPU has sent the requests, and it sends no more than about 24 at a time.
  void fetch_ahead() noexcept {
    constexpr unsigned kAtOnce = Burst::kReceive / 4;  // as often as it is called for a burst
    if (fetching_ == nullptr) return;
    const auto end = std::min<unsigned>(fetching_->count, fetching_->fetched + kAtOnce);
    for (; fetching_->fetched < end; ++fetching_->fetched)
      prefetch_frame(fetching_->packets[fetching_->fetched], fetching_from_);
  }
  // The burst that take() gave is done: nothing is fetched behind it any more.
  void end_burst() noexcept { fetching_ = nullptr; }

  // Frames have tags, or belong to either port: sort() them.
  [[nodiscard]] bool sorts() const noexcept { return sorts_; }
  // Received frames without their tags, by the port that each belongs to.
  struct Sorted {
    std::array<Burst, contract::kPorts> frames;  // by PortRole
    Burst strangers;                             // with tags of no port, dropped and counted
  };
  void sort(contract::PortRole role, Burst& received, Sorted& sorted) noexcept;

 private:
  // The packets behind a burst of a queue that is busy.
  struct Ahead {
    std::array<rte_mbuf*, Burst::kReceive> packets;
    std::uint16_t count = 0;
    std::uint16_t fetched = 0;  // of them
  };

  [[nodiscard]] std::optional<contract::PortRole> port_of(contract::PortRole role,
                                                          rte_mbuf* packet) noexcept;

  WorkerConfig& config_;
  StageContext& stage_;
  const bool sorts_;                                        // ports have tags, or share a device
  std::array<std::vector<Ahead>, contract::kPorts> ahead_;  // by port and queue
  Ahead* fetching_ = nullptr;                               // behind the burst in the stages
  contract::PortRole fetching_from_{};
};

}  // namespace pns::dataplane
