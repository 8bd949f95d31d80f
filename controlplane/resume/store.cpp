// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/resume/store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "controlplane/lmdb/lmdb.hpp"
#include "pns/log/log.hpp"

namespace pns::resume {
namespace {

constexpr std::size_t kOctetsPerSession = 4096;  // of map: several times what its records need
constexpr std::size_t kLeastMap = std::size_t{64} << 20;
constexpr const char* kRecords = "records";
constexpr Key kFirst{};
constexpr Key kProbe{static_cast<Table>(0xff), 0, 0};

// Group, id, table, number: big-endian, so that LMDB's order is that of Key.
class KeyOctets {
 public:
  static constexpr std::size_t kSize = 14;
  explicit KeyOctets(const Key& key) noexcept {
    octets_[0] = static_cast<std::uint8_t>(key.group());
    for (std::size_t i = 0; i < 8; ++i)
      octets_[1 + i] = static_cast<std::uint8_t>(key.id >> (56 - 8 * i));
    octets_[9] = static_cast<std::uint8_t>(key.table);
    for (std::size_t i = 0; i < 4; ++i)
      octets_[10 + i] = static_cast<std::uint8_t>(key.number >> (24 - 8 * i));
  }
  // Empty: no key of ours.
  static std::optional<Key> parse(const MDB_val& name) noexcept {
    if (name.mv_size != kSize) return std::nullopt;
    const auto* octets = static_cast<const std::uint8_t*>(name.mv_data);
    Key key{static_cast<Table>(octets[9]), 0, 0};
    for (std::size_t i = 0; i < 8; ++i) key.id = key.id << 8 | octets[1 + i];
    for (std::size_t i = 0; i < 4; ++i) key.number = key.number << 8 | octets[10 + i];
    return octets[0] == static_cast<std::uint8_t>(key.group()) ? std::optional(key) : std::nullopt;
  }
  [[nodiscard]] MDB_val value() noexcept { return {octets_.size(), octets_.data()}; }

 private:
  std::array<std::uint8_t, kSize> octets_{};
};

}  // namespace

std::expected<Store, std::string> Store::open(const std::filesystem::path& directory,
                                              std::uint32_t max_sessions) {
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all, ignored);
  Store store;
  store.directory_ = directory;
  store.max_sessions_ = max_sessions;
  int error = store.open_environment();
  if (lmdb::is_damaged(error)) {
    log::warn("damaged store made anew",
              {{"directory", directory.string()}, {"error", mdb_strerror(error)}});
    std::filesystem::remove(directory / "data.mdb", ignored);
    std::filesystem::remove(directory / "lock.mdb", ignored);
    error = store.open_environment();
  }
  if (error != 0)
    return std::unexpected(fmt::format("store {}: {}", directory.string(), mdb_strerror(error)));
  return store;
}

// 0, or LMDB's error with nothing left open.
int Store::open_environment() {
  const auto close = [this](int error) {
    if (environment_ != nullptr) mdb_env_close(std::exchange(environment_, nullptr));
    return error;
  };
  int error = mdb_env_create(&environment_);
  if (error != 0) return close(error);
  (void)mdb_env_set_maxdbs(environment_, 8);
  (void)mdb_env_set_mapsize(
      environment_, std::max(kLeastMap, std::size_t{max_sessions_} * 2 * kOctetsPerSession));
  error = mdb_env_open(environment_, directory_.c_str(), MDB_NOSYNC | MDB_NOTLS, 0600);
  if (error != 0) return close(error);
  // A process that was killed while it read would keep its pages from being used again.
  (void)mdb_reader_check(environment_, nullptr);
  MDB_txn* transaction = nullptr;
  if ((error = mdb_txn_begin(environment_, nullptr, 0, &transaction)) != 0) return close(error);
  error = lmdb::finish(transaction, open_records(transaction));
  return error == 0 ? 0 : close(error);
}

// The one database of ours. Others are of a program that kept its records in another way.
int Store::open_records(MDB_txn* transaction) {
  MDB_dbi names = 0;
  int error = mdb_dbi_open(transaction, nullptr, 0, &names);
  if (error != 0) return error;
  std::vector<std::string> others;
  MDB_cursor* cursor = nullptr;
  if ((error = mdb_cursor_open(transaction, names, &cursor)) != 0) return error;
  MDB_val name{};
  while (mdb_cursor_get(cursor, &name, nullptr, MDB_NEXT) == 0)
    if (std::string text(static_cast<const char*>(name.mv_data), name.mv_size); text != kRecords)
      others.push_back(std::move(text));
  mdb_cursor_close(cursor);
  for (const std::string& other : others) {
    MDB_dbi database = 0;
    if ((error = mdb_dbi_open(transaction, other.c_str(), 0, &database)) != 0) return error;
    if ((error = mdb_drop(transaction, database, 1)) != 0) return error;
  }
  return mdb_dbi_open(transaction, kRecords, MDB_CREATE, &records_);
}

Store::Store(Store&& other) noexcept
    : environment_(std::exchange(other.environment_, nullptr)),
      records_(other.records_),
      error_(other.error_),
      directory_(std::move(other.directory_)),
      max_sessions_(other.max_sessions_) {}

Store::~Store() {
  if (environment_ != nullptr) mdb_env_close(environment_);
}

MDB_txn* Store::begin() {
  MDB_txn* transaction = nullptr;
  const int error =
      environment_ == nullptr ? MDB_PANIC : mdb_txn_begin(environment_, nullptr, 0, &transaction);
  if (error == 0) return transaction;
  error_ = error;
  return nullptr;
}

bool Store::finish(MDB_txn* transaction, int error) {
  error = lmdb::finish(transaction, error);
  if (error != 0) error_ = error;
  return error == 0;
}

std::optional<Store::Written> Store::write(const Batch& batch) {
  MDB_txn* transaction = begin();
  if (transaction == nullptr) return std::nullopt;
  Written written;
  int error = 0;
  for (const ConnectionId id : batch.gone)
    if (error == 0) error = erase(transaction, id, written);
  for (const auto& [key, value] : batch.records)
    if (error == 0) error = change(transaction, key, value, written);
  if (error == 0 && written.records == 0) {
    mdb_txn_abort(transaction);
    return written;
  }
  if (!finish(transaction, error)) return std::nullopt;
  return written;
}

int Store::change(MDB_txn* transaction, const Key& key, const std::optional<Octets>& value,
                  Written& written) {
  KeyOctets octets(key);
  MDB_val name = octets.value();
  if (!value) {
    const int error = mdb_del(transaction, records_, &name, nullptr);
    ++(error == 0 ? written.records : written.unchanged);
    return error == MDB_NOTFOUND ? 0 : error;
  }
  MDB_val there{};
  if (mdb_get(transaction, records_, &name, &there) == 0 &&
      std::ranges::equal(lmdb::bytes_of(there), *value)) {
    ++written.unchanged;
    return 0;
  }
  ++written.records;
  MDB_val data{value->size(), const_cast<std::byte*>(value->data())};
  return mdb_put(transaction, records_, &name, &data, 0);
}

int Store::erase(MDB_txn* transaction, ConnectionId id, Written& written) {
  MDB_cursor* cursor = nullptr;
  int error = mdb_cursor_open(transaction, records_, &cursor);
  if (error != 0) return error;
  KeyOctets first({Table::kConnection, id.value, 0});
  MDB_val name = first.value();
  MDB_val value{};
  int found = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
  while (error == 0 && found == 0) {
    const auto key = KeyOctets::parse(name);
    if (!key || key->group() != Table::kConnection || key->id != id.value) break;
    error = mdb_cursor_del(cursor, 0);
    ++written.records;
    // After a deletion the cursor stands at the record that has moved up.
    if (error == 0) found = mdb_cursor_get(cursor, &name, &value, MDB_GET_CURRENT);
    if (found == EINVAL) found = MDB_NOTFOUND;  // it was the last record of all
  }
  mdb_cursor_close(cursor);
  return error != 0 ? error : found == MDB_NOTFOUND ? 0 : found;
}

void Store::read(const std::function<void(const Key&, Bytes)>& visit) const {
  read_from(kFirst, [&visit](const Key& key, Bytes octets) {
    visit(key, octets);
    return true;
  });
}

void Store::read_from(const Key& from, const std::function<bool(const Key&, Bytes)>& visit) const {
  KeyOctets octets(from);
  const MDB_val first = octets.value();
  const lmdb::Reading reading(environment_);
  reading.each(records_, &first, [&visit](const MDB_val& name, const MDB_val& value) {
    const auto key = KeyOctets::parse(name);
    return !key || visit(*key, lmdb::bytes_of(value));
  });
}

std::optional<Octets> Store::get(const Key& key) const {
  const lmdb::Reading reading(environment_);
  KeyOctets octets(key);
  MDB_val name = octets.value();
  MDB_val value{};
  if (reading.get() == nullptr || mdb_get(reading.get(), records_, &name, &value) != 0)
    return std::nullopt;
  const Bytes found = lmdb::bytes_of(value);
  return Octets(found.begin(), found.end());
}

// A record of the size of a page: what fits into the last free octets of a disk is no proof.
bool Store::probe() {
  if (environment_ == nullptr || error_ == MDB_PANIC) {
    if (environment_ != nullptr) mdb_env_close(std::exchange(environment_, nullptr));
    if ((error_ = open_environment()) != 0) return false;
  }
  Batch batch;
  batch.records[kProbe] = Octets(kOctetsPerSession);
  if (!write(batch)) return false;
  batch.records[kProbe] = std::nullopt;
  return write(batch).has_value();
}

bool Store::clear() {
  MDB_txn* transaction = begin();
  return transaction != nullptr && finish(transaction, mdb_drop(transaction, records_, 0));
}

std::string_view Store::last_error() const noexcept { return mdb_strerror(error_); }

}  // namespace pns::resume
