// SPDX-License-Identifier: BSD-3-Clause
//
// AuthenticatorSide: one authentication method, from the side that demands it. PAP, CHAP-MD5,
// MS-CHAP, MS-CHAPv2 and EAP differ in their packets; this is what a Link sees of them. Sans-I/O,
// one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "controlplane/model/auth.hpp"
#include "controlplane/ppp/context.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

// A verdict that a peer may ask for again: it repeats its last packet when our answer was lost.
struct SettledVerdict {
  wire::PppProtocol protocol;
  model::AuthMethod method = model::AuthMethod::kNone;
  std::uint8_t question_code = 0;  // of the peer's packet
  std::uint8_t identifier = 0;     // of that packet, and of the answer
  std::uint8_t answer_code = 0;
  std::vector<std::byte> answer;
};

class AuthenticatorSide {
 public:
  AuthenticatorSide() = default;
  AuthenticatorSide(const AuthenticatorSide&) = delete;
  AuthenticatorSide& operator=(const AuthenticatorSide&) = delete;
  virtual ~AuthenticatorSide() = default;

  // The PPP protocol whose packets belong here.
  [[nodiscard]] virtual wire::PppProtocol protocol() const noexcept = 0;
  [[nodiscard]] virtual model::AuthMethod method() const noexcept = 0;

  // LCP is open: the first packet goes out.
  virtual void start(Context& context) = 0;
  // Tells the observer credentials(), once for each try; auth_failed() when there is no other.
  // That and authenticated() may be the end of this object: nobody touches it after them.
  virtual void on_packet(const wire::ControlPacket& packet, Context& context) = 0;
  // The verdict on the credentials: tells the peer, now and whenever it asks again. Tells the
  // observer before_auth_success() and authenticated(), or auth_failed() unless another try
  // follows; at once, or when the peer has confirmed.
  virtual void grant(const model::AuthGrant& grant, Context& context) = 0;
  virtual void deny(const model::AuthDenial& denial, Context& context) = 0;
  // Instead of a verdict: passes the message on; the peer's answer becomes credentials() again.
  // False: the method has no further round, and nothing was done.
  [[nodiscard]] virtual bool challenge(const model::AuthChallenge& /*challenge*/,
                                       Context& /*context*/) {
    return false;
  }

  // After authenticated(), once the link is open: all that is still needed of this object. Empty:
  // the object itself.
  [[nodiscard]] virtual std::optional<SettledVerdict> settled() const { return std::nullopt; }

  [[nodiscard]] virtual std::optional<TimePoint> deadline() const noexcept = 0;
  virtual void on_timer(Context& context) = 0;
};

// In the place of a method's side that has done its work.
class VerdictRepeater final : public AuthenticatorSide {
 public:
  explicit VerdictRepeater(SettledVerdict verdict) : verdict_(std::move(verdict)) {}
  [[nodiscard]] wire::PppProtocol protocol() const noexcept override { return verdict_.protocol; }
  [[nodiscard]] model::AuthMethod method() const noexcept override { return verdict_.method; }
  void start(Context&) override {}
  void on_packet(const wire::ControlPacket& packet, Context& context) override {
    if (packet.code == verdict_.question_code && packet.identifier == verdict_.identifier)
      context.send(verdict_.protocol, verdict_.answer_code, verdict_.identifier, verdict_.answer);
  }
  void grant(const model::AuthGrant&, Context&) override {}
  void deny(const model::AuthDenial&, Context&) override {}
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept override { return std::nullopt; }
  void on_timer(Context&) override {}

 private:
  SettledVerdict verdict_;
};

}  // namespace pns::ppp
