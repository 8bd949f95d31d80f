// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/message_turns.hpp"

#include <algorithm>
#include <utility>

namespace pns::subscriber {

MessageTurns::MessageTurns(control::EventLoop& loop, SourceLimits& limits, Read read)
    : loop_(loop),
      limits_(limits),
      read_(std::move(read)),
      timer_(loop.timers(), [this] { resume(); }) {}

void MessageTurns::add(ConnectionId id, Ipv4Address source) {
  const auto [found, is_new] = waiting_.try_emplace(source);
  found->second.push_back(id);
  if (is_new) turn_.push_back(source);
  if (!turn_.empty()) run_soon();
}

void MessageTurns::run_soon() {
  if (std::exchange(posted_, true)) return;
  loop_.post([this] {
    posted_ = false;
    run();
  });
}

void MessageTurns::run() {
  for (std::size_t left = kMessagesOfAll; left > 0 && !turn_.empty();) {
    const Ipv4Address source = turn_.front();
    turn_.pop_front();
    const std::size_t allowed = limits_.messages_allowed(source, loop_.now());
    if (allowed == 0) {
      limits_.count_paused(source);
      paused_.push_back(source);
      if (!timer_.is_armed()) timer_.arm(loop_.now() + kPause);
      continue;
    }
    left -= std::min(left, visit(source, allowed, left));
    if (waiting_.at(source).empty())
      waiting_.erase(source);
    else
      turn_.push_back(source);
  }
  if (!turn_.empty()) run_soon();
}

std::size_t MessageTurns::visit(Ipv4Address source, std::size_t allowed, std::size_t left) {
  auto& connections = waiting_.at(source);
  const ConnectionId id = connections.front();
  // All connections of the source get a share.
  const std::size_t share =
      std::clamp(allowed / connections.size(), std::size_t{1}, kMessagesOfOne);
  connections.pop_front();
  const std::size_t handled = read_(id, std::min(share, left));
  limits_.take_messages(source, handled, loop_.now());
  return std::max(handled, std::size_t{1});
}

void MessageTurns::resume() {
  for (const Ipv4Address source : std::exchange(paused_, {})) turn_.push_back(source);
  if (!turn_.empty()) run_soon();
}

}  // namespace pns::subscriber
