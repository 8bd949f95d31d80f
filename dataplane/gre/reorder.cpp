// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gre/reorder.hpp"

#include <algorithm>
#include <utility>

namespace pns::dataplane {

using contract::SessionRecord;
using contract::UpstreamState;

Reorder::Reorder(const Settings& settings)
    : settings_(settings), queues_(settings.packets != 0, settings.packets_in_all) {
  settings_.packets = std::min<std::uint16_t>(settings_.packets, kSpan);
}

Reorder::Outcome Reorder::hold(SessionRecord& session, SlotId slot, rte_mbuf* packet,
                               std::uint32_t sequence, std::uint64_t now_ns) noexcept {
  UpstreamState& up = session.upstream;
  if (holds(up, sequence)) return Outcome::kDuplicate;
  if (!queues_.has_room()) return Outcome::kNoRoom;
  if (up.reorder_queue == 0) {
    up.reorder_queue =
        queues_.acquire(slot, session.generation.load(std::memory_order_relaxed), now_ns);
    if (up.reorder_queue == 0) return Outcome::kNoRoom;
    next_due_ns_ = std::min(next_due_ns_, now_ns + settings_.wait_ns);
  }
  Queues::Queue& queue = queues_.queue(up.reorder_queue);
  if (queue.packets.count() >= settings_.packets) return Outcome::kFull;
  queues_.put(queue, packet, sequence, now_ns);
  return Outcome::kHeld;
}

rte_mbuf* Reorder::take_next(UpstreamState& up, std::uint32_t highest) noexcept {
  const std::uint16_t number = up.reorder_queue;
  if (!holds(up, highest + 1)) return nullptr;
  Queues::Queue& queue = queues_.queue(number);
  rte_mbuf* const packet = queues_.take(queue, highest + 1);
  if (queue.packets.empty()) {
    up.reorder_queue = 0;
    release(number);
  }
  return packet;
}

std::uint32_t Reorder::first(const UpstreamState& up, std::uint32_t highest) const noexcept {
  return queues_.queue(up.reorder_queue).packets.first_from(highest + 1);
}

Reorder::Due Reorder::next_due(std::uint64_t now_ns) noexcept {
  if (now_ns < next_due_ns_) return {};
  next_due_ns_ = UINT64_MAX;
  const auto active = queues_.active();
  for (std::size_t n = 0; n < active.size(); ++n) {
    if (++searched_ >= active.size()) searched_ = 0;
    std::uint64_t& oldest_ns = queues_.since_ns(searched_);
    if (now_ns - oldest_ns >= settings_.wait_ns) {
      const std::uint16_t number = active[searched_];
      Queues::Queue& queue = queues_.queue(number);
      oldest_ns = queue.packets.oldest_ns();
      if (std::exchange(queue.marked, false) || now_ns - oldest_ns >= settings_.wait_ns) {
        next_due_ns_ = now_ns;  // more may be due behind it
        return {queue.slot, queue.generation, number};
      }
    }
    next_due_ns_ = std::min(next_due_ns_, oldest_ns + settings_.wait_ns);
  }
  return {};
}

bool Reorder::is_due(const Due& due, std::uint64_t now_ns) const noexcept {
  const NumberedPackets& packets = queues_.queue(due.queue).packets;
  return !packets.empty() && now_ns - packets.oldest_ns() >= settings_.wait_ns;
}

rte_mbuf* Reorder::take_any(std::uint16_t number) noexcept {
  Queues::Queue& queue = queues_.queue(number);
  if (!queue.packets.empty()) return queues_.take(queue);
  release(number);
  return nullptr;
}

void Reorder::release(std::uint16_t number) noexcept {
  queues_.release(number);
  if (queues_.empty()) next_due_ns_ = UINT64_MAX;
}

}  // namespace pns::dataplane
