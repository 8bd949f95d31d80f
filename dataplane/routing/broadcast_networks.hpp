// SPDX-License-Identifier: BSD-3-Clause
//
// BroadcastNetworks: the IPv4 networks of the core port that have a broadcast address, with the
// server's own address in each. Main writes; workers read without locks. An entry is one integer,
// so that a reader sees the old or the new one; while the list changes it may miss an entry.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "pns/base/ip_address.hpp"

namespace pns::dataplane {

inline constexpr Ipv4Address kLimitedBroadcast(0xffffffff);

class BroadcastNetworks {
 public:
  static constexpr std::size_t kMaxNetworks = 16;

  // All of IPv4 is no network of a port.
  [[nodiscard]] static constexpr bool has_broadcast(const Ipv4Prefix& network) noexcept {
    return network.length != 0 && network.has_broadcast();
  }

  // Main. `own`: addresses of the port with the lengths of their networks. Result: how many
  // networks have a broadcast; those beyond kMaxNetworks are not kept.
  std::size_t set(std::span<const Ipv4Prefix> own) noexcept {
    std::size_t count = 0;
    for (const Ipv4Prefix& address : own)
      if (has_broadcast(address) && count++ < kMaxNetworks)
        entries_[count - 1].store(pack(address), std::memory_order_relaxed);
    for (std::size_t i = count; i < kMaxNetworks; ++i)
      entries_[i].store(0, std::memory_order_relaxed);
    return count;
  }

  // --- any thread ---
  // The smallest network with this address in it.
  [[nodiscard]] std::optional<Ipv4Prefix> find(Ipv4Address address) const noexcept {
    std::optional<Ipv4Prefix> best;
    visit([&](const Ipv4Prefix& own) {
      if (own.contains(address) && (!best || own.length > best->length)) best = own;
    });
    return best;
  }
  // The network, with this address in it, in which a packet to `destination` is a broadcast. One
  // to all hosts of the link is so in the smallest network.
  [[nodiscard]] std::optional<Ipv4Prefix> find(Ipv4Address address,
                                               Ipv4Address destination) const noexcept {
    if (destination == kLimitedBroadcast) return find(address);
    std::optional<Ipv4Prefix> found;
    visit([&](const Ipv4Prefix& own) {
      if (own.last() == destination && own.contains(address)) found = own;
    });
    return found;
  }
  // Whether the server itself has the address.
  [[nodiscard]] bool is_own(Ipv4Address address) const noexcept {
    bool own = false;
    visit([&](const Ipv4Prefix& entry) { own |= entry.address == address; });
    return own;
  }

 private:
  static constexpr std::uint64_t pack(const Ipv4Prefix& own) noexcept {
    return std::uint64_t{own.address.value} << 8 | own.length;
  }
  template <class Visitor>
  void visit(Visitor visitor) const noexcept {
    for (const auto& entry : entries_)
      if (const std::uint64_t packed = entry.load(std::memory_order_relaxed); packed != 0)
        visitor(Ipv4Prefix{Ipv4Address(static_cast<std::uint32_t>(packed >> 8)),
                           static_cast<std::uint8_t>(packed)});
  }

  std::array<std::atomic<std::uint64_t>, kMaxNetworks> entries_{};  // main: writes; workers: read
};

}  // namespace pns::dataplane
