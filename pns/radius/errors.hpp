// SPDX-License-Identifier: BSD-3-Clause
//
// DecodeError and VerifyError: why a RADIUS packet was refused. Made from errors.def. Plain values,
// each fit to be the index of a counter.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pns::radius {

enum class DecodeError : std::uint8_t {
#define PNS_RADIUS_DECODE_ERROR(name, help, reference) name,
#include "pns/radius/errors.def"
  kCount
};

enum class VerifyError : std::uint8_t {
#define PNS_RADIUS_VERIFY_ERROR(name, help, reference) name,
#include "pns/radius/errors.def"
  kCount
};

struct ErrorInfo {
  std::string_view name;
  std::string_view help;
  std::string_view reference;
};

inline constexpr std::size_t kDecodeErrorCount = static_cast<std::size_t>(DecodeError::kCount);
inline constexpr std::size_t kVerifyErrorCount = static_cast<std::size_t>(VerifyError::kCount);

// Indexed by DecodeError.
inline constexpr std::array<ErrorInfo, kDecodeErrorCount> kDecodeErrors = {{
#define PNS_RADIUS_DECODE_ERROR(name, help, reference) {#name, help, reference},
#include "pns/radius/errors.def"
}};

// Indexed by VerifyError.
inline constexpr std::array<ErrorInfo, kVerifyErrorCount> kVerifyErrors = {{
#define PNS_RADIUS_VERIFY_ERROR(name, help, reference) {#name, help, reference},
#include "pns/radius/errors.def"
}};

[[nodiscard]] constexpr std::string_view name_of(DecodeError error) noexcept {
  const auto index = static_cast<std::size_t>(error);
  return index < kDecodeErrorCount ? kDecodeErrors[index].name : "invalid";
}
[[nodiscard]] constexpr std::string_view name_of(VerifyError error) noexcept {
  const auto index = static_cast<std::size_t>(error);
  return index < kVerifyErrorCount ? kVerifyErrors[index].name : "invalid";
}

}  // namespace pns::radius
