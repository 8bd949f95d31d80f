// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/admission.hpp"

#include <algorithm>

namespace pns::subscriber {

template <class Change>
void Admission::change(Ipv4Address address, Change change) {
  const auto found = sources_.try_emplace(address).first;
  Source& source = found->second;
  if (!source.waiting.empty()) ready_.erase(*source.waiting.begin());
  change(source);
  if (source.waiting.empty() && source.in_flight == 0)
    sources_.erase(found);
  else if (!source.waiting.empty() && source.in_flight < settings_.per_source_set_ups)
    ready_.emplace(*source.waiting.begin(), address);
}

EndReason Admission::enqueue(ConnectionId connection, Ipv4Address source,
                             const model::OfferCall& offer, TimePoint now) {
  if (numbers_.contains({connection, offer.offer})) return EndReason::kNone;  // waits already
  if (const auto known = sources_.find(source);
      known != sources_.end() && known->second.waiting.size() >= settings_.per_source_waiting)
    return EndReason::source_limit;
  if (waiting_.size() >= settings_.waiting) return EndReason::admission_queue_full;
  const Number number = next_number_++;
  waiting_.emplace(number, Waiting{connection, source, offer, now});
  numbers_.emplace(std::pair(connection, offer.offer), number);
  change(source, [number](Source& s) { s.waiting.insert(number); });
  return EndReason::kNone;
}

Admission::Waiting Admission::take(Number number) {
  Waiting taken = waiting_.extract(number).mapped();
  numbers_.erase({taken.connection, taken.offer.offer});
  change(taken.source, [number](Source& s) { s.waiting.erase(number); });
  return taken;
}

bool Admission::withdraw(ConnectionId connection, std::uint32_t offer) {
  const auto found = numbers_.find({connection, offer});
  if (found == numbers_.end()) return false;
  (void)take(found->second);
  return true;
}

void Admission::forget(ConnectionId connection) {
  for (auto found = numbers_.lower_bound({connection, 0});
       found != numbers_.end() && found->first.first == connection;
       found = numbers_.lower_bound({connection, 0}))
    (void)take(found->second);
}

std::optional<Admission::Waiting> Admission::next(TimePoint now) {
  stop_counting_dawdlers(now);
  if (ready_.empty() || counted_.size() >= settings_.set_ups) return std::nullopt;
  return take(ready_.begin()->first);
}

std::optional<Admission::Waiting> Admission::next_overdue(TimePoint now) {
  stop_counting_dawdlers(now);
  if (waiting_.empty() || now < waiting_.begin()->second.since + settings_.wait)
    return std::nullopt;
  return take_oldest();
}

std::optional<Admission::Waiting> Admission::take_oldest() {
  if (waiting_.empty()) return std::nullopt;
  return take(waiting_.begin()->first);
}

Admission::Ticket Admission::begin(Ipv4Address source, TimePoint now) {
  const Ticket ticket = next_ticket_++;
  set_ups_.emplace(ticket, SetUp{source, now});
  counted_.insert(ticket);
  change(source, [](Source& s) { ++s.in_flight; });
  return ticket;
}

void Admission::end(Ticket ticket) {
  const auto found = set_ups_.find(ticket);
  if (found == set_ups_.end()) return;
  const Ipv4Address source = found->second.source;
  set_ups_.erase(found);
  counted_.erase(ticket);
  change(source, [](Source& s) { --s.in_flight; });
}

// Tickets are numbered in the order of time.
void Admission::stop_counting_dawdlers(TimePoint now) {
  while (!counted_.empty() && now >= set_ups_.at(*counted_.begin()).began + settings_.set_up_time)
    counted_.erase(counted_.begin());
}

std::optional<TimePoint> Admission::deadline() const {
  if (waiting_.empty()) return std::nullopt;
  const TimePoint overdue = waiting_.begin()->second.since + settings_.wait;
  if (counted_.size() < settings_.set_ups) return overdue;
  return std::min(overdue, set_ups_.at(*counted_.begin()).began + settings_.set_up_time);
}

}  // namespace pns::subscriber
