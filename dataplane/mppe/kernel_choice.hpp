// SPDX-License-Identifier: BSD-3-Clause
//
// Which form of RC4 is faster differs by CPU, by function and by number of streams: it is measured
// when the process starts, one to three milliseconds, once. Not a function of the poll loop.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/mppe/kernels.hpp"

namespace pns::dataplane {

struct MppeChoice {
  MppeVariant variant = MppeVariant::kPortable;
  bool measured = false;
  MppeKernels kernels;
  // Bit n: n + 1 streams use words. Key set-up, key change, octets of short and of long packets,
  // octets of running streams.
  std::uint8_t set_keys_words = 0;
  std::uint8_t change_keys_words = 0;
  std::uint8_t generate_few_words = 0;
  std::uint8_t generate_words = 0;
  std::uint8_t go_on_words = 0;
  // TSC cycles of a step of a stream (an exchange of the set-up, or an octet) by number of streams,
  // what it takes to expand and pack the tables included; 0 where nothing was measured.
  std::array<float, kMaxRc4Lanes> bytes_step{};
  std::array<float, kMaxRc4Lanes> words_step{};
};

// The fastest choice of this CPU with the variant, which it must have. The measurement uses keys of
// its own, always the same.
[[nodiscard]] MppeChoice measured_choice(MppeVariant variant) noexcept;
// One form for all, nothing measured.
[[nodiscard]] MppeChoice forced_choice(MppeVariant variant, Rc4Form form) noexcept;

}  // namespace pns::dataplane
