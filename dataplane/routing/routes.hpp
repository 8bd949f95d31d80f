// SPDX-License-Identifier: BSD-3-Clause
//
// Routes: the kernel's routes, neighbours and addresses of our two interfaces, kept in two tables.
// The outer one has those of the access port and leads GRE to the peers. The inner one has those of
// the core port, and leads what subscribers send. A subscriber therefore reaches nothing through
// the access port, and an outer address may be an inner one too. On request the inner table has the
// routes of the access port beside those of the core port, which win.
//
// IPv4 and IPv6 alike: inside, IPv4 is written as mapped addresses, so that there is one of
// everything. Link-local IPv6 addresses are next hops, never destinations.
// The kernel stays the one place where routing is configured: ip(8), FRR and BIRD need nothing new.
// A port's routes are those with its interface in the port's own kernel table, and then those in
// the main table. Those that the supervisor sets for networks behind subscribers are for other
// programs (pns/netlink/subscriber_routes.hpp). Routes out of other interfaces are not ours. One
// without an interface (blackhole, unreachable, prohibit) counts for both ports when it is in the
// main table. A neighbour that changes costs its own host route and next hop. After other netlink
// events all routes are computed and the difference applied, with pauses that grow with their
// number.
//
// Packets whose next hop has no MAC address yet wait in a ResolveQueue while the kernel resolves
// it. Neighbours we use are marked managed, so the kernel keeps them fresh although it sees none of
// the traffic; one that does not answer is deleted again. A gateway that the kernel knows already
// is marked too, and all of them are asked for again twice a minute: kernels before 5.16 know no
// managed neighbours. Those that an operator has set (permanent) stay as they are. Nothing is ever
// learnt from a data packet.
//
// Known limit: a host on the link, no gateway, that the kernel knew already is not marked. Its MAC
// address changes here when the kernel hears of it.
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
#include "dataplane/routing/route_table.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/netlink/neighbour_request.hpp"
#include "pns/netlink/route_socket.hpp"

struct nl_cache_mngr;
struct nl_cache;
struct nl_msg;
struct nlmsghdr;
struct rtnl_neigh;
struct rtnl_route;

namespace pns::dataplane {

class Routes {
 public:
  struct PortInfo {
    std::string kernel_interface;
    MacAddress mac{};
    std::uint32_t table = 0;  // of the kernel, before the main one; 0: none
    // Every packet goes to `mac`: the host's IP stack, which has the routes. None are read.
    bool leads_to_host = false;
  };
  // A held packet whose destination MAC has been written; the callee owns it.
  using Release = std::function<void(contract::PortRole, rte_mbuf*)>;

  // Has the kernel find a neighbour's MAC address, or forget it. IPv4 as a mapped address.
  using Tell =
      std::function<void(contract::PortRole, const Ipv6Address& neighbour, netlink::NeighbourVerb)>;
  // A packet whose neighbour did not answer, from its Ethernet header on; only to be read.
  using Unanswered = std::function<void(contract::PortRole, rte_mbuf*)>;

  struct Settings {
    std::array<PortInfo, contract::kPorts> ports;
    // The prefixes that only sessions have addresses of; IPv4 mapped.
    std::vector<Ipv6Prefix> pools{};
    // The inner table has the access port's routes too.
    bool access_from_inside = false;
    // Its addresses are ours in the inner table, beside the core port's; empty: none.
    std::string services_interface{};
    Quiescence quiescence{};  // of the workers that look into the tables
    // The inner table leads to the broadcast addresses of the core port's networks.
    bool relays_broadcasts = false;
  };

  // Without `tell` this object tells the kernel itself, which needs CAP_NET_ADMIN.
  Routes(RoutingTables tables, Settings settings, Release release, Unanswered unanswered = {},
         Tell tell = {});
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

  // A session has an address, or a /64, outside all pools; and it has it no more. Before start()
  // too.
  void add_subscriber(const Ipv6Prefix& subscriber);
  void remove_subscriber(const Ipv6Prefix& subscriber);
  // A network is behind a subscriber, and no more; at last his session is gone (RouteTable).
  [[nodiscard]] bool add_network(const Ipv6Prefix& network, SlotId session) {
    const bool added = inner_.add_network(network, session);
    // Host routes of neighbours inside go.
    changed_ |= added && network.length < 128;
    return added;
  }
  void remove_network(const Ipv6Prefix& network) { inner_.remove_network(network); }
  void forget_session(SlotId session) { inner_.forget_session(session); }

  // Our own addresses on a port's kernel interface, in the kernel's order.
  [[nodiscard]] const std::vector<Ipv4Address>& addresses(contract::PortRole port) const noexcept {
    return addresses_[static_cast<std::size_t>(port)];
  }
  // The same for IPv6, without link-local addresses.
  [[nodiscard]] const std::vector<Ipv6Address>& ipv6_addresses(
      contract::PortRole port) const noexcept {
    return ipv6_addresses_[static_cast<std::size_t>(port)];
  }
  // The same addresses, each with the length of its network.
  [[nodiscard]] const std::vector<Ipv4Prefix>& networks(contract::PortRole port) const noexcept {
    return networks_[static_cast<std::size_t>(port)];
  }
  // Whether hosts of a port's link take the address for one of theirs.
  [[nodiscard]] bool is_on_link(contract::PortRole port, Ipv4Address address) const noexcept;
  [[nodiscard]] std::size_t neighbours() const noexcept { return links_.neighbours.size(); }
  [[nodiscard]] std::size_t routes() const noexcept { return outer_.size() + inner_.size(); }
  [[nodiscard]] std::uint64_t rebuilds() const noexcept { return rebuilds_; }  // of all routes
  // How often the kernel was asked for all routes, after the start.
  [[nodiscard]] std::uint64_t refills() const noexcept { return refills_; }
  // Packets given up while they waited: their neighbour did not answer in time, or too many waited.
  [[nodiscard]] std::uint64_t unanswered() const noexcept { return unanswered_count_; }
  [[nodiscard]] std::uint64_t queue_full() const noexcept { return queue_full_count_; }
  [[nodiscard]] std::uint64_t unresolved_drops() const noexcept {
    return unanswered_count_ + queue_full_count_;
  }

 private:
  using Neighbour = RouteTable::Neighbour;
  // A route of one port.
  struct Candidate {
    std::uint64_t rank = 0;                     // the lowest wins
    std::vector<RouteTable::Member> members{};  // empty: told to have no next hop
  };
  using Candidates = std::map<Ipv6Prefix, Candidate>;

  void rebuild(std::uint64_t now_ns);
  bool rebuild_if_due(std::uint64_t now_ns);
  static int on_event(nl_msg* message, void* self);  // every message of the kernel
  // Applies a change of a neighbour.
  void update(const Neighbour& neighbour, std::uint64_t now_ns);
  void on_neighbour(rtnl_neigh* entry, bool gone);
  [[nodiscard]] std::vector<Neighbour> neighbours_of(rtnl_neigh* entry) const;
  // The kernel tells that an IPv6 route, or one next hop of it, is gone.
  void on_ipv6_route_gone(nlmsghdr* header);
  // Whether a route may be one of ours, by its table and protocol.
  [[nodiscard]] bool may_be_ours(rtnl_route* route) const;
  void refill_routes();
  // Has the kernel keep gateways fresh that it knows by itself.
  void keep_gateways(std::uint64_t now_ns);
  void find_interfaces();
  void read_neighbours();
  void read_addresses();
  [[nodiscard]] std::array<Candidates, contract::kPorts> read_routes() const;
  [[nodiscard]] RouteTable::Wanted routes_of(contract::PortRole port,
                                             const Candidates& found) const;
  // Everything to the host, which has no address of its own there: kHostHop stands for it.
  [[nodiscard]] RouteTable::Wanted routes_to_host(contract::PortRole port);
  // The ports whose interface this is: both where they are one link.
  [[nodiscard]] std::vector<contract::PortRole> ports_of(int ifindex) const;
  [[nodiscard]] bool is_gateway(const Neighbour& neighbour) const {
    return outer_.gateways().contains(neighbour) || inner_.gateways().contains(neighbour);
  }
  // RTM_NEWNEIGH: find its MAC address, and keep it fresh. RTM_DELNEIGH: it is not there.
  void tell_kernel(netlink::NeighbourVerb verb, const Neighbour& neighbour);
  void lose(const Neighbour& neighbour, rte_mbuf* packet, DropReason reason);
  void release_resolved();

  Settings settings_;
  std::array<int, contract::kPorts> ifindex_{};
  int services_ifindex_ = 0;
  std::vector<Ipv6Address> service_addresses_;  // IPv4 mapped
  std::array<std::vector<Ipv4Address>, contract::kPorts> addresses_;
  std::array<std::vector<Ipv6Address>, contract::kPorts> ipv6_addresses_;
  std::array<std::vector<Ipv4Prefix>, contract::kPorts> networks_;  // of addresses_
  Release release_;
  netlink::RouteSocket events_;
  nl_cache_mngr* manager_ = nullptr;  // reads events_
  nl_cache* address_cache_ = nullptr;
  nl_cache* neighbour_cache_ = nullptr;
  nl_cache* route_cache_ = nullptr;
  RouteTable::Links links_;
  RouteTable outer_;
  RouteTable inner_;
  std::set<Neighbour> changed_neighbours_;
  std::set<Neighbour> permanent_;  // of links_, set by an operator
  std::set<Neighbour> kept_;       // the kernel has been asked to keep them fresh
  std::set<Neighbour> to_keep_;    // gateways that it has not been asked for
  std::uint64_t next_keep_ns_ = 0;
  Unanswered unanswered_;
  Tell tell_;
  std::optional<netlink::NeighbourRequests> requests_;  // without tell_
  ResolveQueue resolving_;
  std::uint64_t unanswered_count_ = 0;
  std::uint64_t queue_full_count_ = 0;
  bool changed_ = false;       // routes or addresses
  bool routes_stale_ = false;  // the cache of routes is not what the kernel has
  bool address_gone_ = false;  // since the last on_timer()
  std::uint64_t next_rebuild_ns_ = 0;
  std::uint64_t rebuilds_ = 0;
  std::uint64_t refills_ = 0;
};

}  // namespace pns::dataplane
