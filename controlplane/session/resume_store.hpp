// SPDX-License-Identifier: BSD-3-Clause
//
// ResumeStore: what the control process must know again after a restart and session memory does not
// hold: whose session it is, which connection it belongs to, what was negotiated. LMDB in the run
// directory (a tmpfs, so it does not outlive the host); written before the peer is told.
//
// No keys are stored. A record that cannot be read, or that session memory contradicts, is not an
// error: its call ends cleanly. Event-loop thread only.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/session/stored_records.hpp"
#include "pns/base/ids.hpp"

struct MDB_env;
struct MDB_txn;

namespace pns::session {

class ResumeStore {
 public:
  // Opens or makes the store; one that is damaged, or another program's, is made anew: the calls in
  // it are lost, not the server. Error: LMDB's reason.
  [[nodiscard]] static std::expected<ResumeStore, std::string> open(
      const std::filesystem::path& directory, std::uint32_t max_sessions);
  ResumeStore(ResumeStore&& other) noexcept;
  ResumeStore& operator=(ResumeStore&&) = delete;
  ~ResumeStore();

  // Each is one transaction. False: it could not be written (full, damaged); last_error() tells.
  bool put(const StoredConnection& connection);
  bool put(const StoredSession& session);
  bool erase(ConnectionId id);
  bool erase(SlotId slot);
  // The end of a call: its record goes, its Call ID is kept until it has rested. One transaction.
  bool put_to_rest(SlotId slot, const RestingCallId& id);
  // Call IDs that rest, in one transaction.
  bool put(const std::vector<RestingCallId>& resting);
  bool put(const StoredDrain& drain);
  bool erase_drain();
  bool clear();
  // Erases every record but these, in one transaction; also those that cannot be read.
  bool keep_only(const std::vector<ConnectionId>& connections, const std::vector<SlotId>& sessions);

  [[nodiscard]] std::vector<StoredConnection> connections() const;
  [[nodiscard]] std::vector<StoredSession> sessions() const;
  // Those that rest at `now_ns`, the first to end first. Forgets the others.
  [[nodiscard]] std::vector<RestingCallId> resting(std::uint64_t now_ns);
  // Whether a record could be written now; opens the store again where LMDB has given it up.
  [[nodiscard]] bool probe();
  [[nodiscard]] std::string_view last_error() const noexcept;
  [[nodiscard]] std::optional<StoredDrain> drain() const;

 private:
  ResumeStore() noexcept = default;
  [[nodiscard]] int open_environment(const std::filesystem::path& directory,
                                     std::uint32_t max_sessions);
  bool write(unsigned database, std::uint64_t key, const std::vector<std::uint8_t>* value);
  [[nodiscard]] MDB_txn* begin();                                        // null: error_ tells
  [[nodiscard]] int put(MDB_txn* transaction, const RestingCallId& id);  // 0, or LMDB's error
  [[nodiscard]] bool finish(MDB_txn* transaction, int error);
  template <class Visit>
  void read(unsigned database, Visit visit) const;

  MDB_env* environment_ = nullptr;
  unsigned connections_ = 0;
  unsigned sessions_ = 0;
  unsigned resting_ = 0;
  unsigned state_ = 0;  // of the server as a whole: one record
  int error_ = 0;       // of the last transaction that failed
  std::filesystem::path directory_;
  std::uint32_t max_sessions_ = 0;
};

}  // namespace pns::session
