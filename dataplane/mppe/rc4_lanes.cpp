// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mppe/rc4_lanes.hpp"

extern "C" {
using SetKeys = void(std::uint8_t*, const std::byte*) noexcept;
using ChangeKeys = void(std::uint8_t*, std::byte*) noexcept;
using Generate = void(std::uint8_t*, std::uint8_t*, std::byte*, std::size_t, std::size_t) noexcept;
using GoOn = void(std::uint8_t*, std::uint8_t*, std::byte*, std::size_t) noexcept;
SetKeys pns_rc4_set_keys_1, pns_rc4_set_keys_2, pns_rc4_set_keys_3, pns_rc4_set_keys_4,
    pns_rc4_set_keys_5, pns_rc4_set_keys_6;
ChangeKeys pns_rc4_change_keys_1, pns_rc4_change_keys_2, pns_rc4_change_keys_3,
    pns_rc4_change_keys_4, pns_rc4_change_keys_5, pns_rc4_change_keys_6;
Generate pns_rc4_generate_1, pns_rc4_generate_2, pns_rc4_generate_3, pns_rc4_generate_4,
    pns_rc4_generate_5, pns_rc4_generate_6;
GoOn pns_rc4_go_on_1, pns_rc4_go_on_2, pns_rc4_go_on_3, pns_rc4_go_on_4;
}

namespace pns::dataplane {

static_assert(kStreamStride == 1600);  // STRIDE there
static_assert(offsetof(RunningIndices, j) == 4 && sizeof(RunningIndices) == 8);

void set_keys_lanes(std::uint8_t* tables, const std::byte* keys, unsigned lanes) noexcept {
  static constexpr SetKeys* kByLanes[kMostRc4Lanes] = {pns_rc4_set_keys_1, pns_rc4_set_keys_2,
                                                       pns_rc4_set_keys_3, pns_rc4_set_keys_4,
                                                       pns_rc4_set_keys_5, pns_rc4_set_keys_6};
  kByLanes[lanes - 1](tables, keys);
}

void change_keys_lanes(std::uint8_t* tables, std::byte* keys, unsigned lanes) noexcept {
  static constexpr ChangeKeys* kByLanes[kMostRc4Lanes] = {
      pns_rc4_change_keys_1, pns_rc4_change_keys_2, pns_rc4_change_keys_3,
      pns_rc4_change_keys_4, pns_rc4_change_keys_5, pns_rc4_change_keys_6};
  kByLanes[lanes - 1](tables, keys);
}

void generate_lanes(std::uint8_t* tables, std::uint8_t* j, std::byte* out, std::size_t blocks,
                    std::size_t at, unsigned lanes) noexcept {
  static constexpr Generate* kByLanes[kMostRc4Lanes] = {pns_rc4_generate_1, pns_rc4_generate_2,
                                                        pns_rc4_generate_3, pns_rc4_generate_4,
                                                        pns_rc4_generate_5, pns_rc4_generate_6};
  kByLanes[lanes - 1](tables, j, out, blocks, at);
}

void go_on_lanes(std::uint8_t* tables, RunningIndices& indices, std::byte* out, std::size_t octets,
                 unsigned lanes) noexcept {
  static constexpr GoOn* kByLanes[kMostRunningLanes] = {pns_rc4_go_on_1, pns_rc4_go_on_2,
                                                        pns_rc4_go_on_3, pns_rc4_go_on_4};
  kByLanes[lanes - 1](tables, indices.i, out, octets);
}

}  // namespace pns::dataplane
