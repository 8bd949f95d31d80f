// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>  // explicit_bzero
#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/mppe/kernels.hpp"
#include "dataplane/mppe/rc4_portable.hpp"
#include "dataplane/mppe/sha1_lanes.hpp"

namespace pns::dataplane {
namespace {

void combine(std::byte* to, const std::byte* from, const std::byte* key_stream,
             std::size_t size) noexcept {
  std::size_t n = 0;
  for (; n + 8 <= size; n += 8) {
    std::uint64_t a;
    std::uint64_t b;
    std::memcpy(&a, from + n, 8);
    std::memcpy(&b, key_stream + n, 8);
    a ^= b;
    std::memcpy(to + n, &a, 8);
  }
  for (; n < size; ++n) to[n] = from[n] ^ key_stream[n];
}

void clear(void* memory, std::size_t size) noexcept { ::explicit_bzero(memory, size); }

}  // namespace

MppeKernels portable_kernels(Rc4Form form) noexcept {
  Rc4Kernels rc4 = portable_rc4<std::uint8_t>();
  if (form == Rc4Form::kWords) {
    const auto one = std::to_array(rc4.generate_one);  // a table is not expanded for one block
    rc4 = portable_rc4<std::uint32_t>();
    std::ranges::copy(one, rc4.generate_one);
  }
  return {.lanes = kPortableLanes,
          .running_lanes = kPortableRunningLanes,
          .fewest_lanes = 2,
          .few_keys = 1,
          .one_is_slow = true,
          .few_octets = kStreamStride,
          .few_new_keys = Sha1Lanes<1>::new_keys,
          .new_keys = Sha1Lanes<4>::new_keys,
          .combine = combine,
          .clear = clear,
          .clear_stack = [](StackLow) noexcept {},
          .rc4 = rc4};
}

}  // namespace pns::dataplane
