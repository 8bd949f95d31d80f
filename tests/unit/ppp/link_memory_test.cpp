// SPDX-License-Identifier: BSD-3-Clause
//
// Octets of memory that one open Link holds: its object and what it has allocated. operator new and
// delete of this executable count; no other test runs here.
#include <malloc.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>
#include <new>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::test;

namespace {

std::size_t live_octets = 0;  // as malloc rounds them up

void* counted(std::size_t size) {
  void* const block = std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  live_octets += malloc_usable_size(block);
  return block;
}
void release(void* block) noexcept {
  if (block != nullptr) live_octets -= malloc_usable_size(block);
  std::free(block);
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void operator delete(void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }

namespace {

// Octets that go when the link of `pair` does, the object not counted.
std::size_t heap_of(LinkPair& pair) {
  const std::size_t before = live_octets;
  std::destroy_at(&pair.link);
  const std::size_t after = live_octets;
  std::construct_at(&pair.link, std::make_shared<const ppp::LinkSettings>(), Ipv4Address(),
                    pair.random, pair.clock.now());
  return before - after;
}

}  // namespace

TEST_CASE("link memory: an open link holds little", "[ppp]") {
  const bool ipv6 = GENERATE(false, true);
  LinkPair pair;
  if (ipv6) pair.network.ipv6 = model::Ipv6Parameters{.prefix = {{0x20010db800000001, 0}, 64}};
  pair.start();
  REQUIRE(pair.link.phase() == model::LinkPhase::kOpen);
  const std::size_t heap = heap_of(pair);
  // Printed with -s. A session costs the control process 3 KiB at most, all its parts together.
  INFO("sizeof(Link) " << sizeof(ppp::Link) << ", heap " << heap);
  CHECK(sizeof(ppp::Link) + heap <= (ipv6 ? 1600u : 1152u));
  CHECK(heap > 0);
}
