// SPDX-License-Identifier: BSD-3-Clause
//
// AuthenticatorSide: one authentication method, from the side that demands it. PAP, CHAP-MD5,
// MS-CHAP, MS-CHAPv2 and EAP differ in their packets; this is what a Link sees of them. Sans-I/O,
// one thread.
#pragma once

#include <optional>

#include "controlplane/model/auth.hpp"
#include "controlplane/ppp/context.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

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

  [[nodiscard]] virtual std::optional<TimePoint> deadline() const noexcept = 0;
  virtual void on_timer(Context& context) = 0;
};

}  // namespace pns::ppp
