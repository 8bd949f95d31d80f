// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mppe/key_chain.hpp"

#include <algorithm>
#include <cstring>

#include "pns/crypto/mppe_keys.hpp"

namespace pns::dataplane {
namespace {

// Chains side by side, kernels.lanes at most.
void step_group(const MppeKernels& kernels, std::span<const KeyChain> chains, unsigned key_bits,
                unsigned steps) noexcept {
  alignas(256) std::uint8_t tables[kMaxRc4Lanes][kRc4TableSize];
  alignas(64) std::byte keys[kMaxRc4Lanes + 2][16] = {};  // one of 8 octets twice
  NewKey next[kMaxRc4Lanes];
  const auto count = static_cast<unsigned>(chains.size());
  const auto octets = static_cast<unsigned>(crypto::key_octets(key_bits));
  for (unsigned n = 0; n < count; ++n) {
    std::memcpy(keys[n], chains[n].session_key, 16);
    next[n] = {chains[n].start_key, keys[n], keys[n]};
  }
  const auto new_keys = count <= kernels.few_keys ? kernels.few_new_keys : kernels.new_keys;
  const unsigned lanes = std::max(count, kernels.fewest_lanes);
  StackLow low = kCleanStack;
  for (unsigned step = 0; step < steps; ++step) {
    new_keys(next, count, octets);
    low = std::min(low, kernels.rc4.change_keys[lanes - 1](tables[0], keys[0]));
    if (key_bits == 128) continue;
    for (unsigned n = 0; n < count; ++n) {
      crypto::reduce_key(std::span<std::byte, 16>(keys[n], 16), key_bits);
      std::memcpy(keys[n] + 8, keys[n], 8);
    }
  }
  for (unsigned n = 0; n < count; ++n) {
    std::memcpy(chains[n].session_key, keys[n], octets);
    std::memset(chains[n].session_key + octets, 0, 16 - octets);
  }
  kernels.clear(keys, sizeof(keys));
  kernels.clear(tables, lanes * kRc4TableSize);
  kernels.clear_stack(low);
}

}  // namespace

void step_chains(const MppeKernels& kernels, std::span<const KeyChain> chains, unsigned key_bits,
                 unsigned steps) noexcept {
  while (steps != 0 && !chains.empty()) {
    const std::size_t count = std::min<std::size_t>(chains.size(), kernels.lanes);
    step_group(kernels, chains.first(count), key_bits, steps);
    chains = chains.subspan(count);
  }
}

}  // namespace pns::dataplane
