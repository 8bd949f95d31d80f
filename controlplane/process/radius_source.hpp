// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusSource: the RADIUS servers of the configuration as a source of accounts: sockets, client
// and authenticator, joined to the event loop and to the log. RadiusOpened is what root opens for
// it.
//
// Event-loop thread only.
#pragma once

#include <filesystem>
#include <vector>

#include "controlplane/aaa/radius_authenticator.hpp"
#include "controlplane/aaa/radius_client.hpp"
#include "controlplane/runtime/datagram_sockets.hpp"
#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/runtime/socket_poller.hpp"
#include "pns/base/random.hpp"
#include "pns/base/secret.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/log/log.hpp"

namespace pns::control {

// The first line of the file. Throws std::runtime_error with the reason.
[[nodiscard]] SecretText read_radius_secret(const std::filesystem::path& file);
// The shared secrets, in the order of the servers. Throws std::runtime_error with the reason.
[[nodiscard]] std::vector<SecretText> read_radius_secrets(const config::Radius& config);

struct RadiusOpened {
  std::vector<SecretText> secrets;
  std::vector<UniqueFd> ipv4;
  std::vector<UniqueFd> ipv6;
  aaa::RadiusNas nas;
};
// Throws std::runtime_error with the reason.
[[nodiscard]] RadiusOpened open_radius(const config::Radius& config);

class RadiusSource {
 public:
  // All but `config` and `opened` outlive this.
  RadiusSource(EventLoop& loop, SocketPoller& poller, RandomSource& random,
               const config::Aaa& config, RadiusOpened opened);

  void start() { sockets_.start(); }
  // No answer is taken any more.
  void stop() noexcept { sockets_.stop(); }

  [[nodiscard]] aaa::Authenticator& authenticator() noexcept { return authenticator_; }
  [[nodiscard]] aaa::RadiusClient& client() noexcept { return client_; }
  // Any thread.
  [[nodiscard]] const aaa::RadiusAuthenticator::AttributeCounts& attribute_counts() const noexcept {
    return authenticator_.attribute_counts();
  }
  [[nodiscard]] const aaa::RadiusNas& nas() const noexcept { return nas_; }
  [[nodiscard]] const aaa::RealmServers& realms() const noexcept { return realms_; }

 private:
  class Transport final : public aaa::RadiusTransport {
   public:
    explicit Transport(DatagramSockets& sockets) noexcept : sockets_(sockets) {}
    [[nodiscard]] std::uint16_t socket_count(bool ipv6) const noexcept override {
      return sockets_.count(ipv6);
    }
    [[nodiscard]] bool send(const IpEndpoint& server, std::uint16_t socket, Bytes packet) override {
      return sockets_.send(server, socket, packet);
    }

   private:
    DatagramSockets& sockets_;
  };

  void on_changed(const model::RadiusServerCounts& server, model::RadiusState state);
  void on_discarded(const model::RadiusServerCounts& server, model::RadiusDiscard reason);

  EventLoop& loop_;
  DatagramSockets sockets_;
  Transport transport_{sockets_};
  Timer timer_;
  aaa::RadiusNas nas_;
  aaa::RealmServers realms_;
  log::RateLimit discards_{10, Seconds(60)};
  aaa::RadiusClient client_;
  aaa::RadiusAuthenticator authenticator_;
};

}  // namespace pns::control
