// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/lmdb/lmdb.hpp"

namespace pns::lmdb {

bool is_damaged(int error) noexcept {
  return error == MDB_INVALID || error == MDB_VERSION_MISMATCH || error == MDB_CORRUPTED ||
         error == MDB_PAGE_NOTFOUND || error == MDB_INCOMPATIBLE;
}

int finish(MDB_txn* transaction, int error) noexcept {
  if (error == 0) return mdb_txn_commit(transaction);
  mdb_txn_abort(transaction);
  return error;
}

Reading::Reading(MDB_env* environment) noexcept {
  if (environment == nullptr || mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction_) != 0)
    transaction_ = nullptr;
}

Reading::~Reading() {
  if (transaction_ != nullptr) mdb_txn_abort(transaction_);
}

}  // namespace pns::lmdb
