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
#include <vector>

#include "controlplane/session/stored_records.hpp"
#include "pns/base/ids.hpp"

struct MDB_env;

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

  // Each is one transaction. False: it could not be written (full, damaged); counted by failures().
  bool put(const StoredConnection& connection);
  bool put(const StoredSession& session);
  bool erase(ConnectionId id);
  bool erase(SlotId slot);
  bool put(const StoredDrain& drain);
  bool erase_drain();
  void clear();
  // Erases every record but these, in one transaction; also those that cannot be read.
  void keep_only(const std::vector<ConnectionId>& connections, const std::vector<SlotId>& sessions);

  [[nodiscard]] std::vector<StoredConnection> connections() const;
  [[nodiscard]] std::vector<StoredSession> sessions() const;
  [[nodiscard]] std::optional<StoredDrain> drain() const;
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }

 private:
  ResumeStore() noexcept = default;
  [[nodiscard]] int open_environment(const std::filesystem::path& directory,
                                     std::uint32_t max_sessions);
  bool write(unsigned database, std::uint64_t key, const std::vector<std::uint8_t>* value);
  template <class Visit>
  void read(unsigned database, Visit visit) const;

  MDB_env* environment_ = nullptr;
  unsigned connections_ = 0;
  unsigned sessions_ = 0;
  unsigned state_ = 0;  // of the server as a whole: one record
  std::uint64_t failures_ = 0;
};

}  // namespace pns::session
