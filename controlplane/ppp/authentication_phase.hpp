// SPDX-License-Identifier: BSD-3-Clause
//
// AuthenticationPhase: the authentication of one link (RFC 1661 §3.5). It has the server's side of
// the method that LCP agreed on, the question to AAA with its time limit, and the account that has
// logged in. Once the link is open it keeps the account and the verdict that a peer may ask for
// again.
//
// One question to AAA is open at a time, because two answers could not be told apart. Credentials
// that come meanwhile wait; an answer to a question of an earlier authentication does not count.
//
// A part of Link, which decides about phases: it hears of verdicts as the machines' observer.
// Sans-I/O, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/model/auth.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/auth.hpp"
#include "controlplane/ppp/context.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

class AuthenticationPhase {
 public:
  // Rounds of one authentication. EAP-TLS with a long chain of certificates takes some 20.
  static constexpr unsigned kMaximumChallenges = 50;

  // A grant that the peer has not been told of.
  struct Granted {
    model::AuthGrant grant;
    model::NetworkParameters network;
  };

  // ---- The phase.
  // LCP is open. False: there is no method.
  [[nodiscard]] bool begin(model::AuthMethod method, const LinkSettings& settings);
  // The link is open, and the account that has logged in must do so again (RFC 1994 §2: a challenge
  // at any time). Data flows meanwhile. False: the method cannot, or it does so already.
  [[nodiscard]] bool begin_again(const LinkSettings& settings);
  [[nodiscard]] bool is_again() const noexcept { return again_; }
  void end_again() noexcept { again_ = false; }
  // After begin() or begin_again(): the first packet goes out.
  void start(Context& context) { side_->start(context); }
  // LCP has left Opened, or the link is over: nobody is logged in.
  void leave() noexcept;
  // The link is open: frees the memory of the authentication.
  void settle();
  // The account of a link that was taken over.
  void restore(const std::string& user, model::AuthMethod method);

  // ---- The peer.
  // The PPP protocol of the method, whose packets alone are looked at; 0: none. A link that was
  // taken over has no authenticator, and nothing to say to a late packet of its method.
  [[nodiscard]] std::uint16_t protocol() const noexcept;
  void on_packet(const wire::ControlPacket& packet, Context& context);
  // A Protocol-Reject of this protocol concerns an authentication that is under way.
  [[nodiscard]] bool speaks(std::uint16_t protocol) const noexcept;

  // ---- AAA.
  // The peer's credentials are complete: asks, or keeps the question until the open one is
  // answered.
  void ask(model::AuthRequest request, const LinkSettings& settings, Context& context);
  // An answer has come. False: no authentication waits for it.
  [[nodiscard]] bool take_answer(Context& context);
  // The answers, each after take_answer(). A challenge is passed on. False: the method has no
  // further round, or there were too many.
  [[nodiscard]] bool challenge(const model::AuthChallenge& challenge, Context& context);
  void grant(const model::AuthGrant& grant, const model::NetworkParameters& network,
             Context& context);
  // The observer hears auth_failed() where no other try follows.
  void deny(model::AuthDenial denial, Context& context);

  // The peer is about to be told of its success: the account has logged in.
  [[nodiscard]] std::unique_ptr<Granted> log_in();
  // Empty until then.
  [[nodiscard]] const std::string& user() const noexcept { return user_; }
  [[nodiscard]] model::AuthMethod method() const noexcept { return method_; }
  // The reason why the peer's last credentials were refused; kNone: they were not, or it has shown
  // others.
  [[nodiscard]] EndReason denied() const noexcept { return denied_; }

  // ---- Time.
  // The method's own timer.
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept;
  void on_timer(Context& context);
  // The time limit for AAA's answer. A late one is a failure, which the observer hears.
  [[nodiscard]] std::optional<TimePoint> answer_by() const noexcept { return answer_by_; }
  void on_answer_timer(Context& context);

 private:
  // While authenticating, and then to repeat its verdict: a VerdictRepeater once the link is open.
  std::unique_ptr<AuthenticatorSide> side_;
  std::unique_ptr<Granted> granted_;  // until the peer may be told; EAP waits for its confirmation
  std::unique_ptr<model::AuthRequest> held_question_;
  std::string user_;
  std::optional<TimePoint> answer_by_;
  unsigned challenges_ = 0;  // of this authentication
  bool again_ = false;       // the account logs in again on an open link
  bool question_open_ = false;
  bool question_stale_ = false;  // LCP has started over since: the answer does not count
  model::AuthMethod method_ = model::AuthMethod::kNone;
  EndReason denied_ = EndReason::kNone;
};

}  // namespace pns::ppp
