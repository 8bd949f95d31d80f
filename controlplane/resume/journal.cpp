// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/resume/journal.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "pns/log/log.hpp"

namespace pns::resume {
namespace {

constexpr Key kDrainKey{Table::kDrain, 0, 0};
constexpr Key kBootKey{Table::kBoot, 0, 0};

Key key_of(const RestingCallId& id) noexcept {
  return {Table::kResting, std::uint64_t{id.local.value} << 16 | id.id.value, 0};
}

RestingCallId resting_of(const Key& key, std::uint64_t until_ns) noexcept {
  return {Ipv4Address(static_cast<std::uint32_t>(key.id >> 16)),
          OurCallId(static_cast<std::uint16_t>(key.id)), until_ns};
}

Octets octets_of(std::string_view text) {
  const Bytes octets = as_octets(text);
  return {octets.begin(), octets.end()};
}

}  // namespace

std::string boot_id() {
  std::string id;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), id);
  return id;
}

std::expected<std::unique_ptr<Journal>, std::string> Journal::open(
    const std::filesystem::path& directory, std::uint32_t max_sessions, std::string_view boot,
    Post post, const Limits& limits) {
  auto store = Store::open(directory, max_sessions);
  if (!store) return std::unexpected(store.error());
  const Octets wanted = octets_of(boot);
  if (const auto found = store->get(kBootKey); found != wanted) {
    if (found) log::info("store of an earlier boot emptied", {});
    Batch batch;
    batch.records[kBootKey] = wanted;
    if (!store->clear() || !store->write(batch))
      return std::unexpected("store " + directory.string() + ": " +
                             std::string(store->last_error()));
  }
  return std::unique_ptr<Journal>(new Journal(std::move(*store), wanted, std::move(post), limits));
}

// A store that was lost and made anew does not know its boot.
bool Journal::probe() {
  if (!store_.probe()) return false;
  if (store_.get(kBootKey) == boot_) return true;
  Batch batch;
  batch.records[kBootKey] = boot_;
  return store_.write(batch).has_value();
}

// ---- Changes

void Journal::set(const Key& key, std::optional<Octets> value) {
  batch_.records[key] = std::move(value);
  commit_at_end_of_turn();
}

void Journal::put_position(ConnectionId id, std::uint64_t handled_up_to) {
  set({Table::kPosition, id.value}, encode_number(handled_up_to));
}

void Journal::put(const StoredConnection& connection) {
  erase(connection.id);
  set({Table::kConnection, connection.id.value}, encode(connection));
  put_position(connection.id, connection.handled_up_to);
  for (const auto& call : connection.machine.calls)
    set({Table::kCall, connection.id.value, call.number}, encode(call));
}

void Journal::put(ConnectionId id, const pptp::ConnectionChanges& changes,
                  std::uint64_t handled_up_to) {
  if (changes.calls.empty()) return;
  for (const auto& [number, now] : changes.calls) {
    std::optional<Octets> value;
    if (now) value = encode(*now);
    set({Table::kCall, id.value, number}, std::move(value));
  }
  put_position(id, handled_up_to);
}

void Journal::erase(ConnectionId id) {
  auto& records = batch_.records;
  records.erase(records.lower_bound({Table::kConnection, id.value, 0}),
                records.upper_bound({Table::kCall, id.value, ~std::uint32_t{0}}));
  batch_.gone.insert(id);
  commit_at_end_of_turn();
}

void Journal::put(const StoredSession& session) {
  set({Table::kSession, session.slot.value}, encode(session));
}

void Journal::erase(SlotId slot) { set({Table::kSession, slot.value}, std::nullopt); }

void Journal::put(const RestingCallId& id) {
  set(key_of(id), encode_number(id.until_ns));
  resting_.push_back(id);
}

void Journal::forget_rested(std::uint64_t now_ns) {
  const auto is_over = [&](std::size_t at) {
    return at < resting_.size() && resting_[at].until_ns <= now_ns;
  };
  if (!is_over(kRestedAtOnce - 1)) return;
  constexpr std::size_t kMost = 4 * kRestedAtOnce;  // in one turn
  for (std::size_t n = 0; n < kMost && is_over(0); ++n) {
    const Key key = key_of(resting_.front());
    resting_.pop_front();
    // An id may rest again by now.
    if (batch_.records.contains(key)) continue;
    const auto record = store_.get(key);
    const auto until = record ? decode_number(*record) : std::nullopt;
    if (until && *until <= now_ns) set(key, std::nullopt);
  }
}

void Journal::remember(std::span<const RestingCallId> resting) {
  resting_.insert(resting_.end(), resting.begin(), resting.end());
}

void Journal::put_to_rest(SlotId slot, const RestingCallId& id) {
  erase(slot);
  put(id);
}

void Journal::put(const StoredDrain& drain) { set(kDrainKey, encode(drain)); }

void Journal::erase_drain() { set(kDrainKey, std::nullopt); }

void Journal::keep_only(std::span<const ConnectionId> connections, std::span<const SlotId> sessions,
                        std::span<const Key> obsolete) {
  std::unordered_set<std::uint64_t> kept_connections;
  for (const ConnectionId id : connections) kept_connections.insert(id.value);
  std::unordered_set<std::uint64_t> kept_sessions;
  for (const SlotId slot : sessions) kept_sessions.insert(slot.value);
  std::vector<Key> erased(obsolete.begin(), obsolete.end());
  store_.read([&](const Key& key, Bytes) {
    bool kept = true;
    switch (key.table) {
      case Table::kConnection:
      case Table::kPosition:
      case Table::kCall:
        kept = kept_connections.contains(key.id);
        break;
      case Table::kSession:
        kept = kept_sessions.contains(key.id);
        break;
      case Table::kResting:
      case Table::kDrain:
      case Table::kBoot:
        break;
      default:  // another program's
        kept = false;
    }
    if (!kept) erased.push_back(key);
  });
  for (const Key& key : erased) batch_.records.try_emplace(key, std::nullopt);
  if (!erased.empty()) commit_at_end_of_turn();
}

// ---- The turn

void Journal::commit_at_end_of_turn() {
  if (std::exchange(posted_, true)) return;
  post_([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    posted_ = false;
    (void)commit();
  });
}

void Journal::hold(Action action, std::size_t octets) {
  held_.push_back({std::move(action), octets});
  octets_ += octets;
  if (batch_.empty()) {  // it waits for others to run, not for the store
    released_ = held_.size();
    return;
  }
  if (held_.size() - released_ <= limits_.actions && octets_ <= limits_.octets &&
      batch_.size() <= limits_.records)
    return;
  ++counts_.early;
  (void)commit();
}

bool Journal::commit() {
  const bool written = batch_.empty() || write();
  released_ = held_.size();
  run_released();
  return written;
}

bool Journal::write() {
  const Batch batch = std::exchange(batch_, {});
  if (const auto written = store_.write(batch)) {
    counts_.transactions += written->records != 0 ? 1 : 0;
    counts_.records += written->records;
    counts_.unchanged += written->unchanged;
    return true;
  }
  ++counts_.failures;
  if (failed_) failed_({.reason = store_.last_error(), .changes = batch.size()});
  return false;
}

// An action may change something: what is held from then on is not released.
void Journal::run_released() {
  if (running_) return;  // the loop below goes on when the action that called has returned
  struct Running {
    bool& flag;
    explicit Running(bool& the_flag) : flag(the_flag) { flag = true; }
    ~Running() { flag = false; }
  } const running(running_);
  while (released_ > 0) {
    Held next = std::move(held_.front());
    held_.pop_front();
    --released_;
    octets_ -= next.octets;
    next.action();
  }
}

// ---- Reading

bool Journal::has(ConnectionId id) const {
  return store_.get({Table::kConnection, id.value}).has_value();
}

bool Journal::has(SlotId slot) const {
  return store_.get({Table::kSession, slot.value}).has_value();
}

Journal::Contents Journal::load(std::uint64_t now_ns) const {
  std::optional<Key> place;
  return load_some(now_ns, place, std::numeric_limits<std::size_t>::max());
}

Journal::Contents Journal::load_some(std::uint64_t now_ns, std::optional<Key>& place,
                                     std::size_t most) const {
  Contents out;
  const Key from = std::exchange(place, std::nullopt).value_or(Key{});
  std::optional<Key> last;
  std::unordered_map<std::uint64_t, std::size_t> by_id;  // place in out.connections
  const auto connection = [&](const Key& key) -> StoredConnection* {
    const auto found = by_id.find(key.id);
    return found == by_id.end() ? nullptr : &out.connections[found->second];
  };
  // In the order of the keys: a connection comes before its place in the stream and its calls.
  store_.read_from(from, [&](const Key& key, Bytes record) {
    const bool goes_on = last && last->group() == key.group() && last->id == key.id;
    if (most == 0 && !goes_on) {
      place = key;
      return false;
    }
    last = key;
    most -= most == 0 ? 0 : 1;
    bool good = false;
    switch (key.table) {
      case Table::kConnection:
        if (auto stored = decode_connection(record); stored && stored->id.value == key.id) {
          by_id.emplace(key.id, out.connections.size());
          out.connections.push_back(std::move(*stored));
          good = true;
        }
        break;
      case Table::kPosition:
        if (const auto number = decode_number(record))
          if (auto* of = connection(key)) {
            of->handled_up_to = *number;
            good = true;
          }
        break;
      case Table::kCall:
        if (const auto call = decode_call(record); call && call->number == key.number)
          if (auto* of = connection(key)) {
            of->machine.calls.push_back(*call);
            good = true;
          }
        break;
      case Table::kSession:
        if (auto stored = decode_session(record); stored && stored->slot.value == key.id) {
          out.sessions.push_back(std::move(*stored));
          good = true;
        }
        break;
      case Table::kResting:
        if (const auto until = decode_number(record); until && *until > now_ns) {
          out.resting.push_back(resting_of(key, *until));
          good = out.resting.back().id.value != 0;
          if (!good) out.resting.pop_back();
        }
        break;
      case Table::kDrain:
        out.drain = decode_drain(record);
        good = out.drain.has_value();
        break;
      case Table::kBoot:
        good = true;
        break;
    }
    if (!good) out.obsolete.push_back(key);
    return true;
  });
  std::ranges::sort(out.resting, {}, &RestingCallId::until_ns);
  return out;
}

}  // namespace pns::resume
