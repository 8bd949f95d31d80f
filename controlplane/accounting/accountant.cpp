// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/accountant.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace pns::accounting {
namespace {

constexpr SessionId kServer{};  // of On and Off

Octets joined(std::initializer_list<const Octets*> parts) {
  Octets all;
  for (const Octets* part : parts) all.insert(all.end(), part->begin(), part->end());
  return all;
}

}  // namespace

// Numbers of later processes are greater: the clock would have to fall by more than the records of
// a process, each of which takes longer than a nanosecond.
Accountant::Accountant(RecordKeeper& keeper, Delivery& delivery, WallClock wall, IsShort is_short)
    : keeper_(keeper),
      delivery_(delivery),
      wall_(std::move(wall)),
      is_short_(std::move(is_short)),
      last_number_(wall_() * 1'000'000'000) {}

void Accountant::found_open(SessionId session, OpenSession state) {
  found_open_.insert_or_assign(session, std::move(state));
}

void Accountant::taken_over(const SessionFacts& facts, const SessionCounters& counters) {
  const auto found = found_open_.find(facts.session);
  const std::uint64_t started = wall_() - std::min(counters.seconds, wall_());
  if (found == found_open_.end()) return begin(facts, started);
  open_.insert_or_assign(facts.session, found->second.started);
  found_open_.erase(found);
}

void Accountant::recover() {
  for (auto& [session, state] : std::exchange(found_open_, {})) {
    ++counts_.recovered;
    open_.insert_or_assign(session, state.started);
    const Octets cause = cause_attributes(TerminateCause::kNasReboot);
    stop(session, joined({&state.identity, &state.counters, &cause}), state.reported, state.realm);
  }
}

void Accountant::opened(const SessionFacts& facts) { begin(facts, wall_()); }

void Accountant::begin(const SessionFacts& facts, std::uint64_t started) {
  open_.insert_or_assign(facts.session, started);
  Octets identity = identity_attributes(facts);
  Record made = record(Status::kStart, started, identity, facts.realm);
  keep(facts.session, std::move(made),
       {PutSession{facts.session,
                   {.started = started,
                    .reported = started,
                    .identity = std::move(identity),
                    .counters = counter_attributes({}),
                    .realm = facts.realm}}});
}

void Accountant::interim(const SessionFacts& facts, const SessionCounters& counters) {
  const auto found = open_.find(facts.session);
  if (found == open_.end()) return;
  if (is_short_()) {
    ++counts_.interims_dropped;
    return;
  }
  Octets identity = identity_attributes(facts);
  Octets reported = counter_attributes(counters);
  const std::uint64_t now = wall_();
  Record made = record(Status::kInterimUpdate, now, joined({&identity, &reported}), facts.realm);
  keep(facts.session, std::move(made),
       {PutSession{facts.session,
                   {.started = found->second,
                    .reported = now,
                    .identity = std::move(identity),
                    .counters = std::move(reported),
                    .realm = facts.realm}}});
}

void Accountant::ended(const SessionFacts& facts, const SessionCounters& counters,
                       TerminateCause cause) {
  if (!open_.contains(facts.session)) return;
  const Octets identity = identity_attributes(facts);
  const Octets reported = counter_attributes(counters);
  const Octets why = cause_attributes(cause);
  stop(facts.session, joined({&identity, &reported, &why}), wall_(), facts.realm);
}

void Accountant::stop(SessionId session, Octets attributes, std::uint64_t time,
                      const std::string& realm) {
  open_.erase(session);
  keep(session, record(Status::kStop, time, std::move(attributes), realm),
       {DropRecord{{session, Slot::kInterimUpdate}}, EraseSession{session}});
}

void Accountant::server_on() { keep(kServer, record(Status::kAccountingOn, wall_(), {}, {}), {}); }

void Accountant::server_off() {
  keep(kServer, record(Status::kAccountingOff, wall_(), {}, {}), {});
}

Record Accountant::record(Status status, std::uint64_t time, Octets attributes,
                          const std::string& realm) {
  ++counts_.records;
  return {.status = status,
          .number = ++last_number_,
          .event_time = time,
          .attributes = std::move(attributes),
          .realm = realm};
}

void Accountant::keep(SessionId session, Record made, std::vector<Change> changes) {
  const RecordKey key{session, slot_of(made.status)};
  changes.insert(changes.begin(), PutRecord{key, made});
  keeper_.write(std::move(changes), [this, key, made = std::move(made)](bool kept) mutable {
    if (!kept) ++counts_.not_kept;
    delivery_.add(key, std::move(made), kept);
  });
}

}  // namespace pns::accounting
