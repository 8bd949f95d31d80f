// SPDX-License-Identifier: BSD-3-Clause
//
// SpoolStore: the accounting records that no server has answered, and the sessions that are open,
// in LMDB on a disk. One write() is one transaction; when it returns, the records are on the disk.
// write() and fill() belong to one thread; reading may happen on another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "controlplane/accounting/record.hpp"

struct MDB_env;
struct MDB_txn;

namespace pns::accounting {

struct PutRecord {
  RecordKey key;
  Record record;
};
// Nothing is erased when the record there has another number: a later one has taken its place.
struct EraseRecord {
  RecordKey key;
  std::uint64_t number = 0;
};
// Whatever record is there.
struct DropRecord {
  RecordKey key;
};
struct PutSession {
  SessionId session;
  OpenSession state;
};
struct EraseSession {
  SessionId session;
};
using Change = std::variant<PutRecord, EraseRecord, DropRecord, PutSession, EraseSession>;

class SpoolStore {
 public:
  // Opens or makes the store. A damaged one is kept beside it under another name, and a new one is
  // made: `damaged` is the name then. Error: the directory and LMDB's reason.
  [[nodiscard]] static std::expected<SpoolStore, std::string> open(
      const std::filesystem::path& directory, std::size_t max_octets);
  SpoolStore(SpoolStore&& other) noexcept;
  SpoolStore& operator=(SpoolStore&&) = delete;
  ~SpoolStore();

  // All of the changes, in their order, or none. 0, or the error of LMDB or of the disk (error_text
  // tells).
  [[nodiscard]] int write(std::span<const Change> changes);
  [[nodiscard]] static std::string_view error_text(int error) noexcept;

  // Octets in use, of those that open() permits; above 1 is possible. Puts are the caller's to
  // refuse: the store keeps a quarter more, so that it can always erase.
  [[nodiscard]] double fill() const;
  [[nodiscard]] std::size_t record_count() const;

  // The records behind `after`, or all, while `visit` returns true. The octets of a record that
  // cannot be read are skipped.
  void read_records(const std::optional<RecordKey>& after,
                    const std::function<bool(const RecordKey&, Record)>& visit) const;
  void read_sessions(const std::function<void(SessionId, OpenSession)>& visit) const;

  [[nodiscard]] const std::optional<std::filesystem::path>& damaged() const noexcept {
    return damaged_;
  }

 private:
  SpoolStore() noexcept = default;
  [[nodiscard]] int open_environment();
  [[nodiscard]] int apply(MDB_txn* transaction, const Change& change);

  MDB_env* environment_ = nullptr;
  unsigned records_ = 0;  // LMDB's handles
  unsigned sessions_ = 0;
  std::filesystem::path directory_;
  std::size_t max_octets_ = 0;
  std::optional<std::filesystem::path> damaged_;
};

}  // namespace pns::accounting
