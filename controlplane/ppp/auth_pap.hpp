// SPDX-License-Identifier: BSD-3-Clause
//
// PAP, the server's side (RFC 1334 §2): the peer sends name and password until it is answered. It
// has no challenge, no second try and gives no keys. Sans-I/O.
#pragma once

#include <cstdint>
#include <optional>

#include "controlplane/ppp/auth.hpp"
#include "controlplane/ppp/settings.hpp"

namespace pns::ppp {

class PapAuthenticator final : public AuthenticatorSide {
 public:
  explicit PapAuthenticator(const LinkSettings& settings) : settings_(settings) {}

  [[nodiscard]] wire::PppProtocol protocol() const noexcept override {
    return wire::PppProtocol::kPap;
  }
  [[nodiscard]] model::AuthMethod method() const noexcept override {
    return model::AuthMethod::kPap;
  }

  void start(Context& context) override;
  void on_packet(const wire::ControlPacket& packet, Context& context) override;
  void grant(const model::AuthGrant&, Context& context) override;
  void deny(const model::AuthDenial& denial, Context& context) override;
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept override { return request_by_; }
  void on_timer(Context& context) override;

 private:
  enum class Stage : std::uint8_t { kWaiting, kDeciding, kAccepted, kRefused };

  void send_verdict(Context& context) const;

  const LinkSettings& settings_;  // of the Link that owns this
  Stage stage_ = Stage::kWaiting;
  std::uint8_t identifier_ = 0;  // of the latest request
  std::optional<TimePoint> request_by_;
};

}  // namespace pns::ppp
