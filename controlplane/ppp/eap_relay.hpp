// SPDX-License-Identifier: BSD-3-Clause
//
// EAP, the pass-through authenticator (RFC 3748 §2.3, RFC 3579): asks for the identity, then
// carries the packets of the peer to AAA and those of AAA to the peer, whatever method they belong
// to. It repeats Requests, as RFC 3579 §2.1 wants it of a NAS. The verdict is AAA's; Success and
// Failure are made here, with the Identifier of the last Response. Sans-I/O.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/ppp/eap_side.hpp"

namespace pns::ppp {

class EapRelay final : public EapSide {
 public:
  explicit EapRelay(const LinkSettings& settings) : EapSide(settings) {}

  void start(Context& context) override;
  void on_packet(const wire::ControlPacket& packet, Context& context) override;
  // An EAP Request, whole. One that is none, or longer than the peer's MRU, refuses the peer.
  [[nodiscard]] bool challenge(const model::AuthChallenge& challenge, Context& context) override;
  void grant(const model::AuthGrant& grant, Context& context) override;
  void deny(const model::AuthDenial& denial, Context& context) override;
  void on_timer(Context& context) override;

 private:
  enum class Stage : std::uint8_t {
    kIdentity,  // our Identity Request sent
    kRelaying,  // a Request of AAA sent
    kDeciding,  // AAA has the peer's Response
  };

  Stage stage_ = Stage::kIdentity;
  std::string identity_;
  std::vector<std::byte> state_;  // of the last challenge
};

}  // namespace pns::ppp
