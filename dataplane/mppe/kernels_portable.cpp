// SPDX-License-Identifier: BSD-3-Clause
#include <string.h>  // explicit_bzero
#include <cstring>

#include "dataplane/mppe/kernels.hpp"
#include "dataplane/mppe/rc4_portable.hpp"
#include "dataplane/mppe/sha1_lanes.hpp"

namespace pns::dataplane {
namespace {

template <class F>
void with_lanes(unsigned lanes, F f) noexcept {
  switch (lanes) {
    case 1:
      return f(std::make_index_sequence<1>());
    case 2:
      return f(std::make_index_sequence<2>());
    case 3:
      return f(std::make_index_sequence<3>());
    default:
      return f(std::make_index_sequence<kPortableLanes>());
  }
}

void set_keys(std::uint8_t* tables, const std::byte* keys, unsigned lanes) noexcept {
  with_lanes(lanes, [=](auto each) noexcept { set_keys_portable(tables, keys, each); });
}

void change_keys(std::uint8_t* tables, std::byte* keys, unsigned lanes) noexcept {
  with_lanes(lanes, [=](auto each) noexcept { change_keys_portable(tables, keys, each); });
}

void generate(std::uint8_t* tables, std::uint8_t* j, std::byte* out, std::size_t blocks,
              std::size_t at, unsigned lanes) noexcept {
  with_lanes(lanes, [=](auto each) noexcept {
    generate_portable(tables, j, out, 16 * blocks, at & 0xff, each);
  });
}

void go_on(std::uint8_t* tables, RunningIndices& indices, std::byte* out, std::size_t octets,
           unsigned lanes) noexcept {
  with_lanes(lanes, [&indices, tables, out, octets](auto each) noexcept {
    go_on_portable(tables, indices, out, octets, each);
  });
}

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

MppeKernels portable_kernels() noexcept {
  return {kPortableLanes,
          kPortableRunningLanes,
          2,
          1,
          true,
          kStreamStride,
          Sha1Lanes<1>::new_keys,
          Sha1Lanes<4>::new_keys,
          set_keys,
          change_keys,
          generate,
          go_on,
          combine,
          clear};
}

}  // namespace pns::dataplane
