// SPDX-License-Identifier: BSD-3-Clause
//
// Link: one PPP link seen from the server (RFC 1661 §3). LCP opens first, then AuthenticationPhase,
// then Encryption (CCP with MPPE), then NetworkPhase (IPCP and, where a prefix was leased, IPV6CP).
// Link takes what comes from outside, finds the part that each frame is for, and has the timers of
// all parts. LinkPhases decides what comes next. Sans-I/O: each call returns the actions its caller
// (subscriber::Session) must perform, in order. One thread (the event loop); memory is bounded.
// Router Solicitations are the only network data here: the dataplane forwards the rest.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "controlplane/model/auth.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/authentication_phase.hpp"
#include "controlplane/ppp/context.hpp"
#include "controlplane/ppp/link_parts.hpp"
#include "controlplane/ppp/link_state.hpp"
#include "controlplane/ppp/network_protocol.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/random.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

class LinkPhases;

class Link {
 public:
  static constexpr unsigned kMaximumChallenges = AuthenticationPhase::kMaximumChallenges;

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

  // The session time of an open link is over, and the peer must log in again (RFC 2865 §5.29). Data
  // flows until it has failed, or has not answered. Empty: the link cannot ask it.
  [[nodiscard]] std::optional<model::LinkActions> log_in_again(TimePoint now);
  // It was asked, and there is no verdict yet.
  [[nodiscard]] bool logs_in_again() const noexcept { return parts_.authentication.is_again(); }

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
  void postpone_echo(TimePoint until) noexcept { parts_.echoes.postpone(until); }

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

  [[nodiscard]] model::LinkPhase phase() const noexcept { return parts_.phase; }
  // The reason of the end, should the peer leave by itself now: its last credentials were refused
  // and it has shown no others, or we have begun to end the link. kNone: neither.
  [[nodiscard]] EndReason refused() const noexcept {
    const EndReason denied = parts_.authentication.denied();
    if (denied != EndReason::kNone || parts_.end_reason == EndReason::peer_disconnected)
      return denied;
    return parts_.end_reason;
  }
  [[nodiscard]] LinkStatus status() const;
  // Octets of inner IP that fit into one frame to the peer, compression's overhead taken off.
  [[nodiscard]] std::uint16_t inner_mtu() const noexcept { return parts_.inner_mtu(); }
  // Data flows: from the moment our IPCP Configure-Ack is about to leave (OpenIpv4 was sent).
  [[nodiscard]] bool ipv4_flows() const noexcept { return parts_.networks.ipv4_flows(); }
  [[nodiscard]] Resume resume() const noexcept;
  // Empty when resume() is kNot.
  [[nodiscard]] std::optional<LinkSnapshot> snapshot() const;

 private:
  // ---- Frames by protocol.
  void on_control_frame(const wire::PppFrame& frame, const wire::ControlPacket& packet,
                        LinkPhases& phases);
  void on_lcp(const wire::ControlPacket& packet, LinkPhases& phases);
  void on_ncp(NetworkProtocol& ncp, const wire::ControlPacket& packet, LinkPhases& phases);
  void on_protocol_reject(Bytes data, LinkPhases& phases);
  void send_protocol_reject(const wire::PppFrame& frame, Context& context);
  // Takes the answer to an Authenticate. False: no authentication waits for it any more.
  [[nodiscard]] bool take_answer(Context& context);

  LinkParts parts_;
};

}  // namespace pns::ppp
