// SPDX-License-Identifier: BSD-3-Clause
//
// NetworkSet: the networks behind subscribers that sessions hold now. No two overlap, so that each
// address is behind one subscriber. Each look-up costs O(log n). No I/O, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "pns/base/networks.hpp"

namespace pns::pools {

class NetworkSet {
 public:
  // All of them or none. False: one of them overlaps another one, of this list or of before.
  [[nodiscard]] bool add(const Networks& networks);
  [[nodiscard]] bool add(const Ipv6Prefix& network) { return add(Networks{{}, {network}}); }
  // Networks that add() has taken.
  void remove(const Networks& networks);
  void remove(const Ipv6Prefix& network) { remove(Networks{{}, {network}}); }
  [[nodiscard]] std::size_t size() const noexcept { return ipv4_.size() + ipv6_.size(); }

 private:
  std::map<Ipv4Address, Ipv4Prefix> ipv4_;  // by their first address
  std::map<Ipv6Address, Ipv6Prefix> ipv6_;
};

}  // namespace pns::pools
