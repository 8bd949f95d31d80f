// SPDX-License-Identifier: BSD-3-Clause
//
// A packet builder that shares no code with pns/wire, so that a mistake there is not made twice.
// Everything is an octet string; outer calls wrap inner ones.
#pragma once

#include <arpa/inet.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/octets.hpp"

namespace pns::test {

inline void put16(Octets& out, std::size_t at, unsigned value) {
  out[at] = static_cast<std::byte>(value >> 8);
  out[at + 1] = static_cast<std::byte>(value);
}
inline void put32(Octets& out, std::size_t at, std::uint32_t value) {
  put16(out, at, value >> 16);
  put16(out, at + 2, value & 0xffff);
}
inline unsigned get16(Bytes data, std::size_t at) {
  return std::to_integer<unsigned>(data[at]) << 8 | std::to_integer<unsigned>(data[at + 1]);
}
inline std::uint32_t get32(Bytes data, std::size_t at) {
  return get16(data, at) << 16 | get16(data, at + 2);
}

// One's complement sum of 16-bit words, complemented.
inline unsigned checksum(Bytes data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); i += 2)
    sum += std::to_integer<unsigned>(data[i]) << 8 |
           (i + 1 < data.size() ? std::to_integer<unsigned>(data[i + 1]) : 0);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

// "10.0.0.1" as a number.
inline std::uint32_t address(std::string_view text) {
  std::uint32_t value = 0;
  unsigned part = 0;
  for (const char c : text) {
    if (c == '.') {
      value = value << 8 | part;
      part = 0;
    } else {
      part = part * 10 + static_cast<unsigned>(c - '0');
    }
  }
  return value << 8 | part;
}

struct Ip {
  std::string_view source;
  std::string_view destination;
  unsigned protocol = 17;
  unsigned ttl = 64;
  unsigned id = 0;
  unsigned flags_offset = 0;  // as in the header: 0x4000 is DF
  unsigned tos = 0;
};

inline Octets ip(const Ip& header, Bytes payload) {
  Octets out(20 + payload.size());
  out[0] = std::byte{0x45};
  out[1] = static_cast<std::byte>(header.tos);
  put16(out, 2, static_cast<unsigned>(out.size()));
  put16(out, 4, header.id);
  put16(out, 6, header.flags_offset);
  out[8] = static_cast<std::byte>(header.ttl);
  out[9] = static_cast<std::byte>(header.protocol);
  put32(out, 12, address(header.source));
  put32(out, 16, address(header.destination));
  put16(out, 10, checksum(Bytes(out).first(20)));
  std::copy(payload.begin(), payload.end(), out.begin() + 20);
  return out;
}

// "2001:db8::1" as its 16 octets.
inline Octets address6(std::string_view text) {
  Octets out(16);
  if (::inet_pton(AF_INET6, std::string(text).c_str(), out.data()) != 1) out.clear();
  return out;
}

struct Ip6 {
  std::string_view source;
  std::string_view destination;
  unsigned next_header = 17;
  unsigned hop_limit = 64;
};

inline Octets ip6(const Ip6& header, Bytes payload) {
  Octets out = octets("60000000 0000 00 00");
  put16(out, 4, static_cast<unsigned>(payload.size()));
  out[6] = static_cast<std::byte>(header.next_header);
  out[7] = static_cast<std::byte>(header.hop_limit);
  for (const std::string_view text : {header.source, header.destination}) {
    const Octets address = address6(text);
    out.insert(out.end(), address.begin(), address.end());
  }
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

// Sum over pseudo-header and payload of an IPv6 packet without extension headers (RFC 8200 §8.1).
inline unsigned checksum6(Bytes packet, unsigned protocol) {
  Octets all(packet.begin() + 8, packet.begin() + 40);
  all.resize(40);
  put32(all, 32, static_cast<std::uint32_t>(packet.size() - 40));
  put32(all, 36, protocol);
  all.insert(all.end(), packet.begin() + 40, packet.end());
  return checksum(all);
}

// ICMPv6 with its checksum; `message` from the type on, its checksum field zero.
inline Octets icmp6(const Ip6& header, Bytes message) {
  Ip6 outer = header;
  outer.next_header = 58;
  Octets out = ip6(outer, message);
  put16(out, 42, checksum6(out, 58));
  return out;
}

// `size` octets that differ from each other.
inline Octets pattern(std::size_t size) {
  Octets out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i * 7 + 3);
  return out;
}

struct Gre {
  unsigned call = 0;
  std::optional<std::uint32_t> sequence;
  std::optional<std::uint32_t> ack;
};

inline Octets gre(const Gre& header, Bytes payload) {
  Octets out(8 + (header.sequence ? 4U : 0U) + (header.ack ? 4U : 0U));
  put16(out, 0, 0x2001U | (header.sequence ? 0x1000U : 0U) | (header.ack ? 0x0080U : 0U));
  put16(out, 2, 0x880b);
  put16(out, 4, static_cast<unsigned>(payload.size()));
  put16(out, 6, header.call);
  std::size_t at = 8;
  if (header.sequence) {
    put32(out, at, *header.sequence);
    at += 4;
  }
  if (header.ack) put32(out, at, *header.ack);
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

inline Octets ethernet(std::string_view destination, std::string_view source, unsigned type,
                       Bytes payload) {
  Octets out = octets(destination);
  const Octets from = octets(source);
  out.insert(out.end(), from.begin(), from.end());
  out.resize(14);
  put16(out, 12, type);
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

}  // namespace pns::test
