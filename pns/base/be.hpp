// SPDX-License-Identifier: BSD-3-Clause
//
// Integers in network byte order. A be16 or be32 holds the octets as they stand on the wire;
// it becomes a host integer only by name, so a missing conversion does not compile.
// Alignment 1, so that packed wire structs may hold them. Pure values, any thread.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pns {

template <class Host>
class BigEndian {
 public:
  constexpr BigEndian() noexcept = default;

  // The wire form of a host-order value.
  [[nodiscard]] static constexpr BigEndian from_host(Host value) noexcept {
    BigEndian out;
    if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
    out.octets_ = std::bit_cast<std::array<std::uint8_t, sizeof(Host)>>(value);
    return out;
  }

  // The host-order value.
  [[nodiscard]] constexpr Host host() const noexcept {
    // Not a loop over octets: g++ 12 at -O2 would keep it one.
    const auto value = std::bit_cast<Host>(octets_);
    if constexpr (std::endian::native == std::endian::little) return std::byteswap(value);
    return value;
  }

  friend constexpr bool operator==(const BigEndian&, const BigEndian&) noexcept = default;

 private:
  std::array<std::uint8_t, sizeof(Host)> octets_{};
};

using be16 = BigEndian<std::uint16_t>;
using be32 = BigEndian<std::uint32_t>;

// The integer in network byte order at any address; sizeof(Host) octets.
template <class Host>
[[nodiscard]] inline Host load_be(const std::byte* at) noexcept {
  Host value;
  std::memcpy(&value, at, sizeof(value));
  return std::endian::native == std::endian::little ? std::byteswap(value) : value;
}
template <class Host>
inline void store_be(std::byte* at, Host value) noexcept {
  if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
  std::memcpy(at, &value, sizeof(value));
}

static_assert(sizeof(be16) == 2 && alignof(be16) == 1);
static_assert(sizeof(be32) == 4 && alignof(be32) == 1);

}  // namespace pns
