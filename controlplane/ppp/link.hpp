// SPDX-License-Identifier: BSD-3-Clause
//
// Link: one PPP link seen from the server (RFC 1661 §3): LCP, then authentication, then CCP with
// MPPE (RFC 3078), IPCP and, where a prefix was leased, IPV6CP (RFC 5072). It joins the protocol
// machines of this folder. Sans-I/O: each call returns the actions its caller
// (subscriber::CallControl) must perform, in order. One thread (the event loop); memory is bounded. Of
// network data only Router Solicitations come here: the dataplane forwards the rest.
//
// What keeps set-up free of waiting:
//  - the link is in its Network phase before CHAP Success leaves, so NCPs that follow it are heard;
//  - while MPPE is wanted, IPCP and IPV6CP are held until CCP is settled, and a peer's requests
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
#include "controlplane/ppp/ipcp.hpp"
#include "controlplane/ppp/ipv6cp.hpp"
#include "controlplane/ppp/lcp.hpp"
#include "controlplane/ppp/router_advertiser.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/random.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

// What `pns show` tells of a link.
struct LinkStatus {
  model::LinkPhase phase = model::LinkPhase::kDead;
  model::AuthMethod auth = model::AuthMethod::kNone;  // none until authenticated
  std::string user;                                   // the account; empty until authenticated
  std::string mppe = "none";                          // "mppe128-stateless", "mppe40-stateful", …
  Ipv4Address address;                                // the lease; unspecified until IPCP is open
  std::optional<Ipv6Prefix> ipv6_prefix;              // the lease; empty until IPV6CP is open
  std::uint16_t peer_mru = 1500;                      // octets
};

// A link whose peer may count it as up, as it must be known again after a restart of the control
// process. Plain data.
struct LinkSnapshot {
  // LCP or CCP was being negotiated anew: the next process begins with LCP. The rest does not count
  // then, but for mppe: whether the link was encrypted, and must be again.
  bool from_lcp = false;
  LcpAgreement lcp;
  std::string user;
  model::AuthMethod auth = model::AuthMethod::kNone;
  std::optional<MppeAgreement> mppe;  // absent: not encrypted
  // Start keys. Without them a CCP that the peer opens anew makes LCP start over: logging in again
  // gives new ones.
  std::optional<model::MppeKeys> keys;
  model::NetworkParameters network;
  struct InterfaceIds {
    std::uint64_t ours = 0;
    std::uint64_t peers = 0;
  };
  std::optional<InterfaceIds> ipv6{};  // absent: the peer may not count IPV6CP as open
};

class Link {
 public:
  static constexpr std::uint16_t kMppeOverhead = 4;  // octets of inner MTU (RFC 3078 §3)

  Link(const LinkSettings& settings, RandomSource& random, TimePoint now);
  // How the next process goes on with a link, should this one be killed now (docs/decisions/0013).
  enum class Resume : std::uint8_t {
    kNot,      // the peer cannot count it as up, or it is ending
    kAsOpen,   // what is below IPCP is agreed: a peer that misses an answer of IPCP asks again
    kFromLcp,  // LCP or CCP is being negotiated anew: the next process has neither state nor keys
  };

  // A link taken over after a restart. One to be resumed as open is open, and sends nothing; the
  // next echo is due an interval from now. One to be resumed from LCP waits for start().
  Link(const LinkSettings& settings, const LinkSnapshot& snapshot, RandomSource& random,
       TimePoint now);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // The call is up: LCP opens and its first Configure-Request goes out.
  [[nodiscard]] model::LinkActions start(TimePoint now);
  // What the dataplane was told may be lost, keys among it: LCP begins anew.
  [[nodiscard]] model::LinkActions start_over(TimePoint now);

  // One frame from the peer, beginning with FF 03 or with its protocol field, one or two octets.
  [[nodiscard]] model::LinkActions on_frame(Bytes ppp_frame, TimePoint now);

  // The answer to Authenticate. A grant comes with network parameters; without them the link ends
  // with no_address. An answer nobody waits for is ignored.
  [[nodiscard]] model::LinkActions on_auth_result(
      const model::AuthResult& result, const std::optional<model::NetworkParameters>& network,
      TimePoint now);

  // Instead of on_auth_result with a grant: accepted, but no address is free. Ends the link.
  [[nodiscard]] model::LinkActions on_no_address(TimePoint now);

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
  // What the peer was refused, should it leave by itself now: its last credentials, as long as it
  // has shown no others, or the link, which we have begun to end. kNone: nothing.
  [[nodiscard]] EndReason refused() const noexcept {
    if (denied_ != EndReason::kNone || end_reason_ == EndReason::peer_disconnected) return denied_;
    return end_reason_;
  }
  [[nodiscard]] LinkStatus status() const;
  // Octets of inner IP that fit into one frame to the peer, MPPE's overhead taken off.
  [[nodiscard]] std::uint16_t inner_mtu() const noexcept;
  // Data flows: from the moment our IPCP Configure-Ack is about to leave (OpenIpv4 was sent).
  [[nodiscard]] bool ipv4_flows() const noexcept { return ipv4_open_; }
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

  void set_phase(model::LinkPhase phase, Run& run);
  // ---- Frames by protocol.
  void on_lcp(const wire::ControlPacket& packet, Run& run);
  void on_ccp(const wire::PppFrame& frame, const wire::ControlPacket& packet, Run& run);
  void on_ncp(ControlProtocol& ncp, std::vector<std::byte>& held_request,
              const wire::ControlPacket& packet, Run& run);
  void on_protocol_reject(Bytes data, Run& run);
  void send_protocol_reject(const wire::PppFrame& frame, Run& run);
  // ---- What the machines tell (LayerObserver, by way of Run).
  void layer_up(Layer layer, Run& run);
  void layer_down(Layer layer, Event cause, Run& run);
  void layer_finished(Layer layer, EndReason reason, Run& run);
  void layer_failed(Layer layer, EndReason reason, Run& run);
  void before_ccp_ack(const MppeAgreement& agreed, Run& run);
  void credentials(model::AuthRequest request, Run& run);
  void before_auth_success(Run& run);
  void authenticated(Run& run);
  // ---- Steps.
  void start_authentication(Run& run);
  [[nodiscard]] bool gives_usable_keys(const model::AuthGrant& grant) const noexcept;
  void leave_network(Run& run);
  void start_ncps(Run& run);
  void start(ControlProtocol& ncp, std::vector<std::byte>& held_request, Run& run);
  void settle_networks(Run& run);
  void settle_ipv4(Run& run);
  void settle_ipv6(Run& run);
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
  void schedule_echo(TimePoint now);

  LinkSettings settings_;
  RandomSource& random_;
  model::LinkPhase phase_ = model::LinkPhase::kDead;
  EndReason end_reason_ = EndReason::kNone;  // set when the link is ending
  bool ended_ = false;

  Lcp lcp_;
  std::unique_ptr<AuthenticatorSide> auth_;  // while authenticating, and then to repeat its verdict
  Ccp ccp_;
  Ipcp ipcp_;
  Ipv6cp ipv6cp_;
  RouterAdvertiser advertiser_;
  RejectLimiter rejects_;

  // A question to AAA. While one is open no other is asked: its answer could not be told apart.
  bool question_open_ = false;
  bool question_stale_ = false;  // LCP has started over since: the answer does not count
  std::optional<model::AuthRequest> held_question_;
  std::optional<TimePoint> answer_by_;
  struct Granted {
    model::AuthGrant grant;
    model::NetworkParameters network;
  };
  std::optional<Granted> granted_;  // until the peer may be told; EAP waits for its confirmation
  EndReason denied_ = EndReason::kNone;  // see refused()

  std::string user_;
  model::AuthMethod auth_method_ = model::AuthMethod::kNone;
  std::optional<model::MppeKeys> keys_;
  std::optional<model::NetworkParameters> network_;
  Encryption encryption_ = Encryption::kPending;
  std::optional<MppeAgreement> armed_;
  bool rearmed_ = false;        // CCP was negotiated anew because nothing opened
  bool was_encrypted_ = false;  // ever: from then on there is no way back to clear text
  bool ipv4_open_ = false;      // OpenIpv4 was sent
  bool established_ = false;    // ever: from then on the peer may count the link as up
  std::optional<model::OpenIpv6> ipv6_open_;  // as it was sent
  // The peer's latest requests while NCPs are held.
  std::vector<std::byte> held_ipcp_request_;
  std::vector<std::byte> held_ipv6cp_request_;

  std::optional<TimePoint> echo_at_;
  std::uint8_t echo_identifier_ = 0;
  unsigned echoes_unanswered_ = 0;
};

}  // namespace pns::ppp
