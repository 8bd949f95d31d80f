// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/delivery.hpp"

#include <algorithm>
#include <utility>

namespace pns::accounting {

Delivery::Delivery(const Settings& settings, RecordKeeper& keeper, RandomSource& random, Send send,
                   Clock clock, Wake wake)
    : settings_(settings),
      keeper_(keeper),
      random_(random),
      send_(std::move(send)),
      clock_(std::move(clock)),
      wake_(std::move(wake)) {}

void Delivery::resume() {
  backlog_ = true;
  read_backlog();
  pump();
}

void Delivery::add(const RecordKey& key, Record record, bool kept) {
  // Earlier records of the session may be with the keeper: they go first.
  const bool is_new = !sessions_.contains(key.session);
  if (is_new && (backlog_ || sessions_.size() >= settings_.max_sessions)) {
    if (kept) {
      backlog_ = true;
      missed_ = true;
    } else {
      ++counts_.lost;
    }
    return;
  }
  put(key, std::move(record), kept);
  pump();
}

void Delivery::put(const RecordKey& key, Record record, bool kept) {
  Pending& pending = sessions_[key.session];
  Entry& interim = entry_of(pending, Slot::kInterimUpdate);
  const auto drop_waiting_interim = [&] {
    if (!interim.record || pending.under_way == Slot::kInterimUpdate) return;
    ++counts_.collapsed;
    if (interim.kept && key.slot == Slot::kStop)
      erase({key.session, Slot::kInterimUpdate}, interim.record->number);
    interim = {};
  };
  if (key.slot == Slot::kInterimUpdate) {
    if (entry_of(pending, Slot::kStop).record) {
      ++counts_.collapsed;
      if (kept) erase(key, record.number);
      return;
    }
    drop_waiting_interim();
  } else if (key.slot == Slot::kStop) {
    drop_waiting_interim();
  }
  entry_of(pending, key.slot) = {std::move(record), kept};
  settle(key.session);
}

std::optional<Slot> Delivery::next_of(const Pending& pending) noexcept {
  for (std::size_t i = 0; i < kSlots; ++i)
    if (pending.entries[i].record) return static_cast<Slot>(i + 1);
  return std::nullopt;
}

// Puts the session into the queue, or forgets it when nothing of it is left.
void Delivery::settle(SessionId session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  Pending& pending = found->second;
  if (pending.under_way || pending.paused || pending.ready) return;
  if (next_of(pending)) {
    pending.ready = true;
    ready_.push_back(session);
  } else if (pending.erasing == 0) {
    sessions_.erase(found);
  }
}

void Delivery::pump() {
  if (std::exchange(pumping_, true)) return;  // a record that was answered at once
  while (!ready_.empty() && under_way_ < settings_.max_under_way) {
    const SessionId session = ready_.front();
    ready_.pop_front();
    Pending& pending = sessions_.at(session);
    pending.ready = false;
    if (const auto slot = next_of(pending)) send(session, pending, *slot);
  }
  if (backlog_ && sessions_.size() <= settings_.max_sessions / 2) {
    read_backlog();
    pumping_ = false;
    if (!ready_.empty() && under_way_ < settings_.max_under_way) pump();
    return;
  }
  pumping_ = false;
}

void Delivery::send(SessionId session, Pending& pending, Slot slot) {
  const Record& record = *entry_of(pending, slot).record;
  pending.under_way = slot;
  ++under_way_;
  send_(record, [this, key = RecordKey{session, slot}, number = record.number](bool answered) {
    on_result(key, number, answered);
  });
}

void Delivery::on_result(RecordKey key, std::uint64_t number, bool answered) {
  --under_way_;
  Pending& pending = sessions_.at(key.session);
  pending.under_way.reset();
  Entry& entry = entry_of(pending, key.slot);
  const bool is_current = entry.record && entry.record->number == number;
  if (answered) {
    ++counts_.answered;
    pending.failures = 0;
    if (is_current) {
      const bool kept = entry.kept;
      entry = {};
      if (kept) erase(key, number);
    }
  } else {
    ++counts_.unanswered;
    ++pending.failures;
    // A Stop that came meanwhile has made the Interim-Update needless.
    if (is_current && key.slot == Slot::kInterimUpdate && entry_of(pending, Slot::kStop).record) {
      ++counts_.collapsed;
      if (entry.kept) erase(key, number);
      entry = {};
    }
    pause(key.session, pending);
  }
  settle(key.session);
  pump();
}

// A record that waits keeps its session in memory until the keeper has erased it: reading the
// keeper must not bring it back.
void Delivery::erase(const RecordKey& key, std::uint64_t number) {
  ++sessions_[key.session].erasing;
  keeper_.write({EraseRecord{key, number}}, [this, session = key.session](bool) {
    // One that could not be erased is sent once more by a later process: the server sees it twice.
    --sessions_.at(session).erasing;
    settle(session);
    pump();
  });
}

void Delivery::pause(SessionId session, Pending& pending) {
  Duration pause = settings_.first_pause;
  for (unsigned n = 1; n < pending.failures && pause < settings_.longest_pause; ++n) pause *= 2;
  pause = std::min(pause, settings_.longest_pause);
  const Duration shorter = pause / 4 * static_cast<std::int64_t>(random_.next_u32() % 1024) / 1024;
  pending.paused = true;
  pauses_.emplace(clock_() + pause - shorter, session);
  wake_(pauses_.begin()->first);
}

void Delivery::on_deadline() {
  const TimePoint now = clock_();
  while (!pauses_.empty() && pauses_.begin()->first <= now) {
    const SessionId session = pauses_.begin()->second;
    pauses_.erase(pauses_.begin());
    sessions_.at(session).paused = false;
    settle(session);
  }
  if (!pauses_.empty()) wake_(pauses_.begin()->first);
  pump();
}

// Reads on where the last reading stopped for lack of room. One that has come from the first record
// to the last, while no other went to the keeper alone, ends the backlog.
void Delivery::read_backlog() {
  if (!read_to_) missed_ = false;
  bool ended = true;
  std::vector<std::pair<RecordKey, Record>> found;
  std::size_t room = settings_.max_sessions - std::min(settings_.max_sessions, sessions_.size());
  std::optional<SessionId> last;
  keeper_.read_records(read_to_, [&](const RecordKey& key, Record record) {
    const bool known = sessions_.contains(key.session);
    if (!known && last != key.session && room == 0) {
      ended = false;
      return false;
    }
    if (!known && last != key.session) --room;
    last = key.session;
    read_to_ = key;
    if (!known) found.emplace_back(key, std::move(record));
    return true;
  });
  for (auto& [key, record] : found) put(key, std::move(record), true);
  if (!ended) return;
  read_to_.reset();
  backlog_ = missed_;
}

std::optional<std::uint64_t> Delivery::oldest_event() const {
  std::optional<std::uint64_t> oldest;
  for (const auto& [session, pending] : sessions_)
    for (const Entry& entry : pending.entries)
      if (entry.record && (!oldest || entry.record->event_time < *oldest))
        oldest = entry.record->event_time;
  return oldest;
}

}  // namespace pns::accounting
