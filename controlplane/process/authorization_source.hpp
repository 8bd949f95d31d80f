// SPDX-License-Identifier: BSD-3-Clause
//
// AuthorizationSource: dynamic authorization (RFC 5176) of the configuration: its sockets and
// aaa::DynamicAuthorization, joined to the log. AuthorizationOpened is what root opens for it.
//
// Event-loop thread only.
#pragma once

#include <vector>

#include "controlplane/aaa/authorized_sessions.hpp"
#include "controlplane/aaa/dynamic_authorization.hpp"
#include "controlplane/aaa/radius_call.hpp"
#include "controlplane/runtime/datagram_sockets.hpp"
#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/runtime/socket_poller.hpp"
#include "pns/base/secret.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/log/log.hpp"

namespace pns::control {

struct AuthorizationOpened {
  std::vector<SecretText> secrets;  // in the order of the clients
  std::vector<UniqueFd> ipv4;
  std::vector<UniqueFd> ipv6;
};

// An address that is in use.
enum class InUse : std::uint8_t { kRefuse, kIsOurs };

// Throws std::runtime_error with the reason.
[[nodiscard]] AuthorizationOpened open_authorization(const config::DynamicAuthorization& config,
                                                     InUse in_use = InUse::kRefuse);

class AuthorizationSource {
 public:
  struct Parts {
    EventLoop& loop;
    SocketPoller& poller;
    aaa::AuthorizedSessions& sessions;
    aaa::ServiceChanger& changer;
    const aaa::RadiusNas& nas;
    aaa::AttributeMeanings meanings{};
  };

  // All that the references of `parts` name outlives this, but for `nas`.
  AuthorizationSource(const Parts& parts, const config::DynamicAuthorization& config,
                      AuthorizationOpened opened);

  void start() { sockets_.start(); }
  // No request is taken any more.
  void stop() noexcept { sockets_.stop(); }

  [[nodiscard]] const aaa::DynamicAuthorization& authorization() const noexcept {
    return authorization_;
  }

 private:
  void on_refused(const IpEndpoint& source, const aaa::RequestRefusal& refusal);

  EventLoop& loop_;
  DatagramSockets sockets_;
  log::RateLimit refusals_{10, Seconds(60)};
  aaa::DynamicAuthorization authorization_;
};

}  // namespace pns::control
