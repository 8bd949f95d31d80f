// SPDX-License-Identifier: BSD-3-Clause
//
// Encryption: whether one link encrypts: CCP (RFC 1962) with MPPE (RFC 3078), the start keys that
// authentication gave, and the policy. Network protocols wait until it is settled.
//
//  - ArmMppe comes before the CCP Configure-Ack that lets the peer encrypt.
//  - MPPE that was open is never given up for clear text, whatever the policy: the link ends
//    instead. may_be_off() says so.
//
// A part of Link, which tells it what the machines tell, and ends the link where it says that no
// other way is left. Sans-I/O, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/model/auth.hpp"
#include "controlplane/ppp/ccp.hpp"
#include "controlplane/ppp/compression.hpp"
#include "controlplane/ppp/context.hpp"
#include "controlplane/ppp/link_state.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

class Encryption {
 public:
  // `settings` must outlive this.
  explicit Encryption(const LinkSettings& settings) : ccp_(settings) {}
  Encryption(const Encryption&) = delete;
  Encryption& operator=(const Encryption&) = delete;

  // Why no account can have a link with this grant: the policies want encryption, and there is
  // none. kNone: one can.
  [[nodiscard]] EndReason refusal(const model::AuthGrant& grant) const noexcept;

  // The same for an account that logs in again on an open link, which stays encrypted or not.
  [[nodiscard]] EndReason refusal_again(const model::AuthGrant& grant) const noexcept;

  // ---- The network phase.
  // It begins. With usable keys CCP must be settled first.
  void begin(const model::AuthGrant& grant);
  // The account has logged in again. The armed keys stay in force. The new ones count from the next
  // opening of CCP on, as with the peer.
  void renew_keys(const model::AuthGrant& grant);
  // After begin(), unless encryption is settled: CCP opens.
  void negotiate(Context& context);
  // It ends, in two steps: CCP is back where it was before; data has been stopped, and MPPE with
  // it.
  void leave() noexcept;
  void forget_keys(Context& context);
  // A link that was taken over.
  void restore(const LinkSnapshot& snapshot, TimePoint now);
  void save(LinkSnapshot& snapshot) const;

  // Network protocols may open: CCP is open, or the link does without.
  [[nodiscard]] bool is_settled() const noexcept { return state_ != State::kPending; }
  // Ever: from then on there is no way back to clear text.
  [[nodiscard]] bool was_on() const noexcept { return was_on_; }
  // The peer may count MPPE as open.
  [[nodiscard]] bool is_armed() const noexcept { return armed_.has_value(); }
  [[nodiscard]] bool has_keys() const noexcept { return keys_.has_value(); }
  // CCP is open with this; null: data is in the clear.
  [[nodiscard]] const CompressionAgreement* in_force() const noexcept {
    return state_ == State::kOn && armed_ ? &*armed_ : nullptr;
  }

  // ---- What CCP tells.
  void on_up() noexcept;
  void on_down() noexcept { state_ = State::kPending; }
  // The Ack that must follow on_down(), by a Terminate-Request of the peer.
  void acknowledge_terminate(Context& context) { ccp_.acknowledge_terminate(context); }
  // Our Configure-Ack is about to leave.
  void arm(const CompressionAgreement& agreed, Context& context);
  void disarm(Context& context);

  // ---- The peer does not encrypt.
  // False: the link must end.
  [[nodiscard]] bool may_be_off() const noexcept;
  // CCP closes, and the link does without.
  void turn_off(Context& context);

  // Encrypted packets of the peer arrive and none opens: CCP is negotiated anew, which gives both
  // sides the start keys again. `opened`: a packet has opened since MPPE was armed last. False:
  // that has not helped before.
  [[nodiscard]] bool renegotiate(bool opened, Context& context);

  // ---- The machine.
  // Not spoken at all otherwise: policy off, or no keys to speak it with.
  [[nodiscard]] bool speaks_ccp() const noexcept { return ccp_.state() != ppp::State::kInitial; }
  void on_packet(const wire::ControlPacket& packet, Context& context) {
    ccp_.on_packet(packet, context);
  }
  void on_protocol_rejected(Context& context) {
    ccp_.on_protocol_rejected(EndReason::mppe_refused, context);
  }
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept { return ccp_.deadline(); }
  void on_timer(Context& context) { ccp_.on_timer(context); }
  // The link is open; see ControlProtocol::rest().
  void rest() noexcept { ccp_.rest(); }

 private:
  enum class State : std::uint8_t {
    kPending,  // CCP is being negotiated, or nobody is logged in
    kOn,       // CCP is open
    kOff,      // policy off, or policy prefer and the peer does not encrypt
  };

  [[nodiscard]] const LinkSettings& settings() const noexcept { return ccp_.settings(); }
  // The strengths that the configuration and the account permit, and those among them that the
  // grant has keys for.
  [[nodiscard]] MppeStrengths permitted(const model::AuthGrant& grant) const noexcept;
  [[nodiscard]] MppeStrengths usable(const model::AuthGrant& grant) const noexcept;

  Ccp ccp_;
  std::optional<model::MppeKeys> keys_;
  std::optional<CompressionAgreement> armed_;
  State state_ = State::kPending;
  bool rearmed_ = false;  // CCP was negotiated anew because nothing opened
  bool was_on_ = false;
  bool required_ = false;  // by the account
};

}  // namespace pns::ppp
