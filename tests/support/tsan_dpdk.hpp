// SPDX-License-Identifier: BSD-3-Clause
//
// Makes buffers that go through DPDK's libraries visible to ThreadSanitizer. Those libraries are
// not instrumented: a packet that passes a ring port, or goes back to a pool and is taken out by
// another thread, seems to change hands without any order. Without the sanitizer nothing here does
// anything.
//
// ThreadSanitizer still cannot see:
// - rte_fib, rte_lpm6 and the drivers: accesses inside libraries.
// - fences (Doorbell, rte_rcu_qsbr_thread_online): they order flags, never data.
// - rte_ring_empty() and rte_ring_count() read a ring's ends without atomics, by DPDK's design.
//   They are suppressed by name (eal_main.cpp); what they say is only ever a hint.
// - DPDK's rings are C11 atomics under this preset (RTE_USE_C11_MEM_MODEL) and so visible. Other
//   builds use plain accesses with compiler barriers, which have the same order on x86.
#pragma once

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>

#include <mutex>
#include <vector>
#endif

namespace pns::test {

// Name of the mempool operations for rte_pktmbuf_pool_create_by_ops(); null: DPDK's own.
inline const char* visible_pool_ops();
// Packets of a port have an order with those who put them into its rings and take them out.
// Before the port starts.
inline void make_port_visible(std::uint16_t port, std::uint16_t queues);
// Around the rings of such a port, in the thread that plays the other end: before a packet is put
// in, and after one was taken out.
inline void before_port_receives();
inline void after_port_has_sent();

#ifdef __SANITIZE_THREAD__

namespace detail {

inline char to_port, from_port;  // only their addresses count

struct Stack {
  std::mutex mutex;
  std::vector<void*> objects;
};
inline Stack& stack_of(const rte_mempool* pool) { return *static_cast<Stack*>(pool->pool_data); }

inline int alloc_stack(rte_mempool* pool) {
  pool->pool_data = new Stack;
  return 0;
}
inline void free_stack(rte_mempool* pool) { delete static_cast<Stack*>(pool->pool_data); }
inline int put(rte_mempool* pool, void* const* objects, unsigned count) {
  Stack& stack = stack_of(pool);
  const std::lock_guard lock(stack.mutex);
  stack.objects.insert(stack.objects.end(), objects, objects + count);
  return 0;
}
inline int get(rte_mempool* pool, void** objects, unsigned count) {
  Stack& stack = stack_of(pool);
  const std::lock_guard lock(stack.mutex);
  if (stack.objects.size() < count) return -ENOBUFS;
  for (unsigned i = 0; i < count; ++i) {
    objects[i] = stack.objects.back();
    stack.objects.pop_back();
  }
  return 0;
}
inline unsigned count(const rte_mempool* pool) {
  Stack& stack = stack_of(pool);
  const std::lock_guard lock(stack.mutex);
  return static_cast<unsigned>(stack.objects.size());
}

inline std::uint16_t on_received(std::uint16_t, std::uint16_t, rte_mbuf**, std::uint16_t packets,
                                 std::uint16_t, void*) {
  if (packets != 0) __tsan_acquire(&to_port);
  return packets;
}
inline std::uint16_t on_sent(std::uint16_t, std::uint16_t, rte_mbuf**, std::uint16_t packets,
                             void*) {
  __tsan_release(&from_port);
  return packets;
}

}  // namespace detail

inline const char* visible_pool_ops() {
  static const char* const name = [] {
    rte_mempool_ops ops{};
    std::snprintf(ops.name, sizeof(ops.name), "visible");
    ops.alloc = detail::alloc_stack;
    ops.free = detail::free_stack;
    ops.enqueue = detail::put;
    ops.dequeue = detail::get;
    ops.get_count = detail::count;
    return rte_mempool_register_ops(&ops) < 0 ? nullptr : "visible";
  }();
  return name;
}
inline void make_port_visible(std::uint16_t port, std::uint16_t queues) {
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    (void)rte_eth_add_rx_callback(port, queue, detail::on_received, nullptr);
    (void)rte_eth_add_tx_callback(port, queue, detail::on_sent, nullptr);
  }
}
inline void before_port_receives() { __tsan_release(&detail::to_port); }
inline void after_port_has_sent() { __tsan_acquire(&detail::from_port); }

#else

inline const char* visible_pool_ops() { return nullptr; }
inline void make_port_visible(std::uint16_t, std::uint16_t) {}
inline void before_port_receives() {}
inline void after_port_has_sent() {}

#endif

}  // namespace pns::test
