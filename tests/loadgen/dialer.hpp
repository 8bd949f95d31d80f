// SPDX-License-Identifier: BSD-3-Clause
//
// Dialer: a subscriber's control connection, as its profile has it: Start, one Outgoing-Call, echo,
// and the end (RFC 2637 §3.1.1, §3.2.4.2). Its own code, not the server's machine: each profile
// breaks a rule or two. One thread.
#pragma once

#include <memory>
#include <optional>

#include "tests/loadgen/connection.hpp"
#include "tests/loadgen/site.hpp"
#include "tests/loadgen/tcp_link.hpp"

namespace pns::loadgen {

class Dialer final : public Connection {
 public:
  // Dials for this session, which outlives it, from this source.
  Dialer(Site& site, Session& session, std::size_t source);
  ~Dialer() override { link_->close(); }

  void start(TimePoint now) override;
  bool launch(TimePoint) override { return false; }
  void on_tick(TimePoint now) override;
  void hang_up(TimePoint now) override;
  [[nodiscard]] bool over() const override { return phase_ == Phase::kOver; }
  // Ends the session and the connection as no client would want to.
  void die(DeathKind kind, TimePoint now);
  void close();
  // When the server was seen to close, after a death.
  [[nodiscard]] std::optional<TimePoint> closed_by_server() const { return closed_by_server_; }

 private:
  enum class Phase : std::uint8_t { kOpen, kClearing, kStopping, kDead, kOver };

  void send(const wire::pptp::Message& message);
  void on_message(const wire::pptp::Message& message);
  void on_message_of_the_dead(const wire::pptp::Message& message);
  void on(const wire::pptp::StartControlConnectionReply& reply);
  void on(const wire::pptp::OutgoingCallReply& reply);
  void on(const wire::pptp::EchoRequest& request);
  void on(const wire::pptp::CallDisconnectNotify& notify);
  void on(const wire::pptp::StopControlConnectionRequest& request);
  void on(const wire::pptp::StopControlConnectionReply& reply);
  template <class Ignored>
  void on(const Ignored&) {}
  void send_set_link_info();
  // PPP is over: the call is ended, then the connection, then TCP.
  void end_call(TimePoint now);
  void stop(TimePoint now);
  void look(TimePoint now);

  Site& site_;
  std::size_t source_;
  Session& session_;
  std::shared_ptr<TcpLink> link_;
  Phase phase_ = Phase::kOpen;
  bool connected_ = false;  // TCP
  bool call_over_ = false;  // the server has said so
  TimePoint phase_began_{};
  TimePoint last_echo_{};
  std::uint32_t echo_identifier_ = 0;
  DeathKind death_ = DeathKind::kSilent;
  std::optional<TimePoint> closed_by_server_;
};

}  // namespace pns::loadgen
