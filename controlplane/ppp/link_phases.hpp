// SPDX-License-Identifier: BSD-3-Clause
//
// LinkPhases: the phases of a link (RFC 1661 §3.2) during one event: Establish, Authenticate,
// Network, Open, Terminate, Dead. It hears what the machines tell, as their observer, and decides
// what comes next and when the link ends. Link makes one for each call from outside, and none lives
// longer. It has the actions of that call, in order.
//
// The set-up is free of waiting, because:
//  - the link is in its Network phase before CHAP Success leaves, so NCPs that follow it are heard;
//  - while MPPE is wanted, network protocols are held until CCP is settled, and a peer's requests
//    that come earlier are kept and answered then.
#pragma once

#include "controlplane/model/auth.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/context.hpp"
#include "controlplane/ppp/link_parts.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_protocol.hpp"

namespace pns::ppp {

class LinkPhases final : public LayerObserver {
 public:
  LinkPhases(LinkParts& parts, TimePoint now);
  LinkPhases(const LinkPhases&) = delete;
  LinkPhases& operator=(const LinkPhases&) = delete;

  // For the machines.
  [[nodiscard]] Context& context() noexcept { return context_; }
  // The end of the event. An open link is at rest then: its machines free what only a negotiation
  // needs.
  [[nodiscard]] model::LinkActions finish();

  // Dead → Establish.
  void establish();
  // Back to Establish, as a Configure-Request of ours on an open link makes it (RFC 1661 §4.1).
  void renegotiate();
  // → Terminate: Terminate-Request, and a bounded wait for its Ack. A link that is ending keeps its
  // first reason.
  void terminate(EndReason reason);
  // → Dead, without another word to the peer.
  void end_now(EndReason reason);
  // Lets data of each network protocol flow or stops it, and tells whether the link is open.
  void settle_networks();

  // ---- LayerObserver
  void layer_up(wire::PppProtocol layer) override;
  void layer_down(wire::PppProtocol layer, Event cause) override;
  void layer_finished(wire::PppProtocol layer, EndReason reason) override;
  void layer_failed(wire::PppProtocol layer, EndReason reason) override;
  void before_ccp_ack(const CompressionAgreement& agreed) override;
  void before_ncp_ack() override { settle_networks(); }
  void credentials(model::AuthRequest request) override;
  void before_auth_success() override;
  void authenticated() override;
  void auth_failed(EndReason reason) override { terminate(reason); }

 private:
  void set_phase(model::LinkPhase phase);
  void lcp_up();
  void lcp_down(Event cause);
  void ccp_down(Event cause);
  void ncp_down(wire::PppProtocol layer, Event cause);
  void start_networks();
  // Everything above LCP goes back to where it was before authentication.
  void leave_network();
  void encryption_refused(EndReason reason);

  LinkParts& parts_;
  model::LinkActions actions_;
  Context context_;
};

}  // namespace pns::ppp
