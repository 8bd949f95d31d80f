// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusAuthenticator: an Authenticator that asks RADIUS servers: PAP, CHAP, MS-CHAPv1, MS-CHAPv2
// with change of password, and EAP that it relays. A conversation of several rounds stays with its
// server. Event-loop thread.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "controlplane/aaa/authenticator.hpp"
#include "controlplane/aaa/radius_client.hpp"
#include "controlplane/aaa/radius_messages.hpp"
#include "controlplane/aaa/realm_servers.hpp"

namespace pns::aaa {

class RadiusAuthenticator final : public Authenticator {
 public:
  using WallClock = std::function<std::chrono::sys_seconds()>;
  using AttributeCounts = std::deque<model::RadiusAttributeCounts>;

  struct Settings {
    RadiusNas nas{};
    RealmServers realms{};
    AttributeMeanings meanings{};
    Duration patience = Seconds(25);  // for the answer to one question
  };

  // `client` outlives this.
  RadiusAuthenticator(RadiusClient& client, Settings settings, WallClock wall);

  void authenticate(model::AuthRequest request, Done done) override;

  // Attributes of Access-Accepts that had no effect. Any thread, as long as this lives.
  [[nodiscard]] const AttributeCounts& attribute_counts() const noexcept {
    return attribute_counts_;
  }

 private:
  void count(const IgnoredAttributes& ignored);

  RadiusClient& client_;
  std::shared_ptr<const Settings> settings_;  // open questions need it too
  WallClock wall_;
  AttributeCounts attribute_counts_;  // as radius::kAttributes, then "other"
};

}  // namespace pns::aaa
