// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/host_unreachable.hpp"

#include "pns/wire/ethernet.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {
namespace {

std::size_t write_report(MutableBytes out, std::uint16_t ether_type, Bytes packet,
                         const ReportSources& sources) noexcept {
  if (ether_type == wire::kEtherTypeIpv4) {
    const auto header = wire::parse_ipv4(packet);
    if (!header || sources.ipv4.is_unspecified() || !wire::may_cause_icmp_error(*header, packet))
      return 0;
    return wire::write_icmp_error(
        out, {wire::kIcmpDestinationUnreachable, wire::kIcmpCodeHostUnreachable, 0}, sources.ipv4,
        *header, packet);
  }
  const auto header = wire::parse_ipv6(packet);
  if (ether_type != wire::kEtherTypeIpv6 || !header || sources.ipv6.is_unspecified() ||
      !wire::may_cause_icmp_error(*header, packet))
    return 0;
  return wire::write_icmp_error(
      out, {wire::kIcmpv6DestinationUnreachable, wire::kIcmpv6CodeAddressUnreachable, 0},
      sources.ipv6, *header, packet);
}

}  // namespace

std::size_t write_host_unreachable(MutableBytes out, Bytes frame, const MacAddress& mac,
                                   const ReportSources& sources) noexcept {
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet || out.size() < wire::kEthernetHeaderSize) return 0;
  const std::size_t length =
      write_report(out.subspan(wire::kEthernetHeaderSize), ethernet->type.host(),
                   frame.subspan(wire::kEthernetHeaderSize), sources);
  if (length == 0) return 0;
  return wire::write_ethernet(out, {mac, mac, ethernet->type}) + length;
}

}  // namespace pns::dataplane
