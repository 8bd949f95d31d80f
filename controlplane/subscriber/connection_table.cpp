// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/connection_table.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include "controlplane/subscriber/settings.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::subscriber {

using control::MessageTransport;

ConnectionTable::ConnectionTable(Services& services, RefusalLog& refusal_log, SourceLimits& limits,
                                 MessageTransport::Factory make_transport, Owner& owner)
    : services_(services),
      refusal_log_(refusal_log),
      limits_(limits),
      turns_(services.loop, limits,
             [this](ConnectionId id, std::size_t max_messages) {
               const auto connection = find(id);
               return connection ? connection->transport_->read(max_messages) : 0;
             }),
      make_transport_(std::move(make_transport)),
      owner_(owner),
      settings_(make_connection_settings(services.config)),
      closed_log_(50, Seconds(1)) {}

ConnectionTable::~ConnectionTable() = default;

// ---- connections that come ------------------------------------------------------------------

void ConnectionTable::accept(UniqueFd fd, const Connection::Endpoints& endpoints,
                             EndReason refused) {
  services_.statistics.connections_accepted.add();
  if (refused == EndReason::kNone) refused = limits_.admit(endpoints.peer);
  if (refused == EndReason::kNone) make_room();
  if (refused != EndReason::shutting_down &&
      connections_.size() >= services_.config.pptp.max_connections)
    refused = EndReason::connection_limit;
  if (refused != EndReason::kNone) {
    services_.statistics.connection_ends[static_cast<std::size_t>(refused)].add();
    if (auto& limit = refusal_log_.of(refused); limit.allow(now()))
      log::warn("connection refused", {{"peer", endpoints.peer},
                                       {"reason", name_of(refused)},
                                       {"suppressed", limit.take_suppressed()}});
    return;
  }
  const ConnectionId id(next_id_++);
  services_.keeper.store_connection(id, fd.get(), endpoints.local, endpoints.peer,
                                    endpoints.peer_port);
  add(id, endpoints, pptp::ControlConnection(settings_, now()), now(), std::move(fd))
      .transport_->start();
}

std::optional<ConnectionId> ConnectionTable::originate(UniqueFd fd,
                                                       const Connection::Endpoints& endpoints) {
  if (connections_.size() >= services_.config.pptp.max_connections) return std::nullopt;
  const ConnectionId id(next_id_++);
  services_.keeper.store_connection(id, fd.get(), endpoints.local, endpoints.peer,
                                    endpoints.peer_port);
  const auto keep =
      add(id, endpoints, pptp::ControlConnection::originate(settings_, now()), now(), std::move(fd))
          .shared_from_this();
  apply(*keep, keep->machine_.open(now()));
  keep->transport_->start();
  return id;
}

std::shared_ptr<Connection> ConnectionTable::adopt(contract::Grants::Connection granted,
                                                   const resume::StoredConnection* stored) {
  next_id_ = std::max(next_id_, granted.id.value + 1);
  if (stored == nullptr) {
    services_.keeper.forget_connection(granted.id);
    (void)::shutdown(granted.fd.get(), SHUT_RDWR);
    return nullptr;
  }
  Connection& connection = add(granted.id, {granted.local, granted.peer, granted.tcp_port},
                               pptp::ControlConnection(settings_, stored->machine, now()),
                               from_monotonic_ns(stored->opened_ns), std::move(granted.fd));
  connection.stored_ = true;
  // The message in which the process died, when its effect was stored already.
  (void)connection.transport_->skip_handled(stored->handled_up_to);
  return connection.shared_from_this();
}

void ConnectionTable::start(Connection& connection) {
  if (!connection.closed_) connection.transport_->start();
}

Connection& ConnectionTable::add(ConnectionId id, const Connection::Endpoints& endpoints,
                                 pptp::ControlConnection machine, TimePoint opened, UniqueFd fd) {
  machine.spread_echoes(services_.random.next_u32());
  const auto connection = std::make_shared<Connection>(id, endpoints, std::move(machine), opened);
  connection->timer_.emplace(services_.loop.timers(), [this, raw = connection.get()] {
    if (!raw->closed_) on_timer(*raw);
  });
  connection->transport_ = make_transport_(std::move(fd), id, *this);
  connections_.emplace(id, connection);
  by_peer_.emplace(endpoints.peer, id);
  limits_.add(endpoints.peer);
  update_idle(*connection);
  services_.statistics.connections.set(static_cast<std::int64_t>(connections_.size()));
  arm_timer(*connection);
  return *connection;
}

// ---- messages -------------------------------------------------------------------------------

void ConnectionTable::on_message(ConnectionId id, Bytes message) {
  if (const auto connection = find(id)) handle(*connection, message);
}

void ConnectionTable::on_readable(ConnectionId id) {
  if (const auto connection = find(id)) turns_.add(id, connection->peer());
}

void ConnectionTable::when_handled(ConnectionId, std::move_only_function<void()> consume) {
  services_.journal.when_stored(std::move(consume));
}

MessageTransport::Framing ConnectionTable::frame(ConnectionId id, Bytes head) {
  MessageTransport::Framing framing;
  const auto connection = find(id);
  if (!connection) {
    framing.stop = true;
    return framing;
  }
  const auto length = wire::pptp::check_header(head);
  if (!length) {
    framing.stop = true;
    apply(*connection, connection->machine_.on_frame_error(length.error(), now()));
  } else if (!*length) {
    framing.needed = wire::pptp::kHeaderLength;
  } else if (head.size() >= **length) {
    framing.message = **length;
  } else {
    // The whole header first: a bad one is refused without waiting for the rest.
    framing.needed =
        std::max(wire::pptp::kHeaderLength, head.size() < wire::pptp::kHeaderLength ? 0 : **length);
  }
  return framing;
}

void ConnectionTable::handle(Connection& connection, Bytes octets) {
  using wire::pptp::StartControlConnectionRequest;
  auto& received = services_.statistics.messages_received;
  const auto message = wire::pptp::parse_message(octets);
  if (!message) {
    received[0].add();
    return apply(connection, connection.machine_.on_frame_error(message.error(), now()));
  }
  received[message->index() + 1].add();
  if (connection.machine_.state() == pptp::ConnectionState::kIdle &&
      std::holds_alternative<StartControlConnectionRequest>(*message) &&
      owner_.on_start_request(connection.local(), connection.peer())) {
    // Our connection wins: nothing may be said here, and the peer, which has lost, closes. The
    // request is kept for the case that our connection fails.
    connection.deferred_start_ = std::make_unique<wire::pptp::Message>(*message);
    return apply(connection, connection.machine_.on_collision(now()));
  }
  apply(connection, connection.machine_.on_message(*message, now()));
}

// Our connection to this peer has failed: the request that it sent meanwhile is answered after all.
void ConnectionTable::apply_deferred_start(Ipv4Address peer) {
  for (const auto& connection : of_peer(peer)) {
    if (!connection->deferred_start_) continue;
    const auto start = std::move(connection->deferred_start_);
    apply(*connection, connection->machine_.on_message(*start, now()));
  }
}

void ConnectionTable::apply(Connection& connection, const model::ConnectionActions& actions) {
  const auto keep = connection.shared_from_this();
  // Before the peer is told: a successor must know what the peer knows.
  if (!connection.closed_) save(connection);
  for (const auto& action : actions) {
    if (connection.closed_) break;
    perform(connection, action);
  }
  if (!connection.closed_) update_idle(connection);
  arm_timer(connection);
  if (!connection.closed_ && !connection.established_told_ &&
      connection.machine_.state() == pptp::ConnectionState::kEstablished) {
    connection.established_told_ = true;
    owner_.on_established(connection);
  }
}

void ConnectionTable::perform(Connection& connection, const model::ConnectionAction& action) {
  if (const auto* message = std::get_if<model::SendMessage>(&action)) {
    send(connection, message->message);
  } else if (const auto* offer = std::get_if<model::OfferCall>(&action)) {
    owner_.on_offer(connection, *offer);
  } else if (const auto* withdrawn = std::get_if<model::WithdrawOffer>(&action)) {
    owner_.on_offer_withdrawn(connection, *withdrawn);
  } else if (const auto* refusal = std::get_if<model::RefuseCall>(&action)) {
    owner_.on_call_refused(connection, refusal->reason);
  } else if (const auto* end = std::get_if<model::EndCall>(&action)) {
    owner_.on_call_ended(connection, *end);
  } else if (const auto* connected = std::get_if<model::ConnectCall>(&action)) {
    owner_.on_call_connected(connection, *connected);
  } else if (const auto* errors = std::get_if<model::ReportWanErrors>(&action)) {
    owner_.on_wan_errors(connection, *errors);
  } else if (const auto* shut = std::get_if<model::CloseConnection>(&action)) {
    close(connection, shut->reason);
  }
}

void ConnectionTable::send(Connection& connection, const wire::pptp::Message& message) {
  std::array<std::byte, wire::pptp::kLongestMessage> buffer;
  const std::size_t length = wire::pptp::write_message(buffer, message);
  services_.statistics.messages_sent[message.index() + 1].add();
  std::vector<std::byte> octets(buffer.begin(),
                                buffer.begin() + static_cast<std::ptrdiff_t>(length));
  services_.journal.when_stored(
      [transport = connection.transport_, octets = std::move(octets)] { transport->send(octets); },
      length);
}

void ConnectionTable::save(Connection& connection) {
  const auto changes = connection.machine_.take_changes();
  if (!changes.established)
    return services_.journal.put(connection.id_, changes, connection.transport_->handled_up_to());
  services_.journal.put(record_of(connection, connection.machine_.snapshot().value()));
  connection.stored_ = true;
}

resume::StoredConnection ConnectionTable::record_of(const Connection& connection,
                                                    const pptp::ConnectionSnapshot& machine) {
  return {.id = connection.id_,
          .local = connection.endpoints_.local,
          .peer = connection.endpoints_.peer,
          .peer_port = connection.endpoints_.peer_port,
          .opened_ns = monotonic_ns(connection.opened_),
          .handled_up_to = connection.transport_->handled_up_to(),
          .machine = machine};
}

void ConnectionTable::store_all() {
  for (const auto& [id, connection] : connections_) {
    (void)connection->machine_.take_changes();
    const auto machine = connection->machine_.snapshot();
    if (!machine) continue;
    services_.journal.put(record_of(*connection, *machine));
    connection->stored_ = true;
  }
}

// ---- ends -----------------------------------------------------------------------------------

void ConnectionTable::stop(Connection& connection, EndReason reason) {
  apply(connection, connection.machine_.stop(reason, now()));
}

// TCP has ended: the machine ends its calls, then the connection closes.
void ConnectionTable::lose(ConnectionId id, EndReason reason) {
  const auto connection = find(id);
  if (!connection) return;
  apply(*connection, connection->machine_.on_tcp_closed(reason, now()));
  close(*connection, reason);
}

void ConnectionTable::close(Connection& connection, EndReason reason) {
  if (std::exchange(connection.closed_, true)) return;
  const auto keep = connection.shared_from_this();
  owner_.on_closing(connection, reason);
  connection.timer_->cancel();
  if (connection.stored_) services_.journal.erase(connection.id_);
  connection.transport_->stop_reading();
  services_.journal.when_stored(
      [transport = connection.transport_, &keeper = services_.keeper, id = connection.id_] {
        transport->close_after_flush();
        keeper.forget_connection(id);
      });
  services_.statistics.connection_ends[static_cast<std::size_t>(reason)].add();
  if (closed_log_.allow(now()))
    log::info("connection closed", {{"connection", connection.id_.value},
                                    {"peer", connection.peer()},
                                    {"reason", name_of(reason)},
                                    {"suppressed", closed_log_.take_suppressed()}});
  limits_.remove(connection.peer(), connection.id_);
  by_peer_.erase({connection.peer(), connection.id_});
  connections_.erase(connection.id_);
  services_.statistics.connections.set(static_cast<std::int64_t>(connections_.size()));
  owner_.on_closed(connection, reason);
  if (connection.machine_.originated() && !connection.established_told_)
    apply_deferred_start(connection.peer());
}

void ConnectionTable::arm_timer(Connection& connection) {
  if (connection.closed_) return;
  auto at = connection.machine_.deadline();
  if (const auto idle = idle_until(connection); idle && (!at || *idle < *at)) at = idle;
  connection.timer_->arm(at);
}

void ConnectionTable::on_timer(Connection& connection) {
  if (const auto idle = idle_until(connection); idle && *idle <= now()) {
    limits_.count_idle(connection.peer());
    return stop(connection, EndReason::connection_idle);
  }
  apply(connection, connection.machine_.on_deadline(now()));
}

// ---- connections without a call -------------------------------------------------------------

void ConnectionTable::make_room() {
  const auto id = limits_.connection_to_shed(connections_.size());
  const auto idle = id ? find(*id) : nullptr;
  if (!idle) return;
  limits_.count_idle(idle->peer());
  close(*idle, EndReason::connection_shed);
}

// Those that we have opened are ours to keep.
void ConnectionTable::update_idle(Connection& connection) {
  const bool idle = !connection.machine_.originated() && connection.machine_.calls().empty();
  if (idle == connection.idle_since_.has_value()) return;
  connection.idle_since_ = idle ? std::optional(now()) : std::nullopt;
  limits_.set_idle(connection.peer(), connection.id_, connection.idle_since_);
}

std::optional<TimePoint> ConnectionTable::idle_until(const Connection& connection) const {
  if (!connection.idle_since_ || connection.machine_.state() != pptp::ConnectionState::kEstablished)
    return std::nullopt;
  return limits_.idle_until(connection.peer(), *connection.idle_since_);
}

// ---- what is known --------------------------------------------------------------------------

std::shared_ptr<Connection> ConnectionTable::find(ConnectionId id) const {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second;
}

std::optional<ConnectionId> ConnectionTable::established_with(Ipv4Address peer) const {
  // Our own connection comes first: another host behind the same address may have opened the
  // others.
  std::optional<ConnectionId> oldest;
  for (const auto& connection : of_peer(peer)) {
    if (connection->closed_ || connection->machine_.state() != pptp::ConnectionState::kEstablished)
      continue;
    if (connection->machine_.originated()) return connection->id_;
    if (!oldest) oldest = connection->id_;
  }
  return oldest;
}

std::vector<std::shared_ptr<Connection>> ConnectionTable::of_peer(Ipv4Address peer) const {
  std::vector<std::shared_ptr<Connection>> out;
  for (auto at = by_peer_.lower_bound({peer, ConnectionId()});
       at != by_peer_.end() && at->first == peer; ++at)
    if (auto connection = find(at->second)) out.push_back(std::move(connection));
  return out;
}

void ConnectionTable::for_each(const std::function<void(Connection&)>& visit) {
  std::vector<std::shared_ptr<Connection>> all;
  all.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) all.push_back(connection);
  for (const auto& connection : all)
    if (!connection->closed_) visit(*connection);
}

void ConnectionTable::for_each(const std::function<void(const Connection&)>& visit) const {
  for (const auto& [id, connection] : connections_) visit(*connection);
}

std::optional<ConnectionId> ConnectionTable::visit_some(
    ConnectionId from, std::size_t most,
    const std::function<void(const Connection&)>& visit) const {
  auto at = connections_.lower_bound(from);
  for (; at != connections_.end() && most > 0; ++at, --most) visit(*at->second);
  return at == connections_.end() ? std::nullopt : std::optional(at->first);
}

void ConnectionTable::stop_reading() {
  for (const auto& [id, connection] : connections_) connection->transport_->stop_reading();
}

bool ConnectionTable::is_flushed() const {
  return std::ranges::all_of(
      connections_, [](const auto& entry) { return entry.second->transport_->is_flushed(); });
}

}  // namespace pns::subscriber
