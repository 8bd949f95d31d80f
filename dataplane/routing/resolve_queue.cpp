// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/routing/resolve_queue.hpp"

#include <iterator>

namespace pns::dataplane {

ResolveQueue::~ResolveQueue() {
  for (auto& [neighbour, waiting] : waiting_)
    for (auto& [deadline, packet] : waiting.packets) rte_pktmbuf_free(packet);
}

std::size_t ResolveQueue::neighbours() const noexcept { return waiting_.size(); }

void ResolveQueue::lose_front(Place place, DropReason reason) {
  rte_mbuf* const packet = place->second.packets.front().second;
  place->second.packets.pop_front();
  --packets_of(place->second.gateway);
  actions_.lose(place->first, packet, reason);
}

ResolveQueue::Place ResolveQueue::give_up(Place place, DropReason reason) {
  while (!place->second.packets.empty()) lose_front(place, reason);
  if (!place->second.gateway) {
    --others_;
    actions_.forget(place->first);
  }
  return waiting_.erase(place);
}

ResolveQueue::Place ResolveQueue::longest_waiting() {
  auto found = waiting_.end();
  for (auto place = waiting_.begin(); place != waiting_.end(); ++place)
    if (!place->second.gateway &&
        (found == waiting_.end() || place->second.first_asked_ns < found->second.first_asked_ns))
      found = place;
  return found;
}

ResolveQueue::Place ResolveQueue::begin_waiting(const Neighbour& neighbour, bool gateway,
                                                std::uint64_t now_ns) {
  if (!gateway && others_ >= kMaxNeighbours)
    give_up(longest_waiting(), DropReason::neighbour_queue_full);
  const Place place = waiting_.try_emplace(neighbour).first;
  place->second.gateway = gateway;
  place->second.first_asked_ns = place->second.asked_ns = now_ns;
  if (!gateway) ++others_;
  actions_.ask(neighbour);
  return place;
}

void ResolveQueue::hold(const Neighbour& neighbour, bool gateway, rte_mbuf* packet,
                        std::uint64_t now_ns) {
  Place place = waiting_.find(neighbour);
  if (place == waiting_.end()) place = begin_waiting(neighbour, gateway, now_ns);
  if (place->second.packets.size() >= kPacketsPerNeighbour)
    lose_front(place, DropReason::neighbour_queue_full);
  if (packets_of(place->second.gateway) >= kMaxPackets)
    return actions_.lose(neighbour, packet, DropReason::neighbour_queue_full);
  place->second.packets.emplace_back(now_ns + kHoldNs, packet);
  ++packets_of(place->second.gateway);
}

void ResolveQueue::want_gateway(const Neighbour& neighbour, std::uint64_t now_ns) {
  const auto known = waiting_.find(neighbour);
  if (known == waiting_.end()) {
    (void)begin_waiting(neighbour, true, now_ns);
    return;
  }
  if (known->second.gateway) return;
  // A route has made a gateway of it while packets wait.
  --others_;
  packets_of(false) -= known->second.packets.size();
  packets_of(true) += known->second.packets.size();
  known->second.gateway = true;
}

void ResolveQueue::release(const Neighbour& neighbour, const std::function<void(rte_mbuf*)>& send) {
  const auto known = waiting_.find(neighbour);
  if (known == waiting_.end()) return;
  Waiting waiting = std::move(known->second);
  packets_of(waiting.gateway) -= waiting.packets.size();
  if (!waiting.gateway) --others_;
  waiting_.erase(known);
  for (auto& [deadline, packet] : waiting.packets) send(packet);
}

void ResolveQueue::release_if(const std::function<bool(const Neighbour&)>& known,
                              const std::function<void(const Neighbour&, rte_mbuf*)>& send) {
  for (auto place = waiting_.begin(); place != waiting_.end();) {
    const Neighbour neighbour = place->first;
    ++place;
    if (known(neighbour)) release(neighbour, [&](rte_mbuf* packet) { send(neighbour, packet); });
  }
}

void ResolveQueue::on_timer(std::uint64_t now_ns) {
  for (auto place = waiting_.begin(); place != waiting_.end();) {
    Waiting& waiting = place->second;
    while (!waiting.packets.empty() && waiting.packets.front().first <= now_ns)
      lose_front(place, DropReason::neighbour_unanswered);
    if (waiting.packets.empty() && waiting.tries >= kMaxTries) {
      place = give_up(place, DropReason::neighbour_unanswered);
      continue;
    }
    if (now_ns - waiting.asked_ns >= kAskAgainNs) {
      actions_.ask(place->first);
      waiting.asked_ns = now_ns;
      ++waiting.tries;
    }
    ++place;
  }
}

}  // namespace pns::dataplane
