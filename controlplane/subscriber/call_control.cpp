// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/call_control.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/subscriber/settings.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {

using control::DataplaneCommands;

namespace {

constexpr auto kFarewell = Milliseconds(300);   // from the end of a link to Call-Disconnect-Notify
constexpr auto kWanErrorInterval = Seconds(2);  // how often drop counters are read

}  // namespace

CallControl::CallControl(const Parts& parts, Network network)
    : services_(parts.services),
      sessions_(parts.sessions),
      call_ids_(parts.call_ids),
      events_(parts.events),
      gate_(parts.gate),
      session_ids_(parts.session_ids),
      limits_(parts.limits),
      connections_(services_, refusal_log_, limits_, std::move(network.make_transport), *this),
      liveness_(services_.loop, sessions_, connections_),
      leases_(services_, sessions_, call_ids_, liveness_),
      session_context_{.services = services_,
                       .owner = *this,
                       .leases = leases_,
                       .events = events_,
                       .call_ids = call_ids_,
                       .refusal_log = refusal_log_,
                       .link_settings = std::make_shared<const ppp::LinkSettings>(
                           make_link_settings(services_.config))},
      installer_(services_, sessions_, *this),
      offers_(services_, *this),
      placer_(services_.loop, network.opener, std::move(network.listen), network.pac_port,
              placer_hooks(network.pac_port)),
      wan_timer_(services_.loop.timers(), [this] { report_wan_errors(); }) {
  if (make_connection_settings(services_.config).wan_error_notify) report_wan_errors();
}

CallControl::~CallControl() = default;

void CallControl::add_listeners() {
  events_.add(offers_);
  events_.add(leases_);
  events_.add(placer_);
}

// ---- offers ---------------------------------------------------------------------------------

void CallControl::on_offer(Connection& connection, const model::OfferCall& offer) {
  if (!limits_.take_call(connection.peer(), now()))
    return refuse_offer(connection.id(), offer.offer, EndReason::call_rate);
  // The offer waits until it is stored. If that fails, the gate refuses it.
  services_.journal.when_stored([this, id = connection.id(), offer] { enqueue(id, offer); });
}

void CallControl::enqueue(ConnectionId id, const model::OfferCall& offer) {
  const auto connection = connections_.find(id);
  if (!connection || !connection->machine().awaits_answer(offer.offer)) return;  // withdrawn
  EndReason reason = gate_.calls_refused();
  if (reason == EndReason::kNone) reason = offers_.enqueue(id, connection->peer(), offer);
  if (reason != EndReason::kNone) refuse_offer(id, offer.offer, reason);
}

void CallControl::refuse_offer(ConnectionId id, std::uint32_t offer, EndReason reason) {
  if (const auto connection = connections_.find(id))
    connections_.apply(*connection, connection->machine().on_call_refused(offer, reason, now()));
}

void CallControl::on_call_refused(Connection& connection, EndReason reason) {
  services_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
  if (auto& limit = refusal_log_.of(reason); limit.allow(now()))
    log::warn("call refused", {{"connection", connection.id().value},
                               {"peer", connection.peer()},
                               {"reason", name_of(reason)},
                               {"suppressed", limit.take_suppressed()}});
}

void CallControl::on_offer_withdrawn(Connection& connection, const model::WithdrawOffer& offer) {
  if (const auto id = connection.offer(offer.offer)) {
    if (Session* session = sessions_.find(*id)) session->withdraw(offer.reason);
    return;
  }
  offers_.withdraw(connection.id(), offer.offer);
  count_withdrawn(offer.reason);
}

// An offer was over before the dataplane answered. kNone: the end is counted already.
void CallControl::count_withdrawn(EndReason reason) {
  if (reason != EndReason::kNone)
    services_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
}

// ---- installation ---------------------------------------------------------------------------

void CallControl::install_offer(ConnectionId id, const model::OfferCall& offer) {
  const auto connection = connections_.find(id);
  if (!connection) return;
  const auto busy = make_room(*connection, offer.peer_call_id, [this, id, offer](EndReason answer) {
    if (answer != EndReason::kNone) return refuse_offer(id, offer.offer, answer);
    enqueue(id, offer);
  });
  if (!busy) return;
  if (*busy != EndReason::kNone) return refuse_offer(id, offer.offer, *busy);
  const auto made = make_session(
      *connection, {.kind = offer.kind, .offer = offer.offer, .peer_call_id = offer.peer_call_id},
      Session::State::kInstalling);
  if (!made) return refuse_offer(id, offer.offer, made.error());
  Session& session = **made;
  if (!installer_.install(session, offer.peer_window)) {
    release(session);
    return refuse_offer(id, offer.offer, EndReason::dataplane_unavailable);
  }
  connection->add_offer(offer.offer, session.id());
  session.begin_install();
}

std::expected<Session*, EndReason> CallControl::make_session(const Connection& connection,
                                                             Session::Call call,
                                                             Session::State state) {
  const auto slot = sessions_.take_free_slot();
  if (!slot) return std::unexpected(EndReason::no_session_slot);
  const auto our_call_id = call_ids_.allocate(connection.local(), connection.peer(), now());
  if (!our_call_id) {
    sessions_.add_free(*slot);
    return std::unexpected(EndReason::no_call_id);
  }
  call.id = session_ids_.next();
  call.slot = *slot;
  call.connection = connection.id();
  call.our_call_id = *our_call_id;
  call.local = connection.local();
  call.peer = connection.peer();
  call.started = now();
  Session& session = sessions_.add(std::make_shared<Session>(session_context_, call, state));
  call_ids_.count(session.worker());
  offers_.begin_set_up(session);
  events_.created(session);
  return &session;
}

// (peer address, peer Call ID) names one client, so only one session may use it. A session that is
// alive keeps it; one that is not makes way for the call that the same peer opens in its place. The
// question travels on the control connection. One in the tunnel would reach the new call, whose
// packets carry lower sequence numbers.
std::optional<EndReason> CallControl::make_room(const Connection& connection,
                                                PeerCallId peer_call_id, Answered answered) {
  Session* older = sessions_.find(connection.local(), connection.peer(), peer_call_id);
  if (older == nullptr || older->state() == Session::State::kRemoving || older->withdrawn())
    return EndReason::kNone;
  if (older->state() != Session::State::kUp) return EndReason::peer_call_id_busy;
  if (older->end_reason() != EndReason::kNone) {
    older->link().replace();
    return EndReason::kNone;
  }
  const auto decide = [this, id = older->id(),
                       answered = std::move(answered)](LivenessTests::Answer answer) {
    if (answer == LivenessTests::Answer::kAlive) return answered(EndReason::peer_call_id_busy);
    if (Session* const silent = sessions_.find(id)) silent->link().replace();
    answered(EndReason::kNone);
  };
  if (!liveness_.ask(*older, LivenessTests::Way::kControlConnection, decide))
    return EndReason::peer_call_id_busy;
  return std::nullopt;
}

void CallControl::on_install_answered(Session& session, const DataplaneCommands::Reply& reply) {
  const auto keep = session.shared_from_this();
  const auto& call = session.call();
  const auto connection = connections_.find(call.connection);
  if (connection) connection->remove_offer(call.offer);
  if (!reply || reply->result != contract::ReplyResult::kDone)
    return on_install_failed(session, reply);
  if (session.withdrawn() || !connection) {
    count_withdrawn(session.withdrawn().value_or(EndReason::kNone));
    return begin_removal(session, reply->generation);
  }
  session.on_installed(reply->generation);
  connection->add_call(call.our_call_id, call.id);
  // The Reply leaves now, after the dataplane serves GRE for this call.
  if (call.kind != model::CallKind::kPlaced)
    connections_.apply(*connection,
                       connection->machine().on_call_accepted(call.offer, call.our_call_id, now()));
  // PPP of an incoming call waits for Incoming-Call-Connected.
  if (call.kind != model::CallKind::kIncoming) session.link().start();
}

void CallControl::on_install_failed(Session& session, const DataplaneCommands::Reply& reply) {
  const Session::Call call = session.call();
  log::warn("dataplane refused a session", {{"session", to_text(call.id)},
                                            {"slot", call.slot.value},
                                            {"peer", call.peer},
                                            {"result", reply ? contract::name_of(reply->result)
                                                             : control::name_of(reply.error())}});
  const bool placed = call.kind == model::CallKind::kPlaced;
  const EndReason reason = reply ? EndReason::dataplane_refused : EndReason::dataplane_unavailable;
  if (placed && !session.withdrawn()) tell_end(session, reason, {});
  if (session.withdrawn()) count_withdrawn(*session.withdrawn());
  // A slot that the dataplane does not count as free must be removed there. Otherwise the dataplane
  // refuses every later call in it.
  // When the dataplane was lost it may or may not have installed the session: session memory knows.
  if (reply && reply->result != contract::ReplyResult::kBadSlot)
    release(session);
  else
    begin_removal(session, session.dataplane().record().generation.load(std::memory_order_acquire));
  if (placed)
    end_call(call.connection, call.our_call_id, reason);
  else
    refuse_offer(call.connection, call.offer, reason);
}

// The peer's side of the call stands.
void CallControl::on_call_connected(Connection& connection, const model::ConnectCall& connect) {
  const auto id = connection.call(connect.our_call_id);
  Session* session = id ? sessions_.find(*id) : nullptr;
  if (session == nullptr) return;
  if (session->state() != Session::State::kDialling) return session->link().start();
  const auto busy = make_room(connection, connect.peer_call_id,
                              [this, from = connection.id(), connect](EndReason answer) {
                                if (answer != EndReason::kNone)
                                  return end_call(from, connect.our_call_id, answer);
                                if (const auto asked = connections_.find(from))
                                  on_call_connected(*asked, connect);
                              });
  if (!busy) return;
  EndReason reason = *busy;
  if (reason == EndReason::kNone) {
    session->set_peer_call_id(connect.peer_call_id);
    if (services_.dataplane.attached() && installer_.install(*session, connect.peer_window))
      return session->begin_install();
    reason = EndReason::dataplane_unavailable;
  }
  end_call(connection.id(), connect.our_call_id, reason);
}

bool CallControl::adopt(Connection& connection, const Session::Call& call,
                        const resume::StoredSession& stored) {
  if (!call_ids_.claim(call.local, call.our_call_id)) return false;
  if (!services_.pools.restore(stored.lease)) {
    call_ids_.release(call.local, call.our_call_id, true, now());
    return false;
  }
  session_ids_.not_below(call.id);
  Session& session = sessions_.add(std::make_shared<Session>(session_context_, call, stored));
  call_ids_.count(session.worker());
  connection.add_call(call.our_call_id, call.id);
  events_.created(session);
  return true;
}

void CallControl::read_steering() {
  call_ids_.read_steering(services_.memory.header(), services_.pools);
  sessions_.for_each([this](Session& session) {
    session.set_worker(call_ids_.worker_of(session.call().our_call_id));
    call_ids_.count(session.worker());
  });
}

// ---- calls that we place --------------------------------------------------------------------

void CallControl::place_call(const PlaceRequest& request, PlacedDone done) {
  EndReason reason = gate_.calls_refused();
  if (reason == EndReason::kNone && !services_.dataplane.attached())
    reason = EndReason::dataplane_unavailable;
  if (reason == EndReason::kNone)
    return placer_.place(request, [this, done = std::move(done)](const PlacedCall& call) {
      services_.journal.when_stored([done, call] { done(call); });
    });
  services_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
  done({.failure = reason});
}

void CallControl::stop_placing() { placer_.shut_down(); }

CallPlacer::Hooks CallControl::placer_hooks(std::uint16_t pac_port) {
  return {.established = [this](Ipv4Address pac) { return connections_.established_with(pac); },
          .originate = [this, pac_port](UniqueFd fd, Ipv4Address local,
                                        Ipv4Address pac) -> std::optional<ConnectionId> {
            if (gate_.is_shutting_down()) return std::nullopt;
            return connections_.originate(std::move(fd), {local, pac, pac_port});
          },
          .yield_collision =
              [this](ConnectionId id) {
                if (const auto connection = connections_.find(id))
                  connections_.apply(*connection, connection->machine().on_collision(now()));
              },
          .dial = [this](ConnectionId id, std::uint64_t number,
                         const pptp::OutgoingCall& call) { return dial(id, number, call); },
          .clear =
              [this](SessionId id, EndReason reason) {
                if (Session* session = sessions_.find(id)) terminate(*session, reason);
              },
          .count_end =
              [this](EndReason reason) {
                services_.statistics.call_ends[static_cast<std::size_t>(reason)].add();
              }};
}

std::expected<SessionId, EndReason> CallControl::dial(ConnectionId id, std::uint64_t number,
                                                      const pptp::OutgoingCall& outgoing) {
  if (const EndReason reason = gate_.calls_refused(); reason != EndReason::kNone)
    return std::unexpected(reason);
  const auto connection = connections_.find(id);
  if (!connection) return std::unexpected(EndReason::peer_closed_tcp);
  const auto made = make_session(*connection, {.kind = model::CallKind::kPlaced, .placed = number},
                                 Session::State::kDialling);
  if (!made) return std::unexpected(made.error());
  const Session::Call call = (*made)->call();
  connection->add_call(call.our_call_id, call.id);
  connections_.apply(*connection,
                     connection->machine().place_call(call.our_call_id, outgoing, now()));
  return call.id;
}

bool CallControl::on_start_request(Ipv4Address local, Ipv4Address peer) {
  return placer_.on_start_request(local, peer) == CallPlacer::Collision::kWeWin;
}

void CallControl::on_established(Connection& connection) {
  placer_.on_established(connection.id(), connection.peer());
}

// ---- ends -----------------------------------------------------------------------------------

Duration CallControl::farewell_time() const {
  // The peer's PPP reads our last frame before its control connection hears that the call is gone;
  // many peers clear the call themselves meanwhile.
  return gate_.is_shutting_down() ? Duration{} : kFarewell;
}

void CallControl::terminate(Session& session, EndReason reason) {
  if (session.state() == Session::State::kUp) return session.link().close(reason);
  end_call(session.call().connection, session.call().our_call_id, reason);
}

void CallControl::end_call(ConnectionId id, OurCallId our_call_id, EndReason reason) {
  if (const auto connection = connections_.find(id))
    connections_.apply(*connection, connection->machine().end_call(our_call_id, reason, {}, now()));
}

void CallControl::disconnect(Session& session) {
  const auto connection = connections_.find(session.call().connection);
  if (!connection) return end(session, session.end_reason());
  const auto& record = session.dataplane().record();
  pptp::CallStatistics statistics;
  statistics.rx_packets = record.upstream.gre_packets.get();
  statistics.rx_bytes = record.upstream.gre_bytes.get();
  statistics.tx_packets = record.downstream.gre_packets.get();
  statistics.tx_bytes = record.downstream.gre_bytes.get();
  statistics.duration = std::chrono::duration_cast<Seconds>(now() - session.call().started);
  connections_.apply(
      *connection, connection->machine().end_call(session.call().our_call_id, session.end_reason(),
                                                  statistics, now()));
}

void CallControl::on_call_ended(Connection& connection, const model::EndCall& ended) {
  const auto id = connection.call(ended.our_call_id);
  if (Session* session = id ? sessions_.find(*id) : nullptr)
    end(*session, ended.reason, ended.codes);
}

void CallControl::end(Session& session, EndReason reason, const model::PeerCodes& codes) {
  using State = Session::State;
  const auto keep = session.shared_from_this();
  const State state = session.state();
  const bool placed = session.call().kind == model::CallKind::kPlaced;
  // Offers that are being installed end by WithdrawOffer.
  if (state == State::kRemoving || (state == State::kInstalling && !placed)) return;
  if (session.end_reason() != EndReason::kNone) {
    reason = session.end_reason();  // it came first
  } else if (session.link().machine() != nullptr &&
             session.link().machine()->refused() != EndReason::kNone &&
             info_of(reason).stage != "local") {
    reason = session.link().machine()->refused();  // and so the peer hung up
  }
  tell_end(session, reason, codes);
  if (state == State::kInstalling)
    session.withdraw(EndReason::kNone);  // the dataplane's answer comes first
  else if (state == State::kDialling)
    release(session);
  else
    begin_removal(session);
}

void CallControl::tell_end(Session& session, EndReason reason, const model::PeerCodes& codes) {
  const auto& call = session.call();
  if (const auto connection = connections_.find(call.connection))
    connection->remove_call(call.our_call_id);
  events_.ended(session, {.reason = reason,
                          .codes = codes,
                          .duration = std::chrono::duration_cast<Seconds>(now() - call.started)});
}

void CallControl::begin_removal(Session& session, std::optional<std::uint32_t> generation) {
  offers_.end_set_up(session);
  session.begin_removal(generation);
  installer_.remove(session);
}

// No packet can meet the session any more: the dataplane has let go of it.
void CallControl::release(Session& session) {
  const auto keep = session.shared_from_this();
  offers_.end_set_up(session);
  call_ids_.release(session.call().local, session.call().our_call_id, session.carried_gre(), now());
  if (const auto& lease = session.account().lease()) services_.pools.release(*lease);
  call_ids_.uncount(session.worker());
  events_.released(session);
  sessions_.erase(session);
}

void CallControl::on_closing(Connection& connection, EndReason reason) {
  offers_.forget(connection.id());
  // Offers that the dataplane has not answered yet end when it does.
  for (const auto& [offer, id] : connection.offers())
    if (Session* session = sessions_.find(id); session != nullptr && !session->withdrawn())
      session->withdraw(reason);
  while (!connection.calls().empty()) {
    const auto [our_call_id, id] = connection.calls().back();
    if (Session* session = sessions_.find(id)) end(*session, reason);
    connection.remove_call(our_call_id);
  }
}

void CallControl::on_closed(Connection& connection, EndReason reason) {
  placer_.on_closed(connection.id(), connection.peer(), reason);
  if (closed_) closed_();
}

// ---- line errors ----------------------------------------------------------------------------

void CallControl::on_wan_errors(Connection& connection, const model::ReportWanErrors& report) {
  const auto id = connection.call(report.our_call_id);
  Session* session = id ? sessions_.find(*id) : nullptr;
  if (session == nullptr) return;
  const auto before = session->set_wan_errors(report.totals);
  for (std::size_t i = 0; i < model::WanErrors::kCount; ++i) {
    const std::uint32_t total = report.totals.counts.at(i);
    const std::uint32_t old = before.counts.at(i);
    services_.statistics.wan_errors.at(i).add(total >= old ? total - old : total);
  }
}

// WAN-Error-Notify for calls of which we are the PAC: packets that the dataplane could not deliver
// to the peer are the only line errors that a tunnel has.
void CallControl::report_wan_errors() {
  sessions_.for_each([this](Session& session) {
    if (session.state() != Session::State::kUp || model::we_are_pns(session.call().kind)) return;
    const auto connection = connections_.find(session.call().connection);
    if (!connection) return;
    model::WanErrors totals;
    totals.counts[model::kBufferOverrun] = static_cast<std::uint32_t>(std::min<std::uint64_t>(
        session.dataplane().record().downstream.drops.get(), ~std::uint32_t{0}));
    connections_.apply(*connection, connection->machine().report_wan_errors(
                                        session.call().our_call_id, totals, now()));
  });
  wan_timer_.arm(now() + kWanErrorInterval);
}

}  // namespace pns::subscriber
