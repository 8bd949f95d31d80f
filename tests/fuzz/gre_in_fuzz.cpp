// SPDX-License-Identifier: BSD-3-Clause
//
// The code that a stranger on the access side reaches first: IPv4, GRE, PPP and the inner packet,
// each parsed from what the layer before left. Checks what the stages rely on: lengths stay inside,
// what parses is written back alike, walks end.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "pns/wire/ethernet.hpp"
#include "pns/wire/gre.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"
#include "pns/wire/ppp.hpp"
#include "pns/wire/tcp.hpp"

namespace {

using namespace pns;

void require(bool condition) {
  if (!condition) std::abort();
}

void inner_ipv6(Bytes packet) {
  const auto header = wire::parse_ipv6(packet);
  if (!header) return;
  require(header->total_length() <= packet.size());
  const Bytes whole = packet.first(header->total_length());
  std::vector<std::byte> copy(whole.begin(), whole.end());
  std::vector<std::byte> written(wire::kIpv6HeaderSize);
  require(wire::write_ipv6(written, *header) == written.size());
  require(std::equal(written.begin(), written.end(), packet.begin()));
  if (const auto upper = wire::find_upper_layer(packet, *header))
    require(upper->offset >= wire::kIpv6HeaderSize && upper->offset <= whole.size());
  wire::clamp_mss(copy, *header, 1340);
  require(wire::parse_ipv6(copy) == header);
  if (wire::may_cause_icmp_error(*header, whole)) {
    std::vector<std::byte> out(wire::kMaxIcmpv6Error);
    const std::size_t size =
        wire::write_icmp_error(out, {2, 0, 1400}, Ipv6Address(1, 2), *header, whole);
    const Bytes error = Bytes(out).first(size);
    const auto back = wire::parse_ipv6(error);
    require(back && back->destination == header->source && back->total_length() == size &&
            wire::upper_layer_checksum(error, wire::kIpv6HeaderSize, 58) == 0 &&
            !wire::may_cause_icmp_error(*back, error));
  }
  // A forgery that is answered is one that is whole.
  (void)wire::is_valid_router_solicitation(packet, *header);
  if (wire::neighbor_solicitation_target(packet, *header))
    require(whole.size() >= wire::kNeighborAdvertisementSize && header->hop_limit == 255);
  if (wire::answer_echo(copy, *header)) {
    const auto back = wire::parse_ipv6(copy);
    require(back && back->source == header->destination && back->destination == header->source);
  }
}

void inner(Bytes packet) {
  inner_ipv6(packet);
  const auto header = wire::parse_ipv4(packet);
  if (!header) return;
  require(header->header_length >= 20 && header->header_length <= header->total_length &&
          header->total_length <= packet.size());
  std::vector<std::byte> copy(packet.begin(), packet.end());
  wire::clamp_mss(copy, *header, 1360);
  if (header->time_to_live > 0) {
    wire::decrement_ttl(copy);
    require(wire::parse_ipv4(copy).has_value());
  }
  if (wire::may_cause_icmp_error(*header, packet)) {
    std::vector<std::byte> out(wire::kMaxIcmpError);
    const std::size_t size =
        wire::write_icmp_error(out, {3, 4, 1400}, Ipv4Address(1), *header, packet);
    require(size != 0 && wire::parse_ipv4(Bytes(out).first(size)).has_value());
  }
}

void ppp(Bytes frame) {
  const auto header = wire::parse_ppp(frame);
  if (!header) return;
  require(header->size() <= frame.size());
  std::vector<std::byte> out(header->size());
  require(wire::write_ppp(out, *header) == header->size());
  const auto back = wire::parse_ppp(out);
  require(back && *back == *header);
  const Bytes information = frame.subspan(header->size());
  if (const auto echo = wire::parse_echo(information)) require(echo->length <= information.size());
  inner(information);
}

void gre(Bytes packet) {
  const auto header = wire::parse_gre(packet);
  if (!header) return;
  require(header->size() + header->payload_length <= packet.size());
  std::vector<std::byte> out(packet.begin(), packet.end());
  require(wire::write_gre(out, *header) == header->size());
  require(std::equal(out.begin(), out.end(), packet.begin()));
  ppp(packet.subspan(header->size(), header->payload_length));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input = std::as_bytes(std::span(data, size));
  (void)wire::parse_ethernet(input);
  if (const auto outer = wire::parse_ipv4(input))
    gre(input.subspan(outer->header_length, outer->total_length - outer->header_length));
  // Each layer also alone: a checksum in front would keep most mutations out.
  gre(input);
  ppp(input);
  inner(input);
  return 0;
}
