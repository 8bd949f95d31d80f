// SPDX-License-Identifier: BSD-3-Clause
//
// PuntClass: which bucket and ring a frame for the kernel uses. Made from punt_classes.def; one
// octet, fit for shared memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pns {

enum class PuntClass : std::uint8_t {
#define PNS_PUNT_CLASS(name, rate, ring, help, reason) name,
#include "pns/base/punt_classes.def"
#undef PNS_PUNT_CLASS
  kCount
};

inline constexpr std::size_t kPuntClassCount = static_cast<std::size_t>(PuntClass::kCount);

struct PuntClassInfo {
  std::string_view name;
  std::uint32_t rate;  // frames a second of one worker and port
  std::uint32_t ring;  // frames that wait, and that pass at once; a power of two
  std::string_view help;
};

// Indexed by PuntClass.
inline constexpr std::array<PuntClassInfo, kPuntClassCount> kPuntClasses = {{
#define PNS_PUNT_CLASS(name, rate, ring, help, reason) {#name, rate, ring, help},
#include "pns/base/punt_classes.def"
#undef PNS_PUNT_CLASS
}};

}  // namespace pns
