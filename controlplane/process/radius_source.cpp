// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/radius_source.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "controlplane/runtime/source_address.hpp"
#include "controlplane/runtime/wall_clock.hpp"

namespace pns::control {
namespace {

// Each address family that has a server gets so many. Each socket has 256 Identifiers, and a pair
// of socket and Identifier rests for 5 s after its answer: 3,276 logins a second of one server.
constexpr std::uint16_t kSockets = 64;
constexpr std::size_t kMaxSecret = 512;  // octets

[[noreturn]] void fail_secret(const std::filesystem::path& what, const std::string& reason) {
  throw std::runtime_error(what.string() + ": " + reason);
}

std::vector<IpEndpoint> endpoints_of(const config::Radius& config, bool ipv6) {
  std::vector<IpEndpoint> out;
  for (const config::RadiusServer& server : config.servers)
    if (is_ipv6(server.address) == ipv6) out.push_back({server.address, server.auth_port});
  return out;
}

std::vector<UniqueFd> open_sockets(const IpAddress& local) {
  auto sockets = DatagramSockets::open(local, kSockets);
  if (!sockets) throw std::runtime_error("aaa.radius.source_addresses: " + sockets.error());
  return std::move(*sockets);
}

// Servers see this as our address: the configured one, or that of the route to the first server.
std::optional<IpAddress> own_address(const config::Radius& config, bool ipv6) {
  if (const auto& source = ipv6 ? config.ipv6_source : config.ipv4_source) return source;
  const auto servers = endpoints_of(config, ipv6);
  return servers.empty() ? std::nullopt : source_towards(servers.front());
}

aaa::RadiusClientSettings make_settings(const config::Radius& config,
                                        const std::vector<SecretText>& secrets) {
  aaa::RadiusClientSettings settings;
  settings.max_waiting = config.waiting;
  settings.policy = config.message_authenticator == config::RadiusMessageAuthenticator::kRequire
                        ? radius::MessageAuthenticatorPolicy::kRequire
                        : radius::MessageAuthenticatorPolicy::kAccept;
  for (std::size_t i = 0; i < config.servers.size(); ++i) {
    const config::RadiusServer& server = config.servers[i];
    const auto add = [&](model::RadiusKind kind, std::uint16_t port) {
      settings.servers.push_back({.endpoint = {server.address, port},
                                  .kind = kind,
                                  .secret = secrets[i],
                                  .priority = server.priority,
                                  .weight = server.weight,
                                  .timeout = server.timeout,
                                  .tries = server.tries,
                                  .max_window = server.window,
                                  .health = {.count = config.dead.timeouts,
                                             .time = config.dead.after,
                                             .interval = config.dead.probe_interval,
                                             .probes = server.status_server}});
    };
    if (server.does(config::RadiusKind::kAuthentication))
      add(model::RadiusKind::kAuthentication, server.auth_port);
    if (server.does(config::RadiusKind::kAccounting))
      add(model::RadiusKind::kAccounting, server.accounting_port);
  }
  return settings;
}

// A server of the configuration is one of RadiusClient for each kind that it does: the indices are
// those of make_settings().
aaa::RealmServers make_realm_servers(const config::Aaa& config) {
  aaa::RealmServers out;
  std::size_t index = 0;
  for (const config::RadiusServer& server : config.radius->servers)
    for (const auto& [kind, asked] :
         {std::pair{config::RadiusKind::kAuthentication, model::RadiusKind::kAuthentication},
          std::pair{config::RadiusKind::kAccounting, model::RadiusKind::kAccounting}}) {
      if (!server.does(kind)) continue;
      for (const config::Realm& realm : config.realms)
        if (realm.has_server(server.name)) out.add(realm.name, asked, index);
      ++index;
    }
  return out;
}

}  // namespace

SecretText read_radius_secret(const std::filesystem::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) fail_secret(file, std::string("cannot open: ") + std::strerror(errno));
  std::array<std::byte, kMaxSecret + 2> octets{};
  const auto size = ::read(fd.get(), octets.data(), octets.size());
  const int error = errno;
  const auto end =
      std::find(octets.begin(), octets.begin() + std::max<ssize_t>(size, 0), std::byte{'\n'});
  Bytes line(octets.begin(), end);
  if (!line.empty() && line.back() == std::byte{'\r'}) line = line.first(line.size() - 1);
  SecretText secret(line);
  wipe(octets);
  if (size < 0) fail_secret(file, std::strerror(error));
  if (secret.empty() || secret.bytes().size() > kMaxSecret)
    fail_secret(file, "the first line must be a shared secret of 1 to 512 octets");
  return secret;
}

std::vector<SecretText> read_radius_secrets(const config::Radius& config) {
  std::vector<SecretText> secrets;
  for (const config::RadiusServer& server : config.servers)
    secrets.push_back(read_radius_secret(server.secret_file));
  return secrets;
}

RadiusOpened open_radius(const config::Radius& config) {
  RadiusOpened opened;
  opened.secrets = read_radius_secrets(config);
  if (!endpoints_of(config, false).empty())
    opened.ipv4 = open_sockets(config.ipv4_source.value_or(Ipv4Address()));
  if (!endpoints_of(config, true).empty())
    opened.ipv6 = open_sockets(config.ipv6_source.value_or(Ipv6Address()));
  opened.nas.identifier = config.nas_identifier;
  if (const auto address = own_address(config, false))
    opened.nas.ipv4 = std::get<Ipv4Address>(*address);
  if (const auto address = own_address(config, true))
    opened.nas.ipv6 = std::get<Ipv6Address>(*address);
  return opened;
}

RadiusSource::RadiusSource(EventLoop& loop, SocketPoller& poller, RandomSource& random,
                           const config::Aaa& config, RadiusOpened opened)
    : loop_(loop),
      sockets_(poller, std::move(opened.ipv4), std::move(opened.ipv6),
               [this](const IpEndpoint& source, std::uint16_t socket, Bytes datagram) {
                 client_.on_datagram(source, socket, datagram);
               }),
      timer_(loop.timers(), [this] { client_.on_deadline(); }),
      nas_(std::move(opened.nas)),
      realms_(make_realm_servers(config)),
      client_(
          make_settings(*config.radius, opened.secrets), transport_, random,
          [this] { return loop_.now(); }, [this](TimePoint at) { timer_.arm(at); },
          {.changed = [this](const auto& server, auto state) { on_changed(server, state); },
           .discarded = [this](const auto& server, auto reason) { on_discarded(server, reason); }}),
      authenticator_(client_,
                     {.nas = nas_,
                      .realms = realms_,
                      .meanings = aaa::AttributeMeanings(config.radius->attributes),
                      .patience = config.radius->deadline},
                     wall_time) {}

void RadiusSource::on_changed(const model::RadiusServerCounts& server, model::RadiusState state) {
  const std::string_view kind = model::name_of(server.kind);
  switch (state) {
    case model::RadiusState::kAlive:
      return log::info("RADIUS server alive", {{"server", server.name}, {"kind", kind}});
    case model::RadiusState::kSuspect:
      return log::warn("RADIUS server suspect", {{"server", server.name}, {"kind", kind}});
    case model::RadiusState::kDead:
      return log::error("RADIUS server dead", {{"server", server.name}, {"kind", kind}});
  }
}

void RadiusSource::on_discarded(const model::RadiusServerCounts& server,
                                model::RadiusDiscard reason) {
  if (!discards_.allow(loop_.now())) return;
  log::warn("RADIUS datagram discarded", {{"server", server.name},
                                          {"kind", model::name_of(server.kind)},
                                          {"reason", model::name_of(reason)},
                                          {"suppressed", discards_.take_suppressed()}});
}

}  // namespace pns::control
