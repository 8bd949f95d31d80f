// SPDX-License-Identifier: BSD-3-Clause
//
// Accountant: makes the records of sessions (RFC 2866): Start, Interim-Update and Stop, and On and
// Off of the server. A record is with the keeper before it is sent, and a session's Start never
// stays without its Stop: the keeper knows the sessions that are open, and those that an earlier
// process has not ended get their Stop from the one after it. Event-loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "controlplane/accounting/delivery.hpp"
#include "controlplane/accounting/keeper.hpp"
#include "controlplane/accounting/session_facts.hpp"
#include "controlplane/accounting/terminate_cause.hpp"

namespace pns::accounting {

class Accountant {
 public:
  struct Counts {
    std::uint64_t records = 0;           // made
    std::uint64_t not_kept = 0;          // of them: the keeper could not write them
    std::uint64_t interims_dropped = 0;  // not made: the keeper is nearly full
    std::uint64_t recovered = 0;         // Stops of sessions that an earlier process left
  };
  // Seconds since 1970.
  using WallClock = std::function<std::uint64_t()>;
  // Interim-Updates are not kept any more: the spool is nearly full.
  using IsShort = std::function<bool()>;

  // Both outlive this.
  Accountant(RecordKeeper& keeper, Delivery& delivery, WallClock wall, IsShort is_short);
  Accountant(const Accountant&) = delete;
  Accountant& operator=(const Accountant&) = delete;

  // ---- At the start, in this order.
  // A session that an earlier process left open in the keeper.
  void found_open(SessionId session, OpenSession state);
  // That session lives. One that the keeper does not know begins its accounting now.
  void taken_over(const SessionFacts& facts, const SessionCounters& counters);
  // All that live have been told: the others get their Stop.
  void recover();

  // ---- The life of a session.
  void opened(const SessionFacts& facts);
  // Its identity is that of `facts` from now on.
  void interim(const SessionFacts& facts, const SessionCounters& counters);
  // Does nothing for a session without a Start.
  void ended(const SessionFacts& facts, const SessionCounters& counters, TerminateCause cause);

  // Records of the server itself. On closes all sessions of this server in a billing system: only
  // when there are none.
  void server_on();
  void server_off();

  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }
  [[nodiscard]] std::size_t open_sessions() const noexcept { return open_.size(); }

 private:
  void begin(const SessionFacts& facts, std::uint64_t started);
  void stop(SessionId session, Octets attributes, std::uint64_t time, const std::string& realm);
  [[nodiscard]] Record record(Status status, std::uint64_t time, Octets attributes,
                              const std::string& realm);
  void keep(SessionId session, Record made, std::vector<Change> changes);

  RecordKeeper& keeper_;
  Delivery& delivery_;
  WallClock wall_;
  IsShort is_short_;
  Counts counts_;
  std::uint64_t last_number_;
  std::unordered_map<SessionId, std::uint64_t> open_;      // the time of its Start
  std::unordered_map<SessionId, OpenSession> found_open_;  // until recover()
};

}  // namespace pns::accounting
