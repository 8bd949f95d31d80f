// SPDX-License-Identifier: BSD-3-Clause
//
// The head of a PPP frame as PPTP carries it (RFC 1661 §2, RFC 1662 §3.1; no flags, no FCS, no
// escapes): optional Address and Control octets, then a Protocol field of one or two octets.
// Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "pns/base/bytes.hpp"
#include "pns/base/drop_reason.hpp"
#include "pns/wire/ppp_protocol.hpp"

namespace pns::wire {

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// | Address (FF)  | Control (03)  |      Protocol (1 or 2)        |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                      Information …
// +-+-+-+-+-+-+-+-+-
struct PppHeader {
  std::uint16_t protocol = 0;
  std::uint8_t address_size = 0;   // octets of Address and Control: 0 or 2
  std::uint8_t protocol_size = 0;  // 1 or 2

  [[nodiscard]] constexpr std::size_t size() const noexcept {
    return std::size_t{address_size} + protocol_size;
  }
  [[nodiscard]] constexpr bool is(PppProtocol p) const noexcept {
    return protocol == static_cast<std::uint16_t>(p);
  }
  friend bool operator==(const PppHeader&, const PppHeader&) noexcept = default;
};

// The longest header we write.
inline constexpr std::size_t kPppHeaderMaximum = 4;

// Only the Protocol field, as it starts what MPPE encrypts. ppp_truncated · ppp_protocol: the last
// octet is even or the first of two odd.
[[nodiscard]] std::expected<PppHeader, DropReason> parse_ppp_protocol(Bytes data) noexcept;

namespace detail {
[[nodiscard]] std::expected<PppHeader, DropReason> parse_short_ppp(Bytes frame) noexcept;
// Reads the first four octets: whether Address and Control are there; two octets from the Protocol
// on.
[[nodiscard]] constexpr bool is_framed(std::uint32_t word) noexcept {
  return (word >> 16) == (kPppAddress << 8 | kPppControl);
}
[[nodiscard]] constexpr std::uint16_t protocol_of(std::uint32_t word) noexcept {
  return static_cast<std::uint16_t>(is_framed(word) ? word : word >> 16);
}
}  // namespace detail

// The fault of the header of a frame, with or without FF 03 and with either Protocol size,
// whatever was negotiated (RFC 1661 §6.5, §6.6). kNone · ppp_truncated · ppp_protocol.
[[nodiscard]] inline DropReason check_ppp(Bytes frame) noexcept {
  if (frame.size() < kPppHeaderMaximum) {
    const auto header = detail::parse_short_ppp(frame);
    return header ? DropReason::kNone : header.error();
  }
  const std::uint16_t field = detail::protocol_of(load_be<std::uint32_t>(frame.data()));
  return (field & 0x0101) != 0 ? DropReason::kNone : DropReason::ppp_protocol;
}
// Precondition: check_ppp() has accepted the frame.
[[nodiscard]] inline PppHeader read_ppp(Bytes frame) noexcept {
  if (frame.size() < kPppHeaderMaximum) return detail::parse_short_ppp(frame).value_or(PppHeader{});
  const auto word = load_be<std::uint32_t>(frame.data());
  const std::uint16_t field = detail::protocol_of(word);
  PppHeader header;
  header.address_size = detail::is_framed(word) ? 2 : 0;
  header.protocol_size = (field & 0x0100) != 0 ? 1 : 2;
  header.protocol = header.protocol_size == 1 ? field >> 8 : field;
  return header;
}

// Both in one. On the packet's path they are two: an expected goes through memory.
[[nodiscard]] inline std::expected<PppHeader, DropReason> parse_ppp(Bytes frame) noexcept {
  if (const DropReason why = check_ppp(frame); why != DropReason::kNone)
    return std::unexpected(why);
  return read_ppp(frame);
}

// Writes header.size() octets; 0 when they do not fit. protocol_size 1 needs a protocol that can be
// compressed.
inline std::size_t write_ppp(MutableBytes out, const PppHeader& header) noexcept {
  if (out.size() < header.size()) return 0;
  std::byte* const protocol = out.data() + header.address_size;
  if (header.address_size != 0)
    store_be(out.data(), static_cast<std::uint16_t>(kPppAddress << 8 | kPppControl));
  if (header.protocol_size == 1)
    *protocol = static_cast<std::byte>(header.protocol);
  else
    store_be(protocol, header.protocol);
  return header.size();
}

// For sending: the sizes that the peer's options permit. LCP always goes uncompressed.
[[nodiscard]] constexpr PppHeader ppp_header_for(std::uint16_t protocol, bool acfc,
                                                 bool pfc) noexcept {
  PppHeader header;
  header.protocol = protocol;
  const bool lcp = protocol == static_cast<std::uint16_t>(PppProtocol::kLcp);
  header.address_size = acfc && !lcp ? 0 : 2;
  header.protocol_size = pfc && !lcp && protocol <= 0xff ? 1 : 2;
  return header;
}

// --- LCP, as far as the dataplane answers it (RFC 1661 §5) ---

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |     Code      |  Identifier   |            Length             |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                         Magic-Number                          |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
inline constexpr std::uint8_t kLcpEchoRequest = 9;
inline constexpr std::uint8_t kLcpEchoReply = 10;
inline constexpr std::uint8_t kLcpDiscardRequest = 11;
inline constexpr std::uint8_t kCcpResetRequest = 14;  // RFC 1962 §3
inline constexpr std::uint8_t kCcpResetAck = 15;
inline constexpr std::size_t kLcpEchoSize = 8;

struct EchoHeader {
  std::uint8_t code = 0;
  std::uint8_t identifier = 0;
  std::uint16_t length = 0;  // octets, this header included
  std::uint32_t magic = 0;
};

// The head of an Echo or Discard packet; `information` follows the Protocol field. Empty when it
// is no such packet: too short, or its Length below 8 or beyond the data.
[[nodiscard]] std::expected<EchoHeader, DropReason> parse_echo(Bytes information) noexcept;

// Writes 8 octets; 0 when they do not fit.
std::size_t write_echo(MutableBytes out, const EchoHeader& header) noexcept;

}  // namespace pns::wire
