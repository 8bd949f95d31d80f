// SPDX-License-Identifier: BSD-3-Clause
//
// RecordKeeper: keeps accounting records until they are answered. Spool is the product's, on a
// disk; tests have one in memory. Event-loop thread only.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "controlplane/accounting/spool_store.hpp"

namespace pns::accounting {

class RecordKeeper {
 public:
  // Whether the changes will survive this process and the host.
  using Done = std::move_only_function<void(bool kept)>;

  RecordKeeper() = default;
  RecordKeeper(const RecordKeeper&) = delete;
  RecordKeeper& operator=(const RecordKeeper&) = delete;
  virtual ~RecordKeeper() = default;

  // All of the changes or none. Calls `done` once, never before this returns, and in the order of
  // the writes but for those that are refused at once.
  virtual void write(std::vector<Change> changes, Done done) = 0;
  // As SpoolStore::read_records(): what was kept when this is called.
  virtual void read_records(const std::optional<RecordKey>& after,
                            const std::function<bool(const RecordKey&, Record)>& visit) const = 0;
};

}  // namespace pns::accounting
