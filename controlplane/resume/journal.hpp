// SPDX-License-Identifier: BSD-3-Clause
//
// Journal: what the control process must know again after a restart and session memory does not
// hold. Whose session it is, which connection it belongs to, what was negotiated.
//
// Changes of one turn of the event loop are collected and written in one transaction at its end.
// An action that tells another party of a change is passed to when_stored(): it runs after that
// transaction (docs/decisions/0008: stored before told, stored before consumed). The collected
// changes keep the last value of each record alone, so a record that came and went within a turn is
// never written, and a record that equals the stored one is not written again.
//
// A turn that could not be written is reported, and what waited for it runs all the same: calls go
// on. The owner takes no new calls, and puts everything again when probe() succeeds.
//
// Event-loop thread only. Memory is bounded by Limits and by the records of the changed calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/pptp/control_connection.hpp"
#include "controlplane/resume/records.hpp"
#include "controlplane/resume/store.hpp"
#include "pns/base/ids.hpp"

namespace pns::resume {

// The boot id of the running kernel; empty where it has none.
[[nodiscard]] std::string boot_id();

class Journal {
 public:
  using Action = std::move_only_function<void()>;

  // A turn that holds more of any of these is written at once.
  struct Limits {
    std::size_t actions = 4096;                 // that wait
    std::size_t octets = std::size_t{1} << 20;  // of what they send, as when_stored() was told
    std::size_t records = 4096;                 // that changed
  };

  // A turn whose changes are not in the store.
  struct Failure {
    std::string_view reason;  // LMDB's words
    std::size_t changes = 0;
  };

  // The records that an earlier process left.
  struct Contents {
    std::vector<StoredConnection> connections;  // by id, each with its calls
    std::vector<StoredSession> sessions;        // by slot
    std::vector<RestingCallId> resting;         // the first to end first
    std::optional<StoredDrain> drain;
    std::vector<Key> obsolete;  // unreadable, of no connection, or a rest that has ended
  };

  struct Counts {
    std::uint64_t transactions = 0;  // that wrote something
    std::uint64_t records = 0;       // put or erased in them
    std::uint64_t unchanged = 0;     // equal to what was stored
    std::uint64_t failures = 0;      // turns that could not be written
    std::uint64_t early = 0;         // turns written before their end, because of Limits
  };

  // Runs an action after the handlers that are ready now; with Asio: asio::post.
  using Post = std::function<void(Action)>;

  // Opens the store in `directory`. Records of another boot are erased: their connections are gone,
  // and their times are of another clock. `boot` is boot_id(). Error: the reason.
  [[nodiscard]] static std::expected<std::unique_ptr<Journal>, std::string> open(
      const std::filesystem::path& directory, std::uint32_t max_sessions, std::string_view boot,
      Post post, const Limits& limits);
  [[nodiscard]] static std::expected<std::unique_ptr<Journal>, std::string> open(
      const std::filesystem::path& directory, std::uint32_t max_sessions, std::string_view boot,
      Post post) {
    return open(directory, max_sessions, boot, std::move(post), Limits{});
  }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal() = default;

  // Called for each turn that could not be written, before what waited for it runs.
  void on_failure(std::function<void(const Failure&)> failed) { failed_ = std::move(failed); }

  // ---- Changes of this turn. The last one of a record counts.
  // Everything of a connection: its own record, its place in the stream, each of its calls. Other
  // records of it go.
  void put(const StoredConnection& connection);
  // The changes of its calls, and with them the place in the stream that the changes belong to.
  void put(ConnectionId id, const pptp::ConnectionChanges& changes, std::uint64_t handled_up_to);
  // Everything of a connection goes.
  void erase(ConnectionId id);
  void put(const StoredSession& session);
  void erase(SlotId slot);
  void put(const RestingCallId& id);
  // The end of a call: its session goes, its Call ID is kept until it has rested.
  void put_to_rest(SlotId slot, const RestingCallId& id);
  // Erases the records of ids whose rest is over, once there are kRestedAtOnce: an id that is drawn
  // again only after hours would keep its record that long.
  static constexpr std::size_t kRestedAtOnce = 64;
  void forget_rested(std::uint64_t now_ns);  // CLOCK_MONOTONIC
  // Records that an earlier process put, the first to end first; before any of this one.
  void remember(std::span<const RestingCallId> resting);
  void put(const StoredDrain& drain);
  void erase_drain();
  // Erases what is stored of other connections and sessions, and these keys. Records that stay, and
  // those that this turn has put, are not touched.
  void keep_only(std::span<const ConnectionId> connections, std::span<const SlotId> sessions,
                 std::span<const Key> obsolete = {});

  // ---- What depends on them.
  // Runs `action` at once when nothing is uncommitted, else after the commit, in the order given.
  // `octets` is what it holds, for Limits.
  template <class F>
  void when_stored(F&& action, std::size_t octets = 0) {
    if (is_idle())
      std::forward<F>(action)();
    else
      hold(Action(std::forward<F>(action)), octets);
  }
  // Nothing is uncommitted and nothing waits.
  [[nodiscard]] bool is_idle() const noexcept { return batch_.empty() && held_.empty(); }
  // Writes now what this turn has changed, and runs what waited for it. Inside such an action: the
  // others run after it. False: it could not be written.
  bool commit();

  // ---- The store itself, without what is uncommitted.
  [[nodiscard]] Contents load(std::uint64_t now_ns) const;  // CLOCK_MONOTONIC
  // About `most` records from `place` on, or from the first one: whole connections alone. `place`
  // moves on, and is empty after the last record.
  [[nodiscard]] Contents load_some(std::uint64_t now_ns, std::optional<Key>& place,
                                   std::size_t most) const;
  [[nodiscard]] bool has(ConnectionId id) const;
  [[nodiscard]] bool has(SlotId slot) const;
  // Whether a record could be written now; opens the store again where LMDB has given it up.
  [[nodiscard]] bool probe();
  [[nodiscard]] std::string_view last_error() const noexcept { return store_.last_error(); }

  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

 private:
  struct Held {
    Action action;
    std::size_t octets = 0;
  };

  Journal(Store store, Octets boot, Post post, const Limits& limits)
      : store_(std::move(store)), boot_(std::move(boot)), post_(std::move(post)), limits_(limits) {}
  void set(const Key& key, std::optional<Octets> value);
  void put_position(ConnectionId id, std::uint64_t handled_up_to);
  void commit_at_end_of_turn();
  void hold(Action action, std::size_t octets);
  [[nodiscard]] bool write();
  void run_released();

  Store store_;
  Octets boot_;  // as it is stored
  Post post_;
  Limits limits_;
  std::function<void(const Failure&)> failed_;
  Batch batch_;
  std::deque<RestingCallId> resting_;  // as they were put; those of an id more than once
  std::deque<Held> held_;
  std::size_t released_ = 0;  // of held_, from the front: what they wait for is stored
  std::size_t octets_ = 0;    // of held_
  bool posted_ = false;
  bool running_ = false;
  Counts counts_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // for what was posted
};

}  // namespace pns::resume
