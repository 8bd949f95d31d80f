// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/tap_frame.hpp"

#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace pns::dataplane {

rte_mbuf* read_frame(int fd, rte_mempool* pool) noexcept {
  rte_mbuf* packet = rte_pktmbuf_alloc(pool);
  if (packet == nullptr) return nullptr;
  const auto got = ::read(fd, rte_pktmbuf_mtod(packet, void*), rte_pktmbuf_tailroom(packet));
  if (got <= 0) {
    rte_pktmbuf_free(packet);
    return nullptr;
  }
  packet->data_len = static_cast<std::uint16_t>(got);
  packet->pkt_len = static_cast<std::uint32_t>(got);
  return packet;
}

bool write_frame(int fd, const rte_mbuf* packet) noexcept {
  std::array<iovec, kMaxTapSegments> parts{};
  unsigned count = 0;
  for (const rte_mbuf* segment = packet; segment != nullptr; segment = segment->next) {
    if (count == parts.size()) return false;
    parts[count++] = {rte_pktmbuf_mtod(segment, void*), segment->data_len};
  }
  return ::writev(fd, parts.data(), static_cast<int>(count)) > 0;
}

}  // namespace pns::dataplane
