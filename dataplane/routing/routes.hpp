// SPDX-License-Identifier: BSD-3-Clause
//
// Routes: the kernel's routes, neighbours and addresses of our two interfaces, kept in NextHops.
// IPv4 and IPv6 alike: inside, IPv4 is written as mapped addresses, so that there is one of
// everything. Link-local IPv6 addresses are next hops, never destinations.
// The kernel stays the one place where routing is configured: ip(8), FRR and BIRD need nothing new.
// A neighbour that changes costs its own host route and next hop. After other netlink events all
// routes are computed and the difference applied, with pauses that grow with their number.
//
// The prefixes of the address pools are routes too: what no session has there is nobody's. A route
// of the kernel with the same prefix does not replace one; a longer one leads where it says.
//
// Packets whose next hop has no MAC address yet wait in a ResolveQueue while the kernel resolves
// it. Neighbours we use are marked managed, so the kernel keeps them fresh although it sees none of
// the traffic; one that does not answer is deleted again. Nothing is ever learnt from a data
// packet.
//
// Main thread only.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/routing/next_hops.hpp"
#include "dataplane/routing/resolve_queue.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/netlink/neighbour_request.hpp"

struct nl_cache_mngr;
struct nl_cache;
struct rtnl_neigh;

namespace pns::dataplane {

class Routes {
 public:
  struct PortInfo {
    std::string kernel_interface;
    MacAddress mac{};
  };
  // A held packet whose destination MAC has been written; the callee owns it.
  using Release = std::function<void(contract::PortRole, rte_mbuf*)>;

  // Has the kernel find a neighbour's MAC address, or forget it. IPv4 as a mapped address.
  using Tell =
      std::function<void(contract::PortRole, const Ipv6Address& neighbour, netlink::NeighbourVerb)>;
  // A packet whose neighbour did not answer, from its Ethernet header on; only to be read.
  using Unanswered = std::function<void(contract::PortRole, rte_mbuf*)>;

  // `pools`: the prefixes that only sessions have addresses of; IPv4 mapped. Without `tell` this
  // object tells the kernel itself, which needs CAP_NET_ADMIN.
  Routes(NextHops& next_hops, std::array<PortInfo, contract::kPorts> ports, Release release,
         std::vector<Ipv6Prefix> pools = {}, Unanswered unanswered = {}, Tell tell = {});
  ~Routes();
  Routes(const Routes&) = delete;
  Routes& operator=(const Routes&) = delete;

  // Reads what the kernel has now. Error: netlink's reason.
  [[nodiscard]] std::expected<void, std::string> start();
  // Poll for reading, then call on_readable().
  [[nodiscard]] int fd() const noexcept;
  void on_readable(std::uint64_t now_ns);

  // Takes a packet that waits for `next_hop` on `port`: Ethernet, all but its destination.
  void hold(contract::PortRole port, const Ipv6Address& next_hop, rte_mbuf* packet,
            std::uint64_t now_ns);
  // Gives up packets that waited too long, asks again for neighbours that are still unknown, and
  // computes the routes when that is due. Call about every 100 ms. True: routes have changed.
  bool on_timer(std::uint64_t now_ns);

  // Our own addresses on a port's kernel interface, in the kernel's order.
  [[nodiscard]] const std::vector<Ipv4Address>& addresses(contract::PortRole port) const noexcept {
    return addresses_[static_cast<std::size_t>(port)];
  }
  // Likewise, but for link-local ones.
  [[nodiscard]] const std::vector<Ipv6Address>& ipv6_addresses(
      contract::PortRole port) const noexcept {
    return ipv6_addresses_[static_cast<std::size_t>(port)];
  }
  [[nodiscard]] std::size_t neighbours() const noexcept { return macs_.size(); }
  [[nodiscard]] std::size_t routes() const noexcept { return installed_.size(); }
  [[nodiscard]] std::uint64_t rebuilds() const noexcept { return rebuilds_; }  // of all routes
  // Packets given up while they waited: their neighbour did not answer in time, or too many waited.
  [[nodiscard]] std::uint64_t unanswered() const noexcept { return unanswered_count_; }
  [[nodiscard]] std::uint64_t queue_full() const noexcept { return queue_full_count_; }
  [[nodiscard]] std::uint64_t unresolved_drops() const noexcept {
    return unanswered_count_ + queue_full_count_;
  }

 private:
  // A next hop by name: on a port, an address; address 0: whatever the packet's destination is.
  struct Key {
    NextHopKind kind{};  // kGlean stands for "resolved if we know the MAC"
    contract::PortRole port{};
    Ipv6Address address;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  using Neighbour = ResolveQueue::Neighbour;

  [[nodiscard]] static Key key_of(const Neighbour& neighbour) noexcept {
    return {NextHopKind::kGlean, neighbour.first, neighbour.second};
  }

  void rebuild(std::uint64_t now_ns);
  bool rebuild_if_due(std::uint64_t now_ns);
  // Applies a change of a neighbour in macs_.
  void update(const Neighbour& neighbour, std::uint64_t now_ns);
  void on_neighbour(rtnl_neigh* entry, bool gone);
  [[nodiscard]] std::optional<Neighbour> neighbour_of(rtnl_neigh* entry) const noexcept;
  [[nodiscard]] bool is_on_link(const Neighbour& neighbour) const;
  void read_neighbours();
  using Wanted = std::map<Ipv6Prefix, Key>;
  void read_addresses(Wanted& wanted);
  void read_routes(Wanted& wanted);
  [[nodiscard]] bool port_of(int ifindex, contract::PortRole& port) const noexcept;
  [[nodiscard]] NextHopId id_of(const Key& key);
  void release_id(const Key& key);
  [[nodiscard]] NextHop next_hop_of(const Key& key) const;
  [[nodiscard]] bool add_route(const Ipv6Prefix& prefix, NextHopId id);  // false: no room
  void delete_route(const Ipv6Prefix& prefix);
  // RTM_NEWNEIGH: find its MAC address, and keep it fresh. RTM_DELNEIGH: it is not there.
  void tell_kernel(netlink::NeighbourVerb verb, const Neighbour& neighbour);
  void lose(const Neighbour& neighbour, rte_mbuf* packet, DropReason reason);
  void release_resolved();

  NextHops& next_hops_;
  std::array<PortInfo, contract::kPorts> ports_;
  std::array<int, contract::kPorts> ifindex_{};
  std::array<std::vector<Ipv4Address>, contract::kPorts> addresses_;
  std::array<std::vector<Ipv6Address>, contract::kPorts> ipv6_addresses_;
  Release release_;
  nl_cache_mngr* manager_ = nullptr;
  nl_cache* address_cache_ = nullptr;
  nl_cache* neighbour_cache_ = nullptr;
  nl_cache* route_cache_ = nullptr;
  std::map<Neighbour, MacAddress> macs_;
  Wanted base_;       // the kernel's routes, our addresses, the pools
  Wanted installed_;  // those, and host routes of neighbours
  std::set<Neighbour> changed_neighbours_;
  std::map<Key, NextHopId> ids_;
  std::vector<NextHopId> free_ids_;
  std::uint16_t next_id_ = 1;
  std::vector<Ipv6Prefix> pools_;
  Unanswered unanswered_;
  Tell tell_;
  std::optional<netlink::NeighbourRequests> requests_;  // without tell_
  std::set<Neighbour> gateways_;                        // next hops of the kernel's routes
  ResolveQueue resolving_;
  std::uint64_t unanswered_count_ = 0;
  std::uint64_t queue_full_count_ = 0;
  std::size_t refused_ = 0;  // routes that found no room
  bool changed_ = false;     // routes or addresses
  std::uint64_t next_rebuild_ns_ = 0;
  std::uint64_t rebuilds_ = 0;
};

}  // namespace pns::dataplane
