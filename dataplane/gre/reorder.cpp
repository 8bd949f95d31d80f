// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gre/reorder.hpp"

#include <algorithm>
#include <utility>

namespace pns::dataplane {

using contract::SessionRecord;
using contract::UpstreamState;

Reorder::Reorder(const Settings& settings) : settings_(settings) {
  if (!enabled()) return;
  settings_.packets = std::min<std::uint16_t>(settings_.packets, kSpan);
  queues_.resize(kQueues + 1);
  free_.reserve(kQueues);
  active_.reserve(kQueues);
  oldest_ns_.reserve(kQueues);
  for (std::uint16_t number = kQueues; number != 0; --number) free_.push_back(number);
}

Reorder::~Reorder() {
  for (Queue& queue : queues_)
    while (queue.present != 0)
      rte_pktmbuf_free(take(queue, static_cast<std::uint32_t>(std::countr_zero(queue.present))));
}

Reorder::Outcome Reorder::hold(SessionRecord& session, SlotId slot, rte_mbuf* packet,
                               std::uint32_t sequence, std::uint64_t now_ns) noexcept {
  UpstreamState& up = session.upstream;
  if (holds(up, sequence)) return Outcome::kDuplicate;
  if (held_ >= settings_.packets_in_all) return Outcome::kNoRoom;
  if (up.reorder_queue == 0) {
    if (free_.empty()) return Outcome::kNoRoom;
    const std::uint16_t number = free_.back();
    free_.pop_back();
    Queue& queue = queues_[number];
    queue.slot = slot;
    queue.generation = session.generation.load(std::memory_order_relaxed);
    queue.active_at = static_cast<std::uint16_t>(active_.size());
    queue.hurried = false;
    active_.push_back(number);
    oldest_ns_.push_back(now_ns);
    up.reorder_queue = number;
    next_due_ns_ = std::min(next_due_ns_, now_ns + settings_.wait_ns);
  }
  Queue& queue = queues_[up.reorder_queue];
  if (queue.count >= settings_.packets) return Outcome::kFull;
  const std::uint32_t index = sequence % kSpan;
  queue.packets[index] = packet;
  queue.arrived_ns[index] = now_ns;
  queue.present |= std::uint64_t{1} << index;
  ++queue.count;
  ++held_;
  return Outcome::kHeld;
}

rte_mbuf* Reorder::take_next(UpstreamState& up, std::uint32_t highest) noexcept {
  const std::uint16_t number = up.reorder_queue;
  if (!holds(up, highest + 1)) return nullptr;
  Queue& queue = queues_[number];
  rte_mbuf* const packet = take(queue, (highest + 1) % kSpan);
  if (queue.count == 0) {
    up.reorder_queue = 0;
    give_back(number);
  }
  return packet;
}

std::uint32_t Reorder::first(const UpstreamState& up, std::uint32_t highest) const noexcept {
  const auto shift = static_cast<int>((highest + 1) % kSpan);
  const std::uint64_t ahead = std::rotr(queues_[up.reorder_queue].present, shift);
  return highest + 1 + static_cast<std::uint32_t>(std::countr_zero(ahead));
}

Reorder::Due Reorder::next_due(std::uint64_t now_ns) noexcept {
  if (now_ns < next_due_ns_) return {};
  next_due_ns_ = UINT64_MAX;
  const std::size_t count = active_.size();
  for (std::size_t n = 0; n < count; ++n) {
    if (++searched_ >= count) searched_ = 0;
    std::uint64_t& oldest_ns = oldest_ns_[searched_];
    if (now_ns - oldest_ns >= settings_.wait_ns) {
      const std::uint16_t number = active_[searched_];
      Queue& queue = queues_[number];
      oldest_ns = oldest_of(queue);
      if (std::exchange(queue.hurried, false) || now_ns - oldest_ns >= settings_.wait_ns) {
        next_due_ns_ = now_ns;  // more may be due behind it
        return {queue.slot, queue.generation, number};
      }
    }
    next_due_ns_ = std::min(next_due_ns_, oldest_ns + settings_.wait_ns);
  }
  return {};
}

bool Reorder::is_due(const Due& due, std::uint64_t now_ns) const noexcept {
  const Queue& queue = queues_[due.queue];
  return queue.count != 0 && now_ns - oldest_of(queue) >= settings_.wait_ns;
}

rte_mbuf* Reorder::take_any(std::uint16_t number) noexcept {
  Queue& queue = queues_[number];
  rte_mbuf* packet = nullptr;
  if (queue.present != 0)
    packet = take(queue, static_cast<std::uint32_t>(std::countr_zero(queue.present)));
  if (queue.count == 0 && packet == nullptr) give_back(number);
  return packet;
}

rte_mbuf* Reorder::take(Queue& queue, std::uint32_t index) noexcept {
  queue.present &= ~(std::uint64_t{1} << index);
  --queue.count;
  --held_;
  return queue.packets[index];
}

void Reorder::give_back(std::uint16_t number) noexcept {
  const std::uint16_t at = queues_[number].active_at;
  active_[at] = active_.back();
  oldest_ns_[at] = oldest_ns_.back();
  queues_[active_[at]].active_at = at;
  active_.pop_back();
  oldest_ns_.pop_back();
  free_.push_back(number);
  if (active_.empty()) next_due_ns_ = UINT64_MAX;
}

std::uint64_t Reorder::oldest_of(const Queue& queue) noexcept {
  std::uint64_t oldest = UINT64_MAX;
  for (std::uint64_t left = queue.present; left != 0; left &= left - 1)
    oldest = std::min(oldest, queue.arrived_ns[static_cast<std::size_t>(std::countr_zero(left))]);
  return oldest;
}

}  // namespace pns::dataplane
