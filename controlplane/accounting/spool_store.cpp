// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/spool_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "controlplane/lmdb/lmdb.hpp"
#include "pns/base/be.hpp"

namespace pns::accounting {
namespace {

// Session, slot: big-endian, so that LMDB's order is that of RecordKey.
class KeyOctets {
 public:
  static constexpr std::size_t kSession = 8;
  static constexpr std::size_t kRecord = 9;

  explicit KeyOctets(SessionId session) noexcept : size_(kSession) {
    store_be(octets_.data(), session.value);
  }
  explicit KeyOctets(const RecordKey& key) noexcept : KeyOctets(key.session) {
    octets_[kSession] = static_cast<std::byte>(key.slot);
    size_ = kRecord;
  }
  [[nodiscard]] MDB_val value() noexcept { return {size_, octets_.data()}; }

  static std::optional<RecordKey> parse(const MDB_val& name) noexcept {
    if (name.mv_size != kRecord) return std::nullopt;
    const auto* octets = static_cast<const std::byte*>(name.mv_data);
    return RecordKey{SessionId{load_be<std::uint64_t>(octets)},
                     static_cast<Slot>(octets[kSession])};
  }

 private:
  std::array<std::byte, kRecord> octets_{};
  std::size_t size_;
};

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};

}  // namespace

std::expected<SpoolStore, std::string> SpoolStore::open(const std::filesystem::path& directory,
                                                        std::size_t max_octets) {
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  SpoolStore store;
  store.directory_ = directory;
  store.max_octets_ = max_octets;
  int error = store.open_environment();
  if (lmdb::is_damaged(error)) {
    store.damaged_ = directory / "damaged.mdb";
    std::filesystem::rename(directory / "data.mdb", *store.damaged_, ignored);
    std::filesystem::remove(directory / "lock.mdb", ignored);
    error = store.open_environment();
  }
  if (error != 0)
    return std::unexpected(fmt::format("{}: {}", directory.string(), mdb_strerror(error)));
  return store;
}

// 0, or LMDB's error with nothing left open.
int SpoolStore::open_environment() {
  const auto close = [this](int error) {
    if (environment_ != nullptr) mdb_env_close(std::exchange(environment_, nullptr));
    return error;
  };
  int error = mdb_env_create(&environment_);
  if (error != 0) return close(error);
  (void)mdb_env_set_maxdbs(environment_, 2);
  (void)mdb_env_set_mapsize(environment_, max_octets_ + max_octets_ / 4);
  error = mdb_env_open(environment_, directory_.c_str(), MDB_NOTLS, 0600);
  if (error != 0) return close(error);
  // A process that was killed while it read would keep its pages from being used again.
  (void)mdb_reader_check(environment_, nullptr);
  MDB_txn* transaction = nullptr;
  if ((error = mdb_txn_begin(environment_, nullptr, 0, &transaction)) != 0) return close(error);
  error = mdb_dbi_open(transaction, "records", MDB_CREATE, &records_);
  if (error == 0) error = mdb_dbi_open(transaction, "sessions", MDB_CREATE, &sessions_);
  error = lmdb::finish(transaction, error);
  return error == 0 ? 0 : close(error);
}

SpoolStore::SpoolStore(SpoolStore&& other) noexcept
    : environment_(std::exchange(other.environment_, nullptr)),
      records_(other.records_),
      sessions_(other.sessions_),
      directory_(std::move(other.directory_)),
      max_octets_(other.max_octets_),
      damaged_(std::move(other.damaged_)) {}

SpoolStore::~SpoolStore() {
  if (environment_ != nullptr) mdb_env_close(environment_);
}

int SpoolStore::write(std::span<const Change> changes) {
  MDB_txn* transaction = nullptr;
  int error = mdb_txn_begin(environment_, nullptr, 0, &transaction);
  if (error != 0) return error;
  for (const Change& change : changes)
    if (error == 0) error = apply(transaction, change);
  return lmdb::finish(transaction, error);
}

int SpoolStore::apply(MDB_txn* transaction, const Change& change) {
  const auto put = [&](unsigned table, KeyOctets key, const Octets& value) {
    MDB_val name = key.value();
    MDB_val data{value.size(), const_cast<std::byte*>(value.data())};
    return mdb_put(transaction, table, &name, &data, 0);
  };
  const auto erase = [&](unsigned table, KeyOctets key) {
    MDB_val name = key.value();
    const int error = mdb_del(transaction, table, &name, nullptr);
    return error == MDB_NOTFOUND ? 0 : error;
  };
  return std::visit(
      Overloaded{
          [&](const PutRecord& it) { return put(records_, KeyOctets(it.key), encode(it.record)); },
          [&](const EraseRecord& it) {
            KeyOctets key(it.key);
            MDB_val name = key.value();
            MDB_val there{};
            const int error = mdb_get(transaction, records_, &name, &there);
            if (error != 0) return error == MDB_NOTFOUND ? 0 : error;
            const auto record = decode_record(lmdb::bytes_of(there));
            if (record && record->number != it.number) return 0;
            return erase(records_, key);
          },
          [&](const DropRecord& it) { return erase(records_, KeyOctets(it.key)); },
          [&](const PutSession& it) {
            return put(sessions_, KeyOctets(it.session), encode(it.state));
          },
          [&](const EraseSession& it) { return erase(sessions_, KeyOctets(it.session)); }},
      change);
}

std::string_view SpoolStore::error_text(int error) noexcept { return mdb_strerror(error); }

double SpoolStore::fill() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  if (mdb_env_info(environment_, &info) != 0 || mdb_env_stat(environment_, &stat) != 0) return 1;
  std::size_t pages = info.me_last_pgno + 1;
  constexpr unsigned kFreePages = 0;  // LMDB's own table: its values begin with a count of pages
  const lmdb::Reading reading(environment_);
  reading.each(kFreePages, nullptr, [&pages](const MDB_val&, const MDB_val& value) {
    std::size_t free = 0;
    if (value.mv_size >= sizeof(free)) std::memcpy(&free, value.mv_data, sizeof(free));
    pages -= std::min(free, pages);
    return true;
  });
  return static_cast<double>(pages * stat.ms_psize) / static_cast<double>(max_octets_);
}

std::size_t SpoolStore::record_count() const {
  const lmdb::Reading reading(environment_);
  MDB_stat stat{};
  if (reading.get() == nullptr || mdb_stat(reading.get(), records_, &stat) != 0) return 0;
  return stat.ms_entries;
}

void SpoolStore::read_records(const std::optional<RecordKey>& after,
                              const std::function<bool(const RecordKey&, Record)>& visit) const {
  KeyOctets from(after.value_or(RecordKey{}));
  const MDB_val first = from.value();
  const lmdb::Reading reading(environment_);
  reading.each(records_, after ? &first : nullptr, [&](const MDB_val& name, const MDB_val& value) {
    const auto key = KeyOctets::parse(name);
    if (!key || (after && *key == *after)) return true;
    auto record = decode_record(lmdb::bytes_of(value));
    return !record || visit(*key, std::move(*record));
  });
}

void SpoolStore::read_sessions(const std::function<void(SessionId, OpenSession)>& visit) const {
  const lmdb::Reading reading(environment_);
  reading.each(sessions_, nullptr, [&](const MDB_val& name, const MDB_val& value) {
    if (name.mv_size != KeyOctets::kSession) return true;
    if (auto session = decode_open_session(lmdb::bytes_of(value)))
      visit(SessionId{load_be<std::uint64_t>(static_cast<const std::byte*>(name.mv_data))},
            std::move(*session));
    return true;
  });
}

}  // namespace pns::accounting
