// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_limits.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace pns::subscriber {
namespace {

// At one session. A packet is seen up to this time late, and so is the end of an idle time.
constexpr Duration kLookInterval = Milliseconds(500);
// Sessions of one turn of the event loop whose time is over. The rest follow in the next one.
constexpr std::size_t kEndsPerTurn = 256;
// Counters come from memory: those of so many meters ahead are asked for.
constexpr std::size_t kAhead = 8;
constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();  // octets

bool is_metered(const model::ServiceLimits& limits) {
  return limits.idle_time || limits.quota != model::VolumeQuota();
}

std::uint64_t packets_of(const contract::SessionRecord& record) {
  return record.upstream.packets.get() + record.downstream.packets.get();
}

void prefetch(const contract::SessionRecord& record) noexcept {
  __builtin_prefetch(&record.upstream.packets);
  __builtin_prefetch(&record.downstream.packets);
}

// A session that has gone, or goes already, has no more limits.
bool is_open(const Session* session) {
  return session != nullptr && session->state() == Session::State::kUp &&
         session->end_reason() == EndReason::kNone;
}

// Whether the session goes on while its peer logs in again. Its outcome gives a new session time,
// or ends the session.
bool logs_in_again(Session& session) {
  return session.conditions() != nullptr && session.conditions()->login_again &&
         session.link().log_in_again();
}

}  // namespace

SessionLimits::SessionLimits(control::EventLoop& loop, const contract::SessionMemory& memory,
                             SessionTable& sessions, End end)
    : loop_(loop),
      memory_(memory),
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

void SessionLimits::watch(const Session& session) {
  const model::SessionConditions* const conditions = session.conditions();
  ends_.remove(session.id());
  if (conditions != nullptr && conditions->limits.session_time)
    ends_.set(session.id(), *session.link().opened() + *conditions->limits.session_time);
  arm_end_timer();
  if (conditions != nullptr && is_metered(conditions->limits))
    set_meter(session, conditions->limits);
  else
    remove_meter(session);
}

void SessionLimits::forget(const Session& session) {
  ends_.remove(session.id());
  remove_meter(session);
}

void SessionLimits::arm_end_timer() {
  if (const auto next = ends_.next()) end_timer_.arm(*next);
}

SessionLimits::Meter* SessionLimits::meter_of(const Session& session) noexcept {
  const SlotId slot = session.call().slot;
  if (places_.empty() || places_[slot.value] == 0) return nullptr;
  return &slice_of(slot)[places_[slot.value] - 1];
}

// A change of limits leaves the idle time that has passed as it is.
void SessionLimits::set_meter(const Session& session, const model::ServiceLimits& limits) {
  const SlotId slot = session.call().slot;
  if (places_.empty()) places_.resize(sessions_.capacity());
  Meter* meter = meter_of(session);
  if (meter == nullptr) {
    auto& slice = slice_of(slot);
    meter = &slice.emplace_back();
    places_[slot.value] = static_cast<std::uint32_t>(slice.size());
    meter->slot = slot;
    meter->packets = packets_of(session.dataplane().record());
    meter->active = loop_.now();
  }
  meter->idle_time = limits.idle_time ? Duration(*limits.idle_time) : Duration::max();
  meter->upstream = limits.quota.upstream.value_or(kAny);
  meter->downstream = limits.quota.downstream.value_or(kAny);
  meter->total = limits.quota.total.value_or(kAny);
  if (!look_timer_.is_armed()) look_timer_.arm(loop_.now() + kLookInterval / kSlices);
}

// The last one of the slice takes the place.
void SessionLimits::remove_meter(const Session& session) {
  Meter* const meter = meter_of(session);
  if (meter == nullptr) return;
  auto& slice = slice_of(meter->slot);
  std::uint32_t& place = places_[meter->slot.value];
  places_[slice.back().slot.value] = place;
  place = 0;
  *meter = slice.back();
  slice.pop_back();
}

// ---- The end

void SessionLimits::end_overdue() {
  std::vector<Session*> over;
  for (std::size_t i = 0; i < kEndsPerTurn; ++i) {
    const auto due = ends_.take_due(loop_.now());
    if (!due) break;
    Session* const session = sessions_.find(due->second);
    if (is_open(session) && !logs_in_again(*session)) over.push_back(session);
  }
  arm_end_timer();
  if (!over.empty()) end_(over, EndReason::session_timeout);
}

EndReason SessionLimits::judge(Meter& meter) const {
  const contract::SessionRecord& record = memory_.sessions()[meter.slot.value];
  const std::uint64_t upstream = record.upstream.bytes.get();
  const std::uint64_t downstream = record.downstream.bytes.get();
  if (upstream >= meter.upstream || downstream >= meter.downstream ||
      upstream + downstream >= meter.total)
    return EndReason::quota_used;
  if (const std::uint64_t packets = packets_of(record); packets != meter.packets) {
    meter.packets = packets;
    meter.active = loop_.now();
  }
  return loop_.now() - meter.active >= meter.idle_time ? EndReason::idle_timeout : EndReason::kNone;
}

void SessionLimits::look() {
  std::vector<Session*> idle;
  std::vector<Session*> used;
  auto& slice = meters_[next_slice_];
  for (std::size_t i = 0; i < slice.size(); ++i) {
    if (i + kAhead < slice.size()) prefetch(memory_.sessions()[slice[i + kAhead].slot.value]);
    const EndReason reason = judge(slice[i]);
    if (reason == EndReason::kNone) continue;
    // Once is enough: many that end together wait for their turn.
    slice[i].idle_time = Duration::max();
    slice[i].upstream = slice[i].downstream = slice[i].total = kAny;
    Session* const session = sessions_.find(slice[i].slot);
    if (is_open(session)) (reason == EndReason::quota_used ? used : idle).push_back(session);
  }
  next_slice_ = (next_slice_ + 1) % kSlices;
  if (std::ranges::any_of(meters_, [](const auto& meters) { return !meters.empty(); }))
    look_timer_.arm(loop_.now() + kLookInterval / kSlices);
  if (!idle.empty()) end_(idle, EndReason::idle_timeout);
  if (!used.empty()) end_(used, EndReason::quota_used);
}

}  // namespace pns::subscriber
