// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mppe/kernels.hpp"
#include "dataplane/mppe/rc4_portable.hpp"
#include "dataplane/mppe/sha1_lanes.hpp"

namespace pns::dataplane {
namespace {

void new_key(const NewKey& key, unsigned key_octets) noexcept {
  Sha1Lanes<1>::new_keys(&key, 1, key_octets);
}

void set_keys(std::uint8_t* tables, const std::byte* keys, unsigned lanes) noexcept {
  switch (lanes) {
    case 1:
      return set_keys_portable<1>(tables, keys);
    case 2:
      return set_keys_portable<2>(tables, keys);
    case 3:
      return set_keys_portable<3>(tables, keys);
    default:
      return set_keys_portable<4>(tables, keys);
  }
}

void stream(std::uint8_t* tables, std::uint8_t* i, std::uint8_t* j, std::byte* out,
            std::size_t octets, unsigned lanes) noexcept {
  switch (lanes) {
    case 1:
      return stream_portable<1>(tables, i, j, out, octets);
    case 2:
      return stream_portable<2>(tables, i, j, out, octets);
    case 3:
      return stream_portable<3>(tables, i, j, out, octets);
    default:
      return stream_portable<4>(tables, i, j, out, octets);
  }
}

void generate(std::uint8_t* tables, std::uint8_t* j, std::byte* out, std::size_t blocks,
              std::size_t at, unsigned lanes) noexcept {
  std::uint8_t i[kPortableLanes];
  for (std::uint8_t& each : i) each = static_cast<std::uint8_t>(at);
  stream(tables, i, j, out, 16 * blocks, lanes);
}

void go_on(std::uint8_t* tables, RunningIndices& indices, std::byte* out, std::size_t octets,
           unsigned lanes) noexcept {
  stream(tables, indices.i, indices.j, out, octets, lanes);
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

}  // namespace

MppeKernels portable_kernels() noexcept {
  return {kPortableLanes, kPortableLanes, 1,     new_key, Sha1Lanes<4>::new_keys,
          set_keys,       generate,       go_on, combine};
}

}  // namespace pns::dataplane
