// SPDX-License-Identifier: BSD-3-Clause
//
// Connection: one TCP 1723 control connection: its transport, its machine, and which sessions its
// calls and offers are. ConnectionTable owns it and runs it; CallControl keeps its calls.
// Event-loop thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "controlplane/pptp/control_connection.hpp"
#include "controlplane/runtime/message_transport.hpp"
#include "controlplane/runtime/timer_queue.hpp"
#include "controlplane/subscriber/views.hpp"
#include "pns/base/flat_map.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"

namespace pns::subscriber {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // Both ends of the TCP connection.
  struct Endpoints {
    Ipv4Address local;
    Ipv4Address peer;
    std::uint16_t peer_port = 0;
  };

  Connection(ConnectionId id, const Endpoints& endpoints, pptp::ControlConnection machine,
             TimePoint opened)
      : id_(id), endpoints_(endpoints), machine_(std::move(machine)), opened_(opened) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] ConnectionId id() const noexcept { return id_; }
  [[nodiscard]] Ipv4Address local() const noexcept { return endpoints_.local; }
  [[nodiscard]] Ipv4Address peer() const noexcept { return endpoints_.peer; }
  [[nodiscard]] TimePoint opened() const noexcept { return opened_; }
  [[nodiscard]] bool is_closed() const noexcept { return closed_; }
  [[nodiscard]] pptp::ControlConnection& machine() noexcept { return machine_; }
  [[nodiscard]] const pptp::ControlConnection& machine() const noexcept { return machine_; }
  [[nodiscard]] ConnectionView view(TimePoint now) const;

  // ---- Calls of which the peer has a Call ID of ours.
  void add_call(OurCallId our_call_id, SessionId session) { calls_.set(our_call_id, session); }
  void remove_call(OurCallId our_call_id) { calls_.erase(our_call_id); }
  [[nodiscard]] std::optional<SessionId> call(OurCallId our_call_id) const {
    return calls_.find(our_call_id);
  }
  [[nodiscard]] const FlatMap<OurCallId, SessionId>& calls() const noexcept { return calls_; }

  // ---- Offers whose session is being installed.
  void add_offer(std::uint32_t offer, SessionId session) { offers_.set(offer, session); }
  void remove_offer(std::uint32_t offer) { offers_.erase(offer); }
  [[nodiscard]] std::optional<SessionId> offer(std::uint32_t offer) const {
    return offers_.find(offer);
  }
  [[nodiscard]] const FlatMap<std::uint32_t, SessionId>& offers() const noexcept { return offers_; }

 private:
  friend class ConnectionTable;

  ConnectionId id_;
  Endpoints endpoints_;
  pptp::ControlConnection machine_;
  TimePoint opened_;
  std::shared_ptr<control::MessageTransport> transport_;
  std::optional<control::Timer> timer_;
  FlatMap<OurCallId, SessionId> calls_;
  FlatMap<std::uint32_t, SessionId> offers_;
  std::optional<TimePoint> idle_since_;                  // it has no call since then
  std::unique_ptr<wire::pptp::Message> deferred_start_;  // of a collision that we win (§3.1.3)
  bool stored_ = false;                                  // the store has a record of it
  bool established_told_ = false;
  bool closed_ = false;
};

}  // namespace pns::subscriber
