// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/ppp_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "pns/config/words.hpp"

namespace pns::config {
namespace {

// RFC 3079 derives keys from MS-CHAP, also inside EAP. A RADIUS server has methods with keys.
bool gives_mppe_keys(AuthMethod method, const Ppp& ppp) noexcept {
  if (method == AuthMethod::kEap)
    return std::any_of(ppp.eap.begin(), ppp.eap.end(),
                       [](EapMethod inner) { return inner != EapMethod::kMd5; });
  return method == AuthMethod::kMsChapV2 || method == AuthMethod::kMsChap;
}

// RFC 1035 §2.3.1, digits in front allowed (RFC 1123 §2.1).
Parsed<std::string> parse_domain(std::string_view text) {
  const auto is_label = [](std::string_view label) {
    return !label.empty() && label.front() != '-' && label.back() != '-' &&
           std::all_of(label.begin(), label.end(), [](char c) {
             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-';
           });
  };
  std::string_view rest = text;
  bool good = text.size() <= kMaxDomain;
  for (std::size_t dot = 0; good && dot != std::string_view::npos;) {
    dot = rest.find('.');
    good = is_label(rest.substr(0, dot));
    if (dot != std::string_view::npos) rest.remove_prefix(dot + 1);
  }
  if (!good)
    return std::unexpected(fmt::format(
        "'{}' is not a domain (labels of letters, digits and '-', 1 to {} octets in all)", text,
        kMaxDomain));
  return std::string(text);
}

// Broadcasts a second.
Parsed<std::uint64_t> parse_rate_or_off(std::string_view text) {
  if (text == "off") return 0;
  auto rate = parse_unsigned(text, 1, kMaxBroadcastRelay);
  if (!rate) return std::unexpected(rate.error() + ", nor off");
  return rate;
}

// MPPE needs a method that gives keys. A list with a wrong word in it has an error of its own.
void check_keys(const Section& section, Document& document, const Ppp& ppp) {
  if (ppp.mppe.policy != MppePolicy::kRequire || ppp.auth.empty() ||
      section.words("auth").size() > ppp.auth.size())
    return;
  if (std::none_of(ppp.auth.begin(), ppp.auth.end(),
                   [&ppp](AuthMethod method) { return gives_mppe_keys(method, ppp); }))
    document.error_at("ppp.mppe.policy",
                      "require cannot be met: no method of ppp.auth gives MPPE keys (mschapv2, "
                      "mschap, and eap with mschapv2 or radius in ppp.eap do)");
}

}  // namespace

bool relays_eap(const Ppp& ppp) noexcept {
  return std::find(ppp.eap.begin(), ppp.eap.end(), EapMethod::kRadius) != ppp.eap.end();
}

void read_ppp(const Section& section, Document& document, Ppp& out) {
  section.read("mtu", out.mtu, integer(576, 1500));
  const Section echo = section.section("lcp_echo");
  echo.read("interval", out.lcp_echo.interval, duration(Milliseconds(0), Milliseconds(3'600'000)));
  echo.read("failures", out.lcp_echo.failures, integer(1, 100));

  section.read_list("auth", out.auth, one_of(kAuthMethods));
  section.read_list("eap", out.eap, one_of(kEapMethods));
  for (const char* key : {"auth", "eap"})
    if (section.is_empty_list(key))
      document.error_at(section.path(key), "at least one method is needed");
  if (out.eap.size() > 1 && relays_eap(out))
    document.error_at(section.path("eap"),
                      "radius stands alone: the RADIUS server chooses the method");
  section.read("auth_retries", out.auth_retries, integer(0, 10));

  const Section mppe = section.section("mppe");
  mppe.read("policy", out.mppe.policy, one_of(kMppePolicies));
  mppe.read_list("key_bits", out.mppe.key_bits, one_of(kKeyBits));
  mppe.read("mode", out.mppe.mode, one_of(kMppeModes));
  if (out.mppe.policy == MppePolicy::kOff) {
    for (const char* key : {"key_bits", "mode"})
      if (mppe.has(key))
        document.error_at(mppe.path(key), "has no meaning with ppp.mppe.policy off");
    out.mppe.key_bits.clear();
  } else if (mppe.is_empty_list("key_bits")) {
    document.error_at(mppe.path("key_bits"), "at least one key length is needed");
  }
  check_keys(section, document, out);

  const auto host4 = [](auto text) { return parse_host_address(text); };
  read_families(section, "dns", out.dns, out.ipv6_dns, host4,
                [](auto text) { return parse_ipv6_host_address(text); });
  section.read_list("wins", out.wins, host4);
  section.read("domain", out.domain, parse_domain);
  section.read("dhcpv6", out.dhcpv6, one_of(kDhcpv6Modes));
  section.read("broadcast_relay", out.broadcast_relay, parse_rate_or_off);
  for (const auto& [key, list] : {std::pair{"dns", &out.dns}, std::pair{"wins", &out.wins}})
    if (list->size() > 2)  // RFC 1877: a primary and a secondary
      document.error_at(section.path(key), "at most two IPv4 servers");
  if (out.ipv6_dns.size() > 3) document.error_at(section.path("dns"), "at most three IPv6 servers");
}

}  // namespace pns::config
