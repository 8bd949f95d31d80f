// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/auth_pap.hpp"

#include <array>
#include <string_view>

#include "controlplane/ppp/auth_message.hpp"
#include "pns/wire/ppp_auth.hpp"

namespace pns::ppp {

void PapAuthenticator::start(Context& context) {
  stage_ = Stage::kWaiting;
  // As long as an unanswered Challenge would be repeated.
  request_by_ = context.now + settings_.restart_timer * settings_.max_configure;
}

void PapAuthenticator::on_timer(Context& context) {
  if (!request_by_ || context.now < *request_by_) return;
  request_by_.reset();
  context.observer.auth_failed(EndReason::auth_timeout);
}

void PapAuthenticator::on_packet(const wire::ControlPacket& packet, Context& context) {
  if (packet.code != static_cast<std::uint8_t>(wire::PapCode::kAuthenticateRequest)) return;
  // Each repetition may have an Identifier of its own, and is answered with that.
  identifier_ = packet.identifier;
  if (stage_ == Stage::kAccepted || stage_ == Stage::kRefused) return send_verdict(context);
  if (stage_ == Stage::kDeciding) return;

  stage_ = Stage::kDeciding;
  request_by_.reset();
  const auto request = wire::PapRequest::parse(packet.data);
  if (!request) return deny({.reason = EndReason::auth_malformed}, context);
  context.observer.credentials({.user = to_text(request->peer_id),
                                .credentials = model::PapCredentials{SecretText(request->password)},
                                .peer = {}});
}

void PapAuthenticator::grant(const model::AuthGrant&, Context& context) {
  stage_ = Stage::kAccepted;
  context.observer.before_auth_success();
  send_verdict(context);
  context.observer.authenticated();
}

void PapAuthenticator::deny(const model::AuthDenial& denial, Context& context) {
  stage_ = Stage::kRefused;
  send_verdict(context);
  context.observer.auth_failed(denial.reason);
}

void PapAuthenticator::send_verdict(Context& context) const {
  const bool accepted = stage_ == Stage::kAccepted;
  const std::string_view text = accepted ? "OK" : failure_text(691);
  std::array<std::byte, 1 + 64> body;
  Writer writer(body);
  wire::write_pap_message(writer, as_octets(text));
  context.send(wire::PppProtocol::kPap,
               static_cast<std::uint8_t>(accepted ? wire::PapCode::kAuthenticateAck
                                                  : wire::PapCode::kAuthenticateNak),
               identifier_, writer.written());
}

}  // namespace pns::ppp
