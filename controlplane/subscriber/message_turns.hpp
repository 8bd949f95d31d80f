// SPDX-License-Identifier: BSD-3-Clause
//
// MessageTurns: which control connection is read next, and how many of its messages are handled. A
// turn of the event loop handles at most kMessagesOfAll messages of all connections, so that
// timers, the dataplane and new connections wait no longer than that. Sources take turns, and the
// connections of one source do. A source that has used its messages up (SourceLimits) waits: its
// messages stay in the kernel, and TCP slows the peer down. No connection is closed for it.
//
// Each transport that announced messages stands here once; memory is bounded by the number of
// connections. Event-loop thread only.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <unordered_map>
#include <vector>

#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/subscriber/source_limits.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::subscriber {

class MessageTurns {
 public:
  static constexpr std::size_t kMessagesOfAll = 64;
  static constexpr std::size_t kMessagesOfOne = 16;     // of one connection
  static constexpr Duration kPause = Milliseconds(20);  // of a source without messages left

  // Handles at most so many messages of a connection. Result: how many; 0 as well when it is gone.
  using Read = std::function<std::size_t(ConnectionId, std::size_t max_messages)>;

  MessageTurns(control::EventLoop& loop, SourceLimits& limits, Read read);

  // A connection may have messages. They are handled in a turn of their own.
  void add(ConnectionId id, Ipv4Address source);

  [[nodiscard]] std::size_t paused_sources() const noexcept { return paused_.size(); }

 private:
  void run_soon();
  void run();
  // Reads the source's next connection; it may handle `allowed` messages, and `left` in this turn.
  // Result: messages, at least 1.
  std::size_t visit(Ipv4Address source, std::size_t allowed, std::size_t left);
  void resume();

  control::EventLoop& loop_;
  SourceLimits& limits_;
  Read read_;
  std::unordered_map<Ipv4Address, std::deque<ConnectionId>> waiting_;  // of each source, in order
  std::deque<Ipv4Address> turn_;     // sources that wait for their turn
  std::vector<Ipv4Address> paused_;  // sources that wait for the timer
  control::Timer timer_;
  bool posted_ = false;
};

}  // namespace pns::subscriber
