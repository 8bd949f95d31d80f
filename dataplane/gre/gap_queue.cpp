// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gre/gap_queue.hpp"

#include <utility>

#include "dataplane/gre/sequence_window.hpp"
#include "dataplane/packet/packet_context.hpp"

namespace pns::dataplane {
namespace {

// Packets that one is compared with when it does not belong at the end.
constexpr unsigned kMaxInsertionSteps = 64;

bool is_before(rte_mbuf* a, rte_mbuf* b) noexcept {
  return window::distance(context_of(a).sequence, context_of(b).sequence) < 0;
}

}  // namespace

GapQueue::GapQueue(const Settings& settings) : settings_(settings), entries_(kEntries + 1) {
  for (std::uint16_t number = kEntries; number != 0; --number)
    entries_[number].next = std::exchange(free_, number);
}

GapQueue::~GapQueue() {
  while (!empty()) {
    while (rte_mbuf* const packet = take_first(front())) rte_pktmbuf_free(packet);
    release_front();
  }
}

bool GapQueue::hold(contract::SessionRecord& session, SlotId slot, rte_mbuf* packet,
                    bool unverified, std::uint64_t now_ns) noexcept {
  contract::UpstreamState& up = session.upstream;
  const std::uint32_t share = unverified ? 2 : 1;
  if (up.gap_entry == 0) {
    if (used_ >= kEntries / share) return false;
  } else if (packets_ >= settings_.packets_in_all / share ||
             entries_[up.gap_entry].count >= settings_.packets_in_all / 2) {
    return false;
  }
  if (up.gap_entry == 0) {
    up.gap_entry = free_;
    ++used_;
    Entry& entry = entries_[free_];
    free_ = std::exchange(entry.next, std::uint16_t{0});
    entry.slot = slot;
    entry.generation = session.generation.load(std::memory_order_relaxed);
    entry.count = 0;
    entry.stale = false;
    entry.charged = entry.turn = 0;
    entry.long_gap = false;
    entry.released_in = 0;
    restart(entry, up.mppe);
    entry.tried = false;
    append(up.gap_entry);
  }
  context_of(packet).next_hop.low = now_ns;
  insert(entries_[up.gap_entry], packet);
  ++entries_[up.gap_entry].count;
  ++packets_;
  return true;
}

// Packets come in order but for few. One whose place is too far from either end goes to the end.
void GapQueue::insert(Entry& entry, rte_mbuf* packet) noexcept {
  packet->next = nullptr;
  if (entry.first == nullptr) {
    entry.first = entry.last = packet;
    return;
  }
  rte_mbuf** place = nullptr;
  if (is_before(packet, entry.last)) {
    place = &entry.first;
    for (unsigned n = 0; n < kMaxInsertionSteps && !is_before(packet, *place); ++n)
      place = &(*place)->next;
    if (!is_before(packet, *place)) place = nullptr;
  }
  if (place == nullptr) {
    entry.last->next = packet;
    entry.last = packet;
    return;
  }
  if (place == &entry.first) {  // what was paid was for the one that was first until now
    entry.tried = false;
    entry.charged = 0;
  }
  packet->next = *place;
  *place = packet;
}

void GapQueue::append(std::uint16_t number) noexcept {
  Entry& entry = entries_[number];
  List& list = lists_[entry.long_gap ? kLong : kShort];
  entry.next = 0;
  (list.head == 0 ? list.head : entries_[list.tail].next) = number;
  list.tail = number;
  if (lists_[serving_].head == 0) serving_ = entry.long_gap ? kLong : kShort;
}

std::uint16_t GapQueue::remove_front() noexcept {
  constexpr std::uint32_t kTurns = 4;  // one of them for long gaps
  List& list = lists_[serving_];
  const std::uint16_t number = list.head;
  list.head = entries_[number].next;
  if (list.head == 0) list.tail = 0;
  serving_ = ++turns_ % kTurns == 0 ? kLong : kShort;
  if (lists_[serving_].head == 0) serving_ = serving_ == kLong ? kShort : kLong;
  return number;
}

void GapQueue::rotate() noexcept { append(remove_front()); }

bool GapQueue::serve_other_list() noexcept {
  const std::size_t other = serving_ == kLong ? kShort : kLong;
  if (lists_[other].head == 0) return false;
  serving_ = other;
  return true;
}

std::uint64_t GapQueue::waits_since_ns(rte_mbuf* packet) noexcept {
  return context_of(packet).next_hop.low;
}

GapQueue::Entry* GapQueue::find_expired(std::uint64_t now_ns) noexcept {
  for (unsigned n = 0; n < kExpiryChecks; ++n) {
    checked_ = static_cast<std::uint16_t>(checked_ % kEntries + 1);
    Entry& entry = entries_[checked_];
    if (entry.first != nullptr && now_ns - waits_since_ns(entry.first) > kMaxWaitNs) return &entry;
  }
  return nullptr;
}

void GapQueue::on_new_keys(contract::UpstreamState& up) noexcept {
  if (up.gap_entry == 0) return;
  Entry& entry = entries_[std::exchange(up.gap_entry, std::uint16_t{0})];
  entry.stale = true;
  wipe(entry.key.bytes());
}

rte_mbuf* GapQueue::take_first(Entry& entry) noexcept {
  rte_mbuf* const packet = entry.first;
  if (packet == nullptr) return nullptr;
  entry.first = std::exchange(packet->next, nullptr);
  if (entry.first == nullptr) entry.last = nullptr;
  entry.tried = false;
  --entry.count;
  --packets_;
  return packet;
}

void GapQueue::release_front() noexcept {
  const std::uint16_t number = remove_front();
  wipe(entries_[number].key.bytes());
  entries_[number].next = std::exchange(free_, number);
  --used_;
}

void GapQueue::restart(Entry& entry, const mppe::DirectionState& state) noexcept {
  entry.key = Secret<16>(std::span<const std::byte, 16>(state.session_key));
  entry.steps = 0;
  entry.base_count = state.coherency;
  entry.base_sequence = state.gre_sequence;
}

}  // namespace pns::dataplane
