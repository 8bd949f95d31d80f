// SPDX-License-Identifier: BSD-3-Clause
//
// Registry: calls from the offer to the moment at which everything they had is free again.
#include <algorithm>
#include <utility>

#include "controlplane/subscriber/registry.hpp"
#include "controlplane/subscriber/registry_parts.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::subscriber {

using control::SessionHandle;
using model::SetupStage;

namespace {

constexpr std::size_t kLastEnds = 256;
constexpr auto kRemovalRetry = Milliseconds(50);
// A share of contract::kCommandCredits; the rest is for commands of calls that are up.
constexpr std::size_t kMaxRemovalsInFlight = contract::kCommandCredits / 4;
// A session whose peer's GRE came this lately is alive; one so young is given the time.
constexpr auto kAlive = Seconds(5);
constexpr auto kWanErrorLook = Seconds(2);  // how often drop counters are looked at

}  // namespace

pptp::CallIdAllocator& Registry::call_ids(Ipv4Address local) {
  return call_ids_.try_emplace(local).first->second;
}

// A Call ID in a bucket of the worker that the peer's packets reach, while that one has not too
// much to do; else of the worker with the fewest sessions.
std::optional<OurCallId> Registry::allocate_call_id(Ipv4Address local, Ipv4Address peer) {
  const auto choice = steering_.choose(sessions_by_worker_, local, peer);
  auto& allocator = call_ids(local);
  auto id = allocator.allocate(steering_.call_id_buckets(choice.worker), parts_.random, now());
  if (!id) id = allocator.allocate(parts_.random, now());
  if (id)
    parts_.statistics.calls_steered[static_cast<std::size_t>(choice.by(steering_.owner(*id)))]
        .add();
  return id;
}

void Registry::read_steering() {
  steering_.read(parts_.memory.header());
  for (std::size_t port = 0; port < contract::kPorts; ++port)
    parts_.statistics.port_steering[port].set(
        static_cast<std::int64_t>(steering_.way(static_cast<contract::PortRole>(port))));
  if (!steering_.same_address_bucket()) parts_.pools.set_buckets(steering_.address_bucket());
  std::ranges::fill(sessions_by_worker_, 0);
  for (const auto& session : sessions_) {
    if (session == nullptr) continue;
    session->worker = steering_.owner(session->our_call_id).value;
    ++sessions_by_worker_.at(session->worker);
  }
}

void Registry::refuse_call(Connection& connection, std::uint32_t offer, EndReason reason) {
  apply(connection, connection.machine.on_call_refused(offer, reason, now()));
}

void Registry::count_refusal(const Connection& connection, EndReason reason) {
  parts_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
  if (auto& limit = refusal_log(reason); limit.allow(now()))
    log::warn("call refused", {{"connection", connection.id.value},
                               {"peer", connection.peer},
                               {"reason", name_of(reason)},
                               {"suppressed", limit.take_suppressed()}});
}

// Of an offer that was over before the dataplane answered. kNone: counted already.
void Registry::count_withdrawn(EndReason reason) {
  if (reason != EndReason::kNone)
    parts_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
}

void Registry::install(Connection& connection, const model::OfferCall& offer) {
  const EndReason busy = make_room(connection.local, connection.peer, offer.peer_call_id);
  if (busy != EndReason::kNone) return refuse_call(connection, offer.offer, busy);
  const auto made = make_session(connection, offer.kind);
  if (!made) return refuse_call(connection, offer.offer, made.error());
  Session& session = **made;
  session.offer = offer.offer;
  session.peer_call_id = offer.peer_call_id;
  if (!install(session, offer.peer_window)) {
    release(session);
    return refuse_call(connection, offer.offer, EndReason::dataplane_unavailable);
  }
  connection.offers.emplace(offer.offer, session.handle.slot);
}

std::expected<Registry::Session*, EndReason> Registry::make_session(Connection& connection,
                                                                    model::CallKind kind) {
  if (free_slots_.empty()) return std::unexpected(EndReason::no_session_slot);
  const auto call_id = allocate_call_id(connection.local, connection.peer);
  if (!call_id) return std::unexpected(EndReason::no_call_id);
  const SlotId slot = free_slots_.back();
  free_slots_.pop_back();
  auto session = std::make_unique<Session>(parts_.context);
  session->handle.slot = slot;
  session->serial = next_serial_++;
  session->kind = kind;
  session->connection = connection.id;
  session->our_call_id = *call_id;
  session->local = connection.local;
  session->peer = connection.peer;
  session->worker = steering_.owner(*call_id).value;
  session->started = now();
  session->set_up = admission_.begin(session->peer, session->started);
  show_admission();
  ++sessions_by_worker_.at(session->worker);
  sessions_[slot.value] = std::move(session);
  return sessions_[slot.value].get();
}

bool Registry::install(Session& session, std::uint16_t peer_window) {
  contract::InstallSession spec;
  spec.our_call_id = session.our_call_id;
  spec.peer_call_id = session.peer_call_id;
  spec.local = session.local;
  spec.peer = session.peer;
  spec.peer_window = peer_window;
  spec.mppe_required = parts_.config.ppp.mppe.policy == config::MppePolicy::kRequire;
  const SlotId slot = session.handle.slot;
  const auto serial = session.serial;
  const auto sent = parts_.dataplane.install(
      slot, spec, [this, slot, serial](const control::DataplaneLink::Reply& reply) {
        on_installed(slot, serial, reply);
      });
  if (!sent) return false;
  ++installs_in_flight_;
  session.state = Session::State::kInstalling;
  parts_.statistics.setups[static_cast<std::size_t>(SetupStage::kOffered)].add();
  destinations_[{session.local, session.peer, session.peer_call_id}] = {slot, serial};
  return true;
}

// What we send to one address under one Call ID reaches one client. A session that is alive keeps
// it; one that is not makes room for the call that the same peer opens in its place.
EndReason Registry::make_room(Ipv4Address local, Ipv4Address peer, PeerCallId peer_call_id) {
  const auto found = destinations_.find({local, peer, peer_call_id});
  if (found == destinations_.end()) return EndReason::kNone;
  Session* older = find(found->second.first, found->second.second);
  if (older == nullptr || older->state == Session::State::kRemoving || older->withdrawn)
    return EndReason::kNone;
  if (older->state != Session::State::kUp) return EndReason::peer_call_id_busy;
  if (older->link_end != EndReason::kNone) {  // on its way out
    tell_peer(*older);
    return EndReason::kNone;
  }
  const auto& record = parts_.memory.sessions()[older->handle.slot.value];
  const TimePoint heard =
      from_monotonic_ns(record.upstream.last_receive_ns.load(std::memory_order_relaxed));
  if (now() - std::max(heard, older->started) <= kAlive) return EndReason::peer_call_id_busy;
  older->link_end = EndReason::replaced;
  tell_peer(*older);
  return EndReason::kNone;
}

void Registry::on_installed(SlotId slot, std::uint64_t serial,
                            const control::DataplaneLink::Reply& reply) {
  --installs_in_flight_;
  if (Session* session = find(slot, serial); session != nullptr) on_installed(*session, reply);
  install_waiting();
  remove_waiting();
}

void Registry::on_installed(Session& installed, const control::DataplaneLink::Reply& reply) {
  Session* session = &installed;
  const SlotId slot = session->handle.slot;
  const std::uint64_t serial = session->serial;
  const auto found = connections_.find(session->connection);
  const auto connection = found == connections_.end() ? nullptr : found->second;
  if (connection) connection->offers.erase(session->offer);

  if (!reply || reply->result != contract::ReplyResult::kDone) {
    log::warn("dataplane refused a session", {{"slot", slot.value},
                                              {"peer", session->peer},
                                              {"result", reply ? contract::name_of(reply->result)
                                                               : control::name_of(reply.error())}});
    // When the dataplane was lost it may or may not have installed it: session memory knows.
    session->handle.generation =
        parts_.memory.sessions()[slot.value].generation.load(std::memory_order_acquire);
    const std::uint32_t offer = session->offer;
    const bool placed = session->kind == model::CallKind::kPlaced;
    const OurCallId our_call_id = session->our_call_id;
    const EndReason reason =
        reply ? EndReason::dataplane_refused : EndReason::dataplane_unavailable;
    if (placed && !session->withdrawn) count_end(*session, reason, {});
    if (session->withdrawn) count_withdrawn(session->withdrawn_for);
    // A slot that is not free over there must become so, or it would refuse every call from now on.
    if (reply && reply->result != contract::ReplyResult::kBadSlot)
      release(*session);
    else
      remove_from_dataplane(*session);
    if (connection && placed)
      apply(*connection, connection->machine.end_call(our_call_id, reason, {}, now()));
    else if (connection)
      refuse_call(*connection, offer, reason);
    return;
  }
  session->handle.generation = reply->generation;
  if (session->withdrawn || !connection || connection->closed) {
    count_withdrawn(session->withdrawn_for);
    return remove_from_dataplane(*session);
  }
  session->state = Session::State::kUp;
  auto settings = link_settings_;
  settings.peer = session->peer;
  session->link = std::make_unique<ppp::Link>(settings, parts_.random, now());
  parts_.statistics.sessions_by_phase[static_cast<std::size_t>(session->phase)].add();
  parts_.statistics.sessions_by_kind[static_cast<std::size_t>(session->kind)].add();
  parts_.statistics.calls_by_kind[static_cast<std::size_t>(session->kind)].add();
  connection->calls.emplace(session->our_call_id, slot);
  reach(*session, SetupStage::kInstalled);
  // The Reply leaves now, after the dataplane serves GRE for this call.
  if (session->kind != model::CallKind::kPlaced)
    apply(*connection,
          connection->machine.on_call_accepted(session->offer, session->our_call_id, now()));
  session = find(slot, serial);
  // PPP of an incoming call waits for Incoming-Call-Connected.
  if (session != nullptr && session->kind != model::CallKind::kIncoming) start_link(*session);
}

void Registry::start_link(Session& session) {
  if (session.state != Session::State::kUp || session.link_started ||
      session.link_end != EndReason::kNone)
    return;
  session.link_started = true;
  const SessionHandle handle = session.handle;
  const auto early = std::exchange(session.early, {});
  apply(session, session.link->start(now()));
  for (const auto& frame : early) deliver(handle, frame);
}

// The peer's side of the call stands.
void Registry::on_connected(Connection& connection, const model::ConnectCall& connect) {
  const auto found = connection.calls.find(connect.our_call_id);
  Session* session = found == connection.calls.end() ? nullptr : find(found->second);
  if (session == nullptr) return;
  if (session->state != Session::State::kDialling) return start_link(*session);
  EndReason reason = make_room(connection.local, connection.peer, connect.peer_call_id);
  if (reason == EndReason::kNone) {
    session->peer_call_id = connect.peer_call_id;
    if (parts_.dataplane.attached() && install(*session, connect.peer_window)) return;
    reason = EndReason::dataplane_unavailable;
  }
  apply(connection, connection.machine.end_call(connect.our_call_id, reason, {}, now()));
}

void Registry::on_wan_errors(Connection& connection, const model::ReportWanErrors& report) {
  const auto found = connection.calls.find(report.our_call_id);
  Session* session = found == connection.calls.end() ? nullptr : find(found->second);
  if (session == nullptr) return;
  for (std::size_t i = 0; i < model::WanErrors::kCount; ++i) {
    const std::uint32_t before = session->wan_errors.counts.at(i);
    const std::uint32_t total = report.totals.counts.at(i);
    parts_.statistics.wan_errors.at(i).add(total >= before ? total - before : total);
  }
  session->wan_errors = report.totals;
}

// WAN-Error-Notify for calls of which we are the PAC: what the dataplane could not deliver to the
// peer is the only line error that a tunnel has.
void Registry::report_wan_errors() {
  for (const auto& session : sessions_) {
    if (!session || session->state != Session::State::kUp) continue;
    const auto found = connections_.find(session->connection);
    if (found == connections_.end() || model::we_are_pns(session->kind)) continue;
    const auto connection = found->second;
    const auto drops = parts_.memory.sessions()[session->handle.slot.value].downstream.drops.get();
    model::WanErrors totals;
    totals.counts[model::kBufferOverrun] =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(drops, ~std::uint32_t{0}));
    apply(*connection, connection->machine.report_wan_errors(session->our_call_id, totals, now()));
  }
  wan_timer_.expires_after(kWanErrorLook);
  wan_timer_.async_wait([this](const asio::error_code& error) {
    if (!error) report_wan_errors();
  });
}

// ---- calls that we place --------------------------------------------------------------------

void Registry::place_call(const PlaceRequest& request, PlacedDone done) {
  EndReason reason = no_calls_now();
  if (reason == EndReason::kNone && !parts_.dataplane.attached())
    reason = EndReason::dataplane_unavailable;
  if (reason == EndReason::kNone) return placer_.place(request, std::move(done));
  parts_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
  done({.failure = reason});
}

CallPlacer::Hooks Registry::placer_hooks() {
  return {.established = [this](Ipv4Address pac) -> std::optional<ConnectionId> {
            // One that we opened goes before one that a host behind the same address may have
            // opened.
            std::optional<ConnectionId> best;
            for (const auto& [id, connection] : connections_) {
              if (connection->peer != pac || connection->closed ||
                  connection->machine.state() != pptp::ConnectionState::kEstablished)
                continue;
              if (connection->machine.originated()) return id;
              if (!best || id < *best) best = id;
            }
            return best;
          },
          .originate = [this](UniqueFd fd, Ipv4Address local,
                              Ipv4Address pac) -> std::optional<ConnectionId> {
            if (shut_down_ != ShutDown::kNo ||
                connections_.size() >= parts_.config.pptp.max_connections)
              return std::nullopt;
            const ConnectionId id(next_connection_++);
            parts_.supervisor.store_connection(id, fd.get(), local, pac, parts_.pac_port);
            const auto connection =
                add_connection(id, std::move(fd), local, pac, parts_.pac_port,
                               pptp::ControlConnection::originate(connection_settings_, now()));
            apply(*connection, connection->machine.open(now()));
            connection->socket->start();
            return id;
          },
          .give_way =
              [this](ConnectionId id) {
                const auto found = connections_.find(id);
                if (found == connections_.end()) return;
                const auto connection = found->second;
                apply(*connection, connection->machine.on_collision(now()));
              },
          .dial = [this](ConnectionId id, std::uint64_t number,
                         const pptp::OutgoingCall& call) { return dial(id, number, call); },
          .clear =
              [this](SlotId slot, EndReason reason) {
                if (Session* session = find(slot)) end_politely(*session, reason);
              },
          .count_end =
              [this](EndReason reason) {
                parts_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
              }};
}

// The link first where there is one, else the call alone.
void Registry::end_politely(Session& session, EndReason reason) {
  if (session.state == Session::State::kUp) return close_link(session, reason);
  const auto found = connections_.find(session.connection);
  if (found == connections_.end()) return;
  const auto connection = found->second;
  apply(*connection, connection->machine.end_call(session.our_call_id, reason, {}, now()));
}

std::expected<SlotId, EndReason> Registry::dial(ConnectionId id, std::uint64_t number,
                                                const pptp::OutgoingCall& call) {
  if (const EndReason reason = no_calls_now(); reason != EndReason::kNone)
    return std::unexpected(reason);
  const auto found = connections_.find(id);
  if (found == connections_.end()) return std::unexpected(EndReason::peer_closed_tcp);
  const auto connection = found->second;
  const auto made = make_session(*connection, model::CallKind::kPlaced);
  if (!made) return std::unexpected(made.error());
  Session& session = **made;
  session.state = Session::State::kDialling;
  session.placed = number;
  const SlotId slot = session.handle.slot;
  const OurCallId our_call_id = session.our_call_id;
  connection->calls.emplace(our_call_id, slot);
  apply(*connection, connection->machine.place_call(our_call_id, call, now()));
  return slot;
}

// ---- ends -----------------------------------------------------------------------------------

void Registry::end_session(Session& session, EndReason reason, const model::PeerCodes& codes) {
  using State = Session::State;
  const bool placed = session.kind == model::CallKind::kPlaced;
  // Offers that are being installed end by WithdrawOffer.
  if (session.state == State::kRemoving || (session.state == State::kInstalling && !placed)) return;
  const State state = session.state;
  if (session.link_end != EndReason::kNone) {
    reason = session.link_end;  // it came first
  } else if (session.link && session.link->refused() != EndReason::kNone &&
             info_of(reason).stage != "local") {
    reason = session.link->refused();  // and so it hung up
  }
  count_end(session, reason, codes);
  if (state == State::kInstalling)
    session.withdrawn = true;  // the dataplane's answer comes first
  else if (state == State::kDialling)
    release(session);
  else
    remove_from_dataplane(session);
  advance_shut_down();
}

void Registry::count_end(Session& session, EndReason reason, const model::PeerCodes& codes) {
  const SlotId slot = session.handle.slot;
  if (const auto found = connections_.find(session.connection); found != connections_.end())
    found->second->calls.erase(session.our_call_id);
  session.timer.cancel();
  const auto& record = parts_.memory.sessions()[slot.value];
  const auto duration = std::chrono::duration_cast<Seconds>(now() - session.started).count();
  const bool up = session.state == Session::State::kUp;
  log::info("call ended", {{"session", slot.value},
                           {"peer", session.peer},
                           {"kind", model::name_of(session.kind)},
                           {"our_call_id", session.our_call_id.value},
                           {"user", session.user},
                           {"reason", name_of(reason)},
                           {"stage", info_of(reason).stage},
                           {"phase", model::name_of(session.phase)},
                           {"duration_s", duration},
                           {"rx_bytes", up ? record.upstream.bytes.get() : 0},
                           {"tx_bytes", up ? record.downstream.bytes.get() : 0}});
  parts_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
  if (up) {
    parts_.statistics.sessions_by_phase[static_cast<std::size_t>(session.phase)].add(-1);
    parts_.statistics.sessions_by_kind[static_cast<std::size_t>(session.kind)].add(-1);
  }
  last_ends_.emplace_front(now(), EndView{session.user, session.peer, std::string(name_of(reason)),
                                          0, static_cast<std::uint64_t>(duration)});
  if (last_ends_.size() > kLastEnds) last_ends_.pop_back();
  parts_.journal.put_to_rest(slot, {session.local, session.our_call_id,
                                    monotonic_ns(now() + pptp::CallIdAllocator::kQuarantine)});
  if (session.placed != 0) placer_.on_ended(std::exchange(session.placed, 0), reason, codes);
}

void Registry::remove_from_dataplane(Session& session) {
  end_set_up(session);
  session.state = Session::State::kRemoving;
  parts_.journal.when_stored([this, slot = session.handle.slot, serial = session.serial] {
    waiting_removals_.emplace_back(slot, serial);
    remove_waiting();
  });
}

void Registry::remove_waiting() {
  while (!waiting_removals_.empty() && removals_in_flight_ < kMaxRemovalsInFlight) {
    const auto [slot, serial] = waiting_removals_.front();
    if (Session* session = find(slot, serial); session != nullptr) {
      const auto sent = parts_.dataplane.remove(
          session->handle,
          [this, slot, serial](const auto& reply) { on_removed(slot, serial, reply); });
      if (!sent) return remove_later();
      ++removals_in_flight_;
    }
    waiting_removals_.pop_front();
  }
  // What an earlier process left has time.
  while (!orphans_.empty() && removals_in_flight_ < kMaxRemovalsInFlight) {
    const SlotId slot = orphans_.back();
    const auto& record = parts_.memory.sessions()[slot.value];
    const SessionHandle handle{slot, record.generation.load(std::memory_order_acquire)};
    const auto sent =
        parts_.dataplane.remove(handle, [this, slot](const control::DataplaneLink::Reply& reply) {
          --removals_in_flight_;
          (reply ? free_slots_ : orphans_).push_back(slot);
          if (reply && --orphans_left_ == 0) install_waiting();
          remove_waiting();
        });
    if (!sent) return remove_later();
    orphans_.pop_back();
    ++removals_in_flight_;
  }
}

// No room for a command: tried again soon. With no dataplane: when it is back.
void Registry::remove_later() {
  if (!parts_.dataplane.attached()) return;
  removal_timer_.expires_after(kRemovalRetry);
  removal_timer_.async_wait([this](const asio::error_code& error) {
    if (!error) remove_waiting();
  });
}

void Registry::on_removed(SlotId slot, std::uint64_t serial,
                          const control::DataplaneLink::Reply& reply) {
  --removals_in_flight_;
  Session* session = find(slot, serial);
  if (session != nullptr && reply) release(*session);
  // Without an answer the dataplane was lost: asked again when it is back.
  if (session != nullptr && !reply) waiting_removals_.emplace_back(slot, serial);
  remove_waiting();
}

void Registry::release(Session& released) {
  Session* session = &released;
  end_set_up(*session);
  const SlotId slot = session->handle.slot;
  // Only now can no packet meet the old session: everything it had is free again.
  if (const auto found = destinations_.find({session->local, session->peer, session->peer_call_id});
      found != destinations_.end() && found->second == std::pair(slot, session->serial))
    destinations_.erase(found);
  call_ids(session->local).release(session->our_call_id, now());
  if (session->lease) parts_.pools.release(*session->lease);
  --sessions_by_worker_.at(session->worker);
  sessions_[slot.value].reset();
  free_slots_.push_back(slot);
}

}  // namespace pns::subscriber
