// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/spool.hpp"

#include <iterator>
#include <utility>

namespace pns::accounting {

Spool::Spool(SpoolStore store, Post post) : store_(std::move(store)), post_(std::move(post)) {
  measure();
  thread_ = std::thread([this] { run(); });
}

Spool::~Spool() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  work_.notify_one();
  thread_.join();
}

void Spool::write(std::vector<Change> changes, Done done) {
  {
    const std::scoped_lock lock(mutex_);
    if (waiting_.size() < kMaxWaiting) {
      waiting_.push_back({std::move(changes), std::move(done)});
      ++unfinished_;
      done = nullptr;
    }
  }
  if (done) return post_([done = std::move(done)]() mutable { done(false); });
  work_.notify_one();
}

void Spool::run() {
  for (;;) {
    std::vector<Write> writes;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      writes.swap(waiting_);
    }
    commit(writes);
  }
}

void Spool::commit(std::vector<Write>& writes) {
  std::vector<Change> all;
  for (Write& write : writes)
    all.insert(all.end(), std::make_move_iterator(write.changes.begin()),
               std::make_move_iterator(write.changes.end()));
  const int error = store_.write(all);
  error_ = error;
  measure();
  unfinished_ -= writes.size();
  // One posting for all: their order is that of the writes.
  post_([writes = std::move(writes), error]() mutable {
    for (Write& write : writes)
      if (write.done) write.done(error == 0);
  });
}

void Spool::measure() {
  fill_ = store_.fill();
  record_count_ = store_.record_count();
}

}  // namespace pns::accounting
