// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gre/send_window.hpp"

#include <algorithm>

namespace pns::dataplane {

using contract::DownstreamState;
using contract::SendWindowState;
using contract::SessionRecord;

SendWindow::SendWindow(const Settings& settings)
    : settings_(settings), queues_(settings.adaptive, settings.packets_in_all) {}

// §4.2.1: half of the peer's window, at least one packet.
void SendWindow::start(SessionRecord& session) noexcept {
  DownstreamState& down = session.downstream;
  if (down.send_window != 0) return;
  down.send_window = std::max<std::uint16_t>(session.peer_window / 2, 1);
  session.send_window.settled_sequence = down.next_sequence;
  session.send_window.timeout_ns = kFirstTimeoutNs;
}

void SendWindow::on_sent(SessionRecord& session, std::uint32_t sequence,
                         std::uint64_t now_ns) noexcept {
  SendWindowState& window = session.send_window;
  if (window.timed_ns != 0) return;
  window.timed_sequence = sequence;
  window.timed_ns = now_ns;
}

void SendWindow::on_ack(SessionRecord& session, std::uint32_t ack, std::uint64_t now_ns) noexcept {
  DownstreamState& down = session.downstream;
  SendWindowState& window = session.send_window;
  if (down.send_window == 0) return;  // nothing has left under its rule
  const auto settled = static_cast<std::int32_t>(ack + 1 - window.settled_sequence);
  if (settled <= 0) return;
  window.settled_sequence = ack + 1;
  // §4.2.3: a window's worth without loss opens it by one.
  window.acked_in_row = static_cast<std::uint16_t>(std::min<std::uint32_t>(
      window.acked_in_row + static_cast<std::uint32_t>(settled), UINT16_MAX));
  if (window.acked_in_row >= window_of(down)) {
    window.acked_in_row = 0;
    down.send_window = static_cast<std::uint16_t>(std::min<std::uint32_t>(
        window_of(down) + 1, std::max<std::uint16_t>(session.peer_window, 1)));
  }
  if (window.timed_ns != 0 && static_cast<std::int32_t>(ack - window.timed_sequence) >= 0) {
    // §4.4: one sample at a time.
    const auto sample = static_cast<std::int64_t>(
        std::min<std::uint64_t>(now_ns - window.timed_ns, kLongestTimeoutNs));
    const auto difference = sample - std::int64_t{window.round_trip_ns};
    const std::int64_t magnitude = difference < 0 ? -difference : difference;
    const std::int64_t deviation = window.deviation_ns;
    window.deviation_ns = static_cast<std::uint32_t>(deviation + (magnitude - deviation) / 4);
    window.round_trip_ns =
        static_cast<std::uint32_t>(std::int64_t{window.round_trip_ns} + difference / 8);
    window.timeout_ns = static_cast<std::uint32_t>(
        std::clamp<std::uint64_t>(window.round_trip_ns + std::uint64_t{4} * window.deviation_ns,
                                  kLeastTimeoutNs, kLongestTimeoutNs));
    window.timed_ns = 0;
  }
  if (down.send_queue == 0) return;
  Queues::Queue& queue = queues_.queue(down.send_queue);
  queue.marked = true;
  queues_.since_ns(queue.active_at) = now_ns;
  any_ready_ = true;
}

bool SendWindow::hold(SessionRecord& session, SlotId slot, rte_mbuf* packet,
                      std::uint64_t now_ns) noexcept {
  DownstreamState& down = session.downstream;
  if (!queues_.has_room()) return false;
  if (down.send_queue == 0) {
    down.send_queue =
        queues_.acquire(slot, session.generation.load(std::memory_order_relaxed), now_ns);
    if (down.send_queue == 0) return false;
    next_due_ns_ = std::min(next_due_ns_, now_ns + session.send_window.timeout_ns);
  }
  Queues::Queue& queue = queues_.queue(down.send_queue);
  if (queue.packets.count() == kQueueLength) return false;
  queues_.put(queue, packet);
  return true;
}

// §4.2.2, §4.4: what was out is lost, half the window, twice the time-out.
void SendWindow::on_timeout(SessionRecord& session) noexcept {
  DownstreamState& down = session.downstream;
  SendWindowState& window = session.send_window;
  window.settled_sequence = down.next_sequence;
  down.send_window = static_cast<std::uint16_t>((window_of(down) + 1) / 2);
  window.timeout_ns = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(std::uint64_t{2} * window.timeout_ns, kLongestTimeoutNs));
  window.acked_in_row = 0;
  window.timed_ns = 0;
}

std::size_t SendWindow::take_ready(std::span<rte_mbuf*> out, std::span<SessionRecord> sessions,
                                   std::uint64_t now_ns, std::uint64_t& timeouts) noexcept {
  std::size_t taken = 0;
  any_ready_ = false;
  next_due_ns_ = UINT64_MAX;
  for (std::size_t at = queues_.active().size(); at-- > 0;) {
    const std::uint16_t number = queues_.active()[at];
    Queues::Queue& queue = queues_.queue(number);
    std::uint64_t& blocked_since_ns = queues_.since_ns(at);
    SessionRecord& session = sessions[queue.slot.value];
    DownstreamState& down = session.downstream;
    const bool current =
        session.generation.load(std::memory_order_relaxed) == queue.generation &&
        session.state.load(std::memory_order_acquire) == contract::SlotState::kInstalled;
    std::uint32_t room = kQueueLength;  // of a session that is gone, all
    if (current) {
      if (now_ns - blocked_since_ns >= session.send_window.timeout_ns) {
        on_timeout(session);
        ++timeouts;
        blocked_since_ns = now_ns;
        queue.marked = true;
      }
      const std::uint32_t window = window_of(down);
      const std::uint32_t out_there = outstanding(session);
      room = out_there < window ? window - out_there : 0;
      if (!queue.marked) room = 0;
    }
    for (; room != 0 && !queue.packets.empty() && taken < out.size(); --room)
      out[taken++] = queues_.take(queue);
    if (queue.packets.empty()) {
      if (current) down.send_queue = 0;
      queues_.release(number);
      continue;
    }
    any_ready_ |= room != 0;  // `out` was full
    queue.marked = room != 0;
    if (current)
      next_due_ns_ = std::min(next_due_ns_, blocked_since_ns + session.send_window.timeout_ns);
  }
  return taken;
}

}  // namespace pns::dataplane
