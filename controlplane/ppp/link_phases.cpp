// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/link_phases.hpp"

#include <utility>

namespace pns::ppp {

using model::LinkPhase;
using wire::PppProtocol;

LinkPhases::LinkPhases(LinkParts& parts, TimePoint now)
    : parts_(parts),
      context_{actions_,
               now,
               parts.random,
               *this,
               parts.rejects,
               parts.lcp.is_open() ? parts.lcp.agreement().peer_mru : MruOption::kDefault} {}

model::LinkActions LinkPhases::finish() {
  if (parts_.phase == LinkPhase::kOpen) {
    parts_.lcp.rest();
    parts_.encryption.rest();
    parts_.networks.rest();
  }
  return std::move(actions_);
}

// ---- Phases

void LinkPhases::set_phase(LinkPhase phase) {
  if (parts_.phase == phase) return;
  parts_.phase = phase;
  context_.add(model::PhaseChanged{phase});
}

void LinkPhases::start_networks() {
  parts_.networks.start(context_);
  settle_networks();
}

void LinkPhases::settle_networks() {
  const bool possible = parts_.network_possible();
  if (parts_.networks.settle_needed(possible, parts_.inner_mtu(), context_)) {
    set_phase(LinkPhase::kOpen);
    parts_.authentication.settle();
  } else if (parts_.phase == LinkPhase::kOpen) {
    set_phase(LinkPhase::kNetwork);
  }
  parts_.networks.settle_optional(possible, parts_.inner_mtu(), context_);
}

void LinkPhases::leave_network() {
  parts_.authentication.leave();
  parts_.encryption.leave();
  parts_.networks.reset();
  settle_networks();
  parts_.encryption.forget_keys(context_);
  parts_.networks.withdraw();
}

void LinkPhases::encryption_refused(EndReason reason) {
  if (!parts_.encryption.may_be_off()) return terminate(reason);
  parts_.encryption.turn_off(context_);
  start_networks();
}

void LinkPhases::establish() {
  set_phase(LinkPhase::kEstablish);
  parts_.lcp.open(context_);
  parts_.lcp.up(context_);
}

void LinkPhases::renegotiate() {
  if (parts_.is_ending()) return;
  parts_.lcp.down(context_);
  parts_.lcp.up(context_);
}

void LinkPhases::terminate(EndReason reason) {
  if (parts_.is_ending()) return;
  parts_.end_reason = reason;
  set_phase(LinkPhase::kTerminate);
  const State lcp = parts_.lcp.state();
  if (lcp < State::kReqSent) {
    end_now(reason);
    return;
  }
  parts_.lcp.close(context_);  // open: layer_down() clears what stands above
  if (lcp != State::kOpened) leave_network();
}

void LinkPhases::end_now(EndReason reason) {
  if (parts_.ended) return;
  if (parts_.end_reason == EndReason::kNone) parts_.end_reason = reason;
  leave_network();
  parts_.lcp.reset();
  parts_.echoes.stop();
  set_phase(LinkPhase::kDead);
  context_.add(model::LinkEnded{parts_.end_reason});
  parts_.ended = true;
}

// ---- What the machines tell

void LinkPhases::layer_up(PppProtocol layer) {
  switch (layer) {
    case PppProtocol::kLcp:
      return lcp_up();
    case PppProtocol::kCcp:
      parts_.encryption.on_up();
      return start_networks();
    default:
      return settle_networks();
  }
}

void LinkPhases::lcp_up() {
  const LcpAgreement agreed = parts_.lcp.agreement();
  context_.peer_mru = agreed.peer_mru;
  context_.add(model::ConfigureLink{.open = true,
                                    .our_magic = agreed.our_magic,
                                    .peer_magic = agreed.peer_magic,
                                    .peer_mru = agreed.peer_mru,
                                    .send_acfc = agreed.send_acfc,
                                    .send_pfc = agreed.send_pfc});
  parts_.echoes.start(*parts_.settings, context_.now);
  if (!parts_.authentication.begin(parts_.lcp.auth_method(), *parts_.settings))
    return terminate(EndReason::auth_no_common_method);
  set_phase(LinkPhase::kAuthenticate);
  parts_.authentication.start(context_);
}

void LinkPhases::layer_down(PppProtocol layer, Event cause) {
  if (layer == PppProtocol::kLcp) return lcp_down(cause);
  if (layer == PppProtocol::kCcp) return ccp_down(cause);
  ncp_down(layer, cause);
}

void LinkPhases::lcp_down(Event cause) {
  const bool peer_ends = cause == Event::kRtr || cause == Event::kRxjMinus;
  const EndReason denied = parts_.authentication.denied();
  const bool logs_in = parts_.phase == LinkPhase::kAuthenticate || parts_.authentication.is_again();
  if (peer_ends && parts_.end_reason == EndReason::kNone)
    parts_.end_reason = cause == Event::kRxjMinus ? EndReason::code_rejected
                        : logs_in && denied != EndReason::kNone
                            ? denied  // it was refused, and does not want the other try
                            : EndReason::peer_disconnected;
  set_phase(parts_.end_reason == EndReason::kNone ? LinkPhase::kEstablish : LinkPhase::kTerminate);
  parts_.echoes.stop();
  leave_network();
  context_.add(model::ConfigureLink{.open = false});
  context_.peer_mru = MruOption::kDefault;
}

void LinkPhases::ccp_down(Event cause) {
  parts_.encryption.on_down();
  settle_networks();
  parts_.encryption.disarm(context_);
  if (cause == Event::kRtr) parts_.encryption.acknowledge_terminate(context_);
  if (cause == Event::kRtr || cause == Event::kRxjMinus)
    terminate(EndReason::mppe_closed);
  else if (!parts_.encryption.has_keys())
    renegotiate();
}

void LinkPhases::ncp_down(PppProtocol layer, Event cause) {
  settle_networks();
  NetworkProtocol* const ncp = parts_.networks.offered(layer);
  if (ncp == nullptr || (cause != Event::kRtr && cause != Event::kRxjMinus)) return;
  if (parts_.networks.link_lives_without(*ncp)) return;
  if (cause == Event::kRtr) {
    ncp->acknowledge_terminate(context_);
    terminate(EndReason::peer_disconnected);
  } else {
    terminate(parts_.networks.end_reason_without(*ncp, ncp->rejected_reason()));
  }
}

void LinkPhases::layer_finished(PppProtocol layer, EndReason reason) {
  if (layer == PppProtocol::kLcp) return end_now(reason);
  if (layer == PppProtocol::kCcp) {
    if (!parts_.encryption.is_settled())
      encryption_refused(reason == EndReason::ccp_timeout ? reason : EndReason::mppe_refused);
    return;
  }
  const NetworkProtocol* const ncp = parts_.networks.offered(layer);
  if (ncp != nullptr && !parts_.networks.link_lives_without(*ncp))
    terminate(parts_.networks.end_reason_without(*ncp, reason));
  else
    settle_networks();
}

void LinkPhases::layer_failed(PppProtocol layer, EndReason reason) {
  if (layer == PppProtocol::kCcp) return encryption_refused(reason);
  NetworkProtocol* const ncp = parts_.networks.offered(layer);
  if (ncp == nullptr || ncp->need() != NetworkProtocol::Need::kOptional) return terminate(reason);
  ncp->close(context_);
  if (!parts_.is_ending() && !parts_.networks.link_lives_without(*ncp))
    return terminate(parts_.networks.end_reason_without(*ncp, reason));
  settle_networks();
}

void LinkPhases::before_ccp_ack(const CompressionAgreement& agreed) {
  parts_.encryption.arm(agreed, context_);
}

void LinkPhases::credentials(model::AuthRequest request) {
  request.peer = parts_.peer;
  parts_.authentication.ask(std::move(request), *parts_.settings, context_);
}

// The network phase begins before Success leaves: whatever the peer sends upon it is heard.
void LinkPhases::before_auth_success() {
  const auto granted = parts_.authentication.log_in();
  if (parts_.authentication.is_again()) return parts_.encryption.renew_keys(granted->grant);
  parts_.encryption.begin(granted->grant);
  parts_.mtu_limit = granted->network.mtu;
  parts_.networks.begin(granted->network, *parts_.settings);
  set_phase(LinkPhase::kNetwork);
}

// The peer knows; now ours.
void LinkPhases::authenticated() {
  if (parts_.authentication.is_again()) {
    parts_.authentication.end_again();
    if (parts_.phase == LinkPhase::kOpen) parts_.authentication.settle();
  } else if (!parts_.encryption.is_settled())
    parts_.encryption.negotiate(context_);
  else if (parts_.encryption.was_on())
    terminate(EndReason::mppe_closed);
  else
    start_networks();
}

}  // namespace pns::ppp
