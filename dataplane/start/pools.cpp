// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/start/pools.hpp"

#include <fmt/format.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "dataplane/packet/packet_context.hpp"

namespace pns::dataplane {
namespace {

constexpr unsigned kPoolCache = 256;  // buffers of each lcore

}  // namespace

std::expected<rte_mempool*, std::string> make_packet_pool(const char* name, unsigned buffers,
                                                          bool gapless) {
  const unsigned element = sizeof(rte_mbuf) + kMbufPrivateSize + RTE_MBUF_DEFAULT_BUF_SIZE;
  // net_af_xdp of DPDK 22.11 registers object count times object size with the kernel. With gaps
  // the last objects fall outside, and packets sent from one of those are lost without a trace.
  // Without gaps a buffer may lie in two pages: not for NICs without an IOMMU.
  rte_mempool* pool = rte_mempool_create_empty(
      name, buffers, element, kPoolCache, sizeof(rte_pktmbuf_pool_private),
      static_cast<int>(rte_socket_id()), gapless ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0);
  rte_pktmbuf_pool_private settings{};
  settings.mbuf_data_room_size = RTE_MBUF_DEFAULT_BUF_SIZE;
  settings.mbuf_priv_size = kMbufPrivateSize;
  // ring_mt_rts: with the default ring a thread that is preempted inside the pool makes every other
  // one spin, which is the rule where lcores share CPUs.
  if (pool == nullptr || rte_mempool_set_ops_byname(pool, "ring_mt_rts", nullptr) != 0)
    return std::unexpected(fmt::format("pool {}: {}", name, rte_strerror(rte_errno)));
  rte_pktmbuf_pool_init(pool, &settings);
  if (rte_mempool_populate_default(pool) < static_cast<int>(buffers))
    return std::unexpected(
        fmt::format("{} packet buffers: no memory (dataplane.memory.megabytes)", buffers));
  if (gapless && pool->nb_mem_chunks != 1)
    return std::unexpected(
        fmt::format("{} packet buffers: memory is in {} pieces, xdp: ports need one", buffers,
                    pool->nb_mem_chunks));
  rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
  return pool;
}

std::expected<rte_ring*, std::string> make_ring(const std::string& name, unsigned size) {
  rte_ring* ring = rte_ring_create(name.c_str(), size, static_cast<int>(rte_socket_id()),
                                   RING_F_SP_ENQ | RING_F_SC_DEQ);
  if (ring == nullptr)
    return std::unexpected(fmt::format("ring {}: {}", name, rte_strerror(rte_errno)));
  return ring;
}

}  // namespace pns::dataplane
