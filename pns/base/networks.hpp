// SPDX-License-Identifier: BSD-3-Clause
//
// Networks: the networks behind a subscriber, of either family. Packets from them are his, and
// packets for them go to him.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "pns/base/ip_address.hpp"

namespace pns {

inline constexpr std::size_t kMaxNetworks = 16;  // of one account, both families together
// A session has those of its account, a delegated prefix and an address.
inline constexpr std::size_t kMaxSessionNetworks = kMaxNetworks + 2;

struct Networks {
  std::vector<Ipv4Prefix> ipv4;
  std::vector<Ipv6Prefix> ipv6;

  void add(const Ipv4Prefix& network) { ipv4.push_back(network); }
  void add(const Ipv6Prefix& network) { ipv6.push_back(network); }
  [[nodiscard]] bool empty() const noexcept { return ipv4.empty() && ipv6.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return ipv4.size() + ipv6.size(); }
  friend bool operator==(const Networks&, const Networks&) = default;
};

// Shared by the account, its grants and its leases; null: there are none.
using NetworksPointer = std::shared_ptr<const Networks>;

// Whether hosts behind a subscriber may have these addresses: unicast ones that routers forward, no
// host bits, and not a share of the Internet that nobody has (no default route above all).
[[nodiscard]] constexpr bool may_be_behind_subscriber(const Ipv4Prefix& network) noexcept {
  const std::uint32_t first = network.address.value >> 24;
  return network.length >= 8 && network.length <= 32 && network.network() == network.address &&
         first != 0 && first != 127 && first < 224;
}
[[nodiscard]] constexpr bool may_be_behind_subscriber(const Ipv6Prefix& network) noexcept {
  return network.length >= 16 && network.length <= 128 && network.network() == network.address &&
         (network.address.high >> 48) != 0 && !network.address.is_link_local() &&
         !network.address.is_multicast();
}

template <class Prefix>
[[nodiscard]] constexpr bool overlap(const Prefix& one, const Prefix& other) noexcept {
  return one.contains(other.address) || other.contains(one.address);
}

}  // namespace pns
