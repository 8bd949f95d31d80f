// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/session_facts.hpp"

#include <fmt/format.h>

#include "controlplane/aaa/radius_call.hpp"
#include "pns/radius/packet_builder.hpp"

namespace pns::accounting {

namespace attribute = radius::attribute;

namespace {

radius::PacketBuilder new_builder() noexcept {
  return {
      radius::Code::kAccountingRequest, 0, {}, radius::PacketBuilder::MessageAuthenticator::kNone};
}

// The attributes alone. More networks or Class attributes than a packet holds: those that fit.
Octets take(radius::PacketBuilder& builder) {
  const auto packet = builder.finish();
  if (!packet) return {};
  const auto attributes = packet->subspan(radius::kHeaderSize);
  return {attributes.begin(), attributes.end()};
}

// Room that each record leaves for counters, the cause, and what is added when it is sent: names of
// this server, time and delay, proxies' State.
constexpr std::size_t kReserved = 1'024;

}  // namespace

Octets identity_attributes(const SessionFacts& facts) {
  auto out = new_builder();
  out.add_text(attribute::kUserName, std::string_view(facts.user).substr(0, 253));
  out.add_u32(attribute::kAcctAuthentic, radius::number(facts.authentic));
  aaa::add_call(out, {.session = facts.session,
                      .slot = facts.slot,
                      .peer_call_id = facts.peer_call_id,
                      .peer = facts.peer,
                      .local = facts.local});
  out.add_text(attribute::kAcctTunnelConnection,
               fmt::format("{}-{}", facts.our_call_id.value, facts.peer_call_id.value));
  if (facts.address) out.add_ipv4(attribute::kFramedIpAddress, *facts.address);
  if (facts.ipv6_prefix) out.add_ipv6_prefix(attribute::kFramedIpv6Prefix, *facts.ipv6_prefix);
  if (facts.delegated_prefix)
    out.add_ipv6_prefix(attribute::kDelegatedIpv6Prefix, *facts.delegated_prefix);
  if (facts.ipv6_address) out.add_ipv6(attribute::kFramedIpv6Address, *facts.ipv6_address);
  for (const Octets& value : facts.classes)
    if (out.remaining() > kReserved + value.size()) out.add(attribute::kClass, value);
  for (const Ipv4Prefix& to : facts.networks.ipv4)
    if (out.remaining() > kReserved)
      out.add_text(attribute::kFramedRoute, fmt::format("{} 0.0.0.0 1", to.to_string()));
  const auto has_attribute = [&](const Ipv6Prefix& to) {
    return to == facts.delegated_prefix ||
           (facts.ipv6_address && to == Ipv6Prefix{*facts.ipv6_address, 128});
  };
  for (const Ipv6Prefix& to : facts.networks.ipv6)
    if (out.remaining() > kReserved && !has_attribute(to))
      out.add_text(attribute::kFramedIpv6Route, fmt::format("{} :: 1", to.to_string()));
  return take(out);
}

Octets counter_attributes(const SessionCounters& counters) {
  const auto low = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
  const auto high = [](std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); };
  auto out = new_builder();
  out.add_u32(attribute::kAcctSessionTime, low(counters.seconds));
  out.add_u32(attribute::kAcctInputOctets, low(counters.input_octets));
  out.add_u32(attribute::kAcctOutputOctets, low(counters.output_octets));
  out.add_u32(attribute::kAcctInputPackets, low(counters.input_packets));
  out.add_u32(attribute::kAcctOutputPackets, low(counters.output_packets));
  out.add_u32(attribute::kAcctInputGigawords, high(counters.input_octets));
  out.add_u32(attribute::kAcctOutputGigawords, high(counters.output_octets));
  return take(out);
}

Octets cause_attributes(TerminateCause cause) {
  auto out = new_builder();
  out.add_u32(attribute::kAcctTerminateCause, radius::number(cause));
  return take(out);
}

}  // namespace pns::accounting
