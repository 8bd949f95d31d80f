// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/spool.hpp"

#include <iterator>
#include <utility>

namespace pns::accounting {

Spool::Spool(SpoolStore store, Post post)
    : store_(std::move(store)),
      post_(std::move(post)),
      thread_(kMaxWaiting, kMaxWaiting,
              [this](std::vector<Write> writes) { commit(std::move(writes)); }) {
  measure();
}

void Spool::write(std::vector<Change> changes, Done done) {
  Write write{std::move(changes), std::move(done)};
  ++unfinished_;
  if (thread_.push(write)) return;
  --unfinished_;
  post_([done = std::move(write.done)]() mutable {
    if (done) done(false);
  });
}

void Spool::commit(std::vector<Write> writes) {
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
