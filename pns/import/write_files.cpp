// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "pns/import/imported_server.hpp"

namespace pns::import {
namespace {

// A YAML scalar in single quotes: nothing in it has a meaning.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c;
    if (c == '\'') out += c;
  }
  return out + "'";
}

std::string list(const std::vector<std::string>& values) {
  return "[" + fmt::format("{}", fmt::join(values, ", ")) + "]";
}
std::string quoted_list(const std::vector<std::string>& values) {
  std::vector<std::string> all;
  for (const auto& value : values) all.push_back(quoted(value));
  return list(all);
}

void write_pptp(const ImportedServer& server, std::string& out) {
  if (server.listen.empty() && !server.max_connections) return;
  out += "\npptp:\n";
  if (!server.listen.empty()) out += "  listen: " + quoted_list(server.listen) + "\n";
  if (server.max_connections)
    out += fmt::format("  max_connections: {}\n", *server.max_connections);
}

void write_ppp(const ImportedServer& server, std::string& out) {
  std::string ppp;
  if (server.mtu) ppp += fmt::format("  mtu: {}\n", *server.mtu);
  if (!server.auth.empty()) ppp += "  auth: " + list(server.auth) + "\n";
  ppp += "  mppe: {policy: " + (server.mppe.empty() ? "require" : server.mppe) + "}\n";
  if (server.echo_interval_s || server.echo_failures) {
    std::vector<std::string> echo;
    if (server.echo_interval_s)
      echo.push_back(fmt::format("interval: {}s", *server.echo_interval_s));
    if (server.echo_failures) echo.push_back(fmt::format("failures: {}", *server.echo_failures));
    ppp += fmt::format("  lcp_echo: {{{}}}\n", fmt::join(echo, ", "));
  }
  if (!server.dns.empty()) ppp += "  dns: " + quoted_list(server.dns) + "\n";
  if (!server.wins.empty()) ppp += "  wins: " + quoted_list(server.wins) + "\n";
  if (!ppp.empty()) out += "\nppp:\n" + ppp;
}

void write_pools(const ImportedServer& server, std::string& out) {
  out += "\npools:\n";
  for (const auto& [name, pool] : server.pools) {
    out += fmt::format("  {}:\n    ranges: {}\n", quoted(name), quoted_list(pool.ranges));
    if (!pool.next.empty()) out += "    next: " + quoted(pool.next) + "\n";
    if (!pool.gateway.empty()) out += fmt::format("    gateway: {}\n", quoted(pool.gateway));
    if (!pool.ipv6_prefixes.empty())
      out += "    ipv6_prefixes: " + quoted_list(pool.ipv6_prefixes) + "\n";
    if (!pool.delegated_prefixes.empty())
      out += fmt::format("    delegated_prefixes: {}\n    delegated_length: {}\n",
                         quoted_list(pool.delegated_prefixes), pool.delegated_length);
  }
}

void write_radius(const ImportedServer& server, std::string& out, std::vector<OutputFile>& files) {
  out += "  radius:\n";
  if (!server.nas_identifier.empty())
    out += "    nas_identifier: " + quoted(server.nas_identifier) + "\n";
  out += "    servers:\n";
  for (std::size_t i = 0; i < server.radius.size(); ++i) {
    const ImportedRadiusServer& each = server.radius[i];
    const std::string file = fmt::format("radius-{}.secret", i + 1);
    files.push_back({file, each.secret + "\n", true});
    std::vector<std::string> kinds;
    if (each.auth_port != 0) kinds.emplace_back("authentication");
    if (each.accounting_port != 0) kinds.emplace_back("accounting");
    out += fmt::format("      - address: {}\n        secret_file: {}\n        kind: {}\n",
                       quoted(each.address), file, list(kinds));
    if (each.auth_port != 0) out += fmt::format("        auth_port: {}\n", each.auth_port);
    if (each.accounting_port != 0)
      out += fmt::format("        accounting_port: {}\n", each.accounting_port);
    if (each.weight) out += fmt::format("        weight: {}\n", *each.weight);
    out += fmt::format("        priority: {}\n", each.backup ? 2 : 1);
  }
  if (server.interim_interval_s)
    out += fmt::format("    accounting: {{interim_interval: {}s}}\n", *server.interim_interval_s);
  if (server.authorization_listen.empty()) return;
  files.push_back({"radius-authorization.secret", server.authorization_secret + "\n", true});
  out += fmt::format("    dynamic_authorization:\n      listen: [{}]\n",
                     quoted(server.authorization_listen));
  if (server.authorization_port) out += fmt::format("      port: {}\n", *server.authorization_port);
  out += "      clients:\n";
  for (const ImportedRadiusServer& each : server.radius)
    out += fmt::format("        - {{address: {}, secret_file: radius-authorization.secret}}\n",
                       quoted(each.address));
}

std::string users_file(const ImportedServer& server) {
  std::string out =
      "# Secrets of subscribers: mode 0600. `pns hash-password` gives the hash to write "
      "instead.\n";
  if (server.users.empty()) out += "{}\n";
  for (const ImportedUser& user : server.users) {
    out += fmt::format("{}: {{{}: {}", quoted(user.name), user.is_nt_hash ? "nt_hash" : "password",
                       quoted(user.password));
    if (!user.address.empty())
      out += ", address: " + user.address;
    else if (!user.pool.empty())
      out += ", pool: " + quoted(user.pool);
    out += "}\n";
  }
  return out;
}

}  // namespace

std::vector<OutputFile> write_files(const ImportedServer& server, const std::string& from) {
  std::vector<OutputFile> files;
  std::string out = fmt::format(
      "# Made by `pns import {}`. docs/migration.md says what to look at before the first start.\n"
      "\nports:\n"
      "  access: {{device: \"xdp:eth0\"}}   # put the NIC that clients dial in by here\n",
      from);
  out += server.lan_addresses
             ? "  core: {device: \"xdp:eth1\"}     # the LAN's interface (docs/lan-addresses.md)\n"
             : "  core: {device: \"kernel:pns0\"}  # the host's own IP stack (docs/one-nic.md)\n";
  write_pptp(server, out);
  write_ppp(server, out);
  write_pools(server, out);
  const bool has_radius = !server.radius.empty() || server.needs_radius;
  const bool has_users = !server.users.empty() || !has_radius;
  std::vector<std::string> order;
  if (has_radius) order.emplace_back("radius");
  if (has_users) order.emplace_back("local");
  out += "\naaa:\n  order: " + list(order) + "\n";
  if (has_users) {
    out += "  local: {users_file: users.yaml}\n";
    files.push_back({"users.yaml", users_file(server), true});
  }
  if (!server.radius.empty()) write_radius(server, out, files);
  if (!server.metrics.empty()) out += "\nmetrics: {listen: " + quoted(server.metrics) + "}\n";
  files.insert(files.begin(), {"pns.yaml", std::move(out), false});
  return files;
}

}  // namespace pns::import
