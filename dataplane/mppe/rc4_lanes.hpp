// SPDX-License-Identifier: BSD-3-Clause
//
// The functions of rc4_lanes.S by number of streams. They need AVX.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/mppe/kernels.hpp"

namespace pns::dataplane {

// MppeKernels::few_octets, as measured.
inline constexpr std::size_t kFewOctets = 256;

void set_keys_lanes(std::uint8_t* tables, const std::byte* keys, unsigned lanes) noexcept;
void change_keys_lanes(std::uint8_t* tables, std::byte* keys, unsigned lanes) noexcept;
void generate_lanes(std::uint8_t* tables, std::uint8_t* j, std::byte* out, std::size_t blocks,
                    std::size_t at, unsigned lanes) noexcept;
void go_on_lanes(std::uint8_t* tables, RunningIndices& indices, std::byte* out, std::size_t octets,
                 unsigned lanes) noexcept;

}  // namespace pns::dataplane
