// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_request_table.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

namespace pns::aaa {

bool RadiusRequestTable::LeastChoiceFirst::operator()(RadiusServerSet a,
                                                      RadiusServerSet b) const noexcept {
  return std::pair(std::popcount(a), a) < std::pair(std::popcount(b), b);
}

RadiusRequest& RadiusRequestTable::create(RadiusRequests& list, Stage stage, model::RadiusKind kind,
                                          TimePoint deadline) {
  RadiusRequest& request = list.emplace_back();
  request.kind = kind;
  request.stage = stage;
  request.deadline = deadline;
  request.list = &list;
  request.place = std::prev(list.end());
  request.timer = timers_.emplace(deadline, &request);
  if (stage == Stage::kWaiting) ++waiting_count_[static_cast<std::size_t>(kind)];
  return request;
}

void RadiusRequestTable::enter(RadiusRequest& request, Stage stage) noexcept {
  std::size_t& waiting = waiting_count_[static_cast<std::size_t>(request.kind)];
  if (request.stage == Stage::kWaiting) --waiting;
  if (stage == Stage::kWaiting) ++waiting;
  request.stage = stage;
}

void RadiusRequestTable::move(RadiusRequest& request, RadiusRequests& to, Stage stage) {
  enter(request, stage);
  to.splice(to.end(), *request.list, request.place);
  request.list = &to;
}

void RadiusRequestTable::wait(RadiusRequest& request, RadiusServerSet allowed, bool first) {
  enter(request, Stage::kWaiting);
  request.allowed = allowed;
  RadiusRequests& queue = waiting_[allowed];
  queue.splice(first ? queue.begin() : queue.end(), *request.list, request.place);
  request.list = &queue;
}

RadiusRequests RadiusRequestTable::remove(RadiusRequest& request) {
  if (request.stage == Stage::kWaiting) --waiting_count_[static_cast<std::size_t>(request.kind)];
  timers_.erase(request.timer);
  RadiusRequests removed;
  removed.splice(removed.end(), *request.list, request.place);
  return removed;
}

void RadiusRequestTable::set_timer(RadiusRequest& request, TimePoint at) {
  auto node = timers_.extract(request.timer);
  node.key() = std::min(at, request.deadline);
  request.timer = timers_.insert(std::move(node));
}

RadiusRequest* RadiusRequestTable::due(TimePoint now) const noexcept {
  return timers_.empty() || timers_.begin()->first > now ? nullptr : timers_.begin()->second;
}

std::optional<TimePoint> RadiusRequestTable::next() const noexcept {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first;
}

void RadiusRequestTable::drop_empty_queues() {
  std::erase_if(waiting_, [](const auto& entry) { return entry.second.empty(); });
}

}  // namespace pns::aaa
