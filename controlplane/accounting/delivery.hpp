// SPDX-License-Identifier: BSD-3-Clause
//
// Delivery: sends accounting records until a server has answered each. The records of one session
// leave in their order, one at a time; sessions do not wait for each other. A later Interim-Update
// takes the place of one that waits, and a Stop makes one needless. An answered record is erased
// from the keeper.
//
// Bounds: sessions in memory, records under way. Records beyond are left with the keeper and read
// from it when there is room again. Event-loop thread only; no clock and no sockets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>

#include "controlplane/accounting/keeper.hpp"
#include "controlplane/accounting/record.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/random.hpp"
#include "pns/base/time.hpp"

namespace pns::accounting {

class Delivery {
 public:
  // Asks a server. `done` comes once, perhaps before this returns: whether it has answered.
  using Send =
      std::function<void(const Record& record, std::move_only_function<void(bool answered)> done)>;
  using Clock = std::function<TimePoint()>;
  // Asks for on_deadline() at this moment, instead of any asked for before.
  using Wake = std::function<void(TimePoint)>;

  struct Settings {
    std::size_t max_sessions = 8'192;  // in memory
    std::size_t max_under_way = 512;
    Duration first_pause = Seconds(1);     // before a record that was not answered is sent again
    Duration longest_pause = Seconds(60);  // it doubles up to this; each pause is shortened by up
                                           // to a quarter at random
  };

  struct Counts {
    std::uint64_t answered = 0;
    std::uint64_t unanswered = 0;  // attempts
    std::uint64_t collapsed = 0;   // Interim-Updates that a later record has made needless
    std::uint64_t lost = 0;        // could neither be kept nor held in memory
  };

  // `keeper` and `random` outlive this.
  Delivery(const Settings& settings, RecordKeeper& keeper, RandomSource& random, Send send,
           Clock clock, Wake wake);
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  // The keeper has records of an earlier process. Call once, before the first add().
  void resume();
  // A new record. `kept`: the keeper has it.
  void add(const RecordKey& key, Record record, bool kept);
  void on_deadline();

  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }
  [[nodiscard]] std::size_t session_count() const noexcept { return sessions_.size(); }
  [[nodiscard]] std::size_t under_way() const noexcept { return under_way_; }
  // Records are left with the keeper alone.
  [[nodiscard]] bool has_backlog() const noexcept { return backlog_; }
  // Event time of the oldest record in memory, in seconds since 1970; empty: there is none.
  [[nodiscard]] std::optional<std::uint64_t> oldest_event() const;

 private:
  static constexpr std::size_t kSlots = 3;
  struct Entry {
    std::optional<Record> record;
    bool kept = false;
  };
  struct Pending {
    std::array<Entry, kSlots> entries;  // by Slot
    std::optional<Slot> under_way;
    unsigned failures = 0;  // of the record that is next, one after the other
    unsigned erasing = 0;   // answered records that the keeper still has
    bool paused = false;    // stands in pauses_
    bool ready = false;     // stands in ready_
  };
  using Sessions = std::unordered_map<SessionId, Pending>;

  static Entry& entry_of(Pending& pending, Slot slot) noexcept {
    return pending.entries[static_cast<std::size_t>(slot) - 1];
  }
  [[nodiscard]] static std::optional<Slot> next_of(const Pending& pending) noexcept;
  void put(const RecordKey& key, Record record, bool kept);
  void settle(SessionId session);
  void pump();
  void send(SessionId session, Pending& pending, Slot slot);
  void on_result(RecordKey key, std::uint64_t number, bool answered);
  void erase(const RecordKey& key, std::uint64_t number);
  void pause(SessionId session, Pending& pending);
  void read_backlog();

  Settings settings_;
  RecordKeeper& keeper_;
  RandomSource& random_;
  Send send_;
  Clock clock_;
  Wake wake_;
  Counts counts_;
  Sessions sessions_;
  std::deque<SessionId> ready_;
  std::multimap<TimePoint, SessionId> pauses_;
  std::size_t under_way_ = 0;
  bool backlog_ = false;
  bool missed_ = false;               // a record went to the keeper alone since the reading began
  std::optional<RecordKey> read_to_;  // of the reading that is not over
  bool pumping_ = false;
};

}  // namespace pns::accounting
