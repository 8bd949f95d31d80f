// SPDX-License-Identifier: BSD-3-Clause
//
// The texts of MS-CHAP Success and Failure packets, and what the authentication machines share.
// Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/model/auth.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/random.hpp"

namespace pns::ppp {

// Octets of a user's name: a longer one is malformed.
inline constexpr std::size_t kMaximumName = 256;
// Octets of our own name that go out in a Challenge.
inline constexpr std::size_t kMaximumOurName = 64;

// As many of `name` as go out.
[[nodiscard]] Bytes our_name(const std::string& name) noexcept;

[[nodiscard]] inline std::string to_text(Bytes octets) {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

// The text of a Failure packet for a person (RFC 2759 §6).
[[nodiscard]] std::string_view failure_text(std::uint16_t ms_chap_error) noexcept;

// "E=eee R=r C=… V=v M=…" (RFC 2433 §6 with version 2 and 8 octets of challenge, RFC 2759 §6 with
// version 3 and 16). MS-CHAPv1 has no M=.
[[nodiscard]] std::string ms_chap_failure(std::uint16_t ms_chap_error, bool retry, Bytes challenge,
                                          unsigned version);

// The challenge of the next response, in a Failure packet: that of the denial, or a random one.
void next_challenge(const model::AuthDenial& denial, RandomSource& random,
                    MutableBytes out) noexcept;

}  // namespace pns::ppp
