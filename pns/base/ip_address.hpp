// SPDX-License-Identifier: BSD-3-Clause
//
// IPv4 address and prefix as values. An Ipv4Address holds a host-order integer so that ranges and
// prefixes are arithmetic; wire structs hold be32 and convert by name. Fit for shared memory.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "pns/base/be.hpp"

namespace pns {

struct Ipv4Address {
  std::uint32_t value = 0;  // host byte order: 10.0.0.1 is 0x0a000001

  constexpr Ipv4Address() noexcept = default;
  constexpr explicit Ipv4Address(std::uint32_t host_order) noexcept : value(host_order) {}
  constexpr explicit Ipv4Address(be32 wire) noexcept : value(wire.host()) {}
  [[nodiscard]] constexpr be32 wire() const noexcept { return be32::from_host(value); }
  [[nodiscard]] constexpr bool is_unspecified() const noexcept { return value == 0; }
  [[nodiscard]] constexpr bool is_loopback() const noexcept { return (value >> 24) == 127; }
  [[nodiscard]] constexpr bool is_multicast() const noexcept { return (value >> 28) == 0xe; }

  // Dotted quad, four decimal parts and nothing else. Empty when the text is anything else.
  [[nodiscard]] static std::optional<Ipv4Address> parse(std::string_view text) noexcept;
  [[nodiscard]] std::string to_string() const;

  friend constexpr auto operator<=>(const Ipv4Address&, const Ipv4Address&) noexcept = default;
};

struct Ipv4Prefix {
  Ipv4Address address;      // as written: an interface address keeps its host bits
  std::uint8_t length = 0;  // 0..32

  [[nodiscard]] constexpr std::uint32_t mask() const noexcept {
    return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length);
  }
  [[nodiscard]] constexpr Ipv4Address network() const noexcept {
    return Ipv4Address(address.value & mask());
  }
  // Networks of 31 and 32 bits have no broadcast and no network address (RFC 3021).
  [[nodiscard]] constexpr bool has_broadcast() const noexcept { return length <= 30; }
  // The highest address of the network: its directed broadcast where it has one.
  [[nodiscard]] constexpr Ipv4Address last() const noexcept {
    return Ipv4Address(address.value | ~mask());
  }
  [[nodiscard]] constexpr bool contains(Ipv4Address a) const noexcept {
    return (a.value & mask()) == network().value;
  }

  // "10.0.0.1/24". Empty when the text is anything else.
  [[nodiscard]] static std::optional<Ipv4Prefix> parse(std::string_view text) noexcept;
  [[nodiscard]] std::string to_string() const;

  friend constexpr auto operator<=>(const Ipv4Prefix&, const Ipv4Prefix&) noexcept = default;
};

// Both ends included.
struct Ipv4Range {
  Ipv4Address first;
  Ipv4Address last;

  [[nodiscard]] constexpr std::uint64_t size() const noexcept {
    return std::uint64_t{last.value} - first.value + 1;
  }
  [[nodiscard]] constexpr bool contains(Ipv4Address a) const noexcept {
    return first <= a && a <= last;
  }
  [[nodiscard]] constexpr bool overlaps(const Ipv4Range& other) const noexcept {
    return first <= other.last && other.first <= last;
  }

  friend constexpr auto operator<=>(const Ipv4Range&, const Ipv4Range&) noexcept = default;
};

// EUI-48, octets in wire order.
struct Ipv6Address {
  std::uint64_t high = 0;  // host byte order: the prefix half, 2001:db8:: is 0x20010db800000000
  std::uint64_t low = 0;   // the interface identifier

  using Octets = std::array<std::uint8_t, 16>;

  constexpr Ipv6Address() noexcept = default;
  constexpr Ipv6Address(std::uint64_t prefix_half, std::uint64_t identifier) noexcept
      : high(prefix_half), low(identifier) {}
  constexpr explicit Ipv6Address(const Octets& wire) noexcept {
    for (std::size_t i = 0; i < 8; ++i) {
      high = (high << 8) | wire[i];
      low = (low << 8) | wire[i + 8];
    }
  }
  [[nodiscard]] constexpr Octets wire() const noexcept {
    Octets out{};
    for (std::size_t i = 0; i < 8; ++i) {
      out[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
      out[i + 8] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
    }
    return out;
  }
  [[nodiscard]] constexpr bool is_unspecified() const noexcept { return high == 0 && low == 0; }
  [[nodiscard]] constexpr bool is_loopback() const noexcept { return high == 0 && low == 1; }
  [[nodiscard]] constexpr bool is_multicast() const noexcept { return (high >> 56) == 0xff; }
  [[nodiscard]] constexpr bool is_link_local() const noexcept { return (high >> 54) == 0x3fa; }

  // RFC 4291 §2.2 text; an IPv4 tail is taken. Empty when the text is anything else.
  [[nodiscard]] static std::optional<Ipv6Address> parse(std::string_view text) noexcept;
  [[nodiscard]] std::string to_string() const;  // RFC 5952

  friend constexpr auto operator<=>(const Ipv6Address&, const Ipv6Address&) noexcept = default;
};

struct Ipv6Prefix {
  Ipv6Address address;      // as written: an interface address keeps its host bits
  std::uint8_t length = 0;  // 0..128

  [[nodiscard]] constexpr Ipv6Address network() const noexcept {
    const auto keep = [](std::uint64_t half, unsigned bits) -> std::uint64_t {
      return bits == 0 ? 0 : half & (~std::uint64_t{0} << (64 - bits));
    };
    return {keep(address.high, length < 64 ? length : 64U),
            keep(address.low, length > 64 ? length - 64U : 0U)};
  }
  [[nodiscard]] constexpr bool contains(const Ipv6Address& a) const noexcept {
    return Ipv6Prefix{a, length}.network() == network();
  }

  // "2001:db8::1/64". Empty when the text is anything else.
  [[nodiscard]] static std::optional<Ipv6Prefix> parse(std::string_view text) noexcept;
  [[nodiscard]] std::string to_string() const;

  friend constexpr auto operator<=>(const Ipv6Prefix&, const Ipv6Prefix&) noexcept = default;
};

using MacAddress = std::array<std::uint8_t, 6>;
[[nodiscard]] std::string to_string(const MacAddress& mac);
// A locally administered address, the same for the same name. `second`: its second octet, which
// tells the uses of names apart.
[[nodiscard]] MacAddress local_mac(std::uint8_t second, std::string_view name) noexcept;

}  // namespace pns

template <>
struct std::hash<pns::Ipv4Address> {
  std::size_t operator()(const pns::Ipv4Address& a) const noexcept {
    return std::hash<std::uint32_t>{}(a.value);
  }
};

template <>
struct std::hash<pns::Ipv6Address> {
  std::size_t operator()(const pns::Ipv6Address& a) const noexcept {
    return std::hash<std::uint64_t>{}(a.high * 0x9e3779b97f4a7c15 ^ a.low);
  }
};
