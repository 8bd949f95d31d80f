// SPDX-License-Identifier: BSD-3-Clause
//
// Cuts an IPv4 packet into fragments (RFC 791 §3.2). Used for inner packets that exceed a session's
// MTU or the core port's without forbidding it, and for outer packets that exceed the access
// port's.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <expected>
#include <span>

#include "dataplane/packet/burst.hpp"
#include "dataplane/packet/packet_context.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "pns/wire/ipv4.hpp"

namespace pns::dataplane {

// Fragments that one packet may become, at most: 1,500 octets over an MTU of 68, the least that a
// link may have (RFC 791 §3.2).
inline constexpr std::size_t kMaxFragments = 32;

// Makes new mbufs from `pool`, each one IPv4 packet of at most `mtu` octets; the contexts are
// copies of the original's. `packet` (single segment, data at the header that `header` was parsed
// from) is only read and stays the caller's. Result: how many of `out` are filled, at least one.
// Errors, with nothing left allocated: no_buffer; fragment_limit, for more than `out` holds or an
// MTU with no room for data; fragment_overflow, when `packet` is a fragment itself and ends beyond
// octet 65,535 of its packet.
[[nodiscard]] std::expected<std::size_t, DropReason> fragment_ipv4(
    rte_mbuf* packet, const wire::Ipv4Header& header, std::uint16_t mtu, rte_mempool* pool,
    std::span<rte_mbuf*> out) noexcept;

// Puts fragments in the place of a packet of the burst: `send` takes each one, which is appended to
// the burst then, and the packet's lane becomes kConsumed. Errors as above, and fragment_limit when
// the burst has no room for all; then nothing has changed.
template <class Send>
[[nodiscard]] std::expected<void, DropReason> replace_by_fragments(
    Burst& burst, StageContext& stage, rte_mbuf* packet, const wire::Ipv4Header& header,
    std::uint16_t mtu, Send send) noexcept {
  std::array<rte_mbuf*, kMaxFragments> fragments;
  const std::size_t room = std::min<std::size_t>(fragments.size(), Burst::kCapacity - burst.count);
  const auto made =
      fragment_ipv4(packet, header, mtu, stage.pool, std::span(fragments).first(room));
  if (!made) return std::unexpected(made.error());
  for (rte_mbuf* const fragment : std::span(fragments).first(*made)) {
    send(fragment);
    (void)burst.append(fragment);
  }
  stage.counters.generated.add(*made);
  context_of(packet).lane = Lane::kConsumed;
  return {};
}

}  // namespace pns::dataplane
