// SPDX-License-Identifier: BSD-3-Clause
//
// MemoryKeeper: a RecordKeeper in memory. A write is done when the test says so.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "controlplane/accounting/keeper.hpp"

namespace pns::test {

class MemoryKeeper final : public accounting::RecordKeeper {
 public:
  void write(std::vector<accounting::Change> changes, Done done) override {
    waiting_.emplace_back(std::move(changes), std::move(done));
  }
  void read_records(const std::optional<accounting::RecordKey>& after,
                    const std::function<bool(const accounting::RecordKey&, accounting::Record)>&
                        visit) const override {
    for (auto at = after ? records.upper_bound(*after) : records.begin(); at != records.end(); ++at)
      if (!visit(at->first, at->second)) return;
  }

  void finish_writes() {
    while (!waiting_.empty()) {
      auto [changes, done] = std::move(waiting_.front());
      waiting_.pop_front();
      if (!fails)
        for (const accounting::Change& change : changes) apply(change);
      if (done) done(!fails);
    }
  }

  std::map<accounting::RecordKey, accounting::Record> records;
  std::map<SessionId, accounting::OpenSession> sessions;
  bool fails = false;  // as a disk that is full

 private:
  void apply(const accounting::Change& change) {
    using namespace accounting;
    if (const auto* it = std::get_if<PutRecord>(&change)) records[it->key] = it->record;
    if (const auto* it = std::get_if<EraseRecord>(&change)) {
      const auto found = records.find(it->key);
      if (found != records.end() && found->second.number == it->number) records.erase(found);
    }
    if (const auto* it = std::get_if<DropRecord>(&change)) records.erase(it->key);
    if (const auto* it = std::get_if<PutSession>(&change)) sessions[it->session] = it->state;
    if (const auto* it = std::get_if<EraseSession>(&change)) sessions.erase(it->session);
  }
  std::deque<std::pair<std::vector<accounting::Change>, Done>> waiting_;
};

}  // namespace pns::test
