// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/control/lan_broadcasts.hpp"

#include <array>
#include <utility>

#include "dataplane/packet/packet_context.hpp"
#include "pns/config/config.hpp"
#include "pns/log/log.hpp"
#include "pns/wire/ethernet.hpp"

namespace pns::dataplane {
namespace {

constexpr unsigned kBatch = 32;  // broadcasts of one turn

}  // namespace

LanBroadcasts::LanBroadcasts(std::uint32_t rate) noexcept : rate_(rate), bucket_(rate, rate) {}

std::expected<void, std::string> LanBroadcasts::open(const Port& core) {
  auto socket = BroadcastSocket::open(core.kernel_interface);
  if (!socket) return std::unexpected(std::move(socket.error()));
  socket_ = std::move(*socket);
  return {};
}

void LanBroadcasts::connect(rte_ring* ring, Doorbell& doorbell) noexcept {
  ring_ = ring;
  doorbell_ = &doorbell;
}

void LanBroadcasts::set_networks(std::span<const Ipv4Prefix> own) {
  if (rate_ == 0) return;
  const std::size_t networks = networks_.set(own);
  if (networks > BroadcastNetworks::kMaxNetworks && networks != told_networks_)
    log::warn("too many networks for the broadcast relay",
              {{"networks", networks}, {"relayed", BroadcastNetworks::kMaxNetworks}});
  told_networks_ = networks;
}

int LanBroadcasts::poll_fd(std::uint64_t now_ns) const noexcept {
  return socket_ && bucket_.next_due_ns() <= now_ns ? socket_->fd() : -1;
}

void LanBroadcasts::take(rte_mempool* pool, std::uint64_t now_ns) {
  std::array<std::byte, config::kMaxPortMtu + wire::kEthernetHeaderSize> room;
  bool passed = false;
  for (unsigned n = 0; n < kBatch && bucket_.next_due_ns() <= now_ns; ++n) {
    const auto frame = socket_->receive(room);
    if (!frame) break;
    (void)bucket_.admit_one(now_ns);
    rte_mbuf* const made = packet_of(pool, *frame);
    if (made != nullptr && rte_ring_enqueue(ring_, made) == 0) {
      passed = true;
      continue;
    }
    ++not_passed_;
    if (made != nullptr) rte_pktmbuf_free(made);
  }
  if (passed) doorbell_->ring();
}

}  // namespace pns::dataplane
