// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/ways_back.hpp"

#include <utility>

namespace pns::supervisor {

std::optional<WaysBack::Prefix> WaysBack::parse(std::string_view address) {
  const auto may_be_one = [](const auto& each) {
    return each && !each->is_unspecified() && !each->is_loopback() && !each->is_multicast();
  };
  if (const auto ipv4 = Ipv4Address::parse(address); may_be_one(ipv4)) return Ipv4Prefix{*ipv4, 32};
  const auto ipv6 = Ipv6Address::parse(address);
  if (!may_be_one(ipv6) || ipv6->is_link_local()) return std::nullopt;
  return Ipv6Prefix{Ipv6Prefix{*ipv6, 64}.network(), 64};
}

Networks WaysBack::networks_of(const Prefix& prefix) {
  Networks one;
  std::visit([&one](const auto& each) { one.add(each); }, prefix);
  return one;
}

void WaysBack::refuse(std::string_view reason, TimePoint now) {
  ++refused_;
  if (refused_log_.allow(now))
    log::warn("subscriber route refused",
              {{"reason", reason}, {"suppressed", refused_log_.take_suppressed()}});
}

void WaysBack::set(std::string_view address, bool bound, TimePoint now) {
  now_ = now;
  const auto prefix = parse(address);
  if (!prefix) return refuse("malformed", now);
  Place place = prefixes_.find(*prefix);
  if (place == prefixes_.end()) {
    if (!bound) return;  // it was refused, or the kernel did not take it
    if (bound_ >= most_ || prefixes_.size() >= 2 * most_) return refuse("too many", now);
    place = prefixes_.emplace(*prefix, State{}).first;
  }
  State& state = place->second;
  if (state.bound == bound) return;
  if (bound && bound_ >= most_) return refuse("too many", now);
  state.bound = bound;
  bound_ += bound ? 1 : std::size_t(-1);
  if (state.queued) return;
  if (queue_.empty() && budget_.try_take(rate_, now)) return apply(place, now);
  state.queued = true;
  queue_.push_back(*prefix);
  ++delayed_;
  if (delayed_log_.allow(now))
    log::warn("subscriber routes delayed", {{"rate", rate_.rate}, {"delayed", delayed_}});
}

void WaysBack::apply(Place place, TimePoint now) {
  State& state = place->second;
  if (state.bound && !state.in_kernel) {
    const auto added = kernel_.add(networks_of(place->first));
    state.in_kernel = added.has_value();
    if (!added) {
      state.bound = false;
      --bound_;
      if (failed_log_.allow(now))
        log::warn("subscriber route failed",
                  {{"reason", added.error()}, {"suppressed", failed_log_.take_suppressed()}});
    }
  } else if (!state.bound && state.in_kernel) {
    kernel_.remove(networks_of(place->first));
    state.in_kernel = false;
  }
  if (!state.bound && !state.in_kernel) prefixes_.erase(place);
}

void WaysBack::apply_next(TimePoint now) {
  const Place place = prefixes_.find(queue_.front());
  queue_.pop_front();
  place->second.queued = false;
  apply(place, now);
}

void WaysBack::on_timer(TimePoint now) {
  now_ = now;
  while (!queue_.empty() && budget_.try_take(rate_, now)) apply_next(now);
}

std::optional<TimePoint> WaysBack::next_due() const noexcept {
  if (queue_.empty()) return std::nullopt;
  // Some at once: the loop need not turn for each of them.
  constexpr int kAtOnce = 20;
  return now_ + rate_.interval() * kAtOnce;
}

void WaysBack::flush(TimePoint now) {
  while (!queue_.empty()) apply_next(now);
}

void WaysBack::forget() {
  prefixes_.clear();
  queue_.clear();
  bound_ = 0;
}

void WaysBack::adopt(const Networks& known) {
  const auto take = [this](const auto& prefix) {
    if (prefixes_.emplace(prefix, State{.bound = true, .in_kernel = true}).second) ++bound_;
  };
  for (const Ipv4Prefix& prefix : known.ipv4)
    if (prefix.length == 32) take(prefix);
  for (const Ipv6Prefix& prefix : known.ipv6)
    if (prefix.length == 64) take(prefix);
}

void WaysBack::repeat() { (void)kernel_.add(networks()); }

Networks WaysBack::networks() const {
  Networks all;
  for (const auto& [prefix, state] : prefixes_)
    if (state.in_kernel) std::visit([&all](const auto& each) { all.add(each); }, prefix);
  return all;
}

}  // namespace pns::supervisor
