// SPDX-License-Identifier: BSD-3-Clause
//
// CallTable: the calls of one control connection, and everything by which they are found: number,
// Call IDs, deadline. It notes which calls have changed, for the store. It knows no messages and no
// machine: ControlConnection decides.
//
// Most connections have one call, so up to kFewCalls calls are looked through. More of them get an
// index, and a look-up costs O(log n). Every change of an indexed field goes through the setters
// here. One thread (the event loop).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "controlplane/pptp/call.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"

namespace pns::pptp {

class CallTable {
 public:
  static constexpr std::size_t kFewCalls = 4;

  CallTable();
  CallTable(CallTable&&) noexcept;
  CallTable& operator=(CallTable&&) noexcept;
  ~CallTable();

  // ---- Calls come and go.
  // A number that no call has and no call had; for Call::number.
  [[nodiscard]] std::uint32_t take_number();
  // From now on take_number() gives numbers above this one.
  void skip_numbers(std::uint32_t up_to) noexcept;
  // The reference is valid until the table changes.
  Call& add(Call call);
  void remove(std::uint32_t number);

  // ---- Changes of a call of this table.
  void set_state(Call& call, CallState state);
  void set_our_call_id(Call& call, OurCallId id);
  void set_peer_call_id(Call& call, PeerCallId id);
  void set_answer_by(Call& call, std::optional<TimePoint> at);

  // ---- Look-ups; null: there is none.
  [[nodiscard]] Call* find(std::uint32_t number) noexcept;
  [[nodiscard]] const Call* find(std::uint32_t number) const noexcept;
  // The oldest call that matches. An id may stand for several calls for a while: one that is being
  // cleared keeps its ids, and a Reply may bring an id that is in use.
  template <class Matches>
  [[nodiscard]] Call* find_ours(OurCallId id, Matches matches) {
    return oldest([id](const Call& call) { return call.our_call_id == id; },
                  [&](std::uint32_t after) { return next_ours(id, after); }, matches);
  }
  template <class Matches>
  [[nodiscard]] Call* find_theirs(PeerCallId id, Matches matches) {
    return oldest([id](const Call& call) { return call.peer_call_id == id; },
                  [&](std::uint32_t after) { return next_theirs(id, after); }, matches);
  }
  [[nodiscard]] Call* find_ours(OurCallId id) { return find_ours(id, kAny); }
  [[nodiscard]] Call* find_theirs(PeerCallId id) { return find_theirs(id, kAny); }
  // The call that a message with this id in it means, whoever assigned the id.
  [[nodiscard]] Call* find_either(std::uint16_t id, bool theirs_first);
  // The call of which we are the PAC, when there is exactly one.
  [[nodiscard]] Call* find_only_as_pac() noexcept;
  // The oldest call in wait-disconnect of which the peer's Call ID never came.
  [[nodiscard]] Call* find_cleared_before_reply() noexcept;

  // ---- All of them.
  [[nodiscard]] const std::vector<Call>& calls() const noexcept { return calls_; }  // in no order
  [[nodiscard]] std::vector<std::uint32_t> numbers() const;                         // ascending

  // ---- Time.
  // The earliest Call::answer_by; empty: no call waits.
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept;
  // Numbers of the calls whose answer_by has passed, the latest last.
  [[nodiscard]] std::vector<std::uint32_t> late(TimePoint now) const;

  // ---- For the store.
  struct Change {
    std::uint32_t number = 0;
    bool reported = false;  // an earlier Change named this call
  };
  // The changes since the last time, each call once. Calls that are there count as reported.
  [[nodiscard]] std::vector<Change> take_changes();

  // ---- Call IDs of the peer whose calls were refused or have ended while we were the PAC; the
  // last kRememberedIds of them.
  static constexpr std::size_t kRememberedIds = 16;
  [[nodiscard]] bool is_gone(PeerCallId id) const noexcept;
  void forget_gone(PeerCallId id);

  // Calls that look-ups have met so far, but for those that kFewCalls bounds.
  [[nodiscard]] std::uint64_t visited() const noexcept { return visited_; }

 private:
  struct Index;
  static constexpr auto kAny = [](const Call&) { return true; };

  template <class Has, class Next, class Matches>
  [[nodiscard]] Call* oldest(Has has, Next next, Matches matches) {
    for (std::uint32_t after = 0;;) {
      Call* const call = index_ ? next(after) : next_of_few(has, after);
      if (call == nullptr) return nullptr;
      ++visited_;
      if (matches(*call)) return call;
      after = call->number;
    }
  }
  // The call with the lowest number above `after` for which `has` holds.
  template <class Has>
  [[nodiscard]] Call* next_of_few(Has has, std::uint32_t after) noexcept {
    Call* found = nullptr;
    for (Call& call : calls_)
      if (call.number > after && (found == nullptr || call.number < found->number) && has(call))
        found = &call;
    return found;
  }
  // The same by the index.
  [[nodiscard]] Call* next_ours(OurCallId id, std::uint32_t after) noexcept;
  [[nodiscard]] Call* next_theirs(PeerCallId id, std::uint32_t after) noexcept;
  [[nodiscard]] Call* place_of(std::uint32_t number) noexcept;
  void put_into_index(const Call& call, std::size_t at);
  void index_unanswered_clear(const Call& call);
  void note_change(Call& call);
  void remember_gone(PeerCallId id);

  std::vector<Call> calls_;       // in no order
  std::unique_ptr<Index> index_;  // null: few calls
  std::vector<PeerCallId> gone_;  // the latest last
  std::vector<Change> changed_;
  std::uint32_t next_number_ = 1;
  std::uint32_t calls_as_pac_ = 0;
  std::uint32_t numbers_as_pac_ = 0;  // all of them, xor'ed: the number itself when there is one
  std::uint64_t visited_ = 0;
};

}  // namespace pns::pptp
