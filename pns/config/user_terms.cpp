// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/user_terms.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "pns/config/words.hpp"

namespace pns::config {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::size_t kMaxDns = 2;  // RFC 1877: a primary and a secondary
constexpr std::size_t kMaxIpv6Dns = 3;
constexpr auto kMaxTime = hours(24 * 366);
constexpr std::uint16_t kMinMtu = 576;  // octets (RFC 791 §3.1)
constexpr std::uint16_t kMaxMtu = 1500;
constexpr std::uint32_t kMaxSessions = 65'535;
constexpr std::size_t kMaxWins = 2;

constexpr std::pair<std::string_view, bool> kRequire[] = {{"require", true}};

Parsed<std::string> parse_filter_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxFilterName)
    return std::unexpected(fmt::format("a filter's name has 1 to {} octets", kMaxFilterName));
  return std::string(text);
}

Parsed<std::string> parse_group_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxRateGroupName)
    return std::unexpected(fmt::format("a group's name has 1 to {} octets", kMaxRateGroupName));
  return std::string(text);
}

void read_dns(Document& document, const Section& section, UserTerms& terms) {
  read_families(
      section, "dns", terms.dns, terms.ipv6_dns, [](auto text) { return parse_host_address(text); },
      [](auto text) { return parse_ipv6_host_address(text); });
  if (terms.dns.size() > kMaxDns)
    document.error_at(section.path("dns"), "at most two IPv4 servers");
  if (terms.ipv6_dns.size() > kMaxIpv6Dns)
    document.error_at(section.path("dns"), "at most three IPv6 servers");
}

// As of a RADIUS server (RFC 2869 §5.16): at least a minute, or no interim records.
Parsed<seconds> parse_interim(std::string_view text) {
  if (text == "0") return seconds(0);
  return duration(seconds(60), seconds(86'400))(text);
}

// One value for both directions, or a mapping with `up`, `down` or both.
template <class T, class Parser>
void read_directions(const Section& section, const char* key, T& up, T& down, Parser parser) {
  if (section.is_mapping(key)) {
    const Section directions = section.section(key);
    directions.read("up", up, parser);
    directions.read("down", down, parser);
    return;
  }
  section.read(key, up, parser);
  down = up;
}

// A burst is that of a rate. One value for both directions is for those that have a rate.
void check_bursts(Document& document, const Section& section, const UserTerms& terms) {
  if (!section.has("burst")) return;
  if (!section.is_mapping("burst")) {
    if (!terms.rate_up && !terms.rate_down)
      document.error_at(section.path("burst"), "has no meaning without a rate");
    return;
  }
  const Section bursts = section.section("burst");
  for (const auto& [key, burst, rate] : {std::tuple("up", &terms.burst_up, &terms.rate_up),
                                         std::tuple("down", &terms.burst_down, &terms.rate_down)})
    if (*burst && !*rate)
      document.error_at(bursts.path(key), "has no meaning without a rate of this direction");
}

}  // namespace

void read_user_terms(Document& document, const Section& section, LocalUser& user) {
  UserTerms& terms = user.terms;
  const auto time = duration(seconds(1), std::chrono::duration_cast<seconds>(kMaxTime));
  section.read("session_timeout", terms.session_timeout, time);
  section.read("idle_timeout", terms.idle_timeout, time);
  if (section.is_mapping("quota")) {
    const Section quota = section.section("quota");
    quota.read("up", terms.quota_up, parse_volume);
    quota.read("down", terms.quota_down, parse_volume);
    quota.read("total", terms.quota, parse_volume);
  } else {
    section.read("quota", terms.quota, parse_volume);
  }
  read_directions(section, "rate", terms.rate_up, terms.rate_down, parse_rate);
  read_directions(section, "burst", terms.burst_up, terms.burst_down, parse_volume);
  check_bursts(document, section, terms);
  section.read("rate_group", terms.rate_group, parse_group_name);
  read_directions(section, "filter", terms.filter_up, terms.filter_down, parse_filter_name);
  read_dns(document, section, terms);
  section.read_list("wins", terms.wins, [](auto text) { return parse_host_address(text); });
  if (terms.wins.size() > kMaxWins) document.error_at(section.path("wins"), "at most two servers");
  section.read("sessions", terms.sessions, integer(0, kMaxSessions));
  section.read("interim_interval", terms.interim_interval, parse_interim);
  section.read("mtu", terms.mtu, integer(kMinMtu, kMaxMtu));
  section.read("mppe", terms.mppe_required, one_of(kRequire));
  section.read_list("mppe_key_bits", terms.mppe_key_bits, one_of(kKeyBits));
  if (section.is_empty_list("mppe_key_bits"))
    document.error_at(section.path("mppe_key_bits"), "at least one strength is needed");
}

void check_user_terms(Document& document, const Config& config, const LocalUser& user) {
  if (user.terms.mppe_required && config.ppp.mppe.policy == MppePolicy::kOff)
    document.error_at(user.name + ".mppe", "cannot be served: ppp.mppe.policy is off");
  const auto& bits = user.terms.mppe_key_bits;
  const bool encrypted = user.terms.mppe_required || config.ppp.mppe.policy == MppePolicy::kRequire;
  if (encrypted && !bits.empty() &&
      std::ranges::find_first_of(bits, config.ppp.mppe.key_bits) == bits.end())
    document.error_at(user.name + ".mppe_key_bits",
                      "cannot be served: ppp.mppe.key_bits has none of these");
}

}  // namespace pns::config
