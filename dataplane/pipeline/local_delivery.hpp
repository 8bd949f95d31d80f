// SPDX-License-Identifier: BSD-3-Clause
//
// Packets of a subscriber that end here: frames for the control process, and packets for our own
// side of the link that are answered at once. Steps that several stages share. One worker.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "dataplane/routing/next_hops.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/wire/ppp.hpp"

namespace pns::dataplane {

// Octets of a frame of an unsupported protocol, Protocol field included, that the control process
// gets to see: what a Protocol-Reject quotes of it.
inline constexpr std::size_t kRejectedOctets = 128;

// Lane kControl: the packet with its Protocol field in two octets before it, within the session's
// punt rate and the worker's. `taken`: octets in front that go first (a PPP header).
void punt_to_control(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                     std::uint16_t protocol, std::size_t taken) noexcept;

// Network data that is not open, `header` in front. IPv4, and everything before LCP is open, is
// dropped without a word (RFC 1661 §3.4, §3.5); another protocol goes to the control process, which
// knows whether it is to be rejected (§5.7). Where encryption is wanted, only for frames that came
// encrypted.
void refuse_network_data(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                         std::uint32_t session_flags, const wire::PppHeader& header) noexcept;

// The reason of a header check by the name that it has inside a tunnel.
[[nodiscard]] DropReason inner_reason(DropReason outer) noexcept;

// Answers a ping to one of our own IPv4 addresses, back down the same session. False: the packet is
// no ping.
[[nodiscard]] bool answer_ping(StageContext& stage, rte_mbuf* packet,
                               PacketContext& context) noexcept;

// Whether an address is one of this host's that subscribers reach.
[[nodiscard]] bool is_local(const StageContext& stage, Ipv4Address address) noexcept;

// Sends an inner packet for one of our own addresses to the host, within the rate of its session
// and of PuntClass::service. False: the host's services are off, and nothing has happened.
[[nodiscard]] bool send_to_host(StageContext& stage, PacketContext& context) noexcept;

// Sends a packet that was turned into its own answer back down its session, in `lane`, and enters
// the question in the books.
void send_back(StageContext& stage, PacketContext& context, Lane lane) noexcept;

}  // namespace pns::dataplane
