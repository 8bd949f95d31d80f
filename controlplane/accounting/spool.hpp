// SPDX-License-Identifier: BSD-3-Clause
//
// Spool: writes to a SpoolStore on a thread of its own, because a write waits for the disk and the
// event loop serves every call meanwhile. All changes that wait go into one transaction, so the
// disk is waited for once however many they are. The event loop's, but for the thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "controlplane/accounting/keeper.hpp"
#include "controlplane/accounting/spool_store.hpp"
#include "pns/base/batch_thread.hpp"

namespace pns::accounting {

class Spool final : public RecordKeeper {
 public:
  static constexpr std::size_t kMaxWaiting = 65'536;  // writes; further ones are not kept

  // Runs work on the event loop, later. Any thread.
  using Post = std::function<void(std::move_only_function<void()> work)>;

  Spool(SpoolStore store, Post post);

  void write(std::vector<Change> changes, Done done) override;
  void read_records(const std::optional<RecordKey>& after,
                    const std::function<bool(const RecordKey&, Record)>& visit) const override {
    store_.read_records(after, visit);
  }

  void read_sessions(const std::function<void(SessionId, OpenSession)>& visit) const {
    store_.read_sessions(visit);
  }

  // Nothing waits, and nothing is being written.
  [[nodiscard]] bool is_idle() const noexcept { return unfinished_ == 0; }
  // As of the last transaction: SpoolStore's figures, and the error of the last that failed since
  // one succeeded (0: none).
  [[nodiscard]] double fill() const noexcept { return fill_; }
  [[nodiscard]] std::size_t record_count() const noexcept { return record_count_; }
  [[nodiscard]] int error() const noexcept { return error_; }

 private:
  struct Write {
    std::vector<Change> changes;
    Done done;
  };
  void commit(std::vector<Write> writes);
  void measure();

  SpoolStore store_;
  Post post_;
  std::atomic<double> fill_ = 0;
  std::atomic<std::size_t> record_count_ = 0;
  std::atomic<int> error_ = 0;
  std::atomic<std::size_t> unfinished_ = 0;  // writes
  BatchThread<Write> thread_;                // last: it writes what waits before the rest goes
};

}  // namespace pns::accounting
