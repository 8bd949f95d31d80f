// SPDX-License-Identifier: BSD-3-Clause
//
// Store: records by key in LMDB, in the run directory (a tmpfs, so it does not outlive the host).
// One write() is one transaction. A process that is killed leaves whole transactions only; nothing
// is synced to a disk, because the calls live in this host's memory too.
//
// The store knows octets and keys; records.hpp knows what they mean. Event-loop thread only.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "controlplane/resume/records.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ids.hpp"

struct MDB_env;
struct MDB_txn;

namespace pns::resume {

enum class Table : std::uint8_t {
  kConnection = 1,  // id: ConnectionId
  kPosition,        // id: ConnectionId
  kCall,            // id: ConnectionId; number: pptp::Call::number
  kSession,         // id: SlotId
  kResting,         // id: local address << 16 | Call ID
  kDrain,           // id: 0
  kBoot,            // id: 0; a text, the boot id of the host
};

// In this order, which is that of the store: a connection's records are neighbours, so a message
// that changes a call writes one page of leaves.
struct Key {
  Table table{};
  std::uint64_t id = 0;
  std::uint32_t number = 0;  // 0 but in kCall
  // The first of the tables that are kept together.
  [[nodiscard]] Table group() const noexcept {
    return table == Table::kPosition || table == Table::kCall ? Table::kConnection : table;
  }
  friend bool operator==(const Key&, const Key&) = default;
  friend std::strong_ordering operator<=>(const Key& a, const Key& b) noexcept {
    return std::tuple(a.group(), a.id, a.table, a.number) <=>
           std::tuple(b.group(), b.id, b.table, b.number);
  }
};

// The changes of one transaction. First everything of the connections, then the records.
struct Batch {
  std::set<ConnectionId> gone;                   // connection, position and every call
  std::map<Key, std::optional<Octets>> records;  // none: erased
  [[nodiscard]] bool empty() const noexcept { return gone.empty() && records.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return gone.size() + records.size(); }
};

class Store {
 public:
  // Opens or makes the store; one that is damaged is made anew: the calls in it are lost, not the
  // server. Error: the directory and LMDB's reason.
  [[nodiscard]] static std::expected<Store, std::string> open(
      const std::filesystem::path& directory, std::uint32_t max_sessions);
  Store(Store&& other) noexcept;
  Store& operator=(Store&&) = delete;
  ~Store();

  struct Written {
    std::size_t records = 0;    // put or erased
    std::size_t unchanged = 0;  // were there already, or not there
  };
  // All of the batch or nothing. Empty: it could not be written (full, damaged); last_error()
  // tells. A batch that changes nothing writes nothing.
  [[nodiscard]] std::optional<Written> write(const Batch& batch);
  // Every record, by key. The octets live during the call.
  void read(const std::function<void(const Key&, Bytes)>& visit) const;
  // The records from this key on, while `visit` returns true.
  void read_from(const Key& from, const std::function<bool(const Key&, Bytes)>& visit) const;
  [[nodiscard]] std::optional<Octets> get(const Key& key) const;
  // Whether a record could be written now; opens the store again where LMDB has given it up.
  [[nodiscard]] bool probe();
  // Erases everything. False: it could not.
  [[nodiscard]] bool clear();
  [[nodiscard]] std::string_view last_error() const noexcept;

 private:
  Store() noexcept = default;
  [[nodiscard]] int open_environment();
  [[nodiscard]] int open_records(MDB_txn* transaction);
  [[nodiscard]] MDB_txn* begin();                              // null: error_ tells
  [[nodiscard]] bool finish(MDB_txn* transaction, int error);  // commits where error is 0
  [[nodiscard]] int erase(MDB_txn* transaction, ConnectionId id, Written& written);
  [[nodiscard]] int change(MDB_txn* transaction, const Key& key, const std::optional<Octets>& value,
                           Written& written);

  MDB_env* environment_ = nullptr;
  unsigned records_ = 0;  // LMDB's handle
  int error_ = 0;         // of the last transaction that failed
  std::filesystem::path directory_;
  std::uint32_t max_sessions_ = 0;
};

}  // namespace pns::resume
