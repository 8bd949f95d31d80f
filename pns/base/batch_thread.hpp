// SPDX-License-Identifier: BSD-3-Clause
//
// BatchThread: a thread that works through items which another thread hands it, for work that waits
// for a disk. The items that wait are bounded. Its destructor works through them before it returns.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace pns {

template <class Item>
class BatchThread {
 public:
  // Runs on the thread, with at least one item, in the order in which they came.
  using Work = std::function<void(std::vector<Item> items)>;

  // `most_waiting`: items that wait; `batch`: items of one call of `work`, at most.
  BatchThread(std::size_t most_waiting, std::size_t batch, Work work)
      : most_waiting_(most_waiting),
        batch_(batch),
        work_(std::move(work)),
        thread_([this] { run(); }) {}
  BatchThread(const BatchThread&) = delete;
  BatchThread& operator=(const BatchThread&) = delete;
  ~BatchThread() {
    {
      const std::scoped_lock lock(mutex_);
      stop_ = true;
    }
    some_.notify_one();
    thread_.join();
  }

  // False: too many wait; `item` is the caller's still.
  [[nodiscard]] bool push(Item& item) {
    {
      const std::scoped_lock lock(mutex_);
      if (waiting_.size() >= most_waiting_) return false;
      waiting_.push_back(std::move(item));
    }
    some_.notify_one();
    return true;
  }

 private:
  void run() {
    for (;;) {
      std::vector<Item> items;
      {
        std::unique_lock lock(mutex_);
        some_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        items = take();
      }
      work_(std::move(items));
    }
  }

  std::vector<Item> take() {
    if (waiting_.size() <= batch_) return std::exchange(waiting_, {});
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(batch_);
    std::vector<Item> items(std::make_move_iterator(waiting_.begin()),
                            std::make_move_iterator(end));
    waiting_.erase(waiting_.begin(), end);
    return items;
  }

  const std::size_t most_waiting_;
  const std::size_t batch_;
  const Work work_;
  std::mutex mutex_;
  std::condition_variable some_;
  std::vector<Item> waiting_;  // under mutex_, as is stop_
  bool stop_ = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace pns
