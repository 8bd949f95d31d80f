// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker/worker_loop.hpp"

#include <poll.h>
#include <rte_cycles.h>
#include <rte_pause.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "dataplane/worker/worker_clock.hpp"

namespace pns::dataplane {

WorkerLoop::WorkerLoop(Worker& worker, Doorbell& doorbell, Settings settings)
    : worker_(worker), doorbell_(doorbell), settings_(std::move(settings)) {
  // Devices without descriptors cannot wake us: a wait would only be a long nap.
  if (settings_.mode == config::IdleMode::kWait && settings_.wait_fds.empty() &&
      std::ranges::any_of(worker_.config().ports,
                          [](const auto& port) { return !port.rx_queues.empty(); }))
    settings_.mode = config::IdleMode::kSleep;
}

void WorkerLoop::stop() noexcept {
  stop_.store(true, std::memory_order_relaxed);
  doorbell_.ring();
}

void WorkerLoop::run() noexcept {
  (void)::prctl(PR_SET_TIMERSLACK, 1UL);
  WorkerClock clock(settings_.ns_per_cycle, rte_rdtsc(), monotonic_ns());
  std::uint32_t empty_polls = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    const std::uint64_t cycles = rte_rdtsc();
    if (clock.wants_reading(cycles)) clock.set_reading(cycles, monotonic_ns());
    if (!worker_.poll_once(Tsc{cycles}, clock.now_ns(cycles)).idle()) {
      empty_polls = 0;
      continue;
    }
    if (settings_.mode == config::IdleMode::kSpin) {
      rte_pause();
    } else if (++empty_polls >= settings_.spin_polls) {
      // Not reset: a worker that wakes to nothing goes back to sleep at once.
      empty_polls = settings_.spin_polls;
      idle();
    }
  }
}

void WorkerLoop::idle() noexcept {
  worker_.before_sleep();
  if (settings_.mode == config::IdleMode::kSleep) {
    const timespec nap{0, std::chrono::nanoseconds(settings_.sleep).count()};
    ::nanosleep(&nap, nullptr);
  } else {
    doorbell_.prepare_sleep();
    if (!worker_.has_pending() && !stop_.load(std::memory_order_relaxed)) {
      std::array<pollfd, 64> wait{};
      std::size_t count = 0;
      wait[count++] = {doorbell_.fd(), POLLIN, 0};
      for (const int fd : settings_.wait_fds)
        if (count < wait.size()) wait[count++] = {fd, POLLIN, 0};
      const std::uint64_t limit_ns =
          static_cast<std::uint64_t>(std::chrono::nanoseconds(settings_.wait).count());
      const std::uint64_t due_ns = worker_.next_deadline_ns(monotonic_ns());
      const auto nap_ns = static_cast<long>(std::min(limit_ns, due_ns));
      const timespec timeout{nap_ns / 1'000'000'000, nap_ns % 1'000'000'000};
      (void)::ppoll(wait.data(), count, &timeout, nullptr);
    }
    doorbell_.cancel_sleep();
    doorbell_.drain();
  }
  worker_.after_sleep();
}

}  // namespace pns::dataplane
