// SPDX-License-Identifier: BSD-3-Clause
//
// The side that asked for a call, our part in it (RFC 2637 §3.2.3, §3.2.4), and the reports of a
// PAC about the line of a call (§2.14). Plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pns::model {

enum class CallKind : std::uint8_t {
  kSubscriber,  // the peer sent an Outgoing-Call-Request: we are the PAC (§3.2.4.1)
  kIncoming,    // a PAC sent an Incoming-Call-Request: we are the PNS (§3.2.3.2)
  kPlaced,      // we sent an Outgoing-Call-Request to a PAC: we are the PNS (§3.2.4.2)
  kAnnounced,   // we sent an Incoming-Call-Request: we are the PAC (§3.2.3.1); test tools only
};
inline constexpr std::size_t kCallKinds = 4;

[[nodiscard]] constexpr std::string_view name_of(CallKind kind) noexcept {
  constexpr std::array<std::string_view, kCallKinds> kNames = {"subscriber", "incoming", "placed",
                                                               "announced"};
  return kNames[static_cast<std::size_t>(kind)];
}

[[nodiscard]] constexpr bool we_are_pns(CallKind kind) noexcept {
  return kind == CallKind::kIncoming || kind == CallKind::kPlaced;
}

// WAN-Error-Notify: totals since the call was connected, in the order of the message.
struct WanErrors {
  static constexpr std::size_t kCount = 6;
  static constexpr std::array<std::string_view, kCount> kNames = {
      "crc", "framing", "hardware_overrun", "buffer_overrun", "time_out", "alignment"};
  std::array<std::uint32_t, kCount> counts{};
  friend bool operator==(const WanErrors&, const WanErrors&) = default;
};
inline constexpr std::size_t kBufferOverrun = 3;  // index in WanErrors

}  // namespace pns::model
