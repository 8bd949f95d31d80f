// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/auth_eap.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/ppp/auth_message.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {
namespace {

using wire::EapCode;
using wire::EapMsChapV2Code;
using wire::EapType;

EapType type_of(EapMethod method) noexcept {
  return method == EapMethod::kMd5 ? EapType::kMd5Challenge : EapType::kMsChapV2;
}

}  // namespace

void EapAuthenticator::start(Context& context) {
  stage_ = Stage::kIdentity;
  type_ = EapType::kIdentity;
  request_identity(context);
}

// ---- Requests

void EapAuthenticator::send_next(EapType type, Bytes data, Context& context) {
  type_ = type;
  std::vector<std::byte> body(1 + data.size(), static_cast<std::byte>(type));
  std::ranges::copy(data, body.begin() + 1);
  send_request(
      static_cast<std::uint8_t>(identifier() + 1), body,
      stage_ == Stage::kRetrying ? settings().auth_retry_timeout : settings().first_restart_timer,
      context);
}

void EapAuthenticator::send_ms_chap_v2(EapMsChapV2Code code, Bytes data, Context& context) {
  std::vector<std::byte> body(4 + data.size());
  Writer writer(body);
  wire::EapMsChapV2{static_cast<std::uint8_t>(code), ms_identifier_, data}.write(writer);
  send_next(EapType::kMsChapV2, body, context);
}

void EapAuthenticator::on_timer(Context& context) {
  if (!is_overdue(context)) return;
  if (stage_ == Stage::kRetrying) return refuse(failed_, context);
  if (repeat_request(context)) return;
  // A refused peer that does not confirm has failed; anybody else has gone silent.
  const bool refused = stage_ == Stage::kRefusing;
  refuse(refused ? failed_ : EndReason::auth_timeout, context);
}

// ---- Responses

void EapAuthenticator::on_packet(const wire::ControlPacket& packet, Context& context) {
  const auto response = read_response(packet, context);
  if (!response || stage_ == Stage::kDeciding) return;
  const auto type = static_cast<EapType>(response->type);
  // §5.3: only the first Request of a method may be refused. An Expanded Nak (§5.3.2) belongs to
  // Requests of expanded type, of which we send none; who sends it wants nothing that we have.
  if (stage_ == Stage::kOffered && type == EapType::kNak) return on_nak(response->data, context);
  if (stage_ == Stage::kOffered && type == EapType::kExpanded) return on_nak({}, context);
  if (type != type_) return;
  if (type == EapType::kIdentity) return on_identity(response->data, context);
  if (type == EapType::kMd5Challenge) return on_md5(response->data, context);
  on_ms_chap_v2(response->data, context);
}

void EapAuthenticator::on_identity(Bytes data, Context& context) {
  if (data.size() > kMaximumName) return refuse(EndReason::auth_malformed, context);
  identity_ = to_text(data);
  offer_next(context);
}

void EapAuthenticator::on_nak(Bytes types, Context& context) {
  // Those that the peer wants, in our order of preference.
  std::erase_if(untried_, [types](EapMethod method) {
    return std::ranges::find(types, static_cast<std::byte>(type_of(method))) == types.end();
  });
  offer_next(context);
}

void EapAuthenticator::offer_next(Context& context) {
  if (untried_.empty()) return refuse(EndReason::auth_no_common_method, context);
  const EapMethod method = untried_.front();
  untried_.erase(untried_.begin());
  stage_ = Stage::kOffered;
  if (method == EapMethod::kMd5) {
    context.random.fill(md5_challenge_);
    std::array<std::byte, 1 + 16 + kMaximumOurName> body;
    Writer writer(body);
    wire::ChapValue{md5_challenge_, our_name(settings().name)}.write(writer);
    return send_next(EapType::kMd5Challenge, writer.written(), context);
  }
  exchange_.start(context.random);
  ms_identifier_ = static_cast<std::uint8_t>(identifier() + 1);  // as the Request's, as is usual
  send_ms_chap_v2(EapMsChapV2Code::kChallenge, exchange_.challenge_body(), context);
}

void EapAuthenticator::on_md5(Bytes data, Context& context) {
  const auto chap = wire::ChapValue::parse(data);
  model::ChapMd5Credentials credentials{.challenge = md5_challenge_, .identifier = identifier()};
  if (!chap || chap->value.size() != credentials.response.size() ||
      chap->name.size() > kMaximumName)
    return ask(std::nullopt, context);
  Reader(chap->value).read_struct(credentials.response);
  // The account is the identity's: the name in the Response may be anything (§5.4).
  ask(model::AuthRequest{.user = identity_, .credentials = credentials, .peer = {}}, context);
}

void EapAuthenticator::on_ms_chap_v2(Bytes data, Context& context) {
  // Whatever answers the last Failure: a client may try to change its password unasked.
  if (stage_ == Stage::kRefusing) return refuse(failed_, context);
  const auto packet = wire::EapMsChapV2::parse(data);
  if (!packet) return;
  const auto code = static_cast<EapMsChapV2Code>(packet->code);
  if (stage_ == Stage::kConfirming) {
    if (code == EapMsChapV2Code::kSuccess) return accept(context);
    // The peer found our proof wrong (RFC 2759 §5), or changed its mind.
    if (code == EapMsChapV2Code::kFailure) return refuse(EndReason::auth_failed, context);
    return;
  }
  if (stage_ == Stage::kRetrying && code == EapMsChapV2Code::kFailure)
    return refuse(failed_, context);
  // The first Response has the Challenge's MS-CHAPv2-ID; one to a Failure has that plus one, or
  // repeats it: the EAP Identifier has told already that it is no old one.
  const bool next = packet->identifier == static_cast<std::uint8_t>(ms_identifier_ + 1);
  if (packet->identifier != ms_identifier_ && !(next && stage_ == Stage::kRetrying)) return;
  const bool first = stage_ == Stage::kOffered;
  const bool again = stage_ == Stage::kRetrying;
  if (code == EapMsChapV2Code::kResponse && (first || (again && exchange_.awaits_response()))) {
    ms_identifier_ = packet->identifier;
    ask(exchange_.on_response(packet->data, ms_identifier_), context);
  } else if (code == EapMsChapV2Code::kChangePassword && again && exchange_.awaits_change()) {
    ms_identifier_ = packet->identifier;
    ask(exchange_.on_change_password(packet->data, ms_identifier_), context);
  }
}

void EapAuthenticator::ask(std::optional<model::AuthRequest> request, Context& context) {
  stop_timer();
  stage_ = Stage::kDeciding;
  if (!request) return refuse(EndReason::auth_malformed, context);
  if (request->user.empty()) request->user = identity_;
  context.observer.credentials(std::move(*request));
}

// ---- Verdicts

void EapAuthenticator::grant(const model::AuthGrant& grant, Context& context) {
  if (type_ != EapType::kMsChapV2) return accept(context);
  stage_ = Stage::kConfirming;
  send_ms_chap_v2(EapMsChapV2Code::kSuccess, as_octets(MsChapV2Exchange::success(grant)), context);
}

void EapAuthenticator::deny(const model::AuthDenial& denial, Context& context) {
  failed_ = denial.reason;
  if (type_ != EapType::kMsChapV2) return refuse(failed_, context);
  const std::string text = exchange_.failure(denial, context.random);
  stage_ = exchange_.awaits_response() || exchange_.awaits_change() ? Stage::kRetrying
                                                                    : Stage::kRefusing;
  send_ms_chap_v2(EapMsChapV2Code::kFailure, as_octets(text), context);
}

}  // namespace pns::ppp
