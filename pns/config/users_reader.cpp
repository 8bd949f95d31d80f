// SPDX-License-Identifier: BSD-3-Clause
//
// The users file: user → {password | nt_hash, address?, ipv6_prefix?, delegated_ipv6_prefix?,
// routes?, pool?, terms, groups?, disabled?, password_expired?}. user_terms.cpp reads the terms. No
// value of a secret is ever repeated in an error.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "pns/base/utf8.hpp"
#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"
#include "pns/config/source.hpp"
#include "pns/config/user_routes.hpp"
#include "pns/config/user_terms.hpp"

namespace pns::config {
namespace {

constexpr auto kKeys = std::to_array<std::string_view>({"*.password",
                                                        "*.nt_hash",
                                                        "*.address",
                                                        "*.ipv6_prefix",
                                                        "*.delegated_ipv6_prefix",
                                                        "*.routes",
                                                        "*.pool",
                                                        "*.rate",
                                                        "*.rate.up",
                                                        "*.rate.down",
                                                        "*.burst",
                                                        "*.burst.up",
                                                        "*.burst.down",
                                                        "*.rate_group",
                                                        "*.session_timeout",
                                                        "*.idle_timeout",
                                                        "*.quota",
                                                        "*.quota.up",
                                                        "*.quota.down",
                                                        "*.quota.total",
                                                        "*.filter",
                                                        "*.filter.up",
                                                        "*.filter.down",
                                                        "*.dns",
                                                        "*.wins",
                                                        "*.sessions",
                                                        "*.interim_interval",
                                                        "*.mtu",
                                                        "*.mppe",
                                                        "*.mppe_key_bits",
                                                        "*.groups",
                                                        "*.disabled",
                                                        "*.password_expired"});

Parsed<SecretText> parse_password(std::string_view text) {
  constexpr std::size_t kLongest = 256;  // RFC 2759 §8.3: 0 to 256 unicode characters
  if (text.empty() || text.size() > kLongest)
    return std::unexpected(fmt::format("must have 1 to {} octets", kLongest));
  if (!is_utf8(text))
    return std::unexpected(
        "is not UTF-8 (a file in Latin-1? iconv -f LATIN1 -t UTF-8 converts it)");
  return SecretText(text);
}

Parsed<bool> parse_truth(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return std::unexpected(fmt::format("'{}' is neither true nor false", text));
}

Parsed<Ipv6Prefix> parse_user_prefix(std::string_view text) {
  auto prefix = parse_ipv6_network(text);
  if (prefix && prefix->length != 64)
    return std::unexpected(fmt::format("{}: a /64 is needed", text));
  return prefix;
}

Parsed<Ipv6Prefix> parse_user_delegated(std::string_view text) {
  auto prefix = parse_ipv6_network(text);
  if (prefix && (prefix->length > 64 || !may_be_behind_subscriber(*prefix)))
    return std::unexpected(
        fmt::format("{}: a network of unicast addresses from /16 to /64 is needed", text));
  return prefix;
}

LocalUser read_user(Document& document, const std::string& name, const Section& section) {
  LocalUser user;
  user.name = name;
  if (name.empty() || name.size() > 256)
    document.error_at(section.path(), "a user's name has 1 to 256 octets");
  section.read("password", user.password, parse_password);
  section.read("nt_hash", user.nt_hash, parse_nt_hash);
  section.read("address", user.address, [](auto text) { return parse_host_address(text); });
  section.read("ipv6_prefix", user.ipv6_prefix, parse_user_prefix);
  section.read("delegated_ipv6_prefix", user.delegated_ipv6_prefix, parse_user_delegated);
  read_user_routes(document, section, user.routes);
  section.read("pool", user.pool, parse_text);
  read_user_terms(document, section, user);
  section.read_list("groups", user.groups, parse_text);
  section.read("disabled", user.disabled, parse_truth);
  section.read("password_expired", user.password_expired, parse_truth);
  if (section.has("password") == section.has("nt_hash"))
    document.error_at(section.path(), section.has("password")
                                          ? "has both password and nt_hash: one is enough"
                                          : "needs password or nt_hash");
  if (user.address && user.pool)
    document.error_at(section.path("pool"), "has no meaning beside a fixed address");
  return user;
}

// Two users cannot have one fixed address or prefix.
void check_duplicates(Document& document, const std::vector<LocalUser>& users) {
  std::map<Ipv4Address, std::string> owners;
  std::map<Ipv6Prefix, std::string> prefix_owners;
  const auto check = [&](auto& known, const auto& fixed, const char* key, const LocalUser& user) {
    if (!fixed) return;
    const auto [owner, is_new] = known.emplace(*fixed, user.name);
    if (!is_new)
      document.error_at(user.name + "." + key, fmt::format("{} is the {} of {} already",
                                                           fixed->to_string(), key, owner->second));
  };
  for (const LocalUser& user : users) {
    check(owners, user.address, "address", user);
    check(prefix_owners, user.ipv6_prefix, "ipv6_prefix", user);
  }
  check_user_routes(document, users);
}

// Whether somebody with nt_hash alone can come in by some method: CHAP with MD5, also inside EAP,
// needs the password, and so do MS-CHAPv1's keys below 128 bit (docs/decisions/0006).
bool nt_hash_is_enough(const Ppp& ppp) noexcept {
  const bool required = ppp.mppe.policy == MppePolicy::kRequire;
  const auto& bits = ppp.mppe.key_bits;
  return std::any_of(ppp.auth.begin(), ppp.auth.end(), [&](AuthMethod method) {
    switch (method) {
      case AuthMethod::kMsChapV2:
        return true;
      case AuthMethod::kEap:
        return std::find(ppp.eap.begin(), ppp.eap.end(), EapMethod::kMsChapV2) != ppp.eap.end();
      case AuthMethod::kMsChap:
        return !required || std::find(bits.begin(), bits.end(), 128) != bits.end();
      case AuthMethod::kPap:
        return !required;
      case AuthMethod::kChap:
        return false;
    }
    return false;
  });
}

// Why a subscriber cannot have this address: whose it is, in words.
std::vector<std::string> conflicts_of(const Config& config, Ipv4Address address) {
  std::vector<std::string> found;
  const auto check = [&](bool conflict, const std::string& whose) {
    if (conflict) found.push_back(fmt::format("{} is {}", address.to_string(), whose));
  };
  for (const auto& [name, pool] : config.pools)
    check(pool.gateway == address, fmt::format("the gateway of pool {}", name));
  for (const Ipv4Address listen : config.pptp.listen)
    check(listen == address, "an address of this server (pptp.listen)");
  for (const auto& [role, port] : named_ports(config)) {
    check(port->gateway == address, fmt::format("the gateway of ports.{}", role));
    for (const Route& route : port->routes)
      check(route.via == address, fmt::format("the next hop of a route of ports.{}", role));
    for (const Ipv4Prefix& own : port->addresses) {
      check(own.address == address,
            fmt::format("an address of this server (ports.{}.addresses)", role));
      if (!own.has_broadcast()) continue;
      check(own.network() == address,
            fmt::format("the network address of {} (ports.{}.addresses)", own.to_string(), role));
      check(own.last() == address,
            fmt::format("the broadcast address of {} (ports.{}.addresses)", own.to_string(), role));
    }
  }
  return found;
}

void check_against(Document& document, const Config& config, const std::vector<LocalUser>& users) {
  const bool needs_password = !nt_hash_is_enough(config.ppp);
  for (const LocalUser& user : users) {
    if (user.nt_hash && needs_password)
      document.error_at(user.name + ".nt_hash",
                        "is of no use: what ppp.auth and ppp.mppe permit needs the password");
    if (user.pool && !config.pools.contains(*user.pool))
      document.error_at(user.name + ".pool", fmt::format("there is no pool {}", *user.pool));
    for (const std::string& filter : {user.terms.filter_up, user.terms.filter_down})
      if (!filter.empty() && !config.filters.contains(filter))
        document.error_at(user.name + ".filter", fmt::format("there is no filter {}", filter));
    if (const std::string& group = user.terms.rate_group;
        !group.empty() && !config.rate_groups.contains(group))
      document.error_at(user.name + ".rate_group", fmt::format("there is no group {}", group));
    if (user.address)
      for (const std::string& conflict : conflicts_of(config, *user.address))
        document.error_at(user.name + ".address", conflict);
    if (user.ipv6_prefix)
      for (const auto& [role, port] : named_ports(config))
        for (const Ipv6Prefix& own : port->ipv6_addresses)
          if (user.ipv6_prefix->contains(own.address))
            document.error_at(user.name + ".ipv6_prefix",
                              fmt::format("holds {}, which is of ports.{}.addresses",
                                          own.address.to_string(), role));
    check_user_routes(document, config, user);
    check_user_terms(document, config, user);
  }
}

std::vector<LocalUser> read_text(Document& document, const std::string& text,
                                 const Config* config) {
  std::vector<LocalUser> users;
  const YAML::Node root = document.parse(text);
  const Section top(document, root);
  for (const auto& [name, section] : top.entries())
    users.push_back(read_user(document, name, section));
  check_duplicates(document, users);
  if (config != nullptr) check_against(document, *config, users);
  return users;
}

// `text`: of the file; wiped.
std::expected<std::vector<LocalUser>, std::vector<ConfigError>> read_users(
    const std::filesystem::path& file, Parsed<std::string> text, const Config* config,
    std::vector<ConfigError>* warnings) {
  Document document(file, kKeys);
  std::vector<LocalUser> users;
  if (!text) {
    document.error(0, "", std::move(text.error()));
  } else {
    users = read_text(document, *text, config);
    wipe_text(*text);
    if (auto warning = users_file_warning(file); warning && warnings != nullptr)
      warnings->push_back(std::move(*warning));
  }
  if (!document.ok()) return std::unexpected(document.take_errors());
  return users;
}

}  // namespace

std::expected<std::vector<LocalUser>, std::vector<ConfigError>> parse_users(
    const std::string& text, const std::filesystem::path& file, const Config* config) {
  Document document(file, kKeys);
  std::vector<LocalUser> users = read_text(document, text, config);
  if (!document.ok()) return std::unexpected(document.take_errors());
  return users;
}

std::expected<std::vector<LocalUser>, std::vector<ConfigError>> load_users(
    const std::filesystem::path& file, std::vector<ConfigError>* warnings) {
  return read_users(file, read_file(file), nullptr, warnings);
}

std::expected<std::vector<LocalUser>, std::vector<ConfigError>> load_users(
    const Config& config, std::vector<ConfigError>* warnings) {
  const std::filesystem::path& file = config.aaa.local.users_file;
  return read_users(file, read_file(file), &config, warnings);
}

std::expected<std::vector<LocalUser>, std::vector<ConfigError>> load_users(const Config& config,
                                                                           int fd) {
  return read_users(config.aaa.local.users_file, read_file(fd), &config, nullptr);
}

std::span<const std::string_view> known_user_keys() noexcept { return kKeys; }

}  // namespace pns::config
