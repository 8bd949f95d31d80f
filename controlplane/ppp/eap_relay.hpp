// SPDX-License-Identifier: BSD-3-Clause
//
// EAP, the pass-through authenticator (RFC 3748 §2.3, RFC 3579): asks for the identity, then
// carries the packets of the peer to AAA and those of AAA to the peer, whatever method they belong
// to. It repeats Requests, as RFC 3579 §2.1 wants it of a NAS. The verdict is AAA's; Success and
// Failure are made here, with the Identifier of the last Response.
//
// One Request is outstanding at a time; a Response to another one is discarded. The last Response,
// repeated, is told the verdict again. Sans-I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/ppp/auth.hpp"
#include "controlplane/ppp/settings.hpp"

namespace pns::ppp {

class EapRelay final : public AuthenticatorSide {
 public:
  explicit EapRelay(const LinkSettings& settings) : settings_(settings) {}

  [[nodiscard]] wire::PppProtocol protocol() const noexcept override {
    return wire::PppProtocol::kEap;
  }
  [[nodiscard]] model::AuthMethod method() const noexcept override {
    return model::AuthMethod::kEap;
  }

  void start(Context& context) override;
  void on_packet(const wire::ControlPacket& packet, Context& context) override;
  // An EAP Request, whole. One that is none, or longer than the peer's MRU, refuses the peer.
  [[nodiscard]] bool challenge(const model::AuthChallenge& challenge, Context& context) override;
  void grant(const model::AuthGrant& grant, Context& context) override;
  void deny(const model::AuthDenial& denial, Context& context) override;
  [[nodiscard]] std::optional<SettledVerdict> settled() const override;
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept override { return timer_; }
  void on_timer(Context& context) override;

 private:
  enum class Stage : std::uint8_t {
    kIdentity,  // our Identity Request sent
    kRelaying,  // a Request of AAA sent
    kDeciding,  // AAA has the peer's Response
    kAccepted,  // EAP-Success sent
    kRefused,   // EAP-Failure sent
  };

  // A new Request.
  void send_request(std::uint8_t identifier, Bytes data, Duration repeat_after, Context& context);
  void repeat_request(Context& context);
  void refuse(EndReason reason, Context& context);
  void send_verdict(Context& context) const;

  const LinkSettings& settings_;  // of the Link that owns this
  Stage stage_ = Stage::kIdentity;
  std::uint8_t identifier_ = 0;     // of the outstanding Request, then of the last Response
  std::vector<std::byte> request_;  // its data, for repetition
  unsigned requests_sent_ = 0;
  Duration repeat_after_{};
  std::optional<TimePoint> timer_;
  std::string identity_;
  std::vector<std::byte> state_;  // of the last challenge
};

}  // namespace pns::ppp
