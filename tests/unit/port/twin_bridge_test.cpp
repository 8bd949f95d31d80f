// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/twin_bridge.hpp"

#include "dataplane/port/tap_frame.hpp"

#include <rte_mbuf.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

using namespace pns;
using namespace pns::dataplane;

namespace {

constexpr unsigned kRing = 64;  // holds one less
constexpr std::uint32_t kFrames = 500;

struct Free {
  void operator()(rte_ring* ring) const noexcept { rte_ring_free(ring); }
  void operator()(rte_mempool* pool) const noexcept { rte_mempool_free(pool); }
};

rte_ring* make_ring(const char* name) {
  return rte_ring_create(name, kRing, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

// The number in a frame.
std::uint32_t number_of(const rte_mbuf* packet) {
  std::uint32_t number = 0;
  std::memcpy(&number, rte_pktmbuf_mtod(packet, const void*), sizeof(number));
  return number;
}

bool holds_soon(const auto& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace

TEST_CASE("punt: frames from the kernel wait in its queue while the worker's ring is full",
          "[punt]") {
  const std::unique_ptr<rte_mempool, Free> pool(
      rte_pktmbuf_pool_create("punt-test", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY));
  const std::unique_ptr<rte_ring, Free> in(make_ring("punt-in"));
  const std::unique_ptr<rte_ring, Free> out(make_ring("punt-out"));
  REQUIRE((pool && in && out));
  // A socket of packets, in the place of the TAP.
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) == 0);
  const UniqueFd kernel(ends[0]);
  Doorbell worker;
  auto header = std::make_unique<contract::SessionMemoryHeader>();
  {
    std::array<TwinBridge::Twin, TwinBridge::kTwins> twins;
    twins[0].fd.reset(ends[1]);
    twins[0].from_workers = {out.get()};
    twins[0].to_worker = in.get();
    twins[0].worker_doorbell = &worker;
    TwinBridge punt(std::move(twins), pool.get(), *header);
    punt.start();
    std::uint32_t sent = 0;
    const auto send_what_fits = [&] {
      while (sent < kFrames &&
             ::send(kernel.get(), &sent, sizeof(sent), MSG_DONTWAIT) == sizeof(sent))
        ++sent;
    };
    send_what_fits();
    REQUIRE(holds_soon([&] { return rte_ring_full(in.get()) == 1; }));
    CHECK(sent > kRing);
    CHECK(rte_mempool_in_use_count(pool.get()) == kRing - 1);  // no more buffers than fit
    // All of them arrive, in order.
    std::uint32_t received = 0;
    CHECK(holds_soon([&] {
      send_what_fits();
      void* packet = nullptr;
      if (rte_ring_dequeue(in.get(), &packet) == 0) {
        CHECK(number_of(static_cast<rte_mbuf*>(packet)) == received++);
        rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
      }
      return received == kFrames;
    }));
  }
  CHECK(header->twin_dropped.get() == 0);
  CHECK(header->twin_from_kernel.get() == kFrames);
  CHECK(rte_mempool_in_use_count(pool.get()) == 0);
}

TEST_CASE("tap frame: a chain arrives whole, or not at all", "[punt]") {
  const std::unique_ptr<rte_mempool, Free> pool(
      rte_pktmbuf_pool_create("frame-test", 63, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY));
  REQUIRE(pool);
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) == 0);
  const UniqueFd tap(ends[0]);
  const UniqueFd kernel(ends[1]);
  const auto chain_of = [&](unsigned segments) {
    rte_mbuf* head = nullptr;
    for (unsigned n = 0; n < segments; ++n) {
      rte_mbuf* segment = rte_pktmbuf_alloc(pool.get());
      std::memset(rte_pktmbuf_append(segment, 10), static_cast<int>(n), 10);
      if (head == nullptr)
        head = segment;
      else
        REQUIRE(rte_pktmbuf_chain(head, segment) == 0);
    }
    return head;
  };
  std::array<std::uint8_t, 256> got{};
  for (const unsigned segments : {1U, 8U, 9U, kMaxTapSegments}) {
    rte_mbuf* chain = chain_of(segments);
    CHECK(write_frame(tap.get(), chain));
    rte_pktmbuf_free(chain);
    REQUIRE(::recv(kernel.get(), got.data(), got.size(), MSG_DONTWAIT) ==
            static_cast<ssize_t>(10 * segments));
    CHECK(got[10 * segments - 1] == segments - 1);
  }
  rte_mbuf* chain = chain_of(kMaxTapSegments + 1);
  CHECK_FALSE(write_frame(tap.get(), chain));
  rte_pktmbuf_free(chain);
  CHECK(::recv(kernel.get(), got.data(), got.size(), MSG_DONTWAIT) == -1);
  CHECK(rte_mempool_in_use_count(pool.get()) == 0);
}
