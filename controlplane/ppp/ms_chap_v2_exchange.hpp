// SPDX-License-Identifier: BSD-3-Clause
//
// MsChapV2Exchange: the part of MS-CHAPv2 (RFC 2759) that is the same in CHAP and in EAP: the
// challenge in force, how many more tries there are, and what a Response or a Change-Password
// packet asks of AAA. It knows no packets' headers and no timers. Sans-I/O, one thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/model/auth.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/random.hpp"

namespace pns::ppp {

class MsChapV2Exchange {
 public:
  explicit MsChapV2Exchange(const LinkSettings& settings) : settings_(settings) {}

  // Draws the first challenge.
  void start(RandomSource& random);

  // Value and name for a Challenge packet, as ChapValue has them.
  [[nodiscard]] std::vector<std::byte> challenge_body() const;

  // The body of a Response: Value-Size, Value, Name (§4). Empty when malformed.
  [[nodiscard]] std::optional<model::AuthRequest> on_response(Bytes body, std::uint8_t identifier);
  // The body of a Change-Password packet (§7). Empty when malformed.
  [[nodiscard]] std::optional<model::AuthRequest> on_change_password(Bytes body,
                                                                     std::uint8_t identifier);

  // The text of the Success packet (§5).
  [[nodiscard]] static std::string success(const model::AuthGrant& grant);
  // The text of the Failure packet (§6), whose challenge is in force from now on.
  [[nodiscard]] std::string failure(const model::AuthDenial& denial, RandomSource& random);

  // After failure(): what may come next.
  [[nodiscard]] bool awaits_response() const noexcept { return awaits_response_; }
  [[nodiscard]] bool awaits_change() const noexcept { return awaits_change_; }

 private:
  const LinkSettings& settings_;  // of the Link
  std::array<std::byte, 16> challenge_{};
  std::string user_;  // of the last Response: a Change-Password packet has none
  unsigned retries_ = 0;
  bool changed_ = false;  // one Change-Password packet is enough
  bool awaits_response_ = true;
  bool awaits_change_ = false;
};

}  // namespace pns::ppp
