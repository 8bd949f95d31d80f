// SPDX-License-Identifier: BSD-3-Clause
//
// ConnectionTable: all control connections. It moves messages between their transports and their
// machines, stores what a successor process must know, and carries out what the machines ask for;
// what concerns calls it hands to its owner, CallControl.
//
// Verbs: `stop` sends Stop-Control-Connection-Request and waits for the answer; `close` ends the
// connection now, its calls included; `lose` closes it because TCP is gone.
//
// Event-loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "controlplane/model/connection_actions.hpp"
#include "controlplane/resume/records.hpp"
#include "controlplane/subscriber/connection.hpp"
#include "controlplane/subscriber/message_turns.hpp"
#include "controlplane/subscriber/refusal_log.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/source_limits.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/contract/supervisor_protocol.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {

class ConnectionTable final : private control::MessageTransport::Owner {
 public:
  // Runs the calls of the connections.
  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;
    virtual void on_offer(Connection&, const model::OfferCall&) = 0;
    virtual void on_offer_withdrawn(Connection&, const model::WithdrawOffer&) = 0;
    virtual void on_call_refused(Connection&, EndReason) = 0;
    virtual void on_call_connected(Connection&, const model::ConnectCall&) = 0;
    virtual void on_call_ended(Connection&, const model::EndCall&) = 0;
    virtual void on_wan_errors(Connection&, const model::ReportWanErrors&) = 0;
    // Start-Control-Connection-Request on a connection that the peer opened. True: we are opening
    // one as well, and ours wins (RFC 2637 §3.1.3).
    [[nodiscard]] virtual bool on_start_request(Ipv4Address local, Ipv4Address peer) = 0;
    virtual void on_established(Connection&) = 0;
    // The connection closes: its offers and calls end now.
    virtual void on_closing(Connection&, EndReason) = 0;
    // It is out of the table.
    virtual void on_closed(Connection&, EndReason) = 0;
  };

  ConnectionTable(Services& services, RefusalLog& refusal_log, SourceLimits& limits,
                  control::MessageTransport::Factory make_transport, Owner& owner);
  ~ConnectionTable() override;

  // A TCP connection was accepted. `refused`: why it is closed at once; kNone: it is not.
  void accept(UniqueFd fd, const Connection::Endpoints& endpoints, EndReason refused);
  // A TCP connection that we have opened: starts its control connection. Empty: there are too many.
  [[nodiscard]] std::optional<ConnectionId> originate(UniqueFd fd,
                                                      const Connection::Endpoints& endpoints);
  // A connection that an earlier process left, with what it stored; start() comes later. Empty
  // without a record: it is closed, and the peer dials again.
  std::shared_ptr<Connection> adopt(contract::Grants::Connection granted,
                                    const resume::StoredConnection* stored);
  void start(Connection& connection);

  // Carries out what the machine of a connection asked for.
  void apply(Connection& connection, const model::ConnectionActions& actions);
  void stop(Connection& connection, EndReason reason);
  void close(Connection& connection, EndReason reason);
  void lose(ConnectionId id, EndReason reason);

  [[nodiscard]] std::shared_ptr<Connection> find(ConnectionId id) const;
  // An established connection with this peer: the one that we opened, else the oldest.
  [[nodiscard]] std::optional<ConnectionId> established_with(Ipv4Address peer) const;
  [[nodiscard]] std::size_t size() const noexcept { return connections_.size(); }
  void for_each(const std::function<void(Connection&)>& visit);
  void for_each(const std::function<void(const Connection&)>& visit) const;
  // The same for the first `most` connections from this id on, in the order of ids. Result: the id
  // to go on from; empty after the last one.
  std::optional<ConnectionId> visit_some(ConnectionId from, std::size_t most,
                                         const std::function<void(const Connection&)>& visit) const;

  // A successor takes over: nothing more is read.
  void stop_reading();
  // Whether every message to a peer is with the kernel.
  [[nodiscard]] bool is_flushed() const;
  // Puts every record into the journal again: some may be missing in the store.
  void store_all();

 private:
  Connection& add(ConnectionId id, const Connection::Endpoints& endpoints,
                  pptp::ControlConnection machine, TimePoint opened, UniqueFd fd);
  // ---- control::MessageTransport::Owner. The connection may be gone.
  [[nodiscard]] control::MessageTransport::Framing frame(ConnectionId id, Bytes head) override;
  void on_message(ConnectionId id, Bytes message) override;
  void on_closed(ConnectionId id, EndReason reason) override { lose(id, reason); }
  void on_readable(ConnectionId id) override;
  void when_handled(ConnectionId id, std::move_only_function<void()> consume) override;

  void handle(Connection& connection, Bytes octets);
  void perform(Connection& connection, const model::ConnectionAction& action);
  void send(Connection& connection, const wire::pptp::Message& message);
  void save(Connection& connection);
  [[nodiscard]] static resume::StoredConnection record_of(const Connection& connection,
                                                          const pptp::ConnectionSnapshot& machine);
  void apply_deferred_start(Ipv4Address peer);
  // By id.
  [[nodiscard]] std::vector<std::shared_ptr<Connection>> of_peer(Ipv4Address peer) const;
  // Closes one that has no call when nearly as many are open as may be.
  void make_room();
  void update_idle(Connection& connection);
  // When it is closed for want of a call; empty: not by time.
  [[nodiscard]] std::optional<TimePoint> idle_until(const Connection& connection) const;
  void on_timer(Connection& connection);
  void arm_timer(Connection& connection);
  [[nodiscard]] TimePoint now() const { return services_.loop.now(); }

  Services& services_;
  RefusalLog& refusal_log_;
  SourceLimits& limits_;
  MessageTurns turns_;
  control::MessageTransport::Factory make_transport_;
  Owner& owner_;
  pptp::SharedSettings settings_;
  std::map<ConnectionId, std::shared_ptr<Connection>> connections_;
  std::set<std::pair<Ipv4Address, ConnectionId>> by_peer_;
  std::uint64_t next_id_ = 1;
  log::RateLimit closed_log_;
};

}  // namespace pns::subscriber
