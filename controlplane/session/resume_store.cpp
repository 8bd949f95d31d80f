// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/session/resume_store.hpp"

#include <fmt/format.h>
#include <lmdb.h>

#include <algorithm>
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
  store.directory_ = directory;
  store.max_sessions_ = max_sessions;
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
  (void)mdb_env_set_maxdbs(environment_, 8);
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
      (error = mdb_dbi_open(transaction, "resting", MDB_CREATE | MDB_INTEGERKEY, &resting_)) != 0 ||
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
      resting_(other.resting_),
      state_(other.state_),
      error_(other.error_),
      directory_(std::move(other.directory_)),
      max_sessions_(other.max_sessions_) {}

ResumeStore::~ResumeStore() {
  if (environment_ != nullptr) mdb_env_close(environment_);
}

MDB_txn* ResumeStore::begin() {
  MDB_txn* transaction = nullptr;
  const int error =
      environment_ == nullptr ? MDB_PANIC : mdb_txn_begin(environment_, nullptr, 0, &transaction);
  if (error == 0) return transaction;
  error_ = error;
  return nullptr;
}

// Commits when all went well so far.
bool ResumeStore::finish(MDB_txn* transaction, int error) {
  if (error == 0)
    error = mdb_txn_commit(transaction);
  else
    mdb_txn_abort(transaction);
  if (error != 0) error_ = error;
  return error == 0;
}

bool ResumeStore::write(unsigned database, std::uint64_t key,
                        const std::vector<std::uint8_t>* value) {
  MDB_txn* transaction = begin();
  if (transaction == nullptr) return false;
  MDB_val name{sizeof(key), &key};
  if (value == nullptr) {
    const int error = mdb_del(transaction, database, &name, nullptr);
    return finish(transaction, error == MDB_NOTFOUND ? 0 : error);
  }
  MDB_val data{value->size(), const_cast<std::uint8_t*>(value->data())};
  return finish(transaction, mdb_put(transaction, database, &name, &data, 0));
}

bool ResumeStore::put_to_rest(SlotId slot, const RestingCallId& id) {
  MDB_txn* transaction = begin();
  if (transaction == nullptr) return false;
  std::uint64_t session = slot.value;
  MDB_val of_session{sizeof(session), &session};
  int error = mdb_del(transaction, sessions_, &of_session, nullptr);
  if (error == 0 || error == MDB_NOTFOUND) error = put(transaction, id);
  return finish(transaction, error);
}

bool ResumeStore::put(const std::vector<RestingCallId>& resting) {
  MDB_txn* transaction = begin();
  if (transaction == nullptr) return false;
  int error = 0;
  for (const RestingCallId& id : resting)
    if (error == 0) error = put(transaction, id);
  return finish(transaction, error);
}

int ResumeStore::put(MDB_txn* transaction, const RestingCallId& id) {
  std::uint64_t key = std::uint64_t{id.local.value} << 16 | id.id.value;
  std::uint64_t until = id.until_ns;
  MDB_val name{sizeof(key), &key};
  MDB_val data{sizeof(until), &until};
  return mdb_put(transaction, resting_, &name, &data, 0);
}

std::string_view ResumeStore::last_error() const noexcept { return mdb_strerror(error_); }

// A record of the size of a page: what fits into the last free octets of a disk is no proof.
bool ResumeStore::probe() {
  if (environment_ == nullptr || error_ == MDB_PANIC) {
    if (environment_ != nullptr) mdb_env_close(std::exchange(environment_, nullptr));
    if ((error_ = open_environment(directory_, max_sessions_)) != 0) return false;
  }
  constexpr std::uint64_t kNobody = ~std::uint64_t{0};
  const std::vector<std::uint8_t> page(kOctetsPerSession);
  return write(sessions_, kNobody, &page) && write(sessions_, kNobody, nullptr);
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

bool ResumeStore::clear() {
  MDB_txn* transaction = begin();
  if (transaction == nullptr) return false;
  int error = 0;
  for (const unsigned database : {connections_, sessions_, resting_, state_})
    if (error == 0) error = mdb_drop(transaction, database, 0);
  return finish(transaction, error);
}

bool ResumeStore::keep_only(const std::vector<ConnectionId>& connections,
                            const std::vector<SlotId>& sessions) {
  std::unordered_set<std::uint64_t> kept_connections;
  for (const ConnectionId id : connections) kept_connections.insert(id.value);
  std::unordered_set<std::uint64_t> kept_sessions;
  for (const SlotId slot : sessions) kept_sessions.insert(slot.value);
  MDB_txn* transaction = begin();
  if (transaction == nullptr) return false;
  int error = 0;
  for (const auto& [database, kept] :
       {std::pair{connections_, &kept_connections}, std::pair{sessions_, &kept_sessions}}) {
    MDB_cursor* cursor = nullptr;
    if (error == 0) error = mdb_cursor_open(transaction, database, &cursor);
    if (error != 0) break;
    MDB_val name{};
    MDB_val value{};
    while (error == 0 && mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == 0) {
      std::uint64_t key = 0;
      if (name.mv_size == sizeof(key)) std::memcpy(&key, name.mv_data, sizeof(key));
      if (name.mv_size != sizeof(key) || !kept->contains(key)) error = mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
  }
  return finish(transaction, error);
}

template <class Visit>
void ResumeStore::read(unsigned database, Visit visit) const {
  MDB_txn* transaction = nullptr;
  if (environment_ == nullptr ||
      mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction) != 0)
    return;
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

std::vector<RestingCallId> ResumeStore::resting(std::uint64_t now_ns) {
  std::vector<RestingCallId> out;
  MDB_txn* transaction = begin();
  if (transaction == nullptr) return out;
  MDB_cursor* cursor = nullptr;
  int error = mdb_cursor_open(transaction, resting_, &cursor);
  if (error == 0) {
    MDB_val name{};
    MDB_val value{};
    while (mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == 0) {
      std::uint64_t key = 0;
      std::uint64_t until = 0;
      if (name.mv_size == sizeof(key)) std::memcpy(&key, name.mv_data, sizeof(key));
      if (value.mv_size == sizeof(until)) std::memcpy(&until, value.mv_data, sizeof(until));
      const OurCallId id(static_cast<std::uint16_t>(key));
      if (until > now_ns && id.value != 0)
        out.push_back({Ipv4Address(static_cast<std::uint32_t>(key >> 16)), id, until});
      else
        (void)mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
  }
  (void)finish(transaction, error);
  std::ranges::sort(out, {}, &RestingCallId::until_ns);
  return out;
}

std::optional<StoredDrain> ResumeStore::drain() const {
  std::optional<StoredDrain> out;
  read(state_, [&](std::span<const std::uint8_t> record) { out = decode_drain(record); });
  return out;
}

}  // namespace pns::session
