// SPDX-License-Identifier: BSD-3-Clause
//
// Link: one PPP link seen from the server (RFC 1661 §3): LCP, then authentication, then CCP with
// MPPE (RFC 3078), then a list of network control protocols: IPCP and, where a prefix was leased,
// IPV6CP (RFC 5072). It joins the protocol machines of this folder. Sans-I/O: each call returns the
// actions its caller (subscriber::Session) must perform, in order. One thread (the event loop);
// memory is bounded. Router Solicitations are the only network data here: the dataplane forwards
// the rest.
//
// The set-up is free of waiting, because:
//  - the link is in its Network phase before CHAP Success leaves, so NCPs that follow it are heard;
//  - while MPPE is wanted, network protocols are held until CCP is settled, and a peer's requests
//    that come earlier are kept and answered then;
//  - ArmMppe comes before the CCP Configure-Ack that lets the peer encrypt.
// MPPE that was open is never given up for clear text, whatever the policy: the link ends instead.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/auth.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/auth.hpp"
#include "controlplane/ppp/ccp.hpp"
#include "controlplane/ppp/lcp.hpp"
#include "controlplane/ppp/link_state.hpp"
#include "controlplane/ppp/network_protocol.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/random.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

class Link {
 public:
  // Rounds of one authentication. EAP-TLS with a long chain of certificates takes some 20.
  static constexpr unsigned kMaximumChallenges = 50;
  // Octets of inner MTU.
  static constexpr std::uint16_t kMppeOverhead = MppeAgreement::kOverhead;

  // `peer`: outer address of the subscriber, for AuthRequest.
  Link(std::shared_ptr<const LinkSettings> settings, Ipv4Address peer, RandomSource& random,
       TimePoint now);
  // How the next process goes on with a link, should this one be killed now (docs/decisions/0013).
  enum class Resume : std::uint8_t {
    kNot,      // the peer cannot count it as up, or it is ending
    kAsOpen,   // what is below IPCP is agreed: a peer that misses an answer of IPCP asks again
    kFromLcp,  // LCP or CCP is being negotiated anew: the next process has neither state nor keys
  };

  // A link taken over after a restart. One to be resumed as open is open, and sends nothing; the
  // next echo is due an interval from now. One to be resumed from LCP waits for start().
  Link(std::shared_ptr<const LinkSettings> settings, Ipv4Address peer, const LinkSnapshot& snapshot,
       RandomSource& random, TimePoint now);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // The call is up: LCP opens and its first Configure-Request goes out.
  [[nodiscard]] model::LinkActions start(TimePoint now);
  // Commands to the dataplane may be lost, keys among them: LCP begins anew.
  [[nodiscard]] model::LinkActions start_over(TimePoint now);

  // One frame from the peer, beginning with FF 03 or with its protocol field, one or two octets.
  [[nodiscard]] model::LinkActions on_frame(Bytes ppp_frame, TimePoint now);

  // The answer to Authenticate. A grant comes with network parameters; without them the link ends
  // with no_address. A challenge is passed on to the peer, at most kMaximumChallenges times; its
  // answer becomes another Authenticate. An answer nobody waits for is ignored.
  [[nodiscard]] model::LinkActions on_auth_result(
      const model::AuthResult& result, const std::optional<model::NetworkParameters>& network,
      TimePoint now);

  // Instead of on_auth_result with a grant: accepted, but the account cannot be served now (no
  // address is free, it has its share of sessions). Ends the link for this reason.
  [[nodiscard]] model::LinkActions on_grant_refused(EndReason reason, TimePoint now);

  // Sends an Echo-Request out of turn, which any peer that still has the link answers: an
  // implementation without LCP echo answers with Code-Reject. Nothing while LCP is not open.
  [[nodiscard]] model::LinkActions probe(TimePoint now);
  // No Echo-Request by timer before `until`.
  void postpone_echo(TimePoint until) noexcept {
    if (echo_at_ && *echo_at_ < until) echo_at_ = until;
  }

  // Encrypted packets of the peer arrive and none opens. CCP is negotiated anew, which gives both
  // sides the start keys again; the link ends with dead_data_path when that has not helped:
  // `opened` says whether a packet has opened since MPPE was armed last.
  [[nodiscard]] model::LinkActions on_path_dead(bool opened, TimePoint now);

  // Ends the link politely: Terminate-Request, bounded wait for its Ack, LinkEnded with this
  // reason. Data stops at once. A link that is ending keeps its first reason.
  [[nodiscard]] model::LinkActions close(EndReason reason, TimePoint now);

  // The earliest moment at which on_deadline must be called; empty when there is none.
  [[nodiscard]] std::optional<TimePoint> deadline() const;
  [[nodiscard]] model::LinkActions on_deadline(TimePoint now);

  [[nodiscard]] model::LinkPhase phase() const noexcept { return phase_; }
  // The reason of the end, should the peer leave by itself now: its last credentials were refused
  // and it has shown no others, or we have begun to end the link. kNone: neither.
  [[nodiscard]] EndReason refused() const noexcept {
    if (denied_ != EndReason::kNone || end_reason_ == EndReason::peer_disconnected) return denied_;
    return end_reason_;
  }
  [[nodiscard]] LinkStatus status() const;
  // Octets of inner IP that fit into one frame to the peer, compression's overhead taken off.
  [[nodiscard]] std::uint16_t inner_mtu() const noexcept;
  // Data flows: from the moment our IPCP Configure-Ack is about to leave (OpenIpv4 was sent).
  [[nodiscard]] bool ipv4_flows() const noexcept;
  [[nodiscard]] Resume resume() const noexcept;
  // Empty when resume() is kNot.
  [[nodiscard]] std::optional<LinkSnapshot> snapshot() const;

 private:
  class Run;  // one call from outside: the Context of the machines and the actions so far
  friend class Run;

  enum class Encryption : std::uint8_t {
    kPending,  // CCP is being negotiated: IPCP is held
    kOn,       // CCP is open
    kOff,      // policy off, or policy prefer and the peer does not encrypt
  };

  // The end of each call from outside. An open link is at rest: its machines free what only a
  // negotiation needs.
  [[nodiscard]] model::LinkActions finish(Run& run);
  void set_phase(model::LinkPhase phase, Run& run);
  // ---- Frames by protocol.
  void on_lcp(const wire::ControlPacket& packet, Run& run);
  void on_ccp(const wire::PppFrame& frame, const wire::ControlPacket& packet, Run& run);
  void on_ncp(NetworkProtocol& ncp, const wire::ControlPacket& packet, Run& run);
  void on_protocol_reject(Bytes data, Run& run);
  void send_protocol_reject(const wire::PppFrame& frame, Run& run);
  // ---- What the machines tell (LayerObserver, by way of Run).
  void layer_up(wire::PppProtocol layer, Run& run);
  void layer_down(wire::PppProtocol layer, Event cause, Run& run);
  void layer_finished(wire::PppProtocol layer, EndReason reason, Run& run);
  void layer_failed(wire::PppProtocol layer, EndReason reason, Run& run);
  void lcp_up(Run& run);
  void lcp_down(Event cause, Run& run);
  void ccp_down(Event cause, Run& run);
  void before_ccp_ack(const CompressionAgreement& agreed, Run& run);
  void credentials(model::AuthRequest request, Run& run);
  void before_auth_success(Run& run);
  void authenticated(Run& run);
  // The link is open: memory of the authentication is freed.
  void settle_authentication();
  // ---- Steps.
  void start_authentication(Run& run);
  void deny(model::AuthDenial denial, Run& run);
  [[nodiscard]] bool gives_usable_keys(const model::AuthGrant& grant) const noexcept;
  void leave_network(Run& run);
  void start_ncps(Run& run);
  void start(NetworkProtocol& ncp, Run& run);
  // Lets data of each network protocol flow or stops it, and tells whether the link is open.
  void settle_networks(Run& run);
  // The network phase begins: makes the machines that it needs and has not had before.
  void offer_networks(const model::NetworkParameters& network);
  // Whether the link stays when a protocol that is offered is not, or no longer, to be had.
  [[nodiscard]] bool lives_without(const NetworkProtocol& ncp) const noexcept;
  // The end of a link that does not: with the primary protocol rejected, that one's reason.
  [[nodiscard]] EndReason end_reason_without(const NetworkProtocol& ncp,
                                             EndReason reason) const noexcept;
  [[nodiscard]] bool knows(std::uint16_t control) const noexcept;
  // One of the protocols that are offered; null: none.
  [[nodiscard]] NetworkProtocol* offered(wire::PppProtocol control) noexcept;
  [[nodiscard]] NetworkProtocol* offered_for_data(std::uint16_t data) noexcept;
  // Network protocols may be open now: authenticated, encryption settled, not ending.
  [[nodiscard]] bool network_possible() const noexcept;
  void disarm(Run& run);
  void encryption_refused(EndReason reason, Run& run);
  // Takes the answer to an Authenticate. False: nobody waits for it any more.
  [[nodiscard]] bool take_answer(Run& run);
  void renegotiate(Run& run);
  void terminate(EndReason reason, Run& run);
  void end_now(EndReason reason, Run& run);
  void on_echo_timer(Run& run);
  void schedule_echo(TimePoint first);
  [[nodiscard]] Duration spread_interval();

  std::shared_ptr<const LinkSettings> shared_settings_;
  const LinkSettings& settings_;  // those
  RandomSource& random_;
  Ipv4Address peer_;
  model::LinkPhase phase_ = model::LinkPhase::kDead;
  EndReason end_reason_ = EndReason::kNone;  // set when the link is ending
  bool ended_ = false;

  Lcp lcp_;
  // While authenticating, and then to repeat its verdict: a VerdictRepeater once the link is open.
  std::unique_ptr<AuthenticatorSide> auth_;
  Ccp ccp_;
  // Those that were offered in some network phase. They stay when LCP starts over, so that no
  // Identifier is used again for another request.
  std::vector<std::unique_ptr<NetworkProtocol>> networks_;
  RejectLimiter rejects_;

  // A question to AAA. While one is open no other is asked: its answer could not be told apart.
  bool question_open_ = false;
  bool question_stale_ = false;  // LCP has started over since: the answer does not count
  unsigned challenges_ = 0;      // of this authentication
  std::unique_ptr<model::AuthRequest> held_question_;
  std::optional<TimePoint> answer_by_;
  struct Granted {
    model::AuthGrant grant;
    model::NetworkParameters network;
  };
  std::unique_ptr<Granted> granted_;  // until the peer may be told; EAP waits for its confirmation
  EndReason denied_ = EndReason::kNone;  // see refused()

  std::string user_;
  model::AuthMethod auth_method_ = model::AuthMethod::kNone;
  std::optional<model::MppeKeys> keys_;
  bool networks_offered_ = false;  // authenticated: networks_ know what to offer
  Encryption encryption_ = Encryption::kPending;
  std::optional<CompressionAgreement> armed_;
  bool rearmed_ = false;        // CCP was negotiated anew because nothing opened
  bool was_encrypted_ = false;  // ever: from then on there is no way back to clear text
  bool established_ = false;    // ever: from then on the peer may count the link as up

  std::optional<TimePoint> echo_at_;
  std::uint8_t echo_identifier_ = 0;
  unsigned echoes_unanswered_ = 0;
};

}  // namespace pns::ppp
