// SPDX-License-Identifier: BSD-3-Clause
//
// SendWindow: the sliding window towards the peer with adaptive time-outs (RFC 2637 §4.2, §4.4),
// for those who want it. No more payload packets than the peer's window are unacknowledged; others
// wait here, a few for each session. Lost packets are never sent again: when an acknowledgement
// does not come in time, what was out counts as lost, the window is halved and sending goes on. So
// a peer that never acknowledges is slowed down, not cut off.
//
// The figures live in the session's DownstreamState, which names its queue of HoldQueues. Owns the
// packets it holds. One worker; allocates at construction only.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <span>

#include "dataplane/gre/hold_queues.hpp"
#include "pns/base/ids.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

class SendWindow {
 public:
  static constexpr std::uint32_t kQueueLength = kHoldSpan;  // packets of one session that wait
  // RFC 2637 §4.4: α = 1/8, β = 1/4, χ = 4, δ = 2.
  static constexpr std::uint32_t kFirstTimeoutNs = 500'000'000;
  static constexpr std::uint32_t kLeastTimeoutNs = 20'000'000;
  static constexpr std::uint32_t kLongestTimeoutNs = 3'000'000'000;

  struct Settings {
    bool adaptive = false;                 // false: nothing here has an effect
    std::uint32_t packets_in_all = 8'192;  // that wait, of this worker
  };

  explicit SendWindow(const Settings& settings);

  [[nodiscard]] bool enabled() const noexcept { return settings_.adaptive; }

  // Whether a payload packet may leave now. False: hold() it.
  [[nodiscard]] static bool open(const contract::SessionRecord& session) noexcept {
    return session.downstream.send_queue == 0 &&
           outstanding(session) < window_of(session.downstream);
  }
  // Before the first packet of a session, and whenever it has none.
  static void start(contract::SessionRecord& session) noexcept;
  // A payload packet leaves with this number.
  static void on_sent(contract::SessionRecord& session, std::uint32_t sequence,
                      std::uint64_t now_ns) noexcept;
  // The peer acknowledged everything up to this number (that we have sent).
  void on_ack(contract::SessionRecord& session, std::uint32_t ack, std::uint64_t now_ns) noexcept;

  // Takes the packet; false: no room, the caller keeps it.
  [[nodiscard]] bool hold(contract::SessionRecord& session, SlotId slot, rte_mbuf* packet,
                          std::uint64_t now_ns) noexcept;

  // Packets that may leave now, in order, at most out.size(). Looks at sessions that had an
  // acknowledgement, and at time-outs once `now_ns` has reached next_due_ns(); `timeouts` is raised
  // by those that passed. A session that is gone yields its packets too: the caller checks.
  [[nodiscard]] std::size_t take_ready(std::span<rte_mbuf*> out,
                                       std::span<contract::SessionRecord> sessions,
                                       std::uint64_t now_ns, std::uint64_t& timeouts) noexcept;
  [[nodiscard]] bool has_ready() const noexcept { return any_ready_; }
  [[nodiscard]] std::uint64_t next_due_ns() const noexcept { return next_due_ns_; }

 private:
  // since_ns() of an active queue: since when it is blocked. Marked: an acknowledgement came.
  using Queues = HoldQueues<InOrderPackets>;

  [[nodiscard]] static std::uint32_t window_of(const contract::DownstreamState& down) noexcept {
    return down.send_window == 0 ? 1 : down.send_window;
  }
  // Packets that are neither acknowledged nor given up.
  [[nodiscard]] static std::uint32_t outstanding(const contract::SessionRecord& session) noexcept {
    return session.downstream.next_sequence - session.send_window.settled_sequence;
  }
  static void on_timeout(contract::SessionRecord& session) noexcept;

  Settings settings_;
  Queues queues_;
  std::uint64_t next_due_ns_ = UINT64_MAX;
  bool any_ready_ = false;
};

}  // namespace pns::dataplane
