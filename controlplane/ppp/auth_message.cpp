// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/auth_message.hpp"

#include <algorithm>

namespace pns::ppp {
namespace {

std::string hex(Bytes octets) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(2 * octets.size());
  for (const std::byte octet : octets) {
    out += kDigits[std::to_integer<std::size_t>(octet >> 4)];
    out += kDigits[std::to_integer<std::size_t>(octet & std::byte{0x0f})];
  }
  return out;
}

}  // namespace

Bytes our_name(const std::string& name) noexcept {
  return as_octets(name).first(std::min(name.size(), kMaximumOurName));
}

std::string_view failure_text(std::uint16_t ms_chap_error) noexcept {
  switch (ms_chap_error) {
    case 646:
      return "Restricted logon hours";
    case 647:
      return "Account disabled";
    case 648:
      return "Password expired";
    case 649:
      return "No dial-in permission";
    case 709:
      return "Change password failed";
    default:
      return "Authentication failed";
  }
}

std::string ms_chap_failure(std::uint16_t ms_chap_error, bool retry, Bytes challenge,
                            unsigned version) {
  std::string out = "E=" + std::to_string(ms_chap_error) + (retry ? " R=1 C=" : " R=0 C=") +
                    hex(challenge) + " V=" + std::to_string(version);
  if (version >= 3) out += " M=" + std::string(failure_text(ms_chap_error));
  return out;
}

void next_challenge(const model::AuthDenial& denial, RandomSource& random,
                    MutableBytes out) noexcept {
  if (denial.challenge.size() == out.size())
    std::ranges::copy(denial.challenge, out.begin());
  else
    random.fill(out);
}

}  // namespace pns::ppp
