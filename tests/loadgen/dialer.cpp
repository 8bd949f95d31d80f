// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/dialer.hpp"

#include <string>
#include <utility>
#include <variant>

namespace pns::loadgen {
namespace {

constexpr auto kFarewellTime = std::chrono::seconds(3);  // for each answer at the end
constexpr auto kLook = Milliseconds(100);  // between looks at a socket that is not read
// Fact 27: some servers say 0 where the RFC has 1.
constexpr bool succeeded(std::uint8_t result) noexcept { return result <= 1; }

}  // namespace

Dialer::Dialer(Site& site, Session& session, std::size_t source)
    : site_(site),
      source_(source),
      session_(session),
      link_(std::make_shared<TcpLink>(asio::ip::tcp::socket(site.context))) {
  session_.hook_lcp_open([this] { send_set_link_info(); });
  session_.hook_ppp_over([this](TimePoint now) { end_call(now); });
}

void Dialer::send(const wire::pptp::Message& message) {
  if (!link_->send(message)) ++site_.send_errors;
}

void Dialer::start(TimePoint now) {
  ++site_.connections;
  session_.on_dialling(now);
  link_->handle({.on_connected =
                     [this] {
                       connected_ = true;
                       if (site_.options.idle_connections) return;
                       session_.set_local_port(link_->local_port());
                       session_.on_tcp_connected(site_.now());
                       last_echo_ = site_.now();
                       const Profile::Start& start = session_.profile().start;
                       wire::pptp::StartControlConnectionRequest request;
                       request.framing_capabilities = start.framing;
                       request.bearer_capabilities = start.bearer;
                       request.maximum_channels = start.maximum_channels;
                       request.firmware_revision = start.firmware;
                       request.host_name = wire::pptp::to_text<64>(start.host);
                       request.vendor_name = wire::pptp::to_text<64>(start.vendor);
                       send(request);
                     },
                 .on_message = [this](const wire::pptp::Message& message) { on_message(message); },
                 .on_closed =
                     [this](std::string why) {
                       if (phase_ == Phase::kDead) {
                         closed_by_server_ = site_.now();
                         session_.die();  // one that was deaf to control alone
                       }
                       phase_ = Phase::kOver;
                       session_.on_call_over(std::move(why));
                     }});
  link_->connect(site_.sources[source_].address, site_.options.server);
}

void Dialer::on_message(const wire::pptp::Message& message) {
  if (phase_ == Phase::kDead) return on_message_of_the_dead(message);
  std::visit([this](const auto& known) { on(known); }, message);
}

// One whose PPP alone is silent answers echoes, and closes when the server has ended the call.
void Dialer::on_message_of_the_dead(const wire::pptp::Message& message) {
  if (death_ != DeathKind::kDeafPpp) return;
  if (const auto* echo = std::get_if<wire::pptp::EchoRequest>(&message)) return on(*echo);
  const auto* notify = std::get_if<wire::pptp::CallDisconnectNotify>(&message);
  if (notify == nullptr || notify->call_id != session_.peer_call_id()) return;
  closed_by_server_ = site_.now();
  close();
}

void Dialer::on(const wire::pptp::StartControlConnectionReply& reply) {
  if (session_.stage() != Stage::kStart) return session_.fail("unasked Start-Reply");
  if (!succeeded(reply.result_code))
    return session_.fail("Start-Reply result " + std::to_string(reply.result_code));
  session_.on_first_answer(site_.now());
  if (site_.options.call_id_from_port)
    site_.give_call_id(session_, source_, link_->local_port());
  else
    site_.give_call_id(session_, source_);
  const Profile::Call& call = session_.profile().call;
  wire::pptp::OutgoingCallRequest request;
  request.call_id = session_.call_id();
  request.call_serial_number = static_cast<std::uint16_t>(session_.number());
  request.minimum_bps = call.minimum_bps;
  request.maximum_bps = call.maximum_bps;
  request.bearer_type = call.bearer;
  request.framing_type = call.framing;
  request.packet_recv_window_size = call.window;
  session_.on_calling(site_.now());
  send(request);
}

void Dialer::on(const wire::pptp::OutgoingCallReply& reply) {
  if (session_.stage() != Stage::kCall) return session_.fail("unasked Outgoing-Call-Reply");
  if (!succeeded(reply.result_code) || reply.peers_call_id != session_.call_id())
    return session_.fail("Outgoing-Call-Reply result " + std::to_string(reply.result_code) +
                         " error " + std::to_string(reply.error_code));
  session_.on_call_connected(reply.call_id, site_.now());
}

void Dialer::on(const wire::pptp::EchoRequest& request) {
  wire::pptp::EchoReply reply;
  reply.identifier = request.identifier;
  reply.result_code = static_cast<std::uint8_t>(wire::pptp::EchoResult::kOk);
  ++site_.pptp_echoes;
  send(reply);
}

void Dialer::on(const wire::pptp::CallDisconnectNotify& notify) {
  // Fact 2: looked up by the server's own Call ID, as pptp-linux and Android do.
  if (notify.call_id != session_.peer_call_id()) return;
  call_over_ = true;
  session_.on_call_over("the server ended the call");
  if (phase_ == Phase::kClearing) stop(site_.now());
}

void Dialer::on(const wire::pptp::StopControlConnectionRequest&) {
  wire::pptp::StopControlConnectionReply reply;
  reply.result_code = static_cast<std::uint8_t>(wire::pptp::StopResult::kOk);
  send(reply);
  session_.on_call_over("the server stopped the connection");
}

void Dialer::on(const wire::pptp::StopControlConnectionReply&) {
  if (phase_ == Phase::kStopping) close();
}

// Fact 25.
void Dialer::send_set_link_info() {
  if (!session_.profile().set_link_info) return;
  wire::pptp::SetLinkInfo info;
  info.peers_call_id = session_.peer_call_id();
  info.send_accm = 0xffffffff;
  info.receive_accm = 0xffffffff;
  send(info);
}

void Dialer::hang_up(TimePoint now) {
  if (phase_ != Phase::kOpen) return;
  if (session_.over()) return stop(now);
  session_.hang_up(now);  // end_call() follows
}

void Dialer::end_call(TimePoint now) {
  phase_began_ = now;
  if (call_over_ || !connected_) return stop(now);
  switch (session_.profile().farewell) {
    case Farewell::kClear: {
      phase_ = Phase::kClearing;
      wire::pptp::CallClearRequest clear;
      clear.call_id = session_.call_id();
      return send(clear);
    }
    case Farewell::kDisconnect: {
      wire::pptp::CallDisconnectNotify notify;
      notify.call_id = session_.call_id();
      notify.result_code = static_cast<std::uint8_t>(wire::pptp::DisconnectResult::kRequest);
      send(notify);
      return stop(now);
    }
    case Farewell::kClose:  // fact 29
      return close();
  }
}

void Dialer::stop(TimePoint now) {
  if (!session_.profile().stops || !connected_) return close();
  phase_ = Phase::kStopping;
  phase_began_ = now;
  wire::pptp::StopControlConnectionRequest request;
  request.reason = static_cast<std::uint8_t>(wire::pptp::StopReason::kNone);
  send(request);
}

void Dialer::close() {
  phase_ = Phase::kOver;
  link_->close();
  session_.on_call_over("connection closed");
}

void Dialer::die(DeathKind kind, TimePoint now) {
  if (phase_ == Phase::kOver) return;
  phase_ = Phase::kDead;
  phase_began_ = now;
  death_ = kind;
  if (kind != DeathKind::kDeafControl) session_.die();
  switch (kind) {
    case DeathKind::kReset:
      link_->reset();
      phase_ = Phase::kOver;
      return;
    case DeathKind::kClose:
      return link_->finish();
    case DeathKind::kVanish:
      return link_->freeze();
    case DeathKind::kSilent:  // on_message() and on_tick() do nothing any more, or little
    case DeathKind::kDeafPpp:
    case DeathKind::kDeafControl:
      return;
  }
}

// A socket that is not read does not tell that the server has closed.
void Dialer::look(TimePoint now) {
  if (death_ != DeathKind::kVanish || now - phase_began_ < kLook) return;
  phase_began_ = now;
  if (!link_->closed_by_peer()) return;
  closed_by_server_ = now;
  close();
}

void Dialer::on_tick(TimePoint now) {
  if (phase_ == Phase::kOver) return;
  if (phase_ == Phase::kDead) return look(now);
  const Duration interval = session_.profile().echo_interval;
  if (phase_ == Phase::kOpen && interval != Duration{} && now - last_echo_ >= interval &&
      session_.stage() == Stage::kUp) {
    last_echo_ = now;
    send(wire::pptp::EchoRequest{++echo_identifier_});
  }
  if (phase_ == Phase::kOpen || now - phase_began_ < kFarewellTime) return;
  if (session_.stage() != Stage::kFailed) ++site_.farewells_unanswered;
  if (phase_ == Phase::kClearing)
    stop(now);
  else
    close();
}

}  // namespace pns::loadgen
