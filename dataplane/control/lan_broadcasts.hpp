// SPDX-License-Identifier: BSD-3-Clause
//
// LanBroadcasts: main's part of the relay of broadcasts between the core network and subscribers.
// It tells the workers which networks there are. Where the port leaves broadcasts to the kernel, it
// brings copies of them to the first worker, within the rate. Main thread only, but for what
// networks() gives.
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>

#include "dataplane/packet/doorbell.hpp"
#include "dataplane/packet/policer.hpp"
#include "dataplane/port/broadcast_socket.hpp"
#include "dataplane/port/port.hpp"
#include "dataplane/routing/broadcast_networks.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::dataplane {

class LanBroadcasts {
 public:
  // `rate`: broadcasts a second; 0: none are relayed.
  explicit LanBroadcasts(std::uint32_t rate) noexcept;

  // Where the kernel has the broadcasts. Needs CAP_NET_RAW. Error: one line.
  [[nodiscard]] std::expected<void, std::string> open(const Port& core);
  [[nodiscard]] bool is_open() const noexcept { return socket_.has_value(); }
  // Where copies go; the ring's reader is behind `doorbell`.
  void connect(rte_ring* ring, Doorbell& doorbell) noexcept;

  [[nodiscard]] std::uint32_t rate() const noexcept { return rate_; }
  // Workers read it.
  [[nodiscard]] const BroadcastNetworks& networks() const noexcept { return networks_; }
  // The core port's addresses with the lengths of their networks.
  void set_networks(std::span<const Ipv4Prefix> own);

  // Poll for reading; -1: there is nothing to wait for now. Over their rate, broadcasts wait in the
  // kernel, which drops what is too much.
  [[nodiscard]] int poll_fd(std::uint64_t now_ns) const noexcept;
  // Passes on as many as one turn may take.
  void take(rte_mempool* pool, std::uint64_t now_ns);

  // Frames since the start: that the kernel dropped, and that found no room or no buffer here.
  [[nodiscard]] std::uint64_t lost() noexcept { return socket_ ? socket_->lost() : 0; }
  [[nodiscard]] std::uint64_t not_passed() const noexcept { return not_passed_; }

 private:
  std::uint32_t rate_;
  EventBucket bucket_;
  std::optional<BroadcastSocket> socket_;
  rte_ring* ring_ = nullptr;
  Doorbell* doorbell_ = nullptr;
  BroadcastNetworks networks_;
  std::size_t told_networks_ = 0;  // how many there were when networks_ was set last
  std::uint64_t not_passed_ = 0;
};

}  // namespace pns::dataplane
