// SPDX-License-Identifier: BSD-3-Clause
//
// WorkerLoop: one worker on its lcore, polling until told to stop, with the idle policy of
// dataplane.idle: after so many empty polls spin on, nap, or wait in poll(2) on the port's own
// descriptors and a doorbell. On machines with few cores a waiting worker leaves the CPU to the
// control process and wakes with less delay than one that has spun its time slice away.
#pragma once

#include <rte_mempool.h>

#include <atomic>
#include <memory>
#include <vector>

#include "dataplane/packet/doorbell.hpp"
#include "dataplane/worker/worker.hpp"
#include "pns/config/config.hpp"

namespace pns::dataplane {

class WorkerLoop {
 public:
  struct Settings {
    config::IdleMode mode = config::IdleMode::kSpin;  // never kAuto
    std::uint32_t spin_polls = 256;
    std::chrono::microseconds sleep{50};
    std::chrono::milliseconds wait{10};
    std::vector<int> wait_fds;  // poll for reading: packets are there
    double ns_per_cycle = 1.0;  // of the TSC
  };

  WorkerLoop(Worker& worker, Doorbell& doorbell, Settings settings);

  // Runs until stop(). On the worker's lcore.
  void run() noexcept;
  // Any thread.
  void stop() noexcept;

 private:
  void idle() noexcept;

  Worker& worker_;
  Doorbell& doorbell_;
  Settings settings_;
  std::atomic<bool> stop_{false};
};

}  // namespace pns::dataplane
