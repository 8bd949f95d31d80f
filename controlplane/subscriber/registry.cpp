// SPDX-License-Identifier: BSD-3-Clause
//
// Registry: control connections, and what of it belongs to no part below.
#include "controlplane/subscriber/registry.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/subscriber/registry_parts.hpp"
#include "controlplane/subscriber/settings.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::subscriber {

using model::SetupStage;

namespace {

constexpr std::size_t kMessageBuffer = wire::pptp::kLongestMessage;

}  // namespace

Registry::Registry(Parts parts)
    : parts_(parts),
      link_settings_(make_link_settings(parts.config)),
      connection_settings_(make_connection_settings(parts.config)),
      sessions_(parts.memory.header().max_sessions),
      sessions_by_worker_(contract::kMaxWorkers, 0),
      admission_(make_admission_settings(parts.config)),
      admission_timer_(parts.context),
      drain_timer_(parts.context),
      ending_timer_(parts.context),
      shut_down_timer_(parts.context),
      removal_timer_(parts.context),
      wan_timer_(parts.context),
      store_timer_(parts.context),
      placer_(parts.context, parts.listen, parts.pac_port, placer_hooks()),
      refusal_logs_(kEndReasonCount, log::RateLimit(20, std::chrono::seconds(1))),
      connection_log_(50, std::chrono::seconds(1)),
      store_log_(1, std::chrono::seconds(10)) {
  free_slots_.reserve(sessions_.size());
  for (std::size_t slot = sessions_.size(); slot-- > 0;) {
    const bool free = parts_.memory.sessions()[slot].state.load(std::memory_order_acquire) ==
                      contract::SlotState::kFree;
    (free ? free_slots_ : orphans_).emplace_back(static_cast<std::uint32_t>(slot));
  }
  read_steering();
  parts_.journal.on_failure(
      [this](const resume::Journal::Failure& failure) { on_not_stored(failure); });
  if (connection_settings_.wan_error_notify) report_wan_errors();
}

Registry::~Registry() { parts_.journal.on_failure(nullptr); }

TimePoint Registry::now() noexcept { return std::chrono::steady_clock::now(); }

Registry::Session* Registry::find(SlotId slot) const noexcept {
  return slot.value < sessions_.size() ? sessions_[slot.value].get() : nullptr;
}

Registry::Session* Registry::find(SlotId slot, std::uint64_t serial) const noexcept {
  Session* session = find(slot);
  return session != nullptr && session->serial == serial ? session : nullptr;
}

// ---- connections ----------------------------------------------------------------------------

void Registry::accept(UniqueFd fd, Ipv4Address local, Ipv4Address peer, std::uint16_t peer_port) {
  parts_.statistics.connections_accepted.add();
  const auto reason = shut_down_ != ShutDown::kNo ? EndReason::shutting_down
                      : connections_.size() >= parts_.config.pptp.max_connections
                          ? EndReason::connection_limit
                          : short_of_;
  if (reason != EndReason::kNone) {
    parts_.statistics.connection_ends[static_cast<std::size_t>(reason)].add();
    if (auto& limit = refusal_log(reason); limit.allow(now()))
      log::warn(
          "connection refused",
          {{"peer", peer}, {"reason", name_of(reason)}, {"suppressed", limit.take_suppressed()}});
    return;
  }
  const ConnectionId id(next_connection_++);
  parts_.supervisor.store_connection(id, fd.get(), local, peer, peer_port);
  add_connection(id, std::move(fd), local, peer, peer_port,
                 pptp::ControlConnection(connection_settings_, now()))
      ->socket->start();
}

void Registry::on_not_kept(ConnectionId id) {
  if (const auto found = connections_.find(id); found != connections_.end())
    lose(*found->second, EndReason::descriptor_limit);
}

// TCP is over: what the machine makes of that, then the end.
void Registry::lose(Connection& connection, EndReason reason) {
  const auto keep = connection.shared_from_this();
  apply(connection, connection.machine.on_tcp_closed(reason, now()));
  close(connection, reason);
}

std::shared_ptr<Registry::Connection> Registry::add_connection(ConnectionId id, UniqueFd fd,
                                                               Ipv4Address local, Ipv4Address peer,
                                                               std::uint16_t peer_port,
                                                               pptp::ControlConnection machine) {
  auto connection = std::make_shared<Connection>(parts_.context, std::move(machine), now());
  connection->id = id;
  connection->local = local;
  connection->peer = peer;
  connection->peer_port = peer_port;
  // The handlers hold the connection weakly by its id: it may be gone when they run.
  connection->socket = std::make_shared<control::ControlSocket>(
      parts_.context, std::move(fd),
      control::ControlSocket::Events{
          .frame =
              [this, id](Bytes head) {
                control::ControlSocket::Events::Framing framing;
                const auto found = connections_.find(id);
                if (found == connections_.end()) return framing.stop = true, framing;
                const auto length = wire::pptp::check_header(head);
                if (!length) {
                  framing.stop = true;
                  const auto keep = found->second;
                  apply(*keep, keep->machine.on_frame_error(length.error(), now()));
                } else if (!*length) {
                  framing.needed = wire::pptp::kHeaderLength;
                } else if (head.size() >= **length) {
                  framing.message = **length;
                } else {
                  // The whole header first: a bad one is refused without waiting for the rest.
                  framing.needed = std::max(wire::pptp::kHeaderLength,
                                            head.size() < wire::pptp::kHeaderLength ? 0 : **length);
                }
                return framing;
              },
          .message =
              [this, id](Bytes octets) {
                const auto found = connections_.find(id);
                if (found == connections_.end()) return;
                const auto keep = found->second;
                on_message(*keep, octets);
              },
          .closed =
              [this, id](EndReason reason) {
                const auto found = connections_.find(id);
                if (found != connections_.end()) lose(*found->second, reason);
              },
          .when_handled =
              [this](std::move_only_function<void()> consume) {
                parts_.journal.when_stored(std::move(consume));
              }});
  connections_.emplace(id, connection);
  parts_.statistics.connections.set(static_cast<std::int64_t>(connections_.size()));
  arm_timer(*connection);
  return connection;
}

// Before the peer is told: a successor must know what the peer knows.
void Registry::save(Connection& connection) {
  const auto changes = connection.machine.take_changes();
  if (!changes.established)
    return parts_.journal.put(connection.id, changes, connection.socket->handled_up_to());
  parts_.journal.put(resume::StoredConnection{.id = connection.id,
                                              .local = connection.local,
                                              .peer = connection.peer,
                                              .peer_port = connection.peer_port,
                                              .opened_ns = monotonic_ns(connection.opened),
                                              .handled_up_to = connection.socket->handled_up_to(),
                                              .machine = connection.machine.snapshot().value()});
  connection.stored = true;
}

void Registry::on_message(Connection& connection, Bytes octets) {
  const auto message = wire::pptp::parse_message(octets);
  if (!message) {
    parts_.statistics.messages_received[0].add();
    return apply(connection, connection.machine.on_frame_error(message.error(), now()));
  }
  parts_.statistics.messages_received[message->index() + 1].add();
  using wire::pptp::StartControlConnectionRequest;
  if (connection.machine.state() == pptp::ConnectionState::kIdle &&
      std::holds_alternative<StartControlConnectionRequest>(*message) &&
      placer_.on_start_request(connection.local, connection.peer) ==
          CallPlacer::Collision::kWeWin) {
    // Nothing may be said here: the peer, who lost, closes. Kept for the case that ours fails.
    connection.kept_start = *message;
    return apply(connection, connection.machine.on_collision(now()));
  }
  apply(connection, connection.machine.on_message(*message, now()));
}

// Our connection to this peer came to nothing: what it asked for meanwhile is answered after all.
void Registry::apply_kept_start(Ipv4Address peer) {
  std::vector<std::shared_ptr<Connection>> kept;
  for (const auto& [id, connection] : connections_)
    if (connection->peer == peer && connection->kept_start) kept.push_back(connection);
  for (const auto& connection : kept) {
    const auto start = std::exchange(connection->kept_start, std::nullopt);
    apply(*connection, connection->machine.on_message(*start, now()));
  }
}

void Registry::apply(Connection& connection, const model::ConnectionActions& actions) {
  const auto keep = connection.shared_from_this();
  if (!connection.closed) save(connection);
  for (const auto& action : actions) {
    if (connection.closed) break;
    if (const auto* send_message = std::get_if<model::SendMessage>(&action)) {
      send(connection, send_message->message);
    } else if (const auto* offer = std::get_if<model::OfferCall>(&action)) {
      // Refused if its turn cannot be stored.
      parts_.journal.when_stored(
          [this, id = connection.id, offered = *offer] { begin_call(id, offered); });
    } else if (const auto* withdraw = std::get_if<model::WithdrawOffer>(&action)) {
      const auto found = connection.offers.find(withdraw->offer);
      if (found == connection.offers.end()) {
        (void)admission_.withdraw(connection.id, withdraw->offer);
        show_admission();
        count_withdrawn(withdraw->reason);
      } else if (Session* session = find(found->second)) {
        session->withdrawn = true;
        session->withdrawn_for = withdraw->reason;
      }
    } else if (const auto* refusal = std::get_if<model::RefuseCall>(&action)) {
      count_refusal(connection, refusal->reason);
    } else if (const auto* end = std::get_if<model::EndCall>(&action)) {
      if (const auto found = connection.calls.find(end->our_call_id);
          found != connection.calls.end())
        if (Session* session = find(found->second)) end_session(*session, end->reason, end->codes);
    } else if (const auto* connect = std::get_if<model::ConnectCall>(&action)) {
      on_connected(connection, *connect);
    } else if (const auto* errors = std::get_if<model::ReportWanErrors>(&action)) {
      on_wan_errors(connection, *errors);
    } else if (const auto* shut = std::get_if<model::CloseConnection>(&action)) {
      close(connection, shut->reason);
    }
  }
  arm_timer(connection);
  if (!connection.closed && !connection.established_told &&
      connection.machine.state() == pptp::ConnectionState::kEstablished) {
    connection.established_told = true;
    placer_.on_established(connection.id, connection.peer);
  }
}

void Registry::send(Connection& connection, const wire::pptp::Message& message) {
  std::array<std::byte, kMessageBuffer> buffer;
  const std::size_t length = wire::pptp::write_message(buffer, message);
  parts_.statistics.messages_sent[message.index() + 1].add();
  std::vector<std::byte> octets(buffer.begin(),
                                buffer.begin() + static_cast<std::ptrdiff_t>(length));
  parts_.journal.when_stored(
      [socket = connection.socket, octets = std::move(octets)] { socket->send(octets); }, length);
}

void Registry::close(Connection& connection, EndReason reason) {
  if (connection.closed) return;
  connection.closed = true;
  admission_.forget(connection.id);
  show_admission();
  // Offers that the dataplane has not answered yet end when it does.
  for (const auto& [offer, slot] : connection.offers)
    if (Session* session = find(slot); session != nullptr && !session->withdrawn) {
      session->withdrawn = true;
      session->withdrawn_for = reason;
    }
  while (!connection.calls.empty()) {
    Session* session = find(connection.calls.begin()->second);
    if (session != nullptr)
      end_session(*session, reason);
    else
      connection.calls.erase(connection.calls.begin());
  }
  connection.timer.cancel();
  if (connection.stored) parts_.journal.erase(connection.id);
  connection.socket->stop_reading();
  parts_.journal.when_stored([socket = connection.socket] { socket->close_after_flush(); });
  parts_.supervisor.forget_connection(connection.id);
  parts_.statistics.connection_ends[static_cast<std::size_t>(reason)].add();
  if (connection_log_.allow(now()))
    log::info("connection closed", {{"connection", connection.id.value},
                                    {"peer", connection.peer},
                                    {"reason", name_of(reason)},
                                    {"suppressed", connection_log_.take_suppressed()}});
  connections_.erase(connection.id);
  parts_.statistics.connections.set(static_cast<std::int64_t>(connections_.size()));
  placer_.on_closed(connection.id, connection.peer, reason);
  if (connection.machine.originated() && !connection.established_told)
    apply_kept_start(connection.peer);
  advance_shut_down();
}

void Registry::arm_timer(Connection& connection) {
  if (connection.closed) return;
  const auto deadline = connection.machine.deadline();
  if (deadline == connection.armed) return;
  connection.armed = deadline;
  if (!deadline) {
    connection.timer.cancel();
    return;
  }
  connection.timer.expires_at(*deadline);
  connection.timer.async_wait(
      [this, weak = connection.weak_from_this()](const asio::error_code& error) {
        const auto alive = weak.lock();
        if (error || !alive || alive->closed) return;
        alive->armed.reset();
        apply(*alive, alive->machine.on_deadline(now()));
      });
}

}  // namespace pns::subscriber
