// SPDX-License-Identifier: BSD-3-Clause
//
// The subject of a case of pns-bench pipeline: one worker with all sessions; or two with half of
// them each, whose core ports get each other's packets, as those of a NIC that does not know the
// owner. One thread polls both in turn, so that the lines of a session move between no cores:
// pns-bench scale has the cost with two threads.
#pragma once

#include <rte_ring.h>

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "tests/bench/pipeline_rig.hpp"

namespace pns::bench {

// For the services that sessions of the bench may have.
struct Services {
  const dataplane::FilterSet* filters = nullptr;
  const dataplane::RateGroups* rate_groups = nullptr;
  bool shapes = false;
};

class Subject {
 public:
  // `pair`: the wires of both workers; one for one. Throws std::runtime_error.
  Subject(std::vector<Wires*> wires, const std::vector<std::vector<rte_ring*>>& handover,
          std::uint32_t sessions, bool huge_pages, const Services& services);

  void arm();
  void set_service(const contract::SessionService& service);
  [[nodiscard]] bool armed() const { return rigs_.front()->armed(); }
  [[nodiscard]] bool is_pair() const { return rigs_.size() == 2; }

  struct Batch {
    Direction direction;  // kDown where there are two workers
    std::size_t size;
    Hosts hosts;
    FrameState frames;
  };
  void build(const Batch& batch);
  // Hands the ports the next packets of the batch, up to `most` each. Where there are two workers
  // each gets as many packets, half of them the other's on average. Result: how many.
  unsigned feed(unsigned most);
  // One turn of each worker.
  void poll() {
    for (const auto& rig : rigs_) (void)rig->poll();
  }
  // Everything must have come out, once. Throws, naming what did not.
  void settle();

  [[nodiscard]] std::uint64_t carried() const;  // packets, settled
  [[nodiscard]] std::uint64_t acks() const;     // stand-alone, made meanwhile
  [[nodiscard]] std::uint64_t handed() const;   // from one worker to the other, settled
  [[nodiscard]] const Rig::Resident& resident() const { return rigs_.front()->resident(); }
  // The cost of a frame's first line in a state.
  [[nodiscard]] LineCost cost_of_line(FrameState state);

 private:
  std::vector<Wires*> wires_;
  std::vector<std::unique_ptr<Rig>> rigs_;
  std::mt19937 random_{2};
  std::uint64_t misled_ = 0;  // packets given to the worker that does not own the session
};

}  // namespace pns::bench
