// SPDX-License-Identifier: BSD-3-Clause
//
// LiveMemory: the memory that operator new has given out and delete has not taken back, as malloc
// accounts for it. This header replaces operator new and delete of its executable: one source file
// of an executable includes it, and no other test runs there. One thread.
#pragma once

#include <malloc.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>

namespace pns::test {

class LiveMemory {
 public:
  // malloc's own word before each block.
  static constexpr std::size_t kHeader = 8;
  static constexpr std::size_t kClasses = 256;

  // Octets with malloc's rounding and headers; blocks.
  std::size_t octets = 0;
  std::size_t blocks = 0;
  // Blocks by size in units of 16 octets, the largest together.
  std::size_t by_size[kClasses] = {};

  [[nodiscard]] LiveMemory operator-(const LiveMemory& other) const noexcept {
    LiveMemory out = *this;
    out.octets -= other.octets;
    out.blocks -= other.blocks;
    for (std::size_t i = 0; i < kClasses; ++i) out.by_size[i] -= other.by_size[i];
    return out;
  }
  // "blocks × size" for each size of which there is at least one for each of `parts`.
  [[nodiscard]] std::string describe(std::size_t parts) const {
    std::string out;
    for (std::size_t i = 0; i < kClasses; ++i)
      if (const auto each = (by_size[i] + parts / 2) / parts; each != 0 && by_size[i] < kMany)
        out += std::to_string(each) + " x " + std::to_string(16 * i) + "; ";
    return out;
  }

  void add(void* block) noexcept {
    const std::size_t size = malloc_usable_size(block) + kHeader;
    octets += size;
    ++blocks;
    ++by_size[class_of(size)];
  }
  void remove(void* block) noexcept {
    const std::size_t size = malloc_usable_size(block) + kHeader;
    octets -= size;
    --blocks;
    --by_size[class_of(size)];
  }

 private:
  static constexpr std::size_t kMany = std::size_t{1} << 62;  // a difference below zero
  static std::size_t class_of(std::size_t size) noexcept {
    return size / 16 < kClasses ? size / 16 : kClasses - 1;
  }
};

inline LiveMemory live_memory;

}  // namespace pns::test

void* operator new(std::size_t size) {
  void* const block = std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  pns::test::live_memory.add(block);
  return block;
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto boundary = static_cast<std::size_t>(alignment);
  void* const block = std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary);
  if (block == nullptr) throw std::bad_alloc();
  pns::test::live_memory.add(block);
  return block;
}
void operator delete(void* block) noexcept {
  if (block != nullptr) pns::test::live_memory.remove(block);
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept { operator delete(block); }
void operator delete(void* block, std::align_val_t) noexcept { operator delete(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
  operator delete(block);
}
