// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pools/network_set.hpp"

#include <iterator>
#include <utility>

namespace pns::pools {
namespace {

// Networks that do not overlap: the one that begins before `network` is the only one that can hold
// it, and the one behind it the first that it can hold.
template <class Known, class Prefix>
bool is_free(const Known& known, const Prefix& network) {
  const auto behind = known.lower_bound(network.address);
  if (behind != known.end() && overlap(network, behind->second)) return false;
  return behind == known.begin() || !overlap(network, std::prev(behind)->second);
}

// Result: how many from the front were added.
template <class Known, class List>
std::size_t add_some(Known& known, const List& networks) {
  std::size_t added = 0;
  for (const auto& network : networks) {
    if (!is_free(known, network)) break;
    known.emplace(network.address, network);
    ++added;
  }
  return added;
}

template <class Known, class List>
void remove_some(Known& known, const List& networks, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) known.erase(networks[i].address);
}

}  // namespace

bool NetworkSet::add(const Networks& networks) {
  const std::size_t ipv4 = add_some(ipv4_, networks.ipv4);
  const std::size_t ipv6 = ipv4 == networks.ipv4.size() ? add_some(ipv6_, networks.ipv6) : 0;
  if (ipv4 == networks.ipv4.size() && ipv6 == networks.ipv6.size()) return true;
  remove_some(ipv4_, networks.ipv4, ipv4);
  remove_some(ipv6_, networks.ipv6, ipv6);
  return false;
}

void NetworkSet::remove(const Networks& networks) {
  remove_some(ipv4_, networks.ipv4, networks.ipv4.size());
  remove_some(ipv6_, networks.ipv6, networks.ipv6.size());
}

}  // namespace pns::pools
