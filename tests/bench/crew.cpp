// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/crew.hpp"

#include <rte_lcore.h>
#include <x86intrin.h>

#include <stdexcept>
#include <utility>

#include "tests/bench/machine.hpp"

namespace pns::bench {

Crew::Crew(std::span<const int> cpus) {
  busy_ = static_cast<unsigned>(cpus.size());
  for (unsigned n = 0; n < cpus.size(); ++n)
    threads_.emplace_back([this, n, cpu = cpus[n]] { live(n, cpu); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return busy_ == 0; });
  if (!failed_) return;
  ends_ = true;
  lock.unlock();
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  std::rethrow_exception(failed_);
}

Crew::~Crew() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

void Crew::run(const Work& work, unsigned who) {
  std::unique_lock lock(mutex_);
  work_ = &work;
  who_ = who;
  busy_ = who == size() ? size() : 1;
  ++turn_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return busy_ == 0; });
  if (failed_) std::rethrow_exception(std::exchange(failed_, nullptr));
}

void Crew::live(unsigned n, int cpu) {
  const auto attempt = [this](const auto& what) {
    try {
      what();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failed_ = std::current_exception();
    }
  };
  attempt([cpu] {
    pin(cpu);
    if (rte_thread_register() != 0) throw std::runtime_error("a thread DPDK does not take");
  });
  std::unique_lock lock(mutex_);
  for (unsigned long seen = 0;;) {
    if (--busy_ == 0) changed_.notify_all();
    do {
      changed_.wait(lock, [&] { return ends_ || turn_ != seen; });
      if (ends_) break;
      seen = turn_;
    } while (who_ != threads_.size() && who_ != n);
    if (ends_) break;
    const Work& work = *work_;
    lock.unlock();
    attempt([&] { work(n); });
    lock.lock();
  }
  lock.unlock();
  rte_thread_unregister();
}

void Crew::meet() noexcept {
  const unsigned meeting = meetings_.load();
  if (arrived_.fetch_add(1) + 1 == size()) {
    arrived_.store(0);
    meetings_.store(meeting + 1);
    return;
  }
  while (meetings_.load(std::memory_order_acquire) == meeting) _mm_pause();
}

}  // namespace pns::bench
