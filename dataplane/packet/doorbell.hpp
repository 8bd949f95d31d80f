// SPDX-License-Identifier: BSD-3-Clause
//
// Doorbell: wakes a thread that waits in poll(2) because its rings were empty. Costs the ringer one
// load when nobody sleeps. Any thread may ring; one thread owns the sleeping side.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "pns/base/unique_fd.hpp"

namespace pns::dataplane {

class Doorbell {
 public:
  Doorbell() noexcept : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  // Wakes the sleeper if there is one. Call after the work is visible in the ring.
  void ring() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!sleeping_.load(std::memory_order_relaxed)) return;
    const std::uint64_t one = 1;
    (void)!::write(fd_.get(), &one, sizeof(one));
  }

  // Sleeper: announce, then look at the rings once more, then poll fd().
  void prepare_sleep() noexcept {
    sleeping_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  // Sleeper: take the announcement back, after waking or when the rings were not empty.
  void cancel_sleep() noexcept { sleeping_.store(false, std::memory_order_relaxed); }
  // Sleeper: clears the descriptor.
  void drain() noexcept {
    std::uint64_t count = 0;
    (void)!::read(fd_.get(), &count, sizeof(count));
  }

  // -1 when the descriptor could not be made; check at start.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
  std::atomic<bool> sleeping_{false};
};

}  // namespace pns::dataplane
