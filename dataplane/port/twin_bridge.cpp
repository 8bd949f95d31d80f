// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/twin_bridge.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <rte_mbuf.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "dataplane/port/tap_frame.hpp"
#include "pns/privilege/confinement.hpp"

namespace pns::dataplane {
namespace {

constexpr unsigned kBatch = 64;
constexpr int kWaitMs = 100;
constexpr int kFullRingWaitMs = 1;  // nobody rings when there is room again

}  // namespace

TwinBridge::TwinBridge(std::array<Twin, kTwins> twins, rte_mempool* pool,
                       contract::SessionMemoryHeader& header)
    : twins_(std::move(twins)), pool_(pool), header_(header) {
  for (const Twin& twin : twins_)
    if (twin.fd) {
      const int flags = ::fcntl(twin.fd.get(), F_GETFL);
      (void)::fcntl(twin.fd.get(), F_SETFL, flags | O_NONBLOCK);
    }
}

TwinBridge::~TwinBridge() {
  stop_.store(true, std::memory_order_relaxed);
  const std::uint64_t one = 1;
  (void)!::write(doorbell_.fd(), &one, sizeof(one));
  if (thread_.joinable()) thread_.join();
}

void TwinBridge::start() {
  thread_ = std::thread([this] { run(); });
}

void TwinBridge::set_carrier(contract::PortRole role, bool up) noexcept {
  const UniqueFd& twin = twins_[static_cast<std::size_t>(role)].fd;
  int carrier = up ? 1 : 0;
  if (twin) (void)::ioctl(twin.get(), TUNSETCARRIER, &carrier);
}

unsigned TwinBridge::to_kernel(Twin& twin) noexcept {
  unsigned moved = 0;
  std::array<void*, kBatch> packets;
  for (rte_ring* ring : twin.from_workers) {
    const unsigned count = rte_ring_dequeue_burst(ring, packets.data(), kBatch, nullptr);
    for (unsigned i = 0; i < count; ++i) {
      auto* packet = static_cast<rte_mbuf*>(packets[i]);
      if (write_frame(twin.fd.get(), packet))
        header_.twin_to_kernel.add(1);
      else
        header_.twin_dropped.add(1);
      rte_pktmbuf_free(packet);
    }
    moved += count;
  }
  return moved;
}

unsigned TwinBridge::from_kernel(Twin& twin) noexcept {
  if (twin.to_worker == nullptr) return 0;  // another twin of the same TAP reads it
  const unsigned room = std::min(kBatch, rte_ring_free_count(twin.to_worker));
  unsigned moved = 0;
  while (moved < room) {
    rte_mbuf* packet = read_frame(twin.fd.get(), pool_);
    if (packet == nullptr) break;
    ++moved;
    (void)rte_ring_enqueue(twin.to_worker, packet);  // there is room: nobody else fills it
    header_.twin_from_kernel.add(1);
  }
  if (moved != 0) twin.worker_doorbell->ring();
  return moved;
}

void TwinBridge::wait() noexcept {
  for (const Twin& twin : twins_)
    for (const rte_ring* ring : twin.from_workers)
      if (rte_ring_empty(ring) == 0) return;
  std::array<pollfd, kTwins + 1> wait{};
  wait[0] = {doorbell_.fd(), POLLIN, 0};
  int limit = kWaitMs;
  for (std::size_t i = 0; i < twins_.size(); ++i) {
    const bool reads = twins_[i].fd && twins_[i].to_worker != nullptr;
    const bool full = reads && rte_ring_full(twins_[i].to_worker) == 1;
    if (full) limit = kFullRingWaitMs;
    wait[i + 1] = {full || !reads ? -1 : twins_[i].fd.get(), POLLIN, 0};  // -1 is ignored by poll
  }
  (void)::poll(wait.data(), wait.size(), limit);
}

void TwinBridge::run() {
  privilege::drop_capabilities();
  while (!stop_.load(std::memory_order_relaxed)) {
    unsigned moved = 0;
    for (Twin& twin : twins_)
      if (twin.fd) moved += to_kernel(twin) + from_kernel(twin);
    if (moved != 0) continue;
    doorbell_.prepare_sleep();
    wait();
    doorbell_.cancel_sleep();
    doorbell_.drain();
  }
}

}  // namespace pns::dataplane
