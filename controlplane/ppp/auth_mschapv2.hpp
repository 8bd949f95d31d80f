// SPDX-License-Identifier: BSD-3-Clause
//
// MS-CHAPv2, the server's side (RFC 2759 over RFC 1994): Challenge, Response, Success or Failure.
// The response is judged by AAA, not here. No retry and no password change is offered. Sans-I/O.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/ppp/auth.hpp"
#include "controlplane/ppp/settings.hpp"

namespace pns::ppp {

class MsChapV2Authenticator final : public AuthenticatorSide {
 public:
  static constexpr std::size_t kMaximumName = 256;  // octets: a longer one is malformed

  explicit MsChapV2Authenticator(const LinkSettings& settings) : settings_(settings) {}

  [[nodiscard]] wire::PppProtocol protocol() const noexcept override {
    return wire::PppProtocol::kChap;
  }
  [[nodiscard]] model::AuthMethod method() const noexcept override {
    return model::AuthMethod::kMsChapV2;
  }

  void start(Context& context) override;
  void on_packet(const wire::ControlPacket& packet, Context& context) override;
  void grant(const model::AuthGrant& grant, Context& context) override;
  void deny(const model::AuthDenial& denial, Context& context) override;
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept override { return repeat_at_; }
  void on_timer(Context& context) override;

 private:
  enum class Stage : std::uint8_t { kIdle, kChallenged, kDeciding, kDecided };

  void send_challenge(Context& context);
  void send_verdict(Context& context) const;

  const LinkSettings& settings_;  // of the Link that owns this
  Stage stage_ = Stage::kIdle;
  std::uint8_t identifier_ = 0;
  std::array<std::byte, 16> challenge_{};
  unsigned challenges_sent_ = 0;
  std::optional<TimePoint> repeat_at_;
  wire::ChapCode verdict_ = wire::ChapCode::kFailure;
  std::string verdict_message_;
};

}  // namespace pns::ppp
