// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/source_limits.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace pns::subscriber {
namespace {

constexpr std::size_t kBucketsPerTurn = 1024;

bool contains(const std::vector<Ipv4Prefix>& list, Ipv4Address address) noexcept {
  return std::ranges::any_of(list,
                             [address](const Ipv4Prefix& each) { return each.contains(address); });
}

}  // namespace

bool SourceLimits::is_exempt(Ipv4Address source) const noexcept {
  return contains(settings_.exempt, source);
}

// The source, which is made when it is not known. One without a connection is the last to go now.
SourceLimits::Source& SourceLimits::of(Ipv4Address address) {
  const auto [found, is_new] = sources_.try_emplace(address);
  Source& source = found->second;
  if (is_new) {
    source.exempt = is_exempt(address);
    rest(address, source);
  } else if (source.connections == 0) {
    resting_.splice(resting_.end(), resting_, source.resting);
  }
  return source;
}

// It has no connection. The one that was used longest ago gives way to it.
void SourceLimits::rest(Ipv4Address address, Source& source) {
  if (resting_.size() >= kMaxResting) {
    sources_.erase(resting_.front());
    resting_.pop_front();
    ++forgotten_;
  }
  source.resting = resting_.insert(resting_.end(), address);
}

void SourceLimits::count(Source& source, Limit limit) noexcept {
  ++source.limited[static_cast<std::size_t>(limit)];
  ++limited_[static_cast<std::size_t>(limit)];
}

// ---- connections ----------------------------------------------------------------------------

EndReason SourceLimits::admit(Ipv4Address address) {
  if (contains(settings_.deny, address)) return EndReason::source_denied;
  if (!settings_.allow.empty() && !contains(settings_.allow, address))
    return EndReason::source_denied;
  const auto known = sources_.find(address);
  if (known == sources_.end() || known->second.exempt ||
      known->second.connections < settings_.connections)
    return EndReason::kNone;
  count(known->second, Limit::kConnections);
  return EndReason::source_connections;
}

void SourceLimits::add(Ipv4Address address) {
  Source& source = of(address);
  if (source.connections++ == 0) resting_.erase(source.resting);
}

void SourceLimits::remove(Ipv4Address address, ConnectionId id) {
  set_idle(address, id, std::nullopt);
  const auto found = sources_.find(address);
  if (found == sources_.end() || found->second.connections == 0) return;
  if (--found->second.connections != 0) return;
  rest(address, found->second);
}

template <class Change>
void SourceLimits::change_idle(Ipv4Address address, Source& source, Change change) {
  by_idle_.erase({source.idle.size(), address});
  change(source.idle);
  if (!source.idle.empty() && !source.exempt) by_idle_.emplace(source.idle.size(), address);
}

void SourceLimits::set_idle(Ipv4Address address, ConnectionId id, std::optional<TimePoint> since) {
  const auto known = idle_since_.find(id);
  if (since.has_value() == (known != idle_since_.end())) return;
  Source& source = of(address);
  if (since) {
    idle_since_.emplace(id, *since);
    change_idle(address, source, [&](auto& idle) { idle.emplace(*since, id); });
  } else {
    change_idle(address, source, [&](auto& idle) { idle.erase({known->second, id}); });
    idle_since_.erase(known);
  }
}

std::optional<TimePoint> SourceLimits::idle_until(Ipv4Address address, TimePoint since) const {
  const auto known = sources_.find(address);
  if (settings_.idle_connection_time == Duration{} ||
      (known != sources_.end() && known->second.exempt))
    return std::nullopt;
  return since + settings_.idle_connection_time;
}

void SourceLimits::count_idle(Ipv4Address address) { count(of(address), Limit::kIdle); }

std::optional<ConnectionId> SourceLimits::connection_to_shed(std::size_t connections) const {
  if (connections < settings_.all_connections - settings_.all_connections / 10 || by_idle_.empty())
    return std::nullopt;
  const auto& [idle, address] = *by_idle_.rbegin();
  if (idle < 2) return std::nullopt;
  return sources_.at(address).idle.begin()->second;
}

// ---- calls and messages ---------------------------------------------------------------------

bool SourceLimits::take_call(Ipv4Address address, TimePoint now) {
  Source& source = of(address);
  if (source.exempt || settings_.new_calls.is_off() ||
      source.new_calls.try_take(settings_.new_calls, now))
    return true;
  count(source, Limit::kNewCalls);
  return false;
}

std::size_t SourceLimits::messages_allowed(Ipv4Address address, TimePoint now) {
  const Source& source = of(address);
  if (source.exempt || settings_.messages.is_off()) return std::numeric_limits<std::size_t>::max();
  return source.messages.available(settings_.messages, now);
}

void SourceLimits::take_messages(Ipv4Address address, std::size_t messages, TimePoint now) {
  Source& source = of(address);
  if (source.exempt || settings_.messages.is_off()) return;
  source.messages.take(settings_.messages, messages, now);
}

void SourceLimits::count_paused(Ipv4Address address) { count(of(address), Limit::kMessages); }

// ---- what is known --------------------------------------------------------------------------

SourceLimits::LogVerdict SourceLimits::log_line(Ipv4Address address, TimePoint now) {
  Source& source = of(address);
  if (!source.lines.allow(now)) return {};
  return {.write = true, .suppressed = source.lines.take_suppressed()};
}

// Sources come and go between the turns. A source keeps its bucket until the table grows; then all
// is looked at again.
bool SourceLimits::Top::turn() {
  const Sources& sources = limits_.sources_;
  if (sources.bucket_count() != buckets_) {
    buckets_ = sources.bucket_count();
    next_bucket_ = 0;
    views_.clear();
  }
  const std::size_t end = std::min(buckets_, next_bucket_ + kBucketsPerTurn);
  for (; next_bucket_ < end; ++next_bucket_)
    for (auto at = sources.begin(next_bucket_); at != sources.end(next_bucket_); ++at)
      views_.push_back({.source = at->first,
                        .exempt = at->second.exempt,
                        .connections = at->second.connections,
                        .idle_connections = at->second.idle.size(),
                        .limited = at->second.limited});
  keep_first();
  return next_bucket_ < buckets_;
}

void SourceLimits::Top::keep_first() {
  const auto rank = [](const View& view) {
    return std::pair(std::accumulate(view.limited.begin(), view.limited.end(), std::uint64_t{0}),
                     view.connections);
  };
  const auto end = views_.begin() + static_cast<std::ptrdiff_t>(std::min(count_, views_.size()));
  std::ranges::partial_sort(views_, end, [&rank](const View& a, const View& b) {
    return rank(a) != rank(b) ? rank(a) > rank(b) : a.source < b.source;
  });
  views_.erase(end, views_.end());
}

}  // namespace pns::subscriber
