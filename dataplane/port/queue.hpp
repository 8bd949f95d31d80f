// SPDX-License-Identifier: BSD-3-Clause
//
// RxQueue and TxQueue: one face over what a port can be, an ethdev queue or a plain TAP descriptor
// (the lab and CI wire: one read(2) or writev(2) per frame). Plain values that own nothing; the
// worker that was given one is its only user, but for a shared ethdev transmit queue, which takes a
// lock per burst (devices with fewer transmit queues than workers).
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>
#include <span>

namespace pns::dataplane {

class RxQueue {
 public:
  [[nodiscard]] static RxQueue ethdev(std::uint16_t port, std::uint16_t queue) noexcept;
  // `fd` must be non-blocking, one frame per read, no packet information header.
  [[nodiscard]] static RxQueue tap(int fd, rte_mempool* pool) noexcept;

  // Fills the front of `packets`; the caller owns them. TAP: stops at the first empty read.
  // When the pool is exhausted frames stay with the kernel.
  [[nodiscard]] std::uint16_t rx_burst(std::span<rte_mbuf*> packets) noexcept;
  // The TAP's descriptor, or -1.
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  std::uint16_t port_ = 0;
  std::uint16_t queue_ = 0;
  int fd_ = -1;
  rte_mempool* pool_ = nullptr;
};

class TxQueue {
 public:
  // `shared`: other workers use the same queue.
  [[nodiscard]] static TxQueue ethdev(std::uint16_t port, std::uint16_t queue,
                                      bool shared = false) noexcept;
  [[nodiscard]] static TxQueue tap(int fd) noexcept;

  // Sends from the front; takes those it sent, the caller keeps the rest. Chains are fine.
  [[nodiscard]] std::uint16_t tx_burst(std::span<rte_mbuf*> packets) noexcept;

 private:
  std::uint16_t port_ = 0;
  std::uint16_t queue_ = 0;
  bool shared_ = false;
  int fd_ = -1;
};

}  // namespace pns::dataplane
