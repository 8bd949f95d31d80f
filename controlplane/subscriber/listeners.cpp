// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/listeners.hpp"

#include "controlplane/pptp/call_id_allocator.hpp"
#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_id.hpp"
#include "controlplane/subscriber/session_snapshots.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {
namespace {

constexpr std::size_t kLastEnds = 256;

template <class Enum>
constexpr std::size_t index_of(Enum value) noexcept {
  return static_cast<std::size_t>(value);
}

std::int64_t setup_ms(const Session& session) {
  return std::chrono::duration_cast<Milliseconds>(*session.link().opened() - session.call().started)
      .count();
}

}  // namespace

// ---- StatisticsListener ---------------------------------------------------------------------

void StatisticsListener::count_up(const Session& session) {
  statistics_.sessions_by_phase[index_of(session.link().phase())].add();
  statistics_.sessions_by_kind[index_of(session.call().kind)].add();
}

void StatisticsListener::on_created(const Session& session) {
  if (session.state() == Session::State::kUp) count_up(session);  // taken over
}

void StatisticsListener::on_opened(const Session& session) {
  statistics_.setup_time.add(setup_ms(session));
}

void StatisticsListener::on_changed(const Session& session, const SessionChange& change) {
  switch (change.kind) {
    case SessionChange::Kind::kInstalled:
      count_up(session);
      statistics_.calls_by_kind[index_of(session.call().kind)].add();
      break;
    case SessionChange::Kind::kStage:
      statistics_.setups[index_of(change.stage)].add();
      break;
    case SessionChange::Kind::kPhase:
      statistics_.sessions_by_phase[index_of(change.phase_before)].add(-1);
      statistics_.sessions_by_phase[index_of(session.link().phase())].add();
      break;
    default:
      break;
  }
}

void StatisticsListener::on_ended(const Session& session, const SessionEnd& end) {
  statistics_.call_ends[index_of(end.reason)].add();
  if (session.state() != Session::State::kUp) return;
  statistics_.sessions_by_phase[index_of(session.link().phase())].add(-1);
  statistics_.sessions_by_kind[index_of(session.call().kind)].add(-1);
}

// ---- LogListener ----------------------------------------------------------------------------

void LogListener::on_opened(const Session& session) {
  const SessionView view = view_of(session, loop_.now());
  log::info("call up", {{"session", to_text(view.id)},
                        {"slot", view.slot.value},
                        {"peer", view.peer},
                        {"user", view.user},
                        {"address", view.address},
                        {"auth", view.auth},
                        {"mppe", view.mppe},
                        {"mtu", view.mtu},
                        {"kind", view.kind},
                        {"our_call_id", view.our_call_id.value},
                        {"peer_call_id", view.peer_call_id.value},
                        {"setup_ms", view.setup_ms}});
}

void LogListener::on_ended(const Session& session, const SessionEnd& end) {
  const auto& call = session.call();
  const bool up = session.state() == Session::State::kUp;
  SourceLimits::LogVerdict verdict{.write = true};
  if (!session.link().opened()) verdict = limits_.log_line(call.peer, loop_.now());
  if (!verdict.write) return;
  const auto& record = session.dataplane().record();
  log::info("call ended",
            {{"session", to_text(call.id)},
             {"peer", call.peer},
             {"kind", model::name_of(call.kind)},
             {"our_call_id", call.our_call_id.value},
             {"user", session.account().user()},
             {"claimed_user",
              session.account().user().empty() ? session.account().claimed_user() : std::string()},
             {"reason", name_of(end.reason)},
             {"stage", info_of(end.reason).stage},
             {"phase", model::name_of(session.link().phase())},
             {"duration_s", end.duration.count()},
             {"rx_bytes", up ? record.upstream.bytes.get() : 0},
             {"tx_bytes", up ? record.downstream.bytes.get() : 0},
             {"suppressed", verdict.suppressed}});
}

// ---- StoreListener --------------------------------------------------------------------------

void StoreListener::on_changed(const Session& session, const SessionChange& change) {
  // Conditions of a session that would not be resumed are stored with the rest, once it would.
  if (change.kind == SessionChange::Kind::kResumption ||
      (change.kind == SessionChange::Kind::kConditions &&
       services_.journal.has(session.call().slot)))
    store(session);
}

void StoreListener::store(const Session& session) {
  if (const auto record = record_of(session, services_.loop.now()))
    services_.journal.put(*record);
  else
    services_.journal.erase(session.call().slot);
}

void StoreListener::on_ended(const Session& session, const SessionEnd&) { erase(session); }

void StoreListener::erase(const Session& session) {
  const auto& call = session.call();
  // An id that never carried GRE may be used again before a successor process could.
  if (!session.carried_gre()) return services_.journal.erase(call.slot);
  const TimePoint now = services_.loop.now();
  const TimePoint until = now + pptp::CallIdAllocator::kQuarantine;
  services_.journal.forget_rested(monotonic_ns(now));
  services_.journal.put_to_rest(call.slot, {call.local, call.our_call_id, monotonic_ns(until)});
}

// ---- LastEnds -------------------------------------------------------------------------------

void LastEnds::on_ended(const Session& session, const SessionEnd& end) {
  ends_.emplace_front(loop_.now(),
                      EndView{.session = session.id(),
                              .user = session.account().user(),
                              .claimed_user = session.account().claimed_user(),
                              .peer = session.call().peer,
                              .reason = std::string(name_of(end.reason)),
                              .duration_s = static_cast<std::uint64_t>(end.duration.count())});
  if (ends_.size() > kLastEnds) ends_.pop_back();
}

std::vector<EndView> LastEnds::views() const {
  std::vector<EndView> views;
  const TimePoint now = loop_.now();
  for (const auto& [when, end] : ends_) {
    views.push_back(end);
    views.back().ago_s =
        static_cast<std::uint64_t>(std::chrono::duration_cast<Seconds>(now - when).count());
  }
  return views;
}

}  // namespace pns::subscriber
