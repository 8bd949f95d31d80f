// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/authorization_source.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "controlplane/process/radius_source.hpp"
#include "controlplane/runtime/wall_clock.hpp"

namespace pns::control {
namespace {

std::string_view hint(int error) noexcept {
  return error == EADDRINUSE      ? " (another program listens there; choose another port)"
         : error == EADDRNOTAVAIL ? " (no interface has the address)"
                                  : "";
}

aaa::AuthorizationNas names_of(const aaa::RadiusNas& nas,
                               const config::DynamicAuthorization& config) {
  aaa::AuthorizationNas names{.identifier = nas.identifier, .addresses = config.listen};
  if (nas.ipv4) names.addresses.emplace_back(*nas.ipv4);
  if (nas.ipv6) names.addresses.emplace_back(*nas.ipv6);
  return names;
}

aaa::AuthorizationSettings make_settings(const AuthorizationSource::Parts& parts,
                                         const config::DynamicAuthorization& config,
                                         std::vector<SecretText> secrets) {
  aaa::AuthorizationSettings settings;
  for (std::size_t i = 0; i < config.clients.size(); ++i) {
    const config::AuthorizationClient& client = config.clients[i];
    settings.clients.push_back({.network = client.network,
                                .secret = std::move(secrets[i]),
                                .rate = {.rate = client.rate, .burst = client.rate}});
  }
  settings.nas = names_of(parts.nas, config);
  settings.meanings = parts.meanings;
  settings.policy = config.message_authenticator == config::RadiusMessageAuthenticator::kRequire
                        ? radius::MessageAuthenticatorPolicy::kRequire
                        : radius::MessageAuthenticatorPolicy::kAccept;
  settings.requires_timestamp = config.event_timestamp == config::RadiusEventTimestamp::kRequire;
  settings.window = std::chrono::duration_cast<Seconds>(config.timestamp_window);
  return settings;
}

std::string to_text(radius::AttributeId id) {
  if (const auto* const known = radius::find_attribute(id)) return std::string(known->name);
  return id.vendor == radius::vendor::kIetf ? fmt::format("{}", id.number)
                                            : fmt::format("{}:{}", id.vendor, id.number);
}

}  // namespace

AuthorizationOpened open_authorization(const config::DynamicAuthorization& config, InUse in_use) {
  AuthorizationOpened opened;
  for (const config::AuthorizationClient& client : config.clients)
    opened.secrets.push_back(read_radius_secret(client.secret_file));
  for (const IpAddress& address : config.listen) {
    auto socket = DatagramSockets::open_at({address, config.port});
    if (!socket && socket.error().number == EADDRINUSE && in_use == InUse::kIsOurs) continue;
    if (!socket)
      throw std::runtime_error(fmt::format("aaa.radius.dynamic_authorization.listen: {}{}",
                                           socket.error().reason, hint(socket.error().number)));
    (is_ipv6(address) ? opened.ipv6 : opened.ipv4).push_back(std::move(*socket));
  }
  return opened;
}

AuthorizationSource::AuthorizationSource(const Parts& parts,
                                         const config::DynamicAuthorization& config,
                                         AuthorizationOpened opened)
    : loop_(parts.loop),
      sockets_(parts.poller, std::move(opened.ipv4), std::move(opened.ipv6),
               [this](const IpEndpoint& source, std::uint16_t socket, Bytes datagram) {
                 authorization_.on_datagram(source, socket, datagram);
               }),
      authorization_(
          make_settings(parts, config, std::move(opened.secrets)), parts.sessions, parts.changer,
          {.send = [this](const IpEndpoint& client, std::uint16_t socket,
                          Bytes packet) { return sockets_.send(client, socket, packet); },
           .now = [this] { return loop_.now(); },
           .wall = wall_seconds,
           .refused = [this](const IpEndpoint& source,
                             const auto& refusal) { on_refused(source, refusal); }}) {}

void AuthorizationSource::on_refused(const IpEndpoint& source, const aaa::RequestRefusal& refusal) {
  // A retransmission is no news.
  if (refusal.reason == model::AuthorizationRefusal::in_progress) return;
  if (!refusals_.allow(loop_.now())) return;
  log::warn("authorization request refused",
            {{"client", source.to_string()},
             {"reason", model::name_of(refusal.reason)},
             {"attribute", refusal.attribute ? to_text(*refusal.attribute) : std::string()},
             {"suppressed", refusals_.take_suppressed()}});
}

}  // namespace pns::control
