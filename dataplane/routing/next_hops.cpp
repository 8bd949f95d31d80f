// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/routing/next_hops.hpp"

#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_lcore.h>
#include <rte_lpm6.h>

#include <algorithm>
#include <cstring>

namespace pns::dataplane {
namespace {

using Words = std::array<std::uint64_t, 4>;
constexpr unsigned kInPoolBit = 48;  // of the second word, behind the source
constexpr unsigned kIsHostBit = 49;
constexpr unsigned kSlotAt = 16;  // bit of the first word, in the place of the destination

Words pack(const NextHop& hop) noexcept {
  Words words{};
  words[0] = static_cast<std::uint64_t>(hop.kind) | static_cast<std::uint64_t>(hop.port) << 8;
  if (hop.kind == NextHopKind::kSession)
    words[0] |= std::uint64_t{hop.slot.value} << kSlotAt;
  else
    std::memcpy(reinterpret_cast<std::byte*>(&words[0]) + 2, hop.destination.data(), 6);
  std::memcpy(&words[1], hop.source.data(), 6);
  words[1] |= std::uint64_t{hop.in_pool} << kInPoolBit | std::uint64_t{hop.is_host} << kIsHostBit;
  words[2] = hop.gateway.high;
  words[3] = hop.gateway.low;
  return words;
}

NextHopKind kind_of(const Words& words) noexcept {
  return static_cast<NextHopKind>(words[0] & 0xff);
}

NextHop unpack(const Words& words) noexcept {
  NextHop hop;
  hop.kind = kind_of(words);
  hop.port = static_cast<contract::PortRole>((words[0] >> 8) & 0xff);
  if (hop.kind == NextHopKind::kSession)
    hop.slot = SlotId(static_cast<std::uint32_t>(words[0] >> kSlotAt));
  else
    std::memcpy(hop.destination.data(), reinterpret_cast<const std::byte*>(&words[0]) + 2, 6);
  std::memcpy(hop.source.data(), &words[1], 6);
  hop.gateway = {words[2], words[3]};
  hop.in_pool = (words[1] >> kInPoolBit & 1) != 0;
  hop.is_host = (words[1] >> kIsHostBit & 1) != 0;
  return hop;
}

}  // namespace

std::expected<std::unique_ptr<NextHops>, std::string> NextHops::create(const char* name,
                                                                       Room room) {
  std::unique_ptr<NextHops> table(new NextHops);
  rte_fib_conf conf{};
  conf.type = RTE_FIB_DIR24_8;
  conf.default_nh = 0;
  conf.max_routes = static_cast<int>(room.ipv4_routes);
  conf.dir24_8.nh_sz = RTE_FIB_DIR24_8_2B;
  conf.dir24_8.num_tbl8 = std::max<std::uint32_t>(room.ipv4_routes / 8, 256);
  table->fib_ = rte_fib_create(name, static_cast<int>(rte_socket_id()), &conf);
  if (table->fib_ == nullptr)
    return std::unexpected(std::string("rte_fib_create: ") + rte_strerror(rte_errno));
  // The AVX-512 look-up would lower the clock of everything else on the core.
  (void)rte_fib_select_lookup(table->fib_, RTE_FIB_LOOKUP_DIR24_8_SCALAR_MACRO);
  // Behind the first line of DPDK's dir24_8_tbl.
  table->ipv4_entries_ =
      static_cast<const std::byte*>(rte_fib_get_dp(table->fib_)) + RTE_CACHE_LINE_SIZE;
  table->entries_ = std::make_unique<Entry[]>(kMaxNextHops);
  table->groups_ = std::make_unique<Group[]>(kMaxGroups);
  if (room.ipv6_routes == 0) return table;
  rte_lpm6_config conf6{};
  conf6.max_rules = room.ipv6_routes;
  conf6.number_tbl8s = room.ipv6_routes;
  table->lpm6_ = rte_lpm6_create(name, static_cast<int>(rte_socket_id()), &conf6);
  if (table->lpm6_ == nullptr)
    return std::unexpected(std::string("rte_lpm6_create: ") + rte_strerror(rte_errno));
  return table;
}

NextHops::~NextHops() {
  if (fib_ != nullptr) rte_fib_free(fib_);
  if (lpm6_ != nullptr) rte_lpm6_free(lpm6_);
}

bool NextHops::set(NextHopId id, const NextHop& next_hop) noexcept {
  if (id.value == 0 || id.value >= kMaxNextHops) return false;
  Entry& entry = entries_[id.value];
  const Words words = pack(next_hop);
  const std::uint32_t version = entry.version.load(std::memory_order_relaxed);
  entry.version.store(version + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  for (std::size_t i = 0; i < words.size(); ++i)
    entry.words[i].store(words[i], std::memory_order_relaxed);
  entry.version.store(version + 2, std::memory_order_release);
  return true;
}

NextHop NextHops::get(NextHopId id) const noexcept {
  if (id.value >= kMaxNextHops) return {};
  const Entry& entry = entries_[id.value];
  Words words{};
  for (;;) {
    const std::uint32_t before = entry.version.load(std::memory_order_acquire);
    words[0] = entry.words[0].load(std::memory_order_relaxed);
    words[1] = entry.words[1].load(std::memory_order_relaxed);
    // Nearly every next hop is resolved, and then only two words matter.
    if (kind_of(words) == NextHopKind::kGlean)
      for (std::size_t i = 2; i < words.size(); ++i)
        words[i] = entry.words[i].load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if ((before & 1) == 0 && entry.version.load(std::memory_order_relaxed) == before) break;
  }
  return unpack(words);
}

bool NextHops::set_group(NextHopId id, std::span<const NextHopId, kGroupBuckets> buckets) noexcept {
  if (!is_group(id) || id.value >= kMaxIds) return false;
  Group& group = groups_[static_cast<std::size_t>(id.value - kMaxNextHops)];
  for (std::size_t i = 0; i < kGroupBuckets; ++i)
    group[i].store(buckets[i].value, std::memory_order_release);
  return true;
}

bool NextHops::add_route(const Ipv4Prefix& prefix, NextHopId id) noexcept {
  if (id.value >= kMaxIds || prefix.length > 32) return false;
  return rte_fib_add(fib_, prefix.network().value, prefix.length, id.value) == 0;
}

bool NextHops::delete_route(const Ipv4Prefix& prefix) noexcept {
  if (prefix.length > 32) return false;
  return rte_fib_delete(fib_, prefix.network().value, prefix.length) == 0;
}

bool NextHops::add_route(const Ipv6Prefix& prefix, NextHopId id) noexcept {
  if (id.value >= kMaxIds || prefix.length > 128 || lpm6_ == nullptr) return false;
  if (prefix.length == 0) {
    ipv6_default_.store(id.value, std::memory_order_relaxed);
    return true;
  }
  return rte_lpm6_add(lpm6_, prefix.network().wire().data(), prefix.length, id.value) == 0;
}

bool NextHops::delete_route(const Ipv6Prefix& prefix) noexcept {
  if (prefix.length > 128 || lpm6_ == nullptr) return false;
  if (prefix.length == 0) return ipv6_default_.exchange(0, std::memory_order_relaxed) != 0;
  Ipv6Address::Octets octets = prefix.network().wire();
  return rte_lpm6_delete(lpm6_, octets.data(), prefix.length) == 0;
}

void NextHops::lookup(std::span<const std::uint32_t> destinations,
                      std::span<Found> found) const noexcept {
  const auto count = std::min({destinations.size(), found.size(), kMaxLookup});
  if (count == 0) return;
  // rte_fib does not write to the addresses, whatever its prototype says.
  (void)rte_fib_lookup_bulk(fib_, const_cast<std::uint32_t*>(destinations.data()), found.data(),
                            static_cast<int>(count));
}

NextHopId NextHops::lookup(Ipv4Address destination) const noexcept {
  Found found = 0;
  lookup({&destination.value, 1}, {&found, 1});
  return id_of(found);
}

void NextHops::lookup(std::span<Ipv6Octets> destinations, std::span<NextHopId> ids) const noexcept {
  std::array<std::int32_t, kMaxLookup> found;
  const auto count = std::min({destinations.size(), ids.size(), kMaxLookup});
  if (count == 0) return;
  if (lpm6_ == nullptr) {
    std::ranges::fill(ids.first(count), NextHopId());
    return;
  }
  (void)rte_lpm6_lookup_bulk_func(lpm6_, destinations.data(), found.data(),
                                  static_cast<unsigned>(count));
  const std::uint16_t otherwise = ipv6_default_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < count; ++i)
    ids[i] = NextHopId(found[i] < 0 ? otherwise : static_cast<std::uint16_t>(found[i]));
}

NextHopId NextHops::lookup(const Ipv6Address& destination) const noexcept {
  NextHopId id;
  Ipv6Octets octets;
  const auto wire = destination.wire();
  std::ranges::copy(wire, octets);
  lookup({&octets, 1}, {&id, 1});
  return id;
}

}  // namespace pns::dataplane
