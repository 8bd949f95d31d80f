// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/fragment.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/packet/packet_context.hpp"
#include "pns/wire/checksum.hpp"

namespace pns::dataplane {
namespace {

constexpr std::size_t kMaxHeader = 60;

// A header for the fragments behind the first: only options that say "copied" stay.
std::size_t copied_header(Bytes header, std::span<std::byte, kMaxHeader> out) noexcept {
  std::memcpy(out.data(), header.data(), wire::kIpv4HeaderSize);
  std::size_t size = wire::kIpv4HeaderSize;
  std::size_t at = wire::kIpv4HeaderSize;
  while (at < header.size()) {
    const auto kind = std::to_integer<std::uint8_t>(header[at]);
    if (kind == 0) break;
    if (kind == 1) {
      ++at;
      continue;
    }
    if (at + 1 >= header.size()) break;
    const auto length = std::to_integer<std::size_t>(header[at + 1]);
    if (length < 2 || at + length > header.size()) break;
    if ((kind & 0x80) != 0) {
      std::memcpy(out.data() + size, header.data() + at, length);
      size += length;
    }
    at += length;
  }
  while (size % 4 != 0) out[size++] = std::byte{0};
  out[0] = static_cast<std::byte>(0x40 | (size / 4));
  return size;
}

}  // namespace

std::expected<std::size_t, DropReason> fragment_ipv4(rte_mbuf* packet,
                                                     const wire::Ipv4Header& header,
                                                     std::uint16_t mtu, rte_mempool* pool,
                                                     std::span<rte_mbuf*> out) noexcept {
  const Bytes whole = octets_of(packet).first(header.total_length);
  const Bytes payload = whole.subspan(header.header_length);
  // The offset of a later fragment would run into the flags.
  if (header.header_length + header.fragment_offset + payload.size() > UINT16_MAX)
    return std::unexpected(DropReason::fragment_overflow);
  std::array<std::byte, kMaxHeader> first_header;
  std::memcpy(first_header.data(), whole.data(), header.header_length);
  std::array<std::byte, kMaxHeader> later_header;
  const std::size_t later_size = copied_header(whole.first(header.header_length), later_header);

  std::size_t made = 0;
  std::size_t at = 0;
  const auto give_up = [&](DropReason why) {
    rte_pktmbuf_free_bulk(out.data(), static_cast<unsigned>(made));
    return std::unexpected(why);
  };
  while (at < payload.size()) {
    const Bytes head = at == 0 ? Bytes(first_header).first(header.header_length)
                               : Bytes(later_header).first(later_size);
    if (mtu < head.size() + 8 || made == out.size()) return give_up(DropReason::fragment_limit);
    std::size_t size = std::min(payload.size() - at, mtu - head.size());
    const bool last = at + size == payload.size();
    if (!last) size &= ~std::size_t{7};
    rte_mbuf* fragment = rte_pktmbuf_alloc(pool);
    if (fragment == nullptr) return give_up(DropReason::no_buffer);
    out[made++] = fragment;
    const std::size_t total = head.size() + size;
    auto* octets = reinterpret_cast<std::byte*>(
        rte_pktmbuf_append(fragment, static_cast<std::uint16_t>(total)));
    if (octets == nullptr) return give_up(DropReason::no_buffer);
    std::memcpy(octets, head.data(), head.size());
    std::memcpy(octets + head.size(), payload.data() + at, size);

    wire::Ipv4WireHeader wire;
    std::memcpy(&wire, octets, sizeof(wire));
    const bool more = !last || header.more_fragments;
    wire.total_length = be16::from_host(static_cast<std::uint16_t>(total));
    wire.flags_offset = be16::from_host(static_cast<std::uint16_t>(
        (more ? wire::kIpv4MoreFragments : 0) | ((header.fragment_offset + at) / 8)));
    wire.checksum = {};
    std::memcpy(octets, &wire, sizeof(wire));
    wire.checksum = be16::from_host(wire::internet_checksum({octets, head.size()}));
    std::memcpy(octets, &wire, sizeof(wire));
    context_of(fragment) = context_of(packet);
    at += size;
  }
  return made;
}

}  // namespace pns::dataplane
