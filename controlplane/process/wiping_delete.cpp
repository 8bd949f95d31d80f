// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/wiping_delete.hpp"

#include <malloc.h>
#include <string.h>  // explicit_bzero

#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace pns::control {
namespace {

constinit thread_local bool wipes = false;

constexpr std::size_t kStack = 256 * 1024;  // the parser uses a few KiB, for each level of a file

[[gnu::noinline]] void wipe_stack() noexcept {
  std::array<std::byte, kStack> area;
  ::explicit_bzero(area.data(), area.size());
}

}  // namespace

WipeFreedMemory::WipeFreedMemory() noexcept { wipes = true; }

WipeFreedMemory::~WipeFreedMemory() {
  wipes = false;
  wipe_stack();
}

#ifndef PNS_NO_WIPING_DELETE
namespace {

void* allocate(std::size_t size) {
  for (;;) {
    if (void* memory = std::malloc(size == 0 ? 1 : size); memory != nullptr) return memory;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void release(void* memory) noexcept {
  if (wipes && memory != nullptr) ::explicit_bzero(memory, ::malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace
#endif

}  // namespace pns::control

#ifndef PNS_NO_WIPING_DELETE
void* operator new(std::size_t size) { return pns::control::allocate(size); }
void operator delete(void* memory) noexcept { pns::control::release(memory); }
void operator delete(void* memory, std::size_t) noexcept { pns::control::release(memory); }
#endif
