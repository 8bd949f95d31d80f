// SPDX-License-Identifier: BSD-3-Clause
//
// Steps with LMDB that the resume store and the spool of accounting share. A transaction belongs to
// one thread.
#pragma once

#include <lmdb.h>

#include "pns/base/bytes.hpp"

namespace pns::lmdb {

// An environment that cannot be used as it is and must be made anew.
[[nodiscard]] bool is_damaged(int error) noexcept;

// Commits where `error` is 0, else aborts. The error of either.
[[nodiscard]] int finish(MDB_txn* transaction, int error) noexcept;

// Valid as long as the transaction.
[[nodiscard]] inline Bytes bytes_of(const MDB_val& value) noexcept {
  return {static_cast<const std::byte*>(value.mv_data), value.mv_size};
}

// A transaction that reads.
class Reading {
 public:
  // `environment` may be null: nothing is found then.
  explicit Reading(MDB_env* environment) noexcept;
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading();

  // Null: it could not begin.
  [[nodiscard]] MDB_txn* get() const noexcept { return transaction_; }

  // Calls visit(name, value) for the entries of a table from the name `first` on, or for all where
  // it is null, while `visit` returns true.
  template <class Visit>
  void each(MDB_dbi table, const MDB_val* first, Visit visit) const {
    MDB_cursor* cursor = nullptr;
    if (transaction_ == nullptr || mdb_cursor_open(transaction_, table, &cursor) != 0) return;
    MDB_val name = first != nullptr ? *first : MDB_val{};
    MDB_val value{};
    int found = mdb_cursor_get(cursor, &name, &value, first != nullptr ? MDB_SET_RANGE : MDB_FIRST);
    while (found == 0 && visit(name, value))
      found = mdb_cursor_get(cursor, &name, &value, MDB_NEXT);
    mdb_cursor_close(cursor);
  }

 private:
  MDB_txn* transaction_ = nullptr;
};

}  // namespace pns::lmdb
