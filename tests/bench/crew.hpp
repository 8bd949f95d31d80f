// SPDX-License-Identifier: BSD-3-Clause
//
// Crew: threads that stay on one CPU each, known to DPDK (buffers are cached for each), that do the
// same work alone or all at once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace pns::bench {

class Crew {
 public:
  // One thread for each CPU. Throws std::runtime_error.
  explicit Crew(std::span<const int> cpus);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  [[nodiscard]] unsigned size() const { return static_cast<unsigned>(threads_.size()); }

  using Work = std::function<void(unsigned)>;  // of thread n
  // Returns when all are done; throws what one of them threw.
  void all(const Work& work) { run(work, size()); }
  // The other threads sleep.
  void one(unsigned n, const Work& work) { run(work, n); }

  // From within all(): waits, spinning, until every thread has come here.
  void meet() noexcept;

 private:
  void run(const Work& work, unsigned who);  // size(): all
  void live(unsigned n, int cpu);

  std::mutex mutex_;
  std::condition_variable changed_;
  const Work* work_ = nullptr;
  unsigned who_ = 0;
  unsigned long turn_ = 0;
  unsigned busy_ = 0;
  bool ends_ = false;
  std::exception_ptr failed_;
  std::atomic<unsigned> arrived_{0};
  std::atomic<unsigned> meetings_{0};
  std::vector<std::thread> threads_;
};

}  // namespace pns::bench
