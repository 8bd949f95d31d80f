// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/realms_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "pns/config/words.hpp"

namespace pns::config {
namespace {

constexpr std::size_t kMaxRealms = 64;
constexpr std::size_t kMaxRealmName = 253;  // octets; a User-Name has no more (RFC 2865 §5)

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

bool is_realm_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kMaxRealmName && std::ranges::all_of(name, [](char c) {
    return c > ' ' && c != 0x7f && c != '@' && c != '\\';
  });
}

// A realm needs an order of sources, and servers that can decide.
void check_realm(const Section& section, Document& document, const Aaa& aaa, const Realm& realm) {
  if (section.is_empty_list("order"))
    document.error_at(section.path("order"), "at least one source of users is needed");
  const auto& order = realm.order.empty() ? aaa.order : realm.order;
  const bool asks_radius = std::ranges::find(order, AaaSource::kRadius) != order.end();
  if (!realm.servers.empty() && !asks_radius)
    document.error_at(section.path("servers"), "the order of this realm does not name radius");
  if (section.is_empty_list("servers"))
    document.error_at(section.path("servers"), "at least one server is needed");
  bool authenticates = realm.servers.empty();
  bool all_known = true;
  for (std::size_t i = 0; i < realm.servers.size(); ++i) {
    const RadiusServer* const server =
        aaa.radius ? aaa.radius->find_server(realm.servers[i]) : nullptr;
    all_known &= server != nullptr;
    if (server == nullptr)
      document.error_at(
          section.path(fmt::format("servers.{}", i)),
          fmt::format("no server of aaa.radius.servers has the name {}", realm.servers[i]));
    else
      authenticates |= server->does(RadiusKind::kAuthentication);
  }
  if (!authenticates && all_known && asks_radius)
    document.error_at(section.path("servers"), "none of these servers does authentication");
}

}  // namespace

void read_realms(const Section& aaa, Document& document, Aaa& out) {
  std::map<std::string, std::string> names;  // in small letters, and as they stand
  for (const auto& [name, section] : aaa.named_sections("realms")) {
    Realm realm{.name = name};
    if (!is_realm_name(name))
      document.error_at(
          section.path(),
          fmt::format("a realm's name has 1 to {} octets, without space, '@' and '\\'",
                      kMaxRealmName));
    if (const auto [known, is_new] = names.emplace(lower(name), name); !is_new)
      document.error_at(section.path(), fmt::format("is the realm {} too", known->second));
    section.read_list("order", realm.order, one_of(kAaaSources));
    section.read_list("servers", realm.servers, parse_text);
    section.read("strip", realm.strip, one_of(kTrueOrFalse));
    check_realm(section, document, out, realm);
    out.realms.push_back(std::move(realm));
  }
  if (out.realms.size() > kMaxRealms)
    document.error_at("aaa.realms", fmt::format("more than {} realms", kMaxRealms));
  aaa.read("default_realm", out.default_realm, parse_text);
  if (!aaa.has("default_realm")) return;
  if (out.default_realm == kOtherRealms || !names.contains(lower(out.default_realm)))
    document.error_at("aaa.default_realm",
                      fmt::format("there is no realm {} in aaa.realms", out.default_realm));
}

}  // namespace pns::config
