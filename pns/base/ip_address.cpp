// SPDX-License-Identifier: BSD-3-Clause
#include "pns/base/ip_address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace pns {
namespace {

// One decimal number in [0, max], no sign, no leading zero; moves `text` past it.
std::optional<std::uint32_t> take_decimal(std::string_view& text, std::uint32_t max) noexcept {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto length = static_cast<std::size_t>(end - text.data());
  if (error != std::errc{} || value > max || (length > 1 && text.front() == '0'))
    return std::nullopt;
  text.remove_prefix(length);
  return value;
}

}  // namespace

std::optional<Ipv4Address> Ipv4Address::parse(std::string_view text) noexcept {
  std::uint32_t address = 0;
  for (int part = 0; part < 4; ++part) {
    if (part != 0) {
      if (text.empty() || text.front() != '.') return std::nullopt;
      text.remove_prefix(1);
    }
    const auto octet = take_decimal(text, 255);
    if (!octet) return std::nullopt;
    address = (address << 8) | *octet;
  }
  if (!text.empty()) return std::nullopt;
  return Ipv4Address(address);
}

std::string Ipv4Address::to_string() const {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%u.%u.%u.%u", value >> 24, (value >> 16) & 0xff,
                (value >> 8) & 0xff, value & 0xff);
  return text.data();
}

std::optional<Ipv4Prefix> Ipv4Prefix::parse(std::string_view text) noexcept {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = Ipv4Address::parse(text.substr(0, slash));
  auto rest = text.substr(slash + 1);
  const auto length = take_decimal(rest, 32);
  if (!address || !length || !rest.empty()) return std::nullopt;
  return Ipv4Prefix{*address, static_cast<std::uint8_t>(*length)};
}

std::string Ipv4Prefix::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

std::optional<Ipv6Address> Ipv6Address::parse(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) return std::nullopt;
  std::ranges::copy(text, terminated.begin());
  Octets octets{};
  // A NUL inside the text would end it early.
  if (text.find('\0') != std::string_view::npos ||
      ::inet_pton(AF_INET6, terminated.data(), octets.data()) != 1)
    return std::nullopt;
  return Ipv6Address(octets);
}

std::string Ipv6Address::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const Octets octets = wire();
  return ::inet_ntop(AF_INET6, octets.data(), text.data(), text.size());
}

std::optional<Ipv6Prefix> Ipv6Prefix::parse(std::string_view text) noexcept {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = Ipv6Address::parse(text.substr(0, slash));
  auto rest = text.substr(slash + 1);
  const auto length = take_decimal(rest, 128);
  if (!address || !length || !rest.empty()) return std::nullopt;
  return Ipv6Prefix{*address, static_cast<std::uint8_t>(*length)};
}

std::string Ipv6Prefix::to_string() const {
  return address.to_string() + "/" + std::to_string(length);
}

MacAddress local_mac(std::uint8_t second, std::string_view name) noexcept {
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619U;
  const auto octet = [hash](unsigned shift) { return static_cast<std::uint8_t>(hash >> shift); };
  return {0x02, second, octet(24), octet(16), octet(8), octet(0)};
}

std::string to_string(const MacAddress& mac) {
  std::array<char, 18> text{};
  std::snprintf(text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
                mac[3], mac[4], mac[5]);
  return text.data();
}

}  // namespace pns
