// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusAuthenticator: an Authenticator that asks RADIUS servers: PAP, CHAP, MS-CHAPv1, MS-CHAPv2
// with change of password, and EAP that it relays. A conversation of several rounds stays with its
// server. Event-loop thread.
#pragma once

#include <memory>
#include <utility>

#include "controlplane/aaa/authenticator.hpp"
#include "controlplane/aaa/radius_client.hpp"
#include "controlplane/aaa/radius_messages.hpp"

namespace pns::aaa {

class RadiusAuthenticator final : public Authenticator {
 public:
  // `client` outlives this. `patience`: for the answer to one question.
  RadiusAuthenticator(RadiusClient& client, RadiusNas nas, Duration patience)
      : client_(client),
        nas_(std::make_shared<const RadiusNas>(std::move(nas))),
        patience_(patience) {}

  void authenticate(model::AuthRequest request, Done done) override;

 private:
  RadiusClient& client_;
  std::shared_ptr<const RadiusNas> nas_;  // open questions need it too
  Duration patience_;
};

}  // namespace pns::aaa
