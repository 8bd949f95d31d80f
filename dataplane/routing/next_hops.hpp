// SPDX-License-Identifier: BSD-3-Clause
//
// NextHops: where a packet goes from here, in one routing table. A longest-prefix table for each
// family (rte_fib, DIR-24-8, and rte_lpm6; not rte_fib6, which in DPDK 22.11 never gives back the
// groups that a deleted route had reserved) and an array of next hops for both. Main writes;
// workers read without locks: a table entry changes in one store, a next hop behind a sequence
// lock. A prefix that is being replaced may lead one packet by the old way.
//
// There are two (RoutingTables). Memory: IPv4 32 MiB, and 512 octets for each of its groups of
// prefixes beyond /24, one for 8 routes: 36 MiB for 65,536 routes. IPv6 64 MiB, and 16 MiB for
// 16,384 groups, of which a /48 takes up to 3, a /64 5, a /128 13, shared where they run alike. The
// inner table takes 116 MiB of dataplane.memory, the outer one, without IPv6, 36 MiB. Next hops
// and groups take 1.4 MiB of the heap for each table.
#pragma once

#include <rte_prefetch.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/contract/session_memory.hpp"

struct rte_fib;
struct rte_lpm6;

namespace pns::dataplane {

// Index of a next hop. 0 is what a look-up without a route gives and stays kUnreachable.
using NextHopId = Id<struct NextHopIdTag, std::uint16_t>;

enum class NextHopKind : std::uint8_t {
  kUnreachable = 0,  // no route
  kResolved = 1,     // MAC addresses are right: send
  kGlean = 2,        // on link, MAC not known: main resolves `gateway`, or the destination when 0
  kLocal = 3,        // one of our own addresses on `port`: to its twin
  kPool = 4,         // an address of a pool: only a session may have it
  kSession = 5,      // a network behind a subscriber: to the session in `slot`
  kBroadcast = 6,    // all hosts of a network of `port`, where broadcasts are relayed
};

struct NextHop {
  NextHopKind kind = NextHopKind::kUnreachable;
  contract::PortRole port{};
  MacAddress destination{};  // kResolved
  MacAddress source{};       // kResolved, kGlean: of the port
  Ipv6Address gateway;       // kGlean; of either family, mapped_address.hpp
  bool in_pool = false;      // the route lies inside a pool: a session may have the address
  bool is_host = false;      // the host's own IP stack, which is the router: TTL is its business
  [[nodiscard]] bool keeps_ttl() const noexcept { return is_host || kind == NextHopKind::kLocal; }
  SlotId slot{};  // kSession
  // Whether a destination that leads here may be a session's.
  [[nodiscard]] bool asks_sessions() const noexcept {
    return in_pool || kind >= NextHopKind::kPool;
  }
  friend bool operator==(const NextHop&, const NextHop&) noexcept = default;
};

class NextHops {
 public:
  // Ids of next hops lie in [1, kMaxNextHops), those of groups behind, below kMaxIds.
  static constexpr std::uint16_t kMaxNextHops = 31'743;
  static constexpr std::uint16_t kMaxGroups = 1'024;
  static constexpr std::uint16_t kMaxIds = kMaxNextHops + kMaxGroups;
  // A group is as many next hops, members repeated by their weight; a flow takes one of them.
  static constexpr std::size_t kGroupBuckets = 64;
  struct Room {
    std::uint32_t ipv4_routes = 65'536;
    std::uint32_t ipv6_routes = 16'384;  // 0: no IPv6 at all
  };

  // Needs EAL. `name`: of this table alone. Error: DPDK's reason.
  [[nodiscard]] static std::expected<std::unique_ptr<NextHops>, std::string> create(
      const char* name, Room room);
  [[nodiscard]] static std::expected<std::unique_ptr<NextHops>, std::string> create(
      const char* name) {
    return create(name, Room{});
  }
  ~NextHops();
  NextHops(const NextHops&) = delete;
  NextHops& operator=(const NextHops&) = delete;

  // --- main only ---
  // Writes one next hop; readers see the old or the new one whole. False: id out of range.
  bool set(NextHopId id, const NextHop& next_hop) noexcept;
  [[nodiscard]] NextHop get(NextHopId id) const noexcept;  // any thread
  // Writes one group, member by member. A bucket that keeps its member keeps its flows. False: id
  // out of range.
  bool set_group(NextHopId id, std::span<const NextHopId, kGroupBuckets> buckets) noexcept;
  // Adds or replaces a route. Host bits of the prefix are ignored. False: table full or bad id.
  bool add_route(const Ipv4Prefix& prefix, NextHopId id) noexcept;
  // False: there was no such route.
  bool delete_route(const Ipv4Prefix& prefix) noexcept;
  bool add_route(const Ipv6Prefix& prefix, NextHopId id) noexcept;
  bool delete_route(const Ipv6Prefix& prefix) noexcept;

  // --- any thread ---
  [[nodiscard]] static constexpr bool is_group(NextHopId id) noexcept {
    return id.value >= kMaxNextHops;
  }
  // The next hop of a flow (flow_hash.hpp) in a group.
  [[nodiscard]] NextHopId member(NextHopId group, std::uint32_t flow) const noexcept {
    static_assert(kGroupBuckets == 64);
    const Group& buckets = groups_[static_cast<std::size_t>(group.value - kMaxNextHops)];
    return NextHopId(buckets[flow >> 26].load(std::memory_order_acquire));
  }
  // found[i] for destinations[i] (host order); at most kMaxLookup at a time, both spans equal.
  static constexpr std::size_t kMaxLookup = 128;
  using Found = std::uint64_t;  // as rte_fib writes it
  void lookup(std::span<const std::uint32_t> destinations, std::span<Found> found) const noexcept;
  [[nodiscard]] static NextHopId id_of(Found found) noexcept {
    return NextHopId(static_cast<std::uint16_t>(found));
  }
  [[nodiscard]] NextHopId lookup(Ipv4Address destination) const noexcept;
  // Fetches the entry that a look-up of this address reads first. The table has 32 MiB, so that the
  // look-up of a burst waits for memory unless a stage before it has asked for the entries.
  void prefetch(Ipv4Address destination) const noexcept { rte_prefetch0(entry_of(destination)); }
  // The address of that entry as DPDK 22.11 lays the table out. A test compares it with a look-up;
  // a wrong one costs time and nothing else.
  [[nodiscard]] const void* entry_of(Ipv4Address destination) const noexcept {
    return ipv4_entries_ + (std::size_t{destination.value} >> 8) * sizeof(std::uint16_t);
  }
  // The same for IPv6; addresses as on the wire. They are only read, whatever rte_lpm6's prototype
  // says.
  using Ipv6Octets = std::uint8_t[16];
  void lookup(std::span<Ipv6Octets> destinations, std::span<NextHopId> ids) const noexcept;
  [[nodiscard]] NextHopId lookup(const Ipv6Address& destination) const noexcept;

 private:
  // Main: writes; workers: read. Odd version: being written.
  struct Entry {
    std::atomic<std::uint32_t> version{0};
    std::array<std::atomic<std::uint64_t>, 4> words{};  // gateway in the last two
  };

  using Group = std::array<std::atomic<std::uint16_t>, kGroupBuckets>;

  NextHops() noexcept = default;

  rte_fib* fib_ = nullptr;
  const std::byte* ipv4_entries_ = nullptr;  // one for each /24, inside fib_
  rte_lpm6* lpm6_ = nullptr;                 // null: no IPv6
  // rte_lpm6 knows no prefix of length 0. Main: writes; workers: read.
  std::atomic<std::uint16_t> ipv6_default_{0};
  std::unique_ptr<Entry[]> entries_;
  std::unique_ptr<Group[]> groups_;  // main: writes; workers: read
};

// The two worlds of a VPN server. A packet of one never takes a route of the other, and an address
// may mean another host in each.
struct RoutingTables {
  NextHops& outer;  // GRE to the peers; IPv4 only
  NextHops& inner;  // what subscribers send, and what the core sends to them
};

}  // namespace pns::dataplane
