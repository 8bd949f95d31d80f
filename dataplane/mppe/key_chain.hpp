// SPDX-License-Identifier: BSD-3-Clause
//
// Many key changes of a direction in a row, with the kernels of the burst engine: what a gap costs.
#pragma once

#include <cstddef>
#include <span>

#include "dataplane/mppe/kernels.hpp"

namespace pns::dataplane {

// One direction's keys, 16 octets each; of 40 and 56 bit the second half is zeros.
struct KeyChain {
  const std::byte* start_key;
  std::byte* session_key;
};

// `steps` key changes of each session key, in place: mppe::change_key so often, octet for octet.
// key_bits: 40, 56 or 128, of all. Any number of chains: up to MppeKernels::lanes go side by side,
// and two cost little more than one. Intermediate keys are wiped.
void step_chains(const MppeKernels& kernels, std::span<const KeyChain> chains, unsigned key_bits,
                 unsigned steps) noexcept;

inline void step_chain(const MppeKernels& kernels, const KeyChain& chain, unsigned key_bits,
                       unsigned steps) noexcept {
  step_chains(kernels, std::span(&chain, 1), key_bits, steps);
}

}  // namespace pns::dataplane
