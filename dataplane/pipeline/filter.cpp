// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/filter.hpp"

#include <cstring>

#include "dataplane/filter/filter_set.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {
namespace {

constexpr std::size_t kPortOctets = 4;

[[nodiscard]] bool has_ports(std::uint8_t protocol) noexcept {
  return protocol == wire::kIpProtocolTcp || protocol == wire::kIpProtocolUdp;
}

// Fills in the upper layer. False: its ports are cut off, which no honest sender does (RFC 1858).
template <class Key>
[[nodiscard]] bool put_upper_layer(Key& key, Bytes packet, std::uint8_t protocol, std::size_t at,
                                   bool later_fragment) noexcept {
  key.protocol = protocol;
  key.later_fragment = later_fragment ? 1 : 0;
  if (later_fragment || !has_ports(protocol)) return true;
  if (at + kPortOctets > packet.size()) return false;
  std::memcpy(key.ports.data(), packet.data() + at, kPortOctets);
  return true;
}

// The packet has passed check_ipv4().
[[nodiscard]] bool make_key(Ipv4FilterKey& key, Bytes packet) noexcept {
  wire::Ipv4WireHeader header;
  std::memcpy(&header, packet.data(), sizeof(header));
  std::memcpy(key.addresses.data(), packet.data() + offsetof(wire::Ipv4WireHeader, source),
              key.addresses.size());
  const std::uint16_t offset = header.flags_offset.host() & wire::kIpv4OffsetMask;
  // A fragment that begins inside the first 16 octets of TCP overwrites its flags (RFC 1858 §3).
  if (offset == 1 && header.protocol == wire::kIpProtocolTcp) return false;
  const std::size_t at = (header.version_ihl & 0xfU) * 4;
  return put_upper_layer(
      key, packet.first(std::min<std::size_t>(packet.size(), header.total_length.host())),
      header.protocol, at, offset != 0);
}

// The packet has passed parse_ipv6().
[[nodiscard]] bool make_key(Ipv6FilterKey& key, Bytes packet) noexcept {
  const wire::Ipv6Header header = wire::read_ipv6(packet);
  const Bytes whole = packet.first(std::min<std::size_t>(packet.size(), header.total_length()));
  const auto upper = wire::find_upper_layer(whole, header);
  if (!upper) return false;
  std::memcpy(key.addresses.data(), packet.data() + offsetof(wire::Ipv6WireHeader, source),
              key.addresses.size());
  return put_upper_layer(key, whole, upper->protocol, upper->offset, upper->later_fragment);
}

using Drop = void (*)(PacketContext&, DropReason) noexcept;

// Packets of one family whose verdict is asked for together.
template <class Key>
class Batch {
 public:
  Batch(const FilterSet& filters, Drop drop_packet) noexcept
      : filters_(filters), drop_packet_(drop_packet) {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  void add(rte_mbuf* packet, PacketContext& context, std::uint8_t filter) noexcept {
    Key& key = keys_[count_];
    key = {};
    key.filter = filter;
    if (!make_key(key, octets_of(packet))) return drop_packet_(context, DropReason::filtered);
    contexts_[count_++] = &context;
    if (count_ == FilterSet::kBatch) decide();
  }
  void decide() noexcept {
    if (count_ == 0) return;
    const std::uint32_t permitted = filters_.permitted(std::span<const Key>(keys_).first(count_));
    for (std::size_t i = 0; i < count_; ++i)
      if ((permitted >> i & 1) == 0) drop_packet_(*contexts_[i], DropReason::filtered);
    count_ = 0;
  }

 private:
  const FilterSet& filters_;
  Drop drop_packet_;
  std::size_t count_ = 0;
  std::array<PacketContext*, FilterSet::kBatch> contexts_;
  std::array<Key, FilterSet::kBatch> keys_;
};

// Keys of IPv6 lie apart, so that a burst without any pays nothing for them.
[[gnu::noinline]] void filter_ipv6(Burst& burst, const FilterSet& filters, Lane lane,
                                   std::uint32_t number_at, WorkerId self,
                                   const SessionTable& sessions, Drop drop_packet) noexcept {
  Batch<Ipv6FilterKey> batch(filters, drop_packet);
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    if (context.lane != lane) continue;
    const auto& session = *context.session;
    const auto number =
        static_cast<std::uint8_t>(session.flags.load(std::memory_order_relaxed) >> number_at);
    if (number != 0 && sessions.owner(session.our_call_id) == self)
      batch.add(packet, context, number);
  }
  batch.decide();
}

void filter_burst(Burst& burst, StageContext& stage, Lane ipv4, Lane ipv6, std::uint32_t number_at,
                  Drop drop_packet) noexcept {
  Batch<Ipv4FilterKey> batch(*stage.filters, drop_packet);
  bool has_ipv6 = false;
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    has_ipv6 |= context.lane == ipv6;
    if (context.lane != ipv4) continue;
    const auto& session = *context.session;
    const auto number =
        static_cast<std::uint8_t>(session.flags.load(std::memory_order_relaxed) >> number_at);
    // Another worker's packet is handed over first: that one counts what it drops.
    if (number != 0 && stage.sessions.owner(session.our_call_id) == stage.self)
      batch.add(packet, context, number);
  }
  batch.decide();
  if (has_ipv6)
    filter_ipv6(burst, *stage.filters, ipv6, number_at, stage.self, stage.sessions, drop_packet);
}

}  // namespace

void filter_upstream(Burst& burst, StageContext& stage) noexcept {
  filter_burst(burst, stage, Lane::kForwardIpv4, Lane::kForwardIpv6, contract::kUpstreamFilterAt,
               drop_upstream);
}

void filter_downstream(Burst& burst, StageContext& stage) noexcept {
  filter_burst(burst, stage, Lane::kDownstreamIpv4, Lane::kDownstreamIpv6,
               contract::kDownstreamFilterAt, drop_downstream);
}

}  // namespace pns::dataplane
