// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/radius_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "pns/config/radius_attributes_reader.hpp"

namespace pns::config {
namespace {

constexpr std::pair<std::string_view, RadiusKind> kKinds[] = {
    {"authentication", RadiusKind::kAuthentication}, {"accounting", RadiusKind::kAccounting}};
constexpr std::pair<std::string_view, RadiusMessageAuthenticator> kMessageAuthenticators[] = {
    {"require", RadiusMessageAuthenticator::kRequire},
    {"accept", RadiusMessageAuthenticator::kAccept}};
constexpr std::pair<std::string_view, OnFullSpool> kOnFull[] = {
    {"refuse_new_calls", OnFullSpool::kRefuseNewCalls},
    {"drop_interims_first", OnFullSpool::kDropInterimsFirst}};
constexpr std::pair<std::string_view, RadiusEventTimestamp> kEventTimestamps[] = {
    {"require", RadiusEventTimestamp::kRequire}, {"accept", RadiusEventTimestamp::kAccept}};
constexpr std::size_t kMostServers = 16;
constexpr std::size_t kMostClients = 16;
constexpr std::size_t kMostListeners = 8;
constexpr std::size_t kLongestIdentifier = 253;  // octets of an attribute's value

// A server may run on this host.
Parsed<IpAddress> parse_server_address(std::string_view text) {
  return of_either_family([](auto ipv4) { return parse_host_address(ipv4, true); },
                          [](auto ipv6) -> Parsed<Ipv6Address> {
                            const auto loopback = Ipv6Address::parse(ipv6);
                            if (loopback && loopback->is_loopback()) return *loopback;
                            return parse_ipv6_host_address(ipv6);
                          })(text);
}

Parsed<std::string> parse_identifier(std::string_view text) {
  if (text.empty() || text.size() > kLongestIdentifier)
    return std::unexpected(
        fmt::format("'{}' does not have 1 to {} octets", text, kLongestIdentifier));
  return std::string(text);
}

RadiusServer read_server(const Section& item, Document& document) {
  RadiusServer server;
  item.require("address");
  item.require("secret_file");
  item.read("name", server.name, parse_identifier);
  item.read("address", server.address, parse_server_address);
  item.read("auth_port", server.auth_port, integer(1, 65535));
  item.read("accounting_port", server.accounting_port, integer(1, 65535));
  item.read_list("kind", server.kinds, one_of(kKinds));
  if (item.is_empty_list("kind"))
    document.error_at(item.path("kind"), "at least one kind is needed");
  item.read("secret_file", server.secret_file, file_beside(document));
  item.read("priority", server.priority, integer(0, 1000));
  item.read("weight", server.weight, integer(1, 1000));
  item.read("timeout", server.timeout, duration(Milliseconds(100), Milliseconds(10'000)));
  item.read("tries", server.tries, integer(1, 10));
  item.read("window", server.window, integer(8, 4096));
  item.read("status_server", server.status_server, one_of(kOnOrOff));
  return server;
}

void check_servers(const Section& section, Document& document,
                   const std::vector<RadiusServer>& servers) {
  const auto place = [&section](std::size_t index, const char* key) {
    return section.path(fmt::format("servers.{}.{}", index, key));
  };
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const RadiusServer& server = servers[i];
    if (server.does(RadiusKind::kAuthentication) && server.does(RadiusKind::kAccounting) &&
        server.auth_port == server.accounting_port)
      document.error_at(place(i, "accounting_port"), "is auth_port too");
    if (!server.name.empty() &&
        std::any_of(servers.begin(), servers.begin() + static_cast<std::ptrdiff_t>(i),
                    [&server](const RadiusServer& other) { return other.name == server.name; }))
      document.error_at(place(i, "name"), fmt::format("another server is {} too", server.name));
    for (std::size_t j = 0; j < i; ++j)
      for (const auto& [kind, port, key] :
           {std::tuple{RadiusKind::kAuthentication, &RadiusServer::auth_port, "auth_port"},
            std::tuple{RadiusKind::kAccounting, &RadiusServer::accounting_port, "accounting_port"}})
        if (server.does(kind) && server.address == servers[j].address &&
            server.*port == servers[j].*port && servers[j].does(kind))
          document.error_at(place(i, "address"),
                            fmt::format("{} has this address and {} too",
                                        section.path(fmt::format("servers.{}", j)), key));
  }
  if (servers.size() > kMostServers)
    document.error_at(section.path("servers"), fmt::format("more than {} servers", kMostServers));
}

void read_accounting(const Section& section, Document& document, RadiusAccounting& out) {
  section.read("interim_interval", out.interim_interval,
               duration(Milliseconds(60'000), Milliseconds(86'400'000)));
  section.read("spool_directory", out.spool_directory, file_beside(document));
  section.read("spool_megabytes", out.spool_megabytes, integer(8, 65'536));
  section.read("on_full", out.on_full, one_of(kOnFull));
}

// "192.0.2.10", "192.0.2.0/24", or the same of IPv6.
using ClientNetwork = std::variant<Ipv4Prefix, Ipv6Prefix>;
Parsed<ClientNetwork> parse_client_network(std::string_view text) {
  if (text.find('/') != std::string_view::npos)
    return of_either_family(parse_network, parse_ipv6_network)(text);
  const auto address = parse_server_address(text);
  if (!address) return std::unexpected(address.error());
  if (const auto* const ipv6 = std::get_if<Ipv6Address>(&*address)) return Ipv6Prefix{*ipv6, 128};
  return Ipv4Prefix{std::get<Ipv4Address>(*address), 32};
}

AuthorizationClient read_client(const Section& item, Document& document) {
  AuthorizationClient client;
  item.require("address");
  item.require("secret_file");
  item.read("address", client.network, parse_client_network);
  item.read("secret_file", client.secret_file, file_beside(document));
  item.read("rate", client.rate, integer(1, 100'000));
  return client;
}

void check_clients(const Section& section, Document& document, const DynamicAuthorization& read) {
  const auto listens = [&read](bool ipv6) {
    return std::ranges::any_of(read.listen,
                               [ipv6](const IpAddress& at) { return is_ipv6(at) == ipv6; });
  };
  for (std::size_t i = 0; i < read.clients.size(); ++i) {
    const auto& network = read.clients[i].network;
    const std::string place = section.path(fmt::format("clients.{}.address", i));
    for (std::size_t j = 0; j < i; ++j)
      if (read.clients[j].network == network)
        document.error_at(
            place, fmt::format("is {} too", section.path(fmt::format("clients.{}.address", j))));
    if (!read.listen.empty() && !listens(std::holds_alternative<Ipv6Prefix>(network)))
      document.error_at(place, "no address of this family is in listen");
  }
  if (read.clients.empty()) document.error_at(section.path("clients"), "must be given");
  if (read.clients.size() > kMostClients)
    document.error_at(section.path("clients"), fmt::format("more than {} clients", kMostClients));
}

void read_dynamic_authorization(const Section& section, Document& document,
                                DynamicAuthorization& out) {
  section.require("listen");
  section.read_list("listen", out.listen, parse_server_address);
  if (section.is_empty_list("listen") || out.listen.size() > kMostListeners)
    document.error_at(section.path("listen"), fmt::format("1 to {} addresses", kMostListeners));
  section.read("port", out.port, integer(1, 65535));
  for (const Section& item : section.list_sections("clients"))
    out.clients.push_back(read_client(item, document));
  check_clients(section, document, out);
  section.read("message_authenticator", out.message_authenticator, one_of(kMessageAuthenticators));
  section.read("event_timestamp", out.event_timestamp, one_of(kEventTimestamps));
  section.read("timestamp_window", out.timestamp_window,
               duration(Milliseconds(10'000), Milliseconds(3'600'000)));
}

void read_sources(const Section& section, Document& document, Radius& out) {
  std::vector<IpAddress> sources;
  section.read_list("source_addresses", sources, parse_server_address);
  for (const IpAddress& source : sources) {
    auto& place = is_ipv6(source) ? out.ipv6_source : out.ipv4_source;
    if (place)
      document.error_at(section.path("source_addresses"), "at most one address of each family");
    place = source;
  }
}

}  // namespace

void read_radius(const Section& section, const std::string& node_name, Document& document,
                 Radius& out) {
  section.require("servers");
  for (const Section& item : section.list_sections("servers"))
    out.servers.push_back(read_server(item, document));
  check_servers(section, document, out.servers);
  read_sources(section, document, out);
  out.nas_identifier = node_name;
  section.read("nas_identifier", out.nas_identifier, parse_identifier);
  section.read("message_authenticator", out.message_authenticator, one_of(kMessageAuthenticators));
  section.read("deadline", out.deadline, duration(Milliseconds(1'000), Milliseconds(29'000)));
  section.read("waiting", out.waiting, integer(1, 1'000'000));
  const Section dead = section.section("dead");
  dead.read("after", out.dead.after, duration(Milliseconds(1'000), Milliseconds(300'000)));
  dead.read("timeouts", out.dead.timeouts, integer(1, 1000));
  dead.read("probe_interval", out.dead.probe_interval,
            duration(Milliseconds(1'000), Milliseconds(300'000)));
  read_accounting(section.section("accounting"), document, out.accounting);
  read_radius_attributes(section, document, out.attributes);
  if (section.has("dynamic_authorization"))
    read_dynamic_authorization(section.section("dynamic_authorization"), document,
                               out.dynamic_authorization.emplace());
}

std::string_view name_of(RadiusKind value) noexcept {
  return kKinds[static_cast<std::size_t>(value)].first;
}
std::string_view name_of(RadiusMessageAuthenticator value) noexcept {
  return kMessageAuthenticators[static_cast<std::size_t>(value)].first;
}
std::string_view name_of(RadiusEventTimestamp value) noexcept {
  return kEventTimestamps[static_cast<std::size_t>(value)].first;
}
std::string_view name_of(OnFullSpool value) noexcept {
  return kOnFull[static_cast<std::size_t>(value)].first;
}

}  // namespace pns::config
