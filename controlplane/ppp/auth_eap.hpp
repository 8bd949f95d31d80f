// SPDX-License-Identifier: BSD-3-Clause
//
// EAP, the authenticator (RFC 3748 §2): Identity, then one method, then Success or Failure. Methods
// are MD5-Challenge (§5.4) and EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2), offered in the
// configured order; a Nak chooses among those that are permitted and not refused yet. It ends here:
// AAA judges what is inside, as it does without EAP.
//
// We send no Notification; a Response to one is discarded. Sans-I/O.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/ppp/eap_side.hpp"
#include "controlplane/ppp/ms_chap_v2_exchange.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/wire/ppp_auth.hpp"

namespace pns::ppp {

class EapAuthenticator final : public EapSide {
 public:
  explicit EapAuthenticator(const LinkSettings& settings)
      : EapSide(settings), untried_(settings.eap), exchange_(settings) {}

  void start(Context& context) override;
  void on_packet(const wire::ControlPacket& packet, Context& context) override;
  void grant(const model::AuthGrant& grant, Context& context) override;
  void deny(const model::AuthDenial& denial, Context& context) override;
  void on_timer(Context& context) override;

 private:
  enum class Stage : std::uint8_t {
    kIdentity,    // Identity Request sent
    kOffered,     // first Request of a method sent: a Nak may come
    kDeciding,    // AAA thinks
    kConfirming,  // EAP-MSCHAPv2 Success Request sent
    kRetrying,    // EAP-MSCHAPv2 Failure Request sent: other credentials may come
    kRefusing,    // EAP-MSCHAPv2 Failure Request sent: whatever comes ends it
  };

  void on_identity(Bytes data, Context& context);
  void on_nak(Bytes types, Context& context);
  void on_md5(Bytes data, Context& context);
  void on_ms_chap_v2(Bytes data, Context& context);
  void offer_next(Context& context);
  void ask(std::optional<model::AuthRequest> request, Context& context);
  // A new Request with a new Identifier.
  void send_next(wire::EapType type, Bytes data, Context& context);
  void send_ms_chap_v2(wire::EapMsChapV2Code code, Bytes data, Context& context);

  std::vector<EapMethod> untried_;  // in order of preference, without the one in use
  Stage stage_ = Stage::kIdentity;
  wire::EapType type_ = wire::EapType::kIdentity;  // of the outstanding Request
  std::string identity_;
  std::array<std::byte, 16> md5_challenge_{};
  MsChapV2Exchange exchange_;
  std::uint8_t ms_identifier_ = 0;       // MS-CHAPv2-ID in force
  EndReason failed_ = EndReason::kNone;  // why the last try failed
};

}  // namespace pns::ppp
