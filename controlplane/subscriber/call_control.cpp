// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/call_control.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/subscriber/settings.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {

using control::DataplaneCommands;

namespace {

constexpr auto kFarewell = Milliseconds(300);  // from the end of a link to Call-Disconnect-Notify

}  // namespace

CallControl::CallControl(const Parts& parts, Network network)
    : services_(parts.services),
      sessions_(parts.sessions),
      events_(parts.events),
      gate_(parts.gate),
      limits_(parts.limits),
      connections_(services_, refusal_log_, limits_, std::move(network.make_transport), *this),
      liveness_(services_.loop, sessions_, connections_),
      peer_call_ids_(sessions_, liveness_),
      leases_(services_, sessions_, parts.call_ids, liveness_),
      session_context_{.services = services_,
                       .owner = *this,
                       .leases = leases_,
                       .events = events_,
                       .call_ids = parts.call_ids,
                       .refusal_log = refusal_log_,
                       .link_settings = std::make_shared<const ppp::LinkSettings>(
                           make_link_settings(services_.config, network.machine_id))},
      allocator_(session_context_, sessions_, parts.session_ids),
      installer_(services_, sessions_, *this),
      offers_(services_, *this),
      placer_(services_.loop, network.opener, std::move(network.listen), network.pac_port,
              placer_hooks(network.pac_port)),
      line_errors_(services_, sessions_, connections_) {}

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
  if (!connection || !connection->machine().our_calls().awaits_answer(offer.offer))
    return;  // withdrawn
  EndReason reason = gate_.calls_refused();
  if (reason == EndReason::kNone) reason = offers_.enqueue(id, connection->peer(), offer);
  if (reason != EndReason::kNone) refuse_offer(id, offer.offer, reason);
}

void CallControl::refuse_offer(ConnectionId id, std::uint32_t offer, EndReason reason) {
  if (const auto connection = connections_.find(id))
    connections_.apply(*connection, connection->machine().our_calls().refuse(offer, reason, now()));
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
  const auto busy = peer_call_ids_.make_room(*connection, offer.peer_call_id,
                                             [this, id, offer](EndReason answer) {
                                               if (answer != EndReason::kNone)
                                                 return refuse_offer(id, offer.offer, answer);
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
                                                             const Session::Call& call,
                                                             Session::State state) {
  auto made = allocator_.make(connection, call, state);
  if (made) offers_.begin_set_up(**made);
  return made;
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
    connections_.apply(
        *connection, connection->machine().our_calls().accept(call.offer, call.our_call_id, now()));
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
  const auto busy = peer_call_ids_.make_room(
      connection, connect.peer_call_id, [this, from = connection.id(), connect](EndReason answer) {
        if (answer != EndReason::kNone) return end_call(from, connect.our_call_id, answer);
        if (const auto asked = connections_.find(from)) on_call_connected(*asked, connect);
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
  Session* const session = allocator_.adopt(call, stored);
  if (session == nullptr) return false;
  connection.add_call(call.our_call_id, call.id);
  events_.created(*session);
  return true;
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
    connections_.apply(*connection,
                       connection->machine().our_calls().end(our_call_id, reason, {}, now()));
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
      *connection, connection->machine().our_calls().end(session.call().our_call_id,
                                                         session.end_reason(), statistics, now()));
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

void CallControl::release(Session& session) {
  const auto keep = session.shared_from_this();
  offers_.end_set_up(session);
  allocator_.release(session);
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

void CallControl::on_wan_errors(Connection& connection, const model::ReportWanErrors& report) {
  const auto id = connection.call(report.our_call_id);
  if (Session* session = id ? sessions_.find(*id) : nullptr)
    line_errors_.on_reported(*session, report.totals);
}

}  // namespace pns::subscriber
