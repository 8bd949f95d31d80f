// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session/send_window.hpp"

#include <algorithm>

namespace pns::dataplane {

using contract::DownstreamState;
using contract::SessionRecord;

SendWindow::SendWindow(const Settings& settings) : settings_(settings) {
  if (!enabled()) return;
  queues_.resize(kQueues + 1);
  free_.reserve(kQueues);
  active_.reserve(kQueues);
  for (std::uint16_t number = kQueues; number != 0; --number) free_.push_back(number);
}

SendWindow::~SendWindow() {
  for (Queue& queue : queues_)
    for (; queue.count != 0; --queue.count, ++queue.head)
      rte_pktmbuf_free(queue.packets[queue.head % kQueueLength]);
}

// §4.2.1: half of the peer's window, at least one packet.
void SendWindow::start(SessionRecord& session) noexcept {
  DownstreamState& down = session.downstream;
  if (down.send_window != 0) return;
  down.send_window = std::max<std::uint16_t>(session.peer_window / 2, 1);
  down.settled_sequence = down.next_sequence;
  down.timeout_ns = kFirstTimeoutNs;
}

void SendWindow::on_sent(DownstreamState& down, std::uint32_t sequence,
                         std::uint64_t now_ns) noexcept {
  if (down.timed_ns != 0) return;
  down.timed_sequence = sequence;
  down.timed_ns = now_ns;
}

void SendWindow::on_ack(SessionRecord& session, std::uint32_t ack, std::uint64_t now_ns) noexcept {
  DownstreamState& down = session.downstream;
  if (down.send_window == 0) return;  // nothing has left under its rule
  const auto settled = static_cast<std::int32_t>(ack + 1 - down.settled_sequence);
  if (settled <= 0) return;
  down.settled_sequence = ack + 1;
  // §4.2.3: a window's worth without loss opens it by one.
  down.acked_in_row = static_cast<std::uint16_t>(
      std::min<std::uint32_t>(down.acked_in_row + static_cast<std::uint32_t>(settled), UINT16_MAX));
  if (down.acked_in_row >= window_of(down)) {
    down.acked_in_row = 0;
    down.send_window = static_cast<std::uint16_t>(std::min<std::uint32_t>(
        window_of(down) + 1, std::max<std::uint16_t>(session.peer_window, 1)));
  }
  if (down.timed_ns != 0 && static_cast<std::int32_t>(ack - down.timed_sequence) >= 0) {
    // §4.4: one sample at a time.
    const auto sample = static_cast<std::int64_t>(now_ns - down.timed_ns);
    const auto difference = sample - static_cast<std::int64_t>(down.round_trip_ns);
    const std::int64_t magnitude = difference < 0 ? -difference : difference;
    const auto deviation = static_cast<std::int64_t>(down.deviation_ns);
    down.deviation_ns = static_cast<std::uint64_t>(deviation + (magnitude - deviation) / 4);
    down.round_trip_ns =
        static_cast<std::uint64_t>(static_cast<std::int64_t>(down.round_trip_ns) + difference / 8);
    down.timeout_ns =
        std::clamp(down.round_trip_ns + 4 * down.deviation_ns, kLeastTimeoutNs, kLongestTimeoutNs);
    down.timed_ns = 0;
  }
  if (down.send_queue == 0) return;
  Queue& queue = queues_[down.send_queue];
  queue.ready = true;
  queue.blocked_since_ns = now_ns;
  any_ready_ = true;
}

bool SendWindow::hold(SessionRecord& session, SlotId slot, rte_mbuf* packet,
                      std::uint64_t now_ns) noexcept {
  DownstreamState& down = session.downstream;
  if (held_ >= settings_.packets_in_all) return false;
  if (down.send_queue == 0) {
    if (free_.empty()) return false;
    const std::uint16_t number = free_.back();
    free_.pop_back();
    active_.push_back(number);
    Queue& queue = queues_[number];
    queue.slot = slot;
    queue.generation = session.generation.load(std::memory_order_relaxed);
    queue.head = 0;
    queue.ready = false;
    queue.blocked_since_ns = now_ns;
    down.send_queue = number;
    next_due_ns_ = std::min(next_due_ns_, now_ns + down.timeout_ns);
  }
  Queue& queue = queues_[down.send_queue];
  if (queue.count == kQueueLength) return false;
  queue.packets[(queue.head + queue.count) % kQueueLength] = packet;
  ++queue.count;
  ++held_;
  return true;
}

// §4.2.2, §4.4: what was out is lost, half the window, twice the time-out.
void SendWindow::on_timeout(DownstreamState& down) noexcept {
  down.settled_sequence = down.next_sequence;
  down.send_window = static_cast<std::uint16_t>((window_of(down) + 1) / 2);
  down.timeout_ns = std::min(2 * down.timeout_ns, kLongestTimeoutNs);
  down.acked_in_row = 0;
  down.timed_ns = 0;
}

std::size_t SendWindow::take_ready(std::span<rte_mbuf*> out, std::span<SessionRecord> sessions,
                                   std::uint64_t now_ns, std::uint64_t& timeouts) noexcept {
  std::size_t taken = 0;
  any_ready_ = false;
  next_due_ns_ = UINT64_MAX;
  for (std::size_t at = active_.size(); at-- > 0;) {
    Queue& queue = queues_[active_[at]];
    SessionRecord& session = sessions[queue.slot.value];
    DownstreamState& down = session.downstream;
    const bool current =
        session.generation.load(std::memory_order_relaxed) == queue.generation &&
        session.state.load(std::memory_order_acquire) == contract::SlotState::kInstalled;
    std::uint32_t room = kQueueLength;  // of a session that is gone, all
    if (current) {
      if (now_ns - queue.blocked_since_ns >= down.timeout_ns) {
        on_timeout(down);
        ++timeouts;
        queue.blocked_since_ns = now_ns;
        queue.ready = true;
      }
      const std::uint32_t outstanding = down.next_sequence - down.settled_sequence;
      room = outstanding < window_of(down) ? window_of(down) - outstanding : 0;
      if (!queue.ready) room = 0;
    }
    for (; room != 0 && queue.count != 0 && taken < out.size(); --room) {
      out[taken++] = queue.packets[queue.head % kQueueLength];
      queue.head = static_cast<std::uint16_t>((queue.head + 1) % kQueueLength);
      --queue.count;
      --held_;
    }
    if (queue.count == 0) {
      if (current) down.send_queue = 0;
      give_back(at);
      continue;
    }
    any_ready_ |= room != 0;  // `out` was full
    queue.ready = room != 0;
    if (current) next_due_ns_ = std::min(next_due_ns_, queue.blocked_since_ns + down.timeout_ns);
  }
  return taken;
}

void SendWindow::give_back(std::size_t active_at) noexcept {
  free_.push_back(active_[active_at]);
  active_[active_at] = active_.back();
  active_.pop_back();
}

}  // namespace pns::dataplane
