// SPDX-License-Identifier: BSD-3-Clause
//
// RouteTable: the routes of one routing table, kept in a NextHops. Beside the kernel's routes it
// holds host routes of the neighbours that the kernel reaches directly, the prefixes of the address
// pools, the fixed addresses that sessions have outside all pools, and the networks behind
// subscribers. Both families alike: IPv4 is written as mapped addresses.
//
// A destination inside a pool, or at a fixed address, may be a session's: its next hop says so, and
// no other packet asks the session index. An address there without a session is nobody's. A route
// of the kernel with the same prefix does not replace a pool; a longer one leads where it says.
//
// A route with several next hops leads to a group of them. While another member is resolved, one
// whose neighbour is unknown gets no flows; those of the others do not move.
//
// The id of a next hop that no route leads to any more is given out again when every worker has
// passed a quiescent state, as slots of sessions are. A packet that was looked up before is lost
// then, and never sent to another neighbour or into another subscriber's tunnel.
//
// Knows no netlink: Routes reads the kernel. Main thread only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/routing/next_hops.hpp"
#include "dataplane/routing/resolve_queue.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

// Whether workers have finished what they were doing. Without functions there are no workers.
struct Quiescence {
  std::function<std::uint64_t()> begin{};             // a token for passed()
  std::function<bool(std::uint64_t token)> passed{};  // every worker has begun anew since
};

class RouteTable {
 public:
  using Neighbour = ResolveQueue::Neighbour;

  // The links of our ports, the same for all tables.
  struct Links {
    std::array<MacAddress, contract::kPorts> ours{};
    std::map<Neighbour, MacAddress> neighbours;
  };

  // A next hop by name: on a port, an address; address 0: whatever the packet's destination is.
  struct Hop {
    NextHopKind kind{};  // kGlean stands for "resolved if we know the MAC"
    contract::PortRole port{};
    Ipv6Address address;
    bool in_pool = false;
    SlotId slot{};  // kSession
    friend auto operator<=>(const Hop&, const Hop&) = default;
  };
  // The neighbour behind a port that leads into the host's own IP stack. No interface has it as an
  // address: fe80::/10 but for its first 64 bits is unused (RFC 4291 §2.5.6).
  static constexpr Ipv6Address kHost{0xfe80'0000'0000'0001, 0};
  // One of several next hops of equal cost.
  struct Member {
    Hop hop;
    std::uint16_t weight = 1;  // 1..256
    friend auto operator<=>(const Member&, const Member&) = default;
  };
  static constexpr std::size_t kMaxMembers = 16;
  // Where a route leads: to a hop, or to a group of members, by flow.
  struct Way {
    Hop hop;
    std::vector<Member> members{};  // empty: to `hop`; else sorted, two to kMaxMembers
    friend bool operator==(const Way&, const Way&) = default;
  };
  using Wanted = std::map<Ipv6Prefix, Way>;

  // `name`: in the log. `pools`: the prefixes that only sessions have addresses of.
  RouteTable(std::string name, NextHops& next_hops, const Links& links,
             std::vector<Ipv6Prefix> pools, Quiescence quiescence = {});
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  // Makes these the routes and applies the difference.
  void replace(Wanted routes);
  // Applies a change of a neighbour in the links: of its own host route and next hop.
  void update(const Neighbour& neighbour);
  // A session has this address or prefix, which lies outside the pools. False: there is no room for
  // its route, or longer ones are concerned: replace() does what is left.
  [[nodiscard]] bool add_subscriber(const Ipv6Prefix& subscriber);
  void remove_subscriber(const Ipv6Prefix& subscriber);
  // A network is behind a subscriber: it leads to his session, instead of where the kernel's routes
  // say. False: there is no room for its route.
  [[nodiscard]] bool add_network(const Ipv6Prefix& network, SlotId session);
  void remove_network(const Ipv6Prefix& network) { remove_subscriber(network); }
  // No worker can look for networks of this session any more. Until then its next hop is nobody
  // else's.
  void forget_session(SlotId session);

  // Next hops of the routes, resolved or not.
  [[nodiscard]] const std::set<Neighbour>& gateways() const noexcept { return gateways_; }
  [[nodiscard]] std::size_t size() const noexcept { return installed_.size(); }
  // A route leads nowhere because no id was left for its next hop, and now one is: replace() mends
  // it.
  [[nodiscard]] bool can_mend() const;

 private:
  // Gives out the ids from `next` to below `end`. One that came back goes out again once no worker
  // can hold it any more: a worker reads ids for a whole burst before it looks at the next hops.
  class IdRange {
   public:
    IdRange(std::uint16_t next, std::uint16_t end, const Quiescence& quiescence) noexcept
        : next_(next), end_(end), quiescence_(quiescence) {}
    // Empty: none is left, or workers may still hold all that came back.
    [[nodiscard]] std::optional<NextHopId> take();
    void give_back(NextHopId id);
    // Whether take() gives one.
    [[nodiscard]] bool has_one() const { return next_ != end_ || front_is_free(); }

   private:
    struct Waiting {
      NextHopId id;
      std::uint64_t token = 0;
    };
    [[nodiscard]] bool front_is_free() const;
    std::uint16_t next_;
    std::uint16_t end_;
    const Quiescence& quiescence_;
    std::deque<Waiting> returned_;  // oldest first
  };

  void mark_pools(Wanted& routes) const;
  [[nodiscard]] std::optional<Hop> host_hop(const Neighbour& neighbour) const;
  [[nodiscard]] NextHop next_hop_of(const Hop& hop) const;
  // The same, with the next hop written. Id 0: no route, or no id is left.
  [[nodiscard]] NextHopId id_of(const Hop& hop);
  [[nodiscard]] NextHopId write(const Hop& hop);
  // A group that finds no id is its first member.
  [[nodiscard]] NextHopId id_of(const Way& way);
  [[nodiscard]] NextHopId write(const Way& way);
  void write_group(NextHopId id, const std::vector<Member>& members);
  void release_id(const Hop& hop);
  // Takes back the ids of hops and groups that are not used.
  void release_unused(const std::set<Hop>& hops, const std::set<std::vector<Member>>& groups);
  // Leads a prefix somewhere. False: no room; then nothing has changed.
  bool install(const Ipv6Prefix& prefix, const Way& way);
  void uninstall(const Ipv6Prefix& prefix);
  // False: no room. `id` 0 for a way with a next hop: it is noted for can_mend().
  [[nodiscard]] bool add_route(const Ipv6Prefix& prefix, NextHopId id, const Way& way);
  void delete_route(const Ipv6Prefix& prefix);

  std::string name_;
  NextHops& next_hops_;
  const Links& links_;
  std::vector<Ipv6Prefix> pools_;
  std::map<Ipv6Prefix, Hop> subscribers_;  // outside the pools, and networks behind them
  std::set<Hop> session_hops_;             // kSession
  Wanted base_;                            // the kernel's routes, our addresses, the pools
  Wanted installed_;                       // those, subscribers, and host routes of neighbours
  std::set<Neighbour> gateways_;           // next hops of base_
  std::set<Hop> gateway_hops_;
  std::map<Hop, NextHopId> ids_;
  Quiescence quiescence_;
  IdRange hop_range_{1, NextHops::kMaxNextHops, quiescence_};
  std::map<std::vector<Member>, NextHopId> group_ids_;
  IdRange group_range_{NextHops::kMaxNextHops, NextHops::kMaxIds, quiescence_};
  // Installed without the next hop that they have, or (true) with one member of their group.
  std::map<Ipv6Prefix, bool> starved_;
  std::size_t refused_ = 0;  // routes that found no room
};

}  // namespace pns::dataplane
