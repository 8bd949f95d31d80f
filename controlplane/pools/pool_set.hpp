// SPDX-License-Identifier: BSD-3-Clause
//
// PoolSet: every pool of the server by name, the fixed addresses of accounts, and the networks
// behind them, delegated prefixes among them. It hands out model::Lease objects, and no address is
// leased twice whichever way it was asked for. No I/O, one thread (the event loop).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "controlplane/model/lease.hpp"
#include "controlplane/pools/address_pool.hpp"
#include "controlplane/pools/network_set.hpp"
#include "controlplane/pools/prefix_pool.hpp"

namespace pns::pools {

enum class PoolError : std::uint8_t {
  kUnknownPool,  // no pool has this name
  kExhausted,    // every address of the pool is leased
  kTaken,        // the fixed address, or a network, is leased
  kNotLeasable,  // the fixed address is our own, or not a unicast address; a network holds ours,
                 // or is of a pool
};

struct PoolStatus {
  std::string_view name;  // valid while the PoolSet lives
  Ipv4Address gateway;
  std::size_t size = 0;
  std::size_t in_use = 0;
  std::uint64_t ipv6_size = 0;  // /64s
  std::size_t ipv6_in_use = 0;
  std::uint64_t delegated_size = 0;  // prefixes for DHCPv6
  std::size_t delegated_in_use = 0;
};

class PoolSet {
 public:
  // Throws std::invalid_argument as AddressPool does, and for two pools that overlap or share a
  // name. A `next` of no pool here is none, and a circle of them is left after one round.
  explicit PoolSet(const std::vector<PoolConfig>& configs);

  // An address of the named pool, in a preferred bucket where one is free. A pool that is used up
  // passes the question to its `next`.
  [[nodiscard]] std::expected<model::Lease, PoolError> allocate(std::string_view pool,
                                                                const BucketMask& preferred = {});

  // Addresses that nobody may have: those of this server, of its networks and gateways. IPv6: the
  // /64s that hold one. Replaces the ones given before; leases stay until they are given back.
  void set_own(const std::vector<Ipv4Address>& addresses, const std::vector<Ipv6Prefix>& prefixes);
  // Addresses and /64s of accounts: only claim() and add_ipv6() with a fixed prefix give them out.
  // Replaces the ones given before; leases stay.
  void set_fixed(const std::vector<Ipv4Address>& addresses,
                 const std::vector<Ipv6Prefix>& prefixes);

  // As AddressPool::set_buckets(), of every pool.
  void set_buckets(const AddressBucket& bucket);

  // A fixed address. It is taken out of whichever pool contains it; outside every pool it is leased
  // all the same, with an empty pool name. The gateway is that of the containing pool, else that of
  // `pool`.
  [[nodiscard]] std::expected<model::Lease, PoolError> claim(Ipv4Address address,
                                                             std::string_view pool);

  // Adds a /64 to a lease: the fixed one, else one of the named pool. Without IPv6 there, or with
  // none free, the lease stays as it is.
  void add_ipv6(model::Lease& lease, std::string_view pool,
                const std::optional<Ipv6Prefix>& fixed = std::nullopt);

  // Adds the networks behind the subscriber to a lease, all of them or none.
  [[nodiscard]] std::expected<void, PoolError> add_networks(model::Lease& lease,
                                                            const NetworksPointer& networks);

  // Adds the prefix that DHCPv6 delegates: the fixed one, else one of the named pool, and none
  // where that has none free. Adds the fixed address. A lease without a /64 stays as it is. Error:
  // a fixed one cannot be had; the lease stays as it is.
  [[nodiscard]] std::expected<void, PoolError> add_delegation(
      model::Lease& lease, std::string_view pool, const std::optional<Ipv6Prefix>& fixed,
      const std::optional<Ipv6Address>& address);

  // Takes a lease again that lived through a restart, under its own address and gateway. False when
  // the address is taken. A pool that the configuration no longer has does not matter.
  [[nodiscard]] bool restore(const model::Lease& lease);

  // Gives a lease back; one that is not held is ignored.
  void release(const model::Lease& lease);

  [[nodiscard]] std::vector<PoolStatus> status() const;
  // IPv4 addresses that are leased, fixed ones of no pool included.
  [[nodiscard]] std::size_t leased() const noexcept;
  // Networks behind subscribers that are leased: those of accounts, and delegated ones.
  [[nodiscard]] std::size_t leased_networks() const noexcept { return networks_.size(); }

 private:
  [[nodiscard]] AddressPool* find(std::string_view name) noexcept;
  [[nodiscard]] AddressPool* containing(Ipv4Address address) noexcept;

  [[nodiscard]] PrefixPool* containing(const Ipv6Prefix& prefix) noexcept;
  void withhold(std::unordered_set<Ipv4Address>& known, const std::vector<Ipv4Address>& addresses,
                AddressPool::Withheld why);
  void withhold_prefixes();
  // A network holds an address of this server, or one that a pool may give to somebody else.
  [[nodiscard]] bool is_not_behind_anybody(const Networks& networks) const;
  [[nodiscard]] bool restore_addresses(const model::Lease& lease);
  [[nodiscard]] bool restore_networks(const model::Lease& lease);
  void release_networks(const model::Lease& lease);
  [[nodiscard]] PrefixPool* delegating(const Ipv6Prefix& prefix) noexcept;
  [[nodiscard]] std::expected<void, PoolError> claim_delegated(const Ipv6Prefix& prefix);
  [[nodiscard]] std::optional<Ipv6Prefix> allocate_delegated(PrefixPool& pool);

  std::vector<AddressPool> pools_;
  std::vector<PrefixPool> prefixes_;   // one beside each of pools_
  std::vector<PrefixPool> delegated_;  // likewise
  std::vector<std::string> next_;      // likewise
  std::vector<Ipv4Range> pool_ranges_;
  std::vector<Ipv6Prefix> pool_prefixes_;
  std::unordered_set<Ipv4Address> outside_;  // leased addresses of no pool
  std::unordered_set<Ipv6Address> outside_prefixes_;
  std::unordered_set<Ipv4Address> own_;
  std::unordered_set<Ipv4Address> fixed_;
  std::vector<Ipv6Prefix> own_prefixes_;
  std::vector<Ipv6Prefix> fixed_prefixes_;
  NetworkSet networks_;
};

}  // namespace pns::pools
