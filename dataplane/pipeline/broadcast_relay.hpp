// SPDX-License-Identifier: BSD-3-Clause
//
// BroadcastRelay: IPv4 broadcasts between the core network and the subscribers whose addresses lie
// in it (ppp.broadcast_relay). One worker; made only where the relay is on.
//
// A broadcast becomes a template for each worker: an IP packet to 255.255.255.255, in a buffer of
// its own. Templates wait here. Between bursts copy() walks the session index over the network of
// the oldest one, a slice at a time, and makes copies for the sessions of this worker. All is
// bounded: templates that wait and how long, addresses and copies of a slice and of a second.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/packet/burst.hpp"
#include "dataplane/packet/policer.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "dataplane/routing/broadcast_networks.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/wire/ipv4.hpp"

namespace pns::dataplane {

class BroadcastRelay {
 public:
  struct Settings {
    // Broadcasts a second that the worker relays in each direction, and as many at once.
    std::uint32_t rate = 0;
    const BroadcastNetworks* networks = nullptr;  // null: the relay is off
  };

  static constexpr std::uint32_t kMaxWaiting = 64;                 // templates
  static constexpr std::uint64_t kMaxWaitNs = 1'000'000'000;       // then the rest is given up
  static constexpr std::uint32_t kSliceAddresses = 1'024;          // of one copy()
  static constexpr std::uint32_t kAddressesPerSecond = 8'192'000;  // about 1 % of a core
  static constexpr std::uint32_t kAddressBurst = 16'384;
  static constexpr std::uint32_t kCopiesPerSecond = 50'000;
  static constexpr std::uint32_t kCopyBurst = 512;

  explicit BroadcastRelay(const Settings& settings) noexcept
      : from_subscribers(settings.rate, settings.rate),
        from_lan(settings.rate, settings.rate),
        networks_(*settings.networks) {}
  ~BroadcastRelay();
  BroadcastRelay(const BroadcastRelay&) = delete;
  BroadcastRelay& operator=(const BroadcastRelay&) = delete;

  EventBucket from_subscribers;
  EventBucket from_lan;

  [[nodiscard]] const BroadcastNetworks& networks() const noexcept { return networks_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }

  // Takes a template (Lane::kRelay). False: too many wait, and the caller keeps it.
  [[nodiscard]] bool take(rte_mbuf* packet, std::uint64_t now_ns) noexcept;
  // CLOCK_MONOTONIC: when copy() can go on, or UINT64_MAX.
  [[nodiscard]] std::uint64_t next_due_ns() const noexcept;
  // Appends copies of the oldest template, up to Burst::kReceive, for sessions of this worker. A
  // template that has reached all of them is counted as consumed. Result: how many addresses were
  // looked at; 0: it is not due, or nothing waits.
  std::uint32_t copy(Burst& burst, StageContext& stage) noexcept;

 private:
  struct Waiting {
    rte_mbuf* packet = nullptr;
    Ipv4Address source;      // its session gets no copy
    std::uint64_t next = 0;  // address to look at, to `last` of the network
    std::uint64_t last = 0;
    std::uint64_t taken_ns = 0;
  };

  std::uint32_t walk(Waiting& waiting, Burst& burst, StageContext& stage) noexcept;
  void pop() noexcept;

  const BroadcastNetworks& networks_;
  std::array<Waiting, kMaxWaiting> ring_{};
  std::uint32_t first_ = 0;
  std::uint32_t count_ = 0;
  EventBucket addresses_{kAddressesPerSecond, kAddressBurst};
  EventBucket copies_{kCopiesPerSecond, kCopyBurst};
};

// Relays a packet that a subscriber has sent to a broadcast address: out of the core port as an
// Ethernet broadcast, and to the other subscribers of his network. `context.session` is his; the
// packet starts at IP and is checked, and `header` is parsed from it. Sets its fate.
void relay_from_subscriber(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                           const wire::Ipv4Header& header) noexcept;

// Relays a frame of the core network to the subscribers, where is_lan_broadcast(). The frame stays
// the caller's: the kernel gets it too.
void relay_from_lan(StageContext& stage, Bytes frame) noexcept;

// Whether a frame of the core network is a UDP broadcast of one of its hosts: not of this server,
// nor of a subscriber.
[[nodiscard]] bool is_lan_broadcast(const StageContext& stage, Bytes frame) noexcept;

}  // namespace pns::dataplane
