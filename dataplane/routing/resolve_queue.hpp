// SPDX-License-Identifier: BSD-3-Clause
//
// ResolveQueue: packets that wait until the kernel knows the MAC address of their next hop, and the
// neighbours that it has been asked for. Bounded in neighbours, packets and time. Gateways have
// their own room: whatever waits for other neighbours, a gateway is asked for and its packets wait.
// The other neighbours share kMaxNeighbours places. When all are taken the one that was asked for
// first gives way: a host that exists answers long before, and hosts that do not exist keep nobody
// out.
//
// Knows neither netlink nor routes: whoever calls asks the kernel. Main thread only.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "pns/base/drop_reason.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

class ResolveQueue {
 public:
  // A port, and an address on its link (IPv4 mapped).
  using Neighbour = std::pair<contract::PortRole, Ipv6Address>;

  static constexpr std::size_t kMaxNeighbours = 256;       // that are no gateways
  static constexpr std::size_t kPacketsPerNeighbour = 64;  // the oldest gives way
  static constexpr std::size_t kMaxPackets = 1'024;        // for gateways; as many for the others
  static constexpr std::uint64_t kHoldNs = 3'000'000'000;
  static constexpr std::uint64_t kAskAgainNs = 1'000'000'000;
  static constexpr unsigned kMaxTries = 5;  // after the first

  // Effects on others. All are called from within its functions.
  struct Actions {
    std::function<void(const Neighbour&)> ask;     // the kernel, for the MAC address
    std::function<void(const Neighbour&)> forget;  // given up: the kernel need not try any more
    // A packet that is given up: neighbour_unanswered or neighbour_queue_full. The callee owns it.
    std::function<void(const Neighbour&, rte_mbuf*, DropReason)> lose;
  };

  explicit ResolveQueue(Actions actions) : actions_(std::move(actions)) {}
  ~ResolveQueue();  // frees what waits
  ResolveQueue(const ResolveQueue&) = delete;
  ResolveQueue& operator=(const ResolveQueue&) = delete;

  // Takes a packet that waits for `neighbour`.
  void hold(const Neighbour& neighbour, bool gateway, rte_mbuf* packet, std::uint64_t now_ns);
  // Asks for a gateway before a packet needs it, unless that was done.
  void want_gateway(const Neighbour& neighbour, std::uint64_t now_ns);
  // The neighbour is known: gives each of its packets, oldest first, to `send`.
  void release(const Neighbour& neighbour, const std::function<void(rte_mbuf*)>& send);
  // Calls release() for every neighbour that `known` says is known.
  void release_if(const std::function<bool(const Neighbour&)>& known,
                  const std::function<void(const Neighbour&, rte_mbuf*)>& send);
  // Gives up what waited too long, and asks again for what is still unknown.
  void on_timer(std::uint64_t now_ns);

  [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }
  [[nodiscard]] std::size_t neighbours() const noexcept;  // gateways included

 private:
  struct Waiting {
    std::deque<std::pair<std::uint64_t, rte_mbuf*>> packets;  // deadline, packet
    std::uint64_t first_asked_ns = 0;
    std::uint64_t asked_ns = 0;
    unsigned tries = 0;
    bool gateway = false;
  };
  using Place = std::map<Neighbour, Waiting>::iterator;

  [[nodiscard]] Place begin_waiting(const Neighbour& neighbour, bool gateway, std::uint64_t now_ns);
  [[nodiscard]] std::size_t& packets_of(bool gateway) noexcept { return packets_[gateway ? 1 : 0]; }
  void lose_front(Place place, DropReason reason);
  Place give_up(Place place, DropReason reason);
  // The neighbour, no gateway, that was asked for first.
  [[nodiscard]] Place longest_waiting();

  Actions actions_;
  std::map<Neighbour, Waiting> waiting_;
  std::size_t others_ = 0;                // neighbours in waiting_ that are no gateways
  std::array<std::size_t, 2> packets_{};  // that wait: for others, for gateways
};

}  // namespace pns::dataplane
