// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/session/resume_store.hpp"

#include <fmt/format.h>
#include <lmdb.h>

#include <cstring>
#include <span>
#include <unordered_set>
#include <utility>

#include "pns/log/log.hpp"

namespace pns::session {
namespace {

constexpr std::size_t kOctetsPerSession = 4096;  // of map, generous: a page per record
constexpr std::size_t kLeastMap = std::size_t{64} << 20;
constexpr std::uint64_t kDrainKey = 1;

}  // namespace

std::expected<ResumeStore, std::string> ResumeStore::open(const std::filesystem::path& directory,
                                                          std::uint32_t max_sessions) {
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all, ignored);
  ResumeStore store;
  int error = store.open_environment(directory, max_sessions);
  if (error == MDB_INVALID || error == MDB_VERSION_MISMATCH || error == MDB_CORRUPTED ||
      error == MDB_PAGE_NOTFOUND || error == MDB_INCOMPATIBLE) {
    log::warn("the store was damaged and is made anew",
              {{"directory", directory.string()}, {"error", mdb_strerror(error)}});
    std::filesystem::remove(directory / "data.mdb", ignored);
    std::filesystem::remove(directory / "lock.mdb", ignored);
    error = store.open_environment(directory, max_sessions);
  }
  if (error != 0)
    return std::unexpected(fmt::format("store {}: {}", directory.string(), mdb_strerror(error)));
  return store;
}

// 0, or LMDB's error with nothing left open.
int ResumeStore::open_environment(const std::filesystem::path& directory,
                                  std::uint32_t max_sessions) {
  const auto close = [this](int error) {
    if (environment_ != nullptr) mdb_env_close(std::exchange(environment_, nullptr));
    return error;
  };
  int error = mdb_env_create(&environment_);
  if (error != 0) return close(error);
  (void)mdb_env_set_maxdbs(environment_, 3);
  (void)mdb_env_set_mapsize(environment_,
                            std::max(kLeastMap, std::size_t{max_sessions} * 2 * kOctetsPerSession));
  // No sync: the store must outlive the process, not the host, whose memory the calls live in.
  error = mdb_env_open(environment_, directory.c_str(), MDB_NOSYNC | MDB_NOTLS, 0600);
  if (error != 0) return close(error);
  // A process that was killed while it read would keep its pages from being used again.
  (void)mdb_reader_check(environment_, nullptr);
  MDB_txn* transaction = nullptr;
  if ((error = mdb_txn_begin(environment_, nullptr, 0, &transaction)) != 0) return close(error);
  if ((error = mdb_dbi_open(transaction, "connections", MDB_CREATE | MDB_INTEGERKEY,
                            &connections_)) != 0 ||
      (error = mdb_dbi_open(transaction, "sessions", MDB_CREATE | MDB_INTEGERKEY, &sessions_)) !=
          0 ||
      (error = mdb_dbi_open(transaction, "state", MDB_CREATE | MDB_INTEGERKEY, &state_)) != 0) {
    mdb_txn_abort(transaction);
    return close(error);
  }
  if ((error = mdb_txn_commit(transaction)) != 0) return close(error);
  return 0;
}

ResumeStore::ResumeStore(ResumeStore&& other) noexcept
    : environment_(std::exchange(other.environment_, nullptr)),
      connections_(other.connections_),
      sessions_(other.sessions_),
      state_(other.state_),
      failures_(other.failures_) {}

ResumeStore::~ResumeStore() {
  if (environment_ != nullptr) mdb_env_close(environment_);
}

bool ResumeStore::write(unsigned database, std::uint64_t key,
                        const std::vector<std::uint8_t>* value) {
  MDB_txn* transaction = nullptr;
  int error = mdb_txn_begin(environment_, nullptr, 0, &transaction);
  if (error == 0) {
    MDB_val name{sizeof(key), &key};
    if (value != nullptr) {
      MDB_val data{value->size(), const_cast<std::uint8_t*>(value->data())};
      error = mdb_put(transaction, database, &name, &data, 0);
    } else {
      error = mdb_del(transaction, database, &name, nullptr);
      if (error == MDB_NOTFOUND) error = 0;
    }
    if (error == 0)
      error = mdb_txn_commit(transaction);
    else
      mdb_txn_abort(transaction);
  }
  failures_ += error != 0 ? 1 : 0;
  return error == 0;
}

bool ResumeStore::put(const StoredConnection& connection) {
  const auto value = encode(connection);
  return write(connections_, connection.id.value, &value);
}

bool ResumeStore::put(const StoredSession& session) {
  const auto value = encode(session);
  return write(sessions_, session.slot.value, &value);
}

bool ResumeStore::erase(ConnectionId id) { return write(connections_, id.value, nullptr); }
bool ResumeStore::erase(SlotId slot) { return write(sessions_, slot.value, nullptr); }

bool ResumeStore::put(const StoredDrain& drain) {
  const auto value = encode(drain);
  return write(state_, kDrainKey, &value);
}

bool ResumeStore::erase_drain() { return write(state_, kDrainKey, nullptr); }

void ResumeStore::clear() {
  MDB_txn* transaction = nullptr;
  if (mdb_txn_begin(environment_, nullptr, 0, &transaction) != 0) return;
  (void)mdb_drop(transaction, connections_, 0);
  (void)mdb_drop(transaction, sessions_, 0);
  (void)mdb_drop(transaction, state_, 0);
  (void)mdb_txn_commit(transaction);
}

void ResumeStore::keep_only(const std::vector<ConnectionId>& connections,
                            const std::vector<SlotId>& sessions) {
  std::unordered_set<std::uint64_t> kept_connections;
  for (const ConnectionId id : connections) kept_connections.insert(id.value);
  std::unordered_set<std::uint64_t> kept_sessions;
  for (const SlotId slot : sessions) kept_sessions.insert(slot.value);
  MDB_txn* transaction = nullptr;
  if (mdb_txn_begin(environment_, nullptr, 0, &transaction) != 0) return;
  for (const auto& [database, kept] :
       {std::pair{connections_, &kept_connections}, std::pair{sessions_, &kept_sessions}}) {
    MDB_cursor* cursor = nullptr;
    if (mdb_cursor_open(transaction, database, &cursor) != 0) continue;
    MDB_val name{};
    MDB_val value{};
    while (mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == 0) {
      std::uint64_t key = 0;
      if (name.mv_size == sizeof(key)) std::memcpy(&key, name.mv_data, sizeof(key));
      if (name.mv_size != sizeof(key) || !kept->contains(key)) (void)mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
  }
  (void)mdb_txn_commit(transaction);
}

template <class Visit>
void ResumeStore::read(unsigned database, Visit visit) const {
  MDB_txn* transaction = nullptr;
  if (mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction) != 0) return;
  MDB_cursor* cursor = nullptr;
  if (mdb_cursor_open(transaction, database, &cursor) == 0) {
    MDB_val key{};
    MDB_val value{};
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
      visit({static_cast<const std::uint8_t*>(value.mv_data), value.mv_size});
    }
    mdb_cursor_close(cursor);
  }
  mdb_txn_abort(transaction);
}

std::vector<StoredConnection> ResumeStore::connections() const {
  std::vector<StoredConnection> out;
  read(connections_, [&](std::span<const std::uint8_t> record) {
    if (auto connection = decode_connection(record)) out.push_back(std::move(*connection));
  });
  return out;
}

std::vector<StoredSession> ResumeStore::sessions() const {
  std::vector<StoredSession> out;
  read(sessions_, [&](std::span<const std::uint8_t> record) {
    if (auto session = decode_session(record)) out.push_back(std::move(*session));
  });
  return out;
}

std::optional<StoredDrain> ResumeStore::drain() const {
  std::optional<StoredDrain> out;
  read(state_, [&](std::span<const std::uint8_t> record) { out = decode_drain(record); });
  return out;
}

}  // namespace pns::session
