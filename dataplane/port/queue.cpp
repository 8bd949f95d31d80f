// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/queue.hpp"

#include <rte_ethdev.h>
#include <rte_spinlock.h>

#include <array>

#include "dataplane/port/tap_frame.hpp"

namespace pns::dataplane {
namespace {

// One lock for each port whose transmit queues are shared: such a port is slow anyway.
std::array<rte_spinlock_t, RTE_MAX_ETHPORTS> shared_port_locks{};

std::uint16_t read_frames(int fd, rte_mempool* pool, std::span<rte_mbuf*> packets) noexcept {
  std::uint16_t count = 0;
  while (count < packets.size()) {
    rte_mbuf* packet = read_frame(fd, pool);
    if (packet == nullptr) break;
    packets[count++] = packet;
  }
  return count;
}

}  // namespace

RxQueue RxQueue::ethdev(std::uint16_t port, std::uint16_t queue) noexcept {
  RxQueue out;
  out.port_ = port;
  out.queue_ = queue;
  return out;
}

RxQueue RxQueue::tap(int fd, rte_mempool* pool) noexcept {
  RxQueue out;
  out.fd_ = fd;
  out.pool_ = pool;
  return out;
}

std::uint16_t RxQueue::rx_burst(std::span<rte_mbuf*> packets) noexcept {
  if (fd_ >= 0) return read_frames(fd_, pool_, packets);
  return rte_eth_rx_burst(port_, queue_, packets.data(),
                          static_cast<std::uint16_t>(packets.size()));
}

TxQueue TxQueue::ethdev(std::uint16_t port, std::uint16_t queue, bool shared) noexcept {
  TxQueue out;
  out.port_ = port;
  out.queue_ = queue;
  out.shared_ = shared;
  return out;
}

TxQueue TxQueue::tap(int fd) noexcept {
  TxQueue out;
  out.fd_ = fd;
  return out;
}

std::uint16_t TxQueue::tx_burst(std::span<rte_mbuf*> packets) noexcept {
  if (fd_ >= 0) {
    std::uint16_t sent = 0;
    // A frame the kernel refuses (interface down, too long, queue full) must not block the rest.
    for (rte_mbuf*& packet : packets) {
      if (write_frame(fd_, packet)) {
        rte_pktmbuf_free(packet);
        packet = nullptr;
        ++sent;
      }
    }
    // Those that are left move to the end, in their order.
    std::size_t end = packets.size();
    if (sent != 0)
      for (std::size_t i = packets.size(); i-- > 0;)
        if (packets[i] != nullptr) packets[--end] = packets[i];
    return sent;
  }
  const auto count = static_cast<std::uint16_t>(packets.size());
  if (!shared_) return rte_eth_tx_burst(port_, queue_, packets.data(), count);
  rte_spinlock_lock(&shared_port_locks[port_]);
  const std::uint16_t sent = rte_eth_tx_burst(port_, queue_, packets.data(), count);
  rte_spinlock_unlock(&shared_port_locks[port_]);
  return sent;
}

}  // namespace pns::dataplane
