// SPDX-License-Identifier: BSD-3-Clause
//
// Functions of the burst engine: RC4 for several streams at once, SHA-1 for several keys at once. A
// variant is an instruction set; RC4 has a form beside it, since CPUs of one instruction set differ
// in the cost of a store of one octet. Functions over the caller's memory. Nothing here knows
// MPPE's headers, counts or states. 512-bit registers are never used: they lower the clock of the
// cores of some CPUs, and RC4 gains nothing from them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pns::dataplane {

enum class MppeVariant : std::uint8_t { kPortable, kAvx2, kAvx512 };

// Entries of the tables of RC4 while it works: octets, or words of 32 bit. Outside they are octets.
enum class Rc4Form : std::uint8_t { kBytes, kWords };

inline constexpr std::size_t kRc4TableSize = 256;
inline constexpr std::size_t kStreamStride = 1600;  // rc4_*.S have it too; no multiple of 4,096
inline constexpr unsigned kMaxRc4Lanes = 6;
inline constexpr unsigned kMaxRunningLanes = 4;
inline constexpr std::size_t kFewBlocks = 12;  // of 16 octets

// GetNewKeyFromSHA (RFC 3079 §3.4) of one packet. `out`: 16 octets; a key of 8 octets is there
// twice, which is the same key to RC4. 16 octets can be read of keys of 8 octets too.
struct NewKey {
  const std::byte* start_key;
  const std::byte* session_key;
  std::byte* out;
};

// i and j of streams that go on.
struct RunningIndices {
  std::uint8_t i[kMaxRunningLanes];
  std::uint8_t j[kMaxRunningLanes];
};

// The lowest address of the stack at which a function of RC4 left keys and tables. The caller of
// such functions hands the lowest of all to clear_stack, from a function that is not deeper.
using StackLow = std::uintptr_t;
inline constexpr StackLow kCleanStack = ~StackLow{0};

// The functions of RC4, each by its number of streams, from one. Tables are 256-aligned and
// consecutive; key streams go to `out` + lane * kStreamStride.
struct Rc4Kernels {
  // Tables from keys of 16 octets, one after the other.
  using SetKeys = StackLow(std::uint8_t* tables, const std::byte* keys) noexcept;
  // The same, then the first 16 octets of each stream over its key (RFC 3078 §7.3). The tables are
  // worth nothing afterwards.
  using ChangeKeys = StackLow(std::uint8_t* tables, std::byte* keys) noexcept;
  // 16 * `blocks` octets of each stream. All have made `at` octets before, a multiple of 16. If it
  // does not go on the tables are worth nothing afterwards.
  using Generate = StackLow(std::uint8_t* tables, std::uint8_t* j, std::byte* out,
                            std::size_t blocks, std::size_t at, bool goes_on) noexcept;
  // `octets` of each stream, from any i.
  using GoOn = StackLow(std::uint8_t* tables, RunningIndices* indices, std::byte* out,
                        std::size_t octets) noexcept;

  SetKeys* set_keys[kMaxRc4Lanes];
  ChangeKeys* change_keys[kMaxRc4Lanes];
  // Words are expanded and packed in each call, octets are not: which is faster hangs on the
  // length.
  Generate* generate_one[kMaxRc4Lanes];  // of one block
  Generate* generate_few[kMaxRc4Lanes];  // up to kFewBlocks
  Generate* generate[kMaxRc4Lanes];
  GoOn* go_on[kMaxRunningLanes];
};

struct MppeKernels {
  unsigned lanes;          // most of set_keys, change_keys and generate
  unsigned running_lanes;  // most of go_on
  unsigned fewest_lanes;  // 2: one stream is set up sooner with another beside it, whatever its key
  unsigned few_keys;      // up to so many keys few_new_keys is faster than new_keys
  bool one_is_slow;       // a single packet is done sooner by the scalar reference
  // A running stream that has none beside it is done sooner by the scalar reference, which copies
  // no table, when it has at most so many octets.
  std::size_t few_octets;
  // `count` interim keys, any number; key_octets is 16 or 8.
  void (*few_new_keys)(const NewKey* keys, unsigned count, unsigned key_octets) noexcept;
  void (*new_keys)(const NewKey* keys, unsigned count, unsigned key_octets) noexcept;
  // to = from ^ stream; `to` is `from` or lies apart.
  void (*combine)(std::byte* to, const std::byte* from, const std::byte* stream,
                  std::size_t size) noexcept;
  // Overwrites; size is a multiple of 64.
  void (*clear)(void* memory, std::size_t size) noexcept;
  // Nothing for kCleanStack.
  void (*clear_stack)(StackLow low) noexcept;
  Rc4Kernels rc4;
};

[[nodiscard]] MppeKernels portable_kernels(Rc4Form form) noexcept;
[[nodiscard]] MppeKernels avx2_kernels(Rc4Form form) noexcept;
[[nodiscard]] MppeKernels avx512_kernels(Rc4Form form) noexcept;

// few_new_keys with the SHA instructions.
void new_keys_sha_ni(const NewKey* keys, unsigned count, unsigned key_octets) noexcept;

// Whether this CPU has what the variant needs.
[[nodiscard]] bool has_variant(MppeVariant variant) noexcept;
// The fastest that this CPU has.
[[nodiscard]] MppeVariant best_variant() noexcept;
// Its kernels, all of one form; few_new_keys with the SHA instructions where the CPU has them, but
// for kPortable. kernel_choice.hpp finds what is best on the CPU at hand.
[[nodiscard]] MppeKernels kernels_of(MppeVariant variant, Rc4Form form = Rc4Form::kBytes) noexcept;
[[nodiscard]] const char* name_of(MppeVariant variant) noexcept;
[[nodiscard]] const char* name_of(Rc4Form form) noexcept;

}  // namespace pns::dataplane
