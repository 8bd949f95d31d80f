// SPDX-License-Identifier: BSD-3-Clause
//
// CHAP, the server's side (RFC 1994 §4): Challenge, Response, Success or Failure. The three
// algorithms have ChapAuthenticator in common; an algorithm says what a challenge is, what a
// Response asks of AAA, and what the verdict's text is. The response is judged by AAA, not here.
//
// MS-CHAP adds another try on the same call: a Failure with R=1 carries a new challenge, and the
// Response to it has the Failure's Identifier plus one, as the Change-Password packet has (RFC 2759
// §7). A Response that repeats an Identifier is told the same again. Sans-I/O.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/ppp/auth.hpp"
#include "controlplane/ppp/ms_chap_v2_exchange.hpp"
#include "controlplane/ppp/settings.hpp"

namespace pns::ppp {

class ChapAuthenticator : public AuthenticatorSide {
 public:
  [[nodiscard]] wire::PppProtocol protocol() const noexcept final {
    return wire::PppProtocol::kChap;
  }

  void start(Context& context) final;
  void on_packet(const wire::ControlPacket& packet, Context& context) final;
  void grant(const model::AuthGrant& grant, Context& context) final;
  void deny(const model::AuthDenial& denial, Context& context) final;
  [[nodiscard]] std::optional<SettledVerdict> settled() const final;
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept final { return timer_; }
  void on_timer(Context& context) final;

 protected:
  explicit ChapAuthenticator(const LinkSettings& settings) : settings_(settings) {}

  // Draws the challenge; the body of the Challenge packet (§4.1).
  [[nodiscard]] virtual std::vector<std::byte> make_challenge(RandomSource& random) = 0;
  // The body of a Response. Error: why it is a failed one.
  [[nodiscard]] virtual std::expected<model::AuthRequest, EndReason> on_response(
      Bytes body, std::uint8_t identifier) = 0;
  // A packet of another code that is due: empty when it is none.
  [[nodiscard]] virtual std::optional<std::expected<model::AuthRequest, EndReason>> on_other_code(
      std::uint8_t /*code*/, Bytes /*body*/, std::uint8_t /*identifier*/) {
    return std::nullopt;
  }
  [[nodiscard]] virtual std::string success_text(const model::AuthGrant&) { return "OK"; }
  // The text, and whether other credentials may follow.
  struct Failure {
    std::string text;
    bool is_last = true;
  };
  [[nodiscard]] virtual Failure failure(const model::AuthDenial& denial, RandomSource& random) = 0;
  // Whether a Response may come now that one has failed (and not a Change-Password packet only).
  [[nodiscard]] virtual bool awaits_response() const noexcept { return true; }

  [[nodiscard]] const LinkSettings& settings() const noexcept { return settings_; }

 private:
  enum class Stage : std::uint8_t { kIdle, kChallenged, kDeciding, kRetrying, kDecided };

  void send_challenge(Context& context);
  void send_verdict(Context& context) const;

  const LinkSettings& settings_;  // of the Link that owns this
  Stage stage_ = Stage::kIdle;
  std::uint8_t identifier_ = 0;  // of the Challenge, then of the Response that is answered
  std::uint8_t answered_code_ = 0;
  std::vector<std::byte> challenge_body_;
  unsigned challenges_sent_ = 0;
  std::optional<TimePoint> timer_;
  EndReason failed_ = EndReason::kNone;  // why the last try failed
  wire::ChapCode verdict_ = wire::ChapCode::kFailure;
  std::string verdict_text_;
};

// CHAP with MD5 (RFC 1994). Needs passwords in the clear; gives no keys; has no second try.
class ChapMd5Authenticator final : public ChapAuthenticator {
 public:
  explicit ChapMd5Authenticator(const LinkSettings& settings) : ChapAuthenticator(settings) {}
  [[nodiscard]] model::AuthMethod method() const noexcept override {
    return model::AuthMethod::kChapMd5;
  }

 private:
  [[nodiscard]] std::vector<std::byte> make_challenge(RandomSource& random) override;
  [[nodiscard]] std::expected<model::AuthRequest, EndReason> on_response(
      Bytes body, std::uint8_t identifier) override;
  [[nodiscard]] Failure failure(const model::AuthDenial& denial, RandomSource&) override;

  std::array<std::byte, 16> challenge_{};
};

// MS-CHAPv1 (RFC 2433). LM responses fail; Change-Password packets (codes 5 and 6) are ignored.
class MsChapAuthenticator final : public ChapAuthenticator {
 public:
  explicit MsChapAuthenticator(const LinkSettings& settings) : ChapAuthenticator(settings) {}
  [[nodiscard]] model::AuthMethod method() const noexcept override {
    return model::AuthMethod::kMsChap;
  }

 private:
  [[nodiscard]] std::vector<std::byte> make_challenge(RandomSource& random) override;
  [[nodiscard]] std::expected<model::AuthRequest, EndReason> on_response(
      Bytes body, std::uint8_t identifier) override;
  [[nodiscard]] Failure failure(const model::AuthDenial& denial, RandomSource& random) override;

  std::array<std::byte, 8> challenge_{};
  unsigned retries_ = 0;
};

// MS-CHAPv2 (RFC 2759).
class MsChapV2Authenticator final : public ChapAuthenticator {
 public:
  explicit MsChapV2Authenticator(const LinkSettings& settings)
      : ChapAuthenticator(settings), exchange_(settings) {}
  [[nodiscard]] model::AuthMethod method() const noexcept override {
    return model::AuthMethod::kMsChapV2;
  }

 private:
  [[nodiscard]] std::vector<std::byte> make_challenge(RandomSource& random) override;
  [[nodiscard]] std::expected<model::AuthRequest, EndReason> on_response(
      Bytes body, std::uint8_t identifier) override;
  [[nodiscard]] std::optional<std::expected<model::AuthRequest, EndReason>> on_other_code(
      std::uint8_t code, Bytes body, std::uint8_t identifier) override;
  [[nodiscard]] std::string success_text(const model::AuthGrant& grant) override {
    return MsChapV2Exchange::success(grant);
  }
  [[nodiscard]] Failure failure(const model::AuthDenial& denial, RandomSource& random) override;
  [[nodiscard]] bool awaits_response() const noexcept override {
    return exchange_.awaits_response();
  }

  MsChapV2Exchange exchange_;
};

}  // namespace pns::ppp
