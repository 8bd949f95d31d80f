// SPDX-License-Identifier: BSD-3-Clause
//
// LinkParts: all that one link keeps between two events: its phase, the reason of its end, and the
// part for each layer. Plain data with the few questions that need more than one part. Link owns
// it; LinkPhases changes it. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/authentication_phase.hpp"
#include "controlplane/ppp/context.hpp"
#include "controlplane/ppp/echoes.hpp"
#include "controlplane/ppp/encryption.hpp"
#include "controlplane/ppp/lcp.hpp"
#include "controlplane/ppp/network_phase.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/random.hpp"

namespace pns::ppp {

struct LinkParts {
  LinkParts(std::shared_ptr<const LinkSettings> of, Ipv4Address subscriber, RandomSource& source)
      : settings(std::move(of)),
        random(source),
        peer(subscriber),
        lcp(*settings),
        encryption(*settings),
        rejects(settings->rejects_per_second) {}

  // RFC 1661 §3.6. CCP and the network protocols are heard.
  [[nodiscard]] bool in_network_phase() const noexcept {
    return phase == model::LinkPhase::kNetwork || phase == model::LinkPhase::kOpen;
  }
  // Network protocols may be open now: authenticated, encryption settled, not ending.
  [[nodiscard]] bool network_possible() const noexcept {
    return encryption.is_settled() && networks.has_begun() && !ended &&
           phase != model::LinkPhase::kTerminate;
  }
  [[nodiscard]] bool is_ending() const noexcept { return ended || end_reason != EndReason::kNone; }
  // Octets of inner IP that fit into one frame to the peer, compression's overhead taken off, and
  // that the account may have.
  [[nodiscard]] std::uint16_t inner_mtu() const noexcept {
    const CompressionAgreement* const agreed = encryption.in_force();
    const auto fits = static_cast<std::uint16_t>(std::min(settings->mru, lcp.agreement().peer_mru) -
                                                 (agreed != nullptr ? agreed->overhead() : 0));
    return mtu_limit == 0 ? fits : std::min(fits, mtu_limit);
  }

  std::shared_ptr<const LinkSettings> settings;
  RandomSource& random;
  Ipv4Address peer;  // outer address of the subscriber
  model::LinkPhase phase = model::LinkPhase::kDead;
  EndReason end_reason = EndReason::kNone;  // set when the link is ending
  bool ended = false;
  std::uint16_t mtu_limit = 0;  // NetworkParameters::mtu, of the account that has logged in

  Lcp lcp;
  AuthenticationPhase authentication;
  Encryption encryption;
  NetworkPhase networks;
  Echoes echoes;
  RejectLimiter rejects;
};

}  // namespace pns::ppp
