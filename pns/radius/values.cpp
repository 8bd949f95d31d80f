// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/values.hpp"

#include <cstring>

#include "pns/base/utf8.hpp"

namespace pns::radius {
namespace {

constexpr std::uint32_t kMaximumTag = 0x1f;  // RFC 2868 §3.1

}  // namespace

std::optional<std::uint32_t> read_u32(Bytes value) noexcept {
  if (value.size() != sizeof(std::uint32_t)) return std::nullopt;
  return load_be<std::uint32_t>(value.data());
}

std::optional<Ipv4Address> read_ipv4(Bytes value) noexcept {
  const auto address = read_u32(value);
  if (!address) return std::nullopt;
  return Ipv4Address(*address);
}

std::optional<Ipv6Address> read_ipv6(Bytes value) noexcept {
  Ipv6Address::Octets octets;
  if (value.size() != octets.size()) return std::nullopt;
  std::memcpy(octets.data(), value.data(), octets.size());
  return Ipv6Address(octets);
}

std::optional<Ipv6Prefix> read_ipv6_prefix(Bytes value) noexcept {
  Ipv6Address::Octets octets{};
  if (value.size() < 2 || value.size() > 2 + octets.size()) return std::nullopt;
  const auto length = std::to_integer<std::uint8_t>(value[1]);
  const Bytes given = value.subspan(2);
  if (length > 128 || given.size() < (length + 7U) / 8) return std::nullopt;
  if (!given.empty()) std::memcpy(octets.data(), given.data(), given.size());
  const Ipv6Prefix prefix{.address = Ipv6Address(octets), .length = length};
  if (prefix.network() != prefix.address) return std::nullopt;
  return prefix;
}

std::optional<std::uint64_t> read_interface_id(Bytes value) noexcept {
  if (value.size() != sizeof(std::uint64_t)) return std::nullopt;
  return load_be<std::uint64_t>(value.data());
}

std::optional<std::string_view> read_text(Bytes value) noexcept {
  const std::string_view text = as_text(value);
  if (text.empty() || text.find('\0') != text.npos || !is_utf8(text)) return std::nullopt;
  return text;
}

std::string_view as_text(Bytes value) noexcept {
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}

std::optional<TaggedU24> read_tagged_u24(Bytes value) noexcept {
  const auto word = read_u32(value);
  if (!word || *word >> 24 > kMaximumTag) return std::nullopt;
  return TaggedU24{.tag = static_cast<std::uint8_t>(*word >> 24), .value = *word & 0xffffff};
}

std::optional<TaggedText> read_tagged_text(Bytes value) noexcept {
  std::uint8_t tag = 0;
  if (!value.empty() && std::to_integer<std::uint32_t>(value[0]) <= kMaximumTag) {
    tag = std::to_integer<std::uint8_t>(value[0]);
    value = value.subspan(1);
  }
  const auto text = read_text(value);
  if (!text) return std::nullopt;
  return TaggedText{.tag = tag, .text = *text};
}

}  // namespace pns::radius
