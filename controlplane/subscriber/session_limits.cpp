// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_limits.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

namespace pns::subscriber {
namespace {

// At one session. A packet is seen up to this time late, and so is the end of an idle time.
constexpr Duration kLookInterval = Milliseconds(500);
// Sessions of one turn of the event loop whose time is over. The rest follow in the next one.
constexpr std::size_t kEndsPerTurn = 256;

struct Traffic {
  std::uint64_t packets = 0;  // both directions
  std::uint64_t upstream = 0;
  std::uint64_t downstream = 0;
};

Traffic traffic_of(const Session& session) {
  const contract::SessionRecord& record = session.dataplane().record();
  return {.packets = record.upstream.packets.get() + record.downstream.packets.get(),
          .upstream = record.upstream.bytes.get(),
          .downstream = record.downstream.bytes.get()};
}

bool is_metered(const model::ServiceLimits& limits) {
  return limits.idle_time || limits.quota != model::VolumeQuota();
}

bool is_used(const std::optional<std::uint64_t>& quota, std::uint64_t octets) {
  return quota && octets >= *quota;
}

// A session that has gone, or goes already, has no more limits.
bool is_open(const Session* session) {
  return session != nullptr && session->state() == Session::State::kUp &&
         session->end_reason() == EndReason::kNone;
}

}  // namespace

SessionLimits::SessionLimits(control::EventLoop& loop, SessionTable& sessions, End end)
    : loop_(loop),
      sessions_(sessions),
      end_(std::move(end)),
      end_timer_(loop.timers(), [this] { end_overdue(); }),
      look_timer_(loop.timers(), [this] { look(); }) {}

// ---- Which sessions are watched

void SessionLimits::on_created(const Session& session) {
  if (session.link().opened()) watch(session);  // taken over
}

void SessionLimits::on_opened(const Session& session) { watch(session); }

void SessionLimits::on_changed(const Session& session, const SessionChange& change) {
  if (change.kind == SessionChange::Kind::kConditions && session.link().opened()) watch(session);
}

void SessionLimits::on_ended(const Session& session, const SessionEnd&) { forget(session); }

SessionLimits::Meters& SessionLimits::meters_of(const Session& session) {
  return meters_[session.call().slot.value % kSlices];
}

void SessionLimits::forget(const Session& session) {
  if (const auto found = end_of_.find(session.id()); found != end_of_.end()) {
    ends_.erase({found->second, session.id()});
    end_of_.erase(found);
  }
  meters_of(session).erase(session.id());
}

void SessionLimits::set_end(SessionId id, TimePoint at) {
  ends_.emplace(at, id);
  end_of_[id] = at;
  end_timer_.arm(ends_.begin()->first);
}

// A change of limits leaves the idle time that has passed as it is.
void SessionLimits::watch(const Session& session) {
  const model::SessionConditions* const conditions = session.conditions();
  std::optional<Meter> before;
  if (const auto found = meters_of(session).find(session.id()); found != meters_of(session).end())
    before = found->second;
  forget(session);
  if (conditions == nullptr) return;
  if (const auto& time = conditions->limits.session_time)
    set_end(session.id(), *session.link().opened() + *time);
  if (!is_metered(conditions->limits)) return;
  meters_of(session).emplace(session.id(),
                             before.value_or(Meter{.slot = session.call().slot,
                                                   .packets = traffic_of(session).packets,
                                                   .active = loop_.now()}));
  if (!look_timer_.is_armed()) look_timer_.arm(loop_.now() + kLookInterval / kSlices);
}

// ---- The end

void SessionLimits::end_overdue() {
  std::vector<Session*> over;
  while (!ends_.empty() && ends_.begin()->first <= loop_.now() && over.size() < kEndsPerTurn) {
    const SessionId id = ends_.begin()->second;
    ends_.erase(ends_.begin());
    end_of_.erase(id);
    if (Session* const session = sessions_.find(id); is_open(session)) over.push_back(session);
  }
  if (!ends_.empty()) end_timer_.arm(ends_.begin()->first);
  if (!over.empty()) end_(over, EndReason::session_timeout);
}

EndReason SessionLimits::judge(const Session& session, Meter& meter) const {
  const model::ServiceLimits& limits = session.conditions()->limits;
  const Traffic traffic = traffic_of(session);
  if (is_used(limits.quota.upstream, traffic.upstream) ||
      is_used(limits.quota.downstream, traffic.downstream) ||
      is_used(limits.quota.total, traffic.upstream + traffic.downstream))
    return EndReason::quota_used;
  if (traffic.packets != meter.packets) {
    meter.packets = traffic.packets;
    meter.active = loop_.now();
  }
  return limits.idle_time && loop_.now() - meter.active >= *limits.idle_time
             ? EndReason::idle_timeout
             : EndReason::kNone;
}

void SessionLimits::look() {
  std::vector<Session*> idle;
  std::vector<Session*> used;
  Meters& meters = meters_[next_slice_];
  for (auto at = meters.begin(); at != meters.end();) {
    Session* const session = sessions_.find(at->second.slot);
    const bool is_known = is_open(session) && session->id() == at->first;
    const EndReason reason = is_known ? judge(*session, at->second) : EndReason::kNone;
    if (reason != EndReason::kNone)
      (reason == EndReason::quota_used ? used : idle).push_back(session);
    at = is_known && reason == EndReason::kNone ? std::next(at) : meters.erase(at);
  }
  next_slice_ = (next_slice_ + 1) % kSlices;
  if (std::ranges::any_of(meters_, [](const Meters& slice) { return !slice.empty(); }))
    look_timer_.arm(loop_.now() + kLookInterval / kSlices);
  if (!idle.empty()) end_(idle, EndReason::idle_timeout);
  if (!used.empty()) end_(used, EndReason::quota_used);
}

}  // namespace pns::subscriber
