// SPDX-License-Identifier: BSD-3-Clause
//
// Inner packets whose headers are right, so that a fuzzer gets behind the checksums: IPv4 with
// options, IPv6 with extension headers, and in them TCP options (MSS clamp), ICMP errors and
// echoes, Router and Neighbor Solicitations; and DHCPINFORM, whose options are the input. First
// octet: which; the second: how much of the rest is options or extension headers. Every change in
// place must leave checksums as right as they were.
#include <algorithm>
#include <cstring>
#include <vector>

#include "pns/wire/checksum.hpp"
#include "pns/wire/dhcp.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"
#include "pns/wire/router_advertisement.hpp"
#include "pns/wire/tcp.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace pns;
using Octets = std::vector<std::byte>;

constexpr std::uint16_t kLimit = 1340;
constexpr std::uint8_t kTcp = 6;

unsigned octet(Bytes data, std::size_t at) { return std::to_integer<unsigned>(data[at]); }
void put_word(MutableBytes data, std::size_t at, std::uint16_t value) {
  data[at] = static_cast<std::byte>(value >> 8);
  data[at + 1] = static_cast<std::byte>(value);
}

// The Internet checksum (RFC 1071), by the book.
std::uint32_t sum_of(Bytes data, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < data.size(); ++i) sum += octet(data, i) << (i % 2 == 0 ? 8 : 0);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

// A walk over TCP options as RFC 9293 §3.1 has it: where the MSS of a SYN stands, 0 for nowhere.
std::size_t mss_at(Bytes segment) {
  if (segment.size() < 20 || (octet(segment, 13) & 2) == 0) return 0;
  const std::size_t end = std::min<std::size_t>(octet(segment, 12) / 16 * 4, segment.size());
  for (std::size_t at = 20; at < end;) {
    if (octet(segment, at) == 0) return 0;
    if (octet(segment, at) == 1) {
      ++at;
      continue;
    }
    if (at + 2 > end || octet(segment, at + 1) < 2 || at + octet(segment, at + 1) > end) return 0;
    if (octet(segment, at) == 2) return octet(segment, at + 1) == 4 ? at + 2 : 0;
    at += octet(segment, at + 1);
  }
  return 0;
}

// After clamping: nothing but the MSS and the checksum has changed, and the sum is what it was.
void clamped(Bytes before, Bytes after, bool changed) {
  const std::size_t at = mss_at(before);
  const bool too_large = at != 0 && octet(before, at) * 256 + octet(before, at + 1) > kLimit;
  PNS_CLAIM(changed == too_large);
  for (std::size_t i = 0; i < before.size(); ++i)
    if (before[i] != after[i]) PNS_CLAIM(changed && (i == 16 || i == 17 || i - at < 2));
  if (!changed) return;
  PNS_CLAIM(octet(after, at) * 256 + octet(after, at + 1) == kLimit);
  // 0 and 0xffff are the same number here.
  PNS_CLAIM(sum_of(before) % 0xffff == sum_of(after) % 0xffff);
}

void ipv4(fuzz::Input& input, std::uint8_t protocol) {
  const std::size_t options = input.octet() % 11 * 4;
  Octets packet(wire::kIpv4HeaderSize);
  const Bytes rest = input.octets(1400);
  packet.insert(packet.end(), rest.begin(), rest.end());
  packet.resize(std::max(packet.size(), wire::kIpv4HeaderSize + options));
  packet[0] = static_cast<std::byte>(0x45 + options / 4);
  put_word(packet, 2, static_cast<std::uint16_t>(packet.size()));
  packet[8] = std::byte{64};
  packet[9] = static_cast<std::byte>(protocol);
  packet[12] = packet[16] = std::byte{10};
  packet[15] = std::byte{1};
  const MutableBytes header_octets = MutableBytes(packet).first(20 + options);
  put_word(packet, 10, static_cast<std::uint16_t>(~sum_of(header_octets)));

  const auto header = wire::parse_ipv4(packet);
  PNS_CLAIM(header && header->header_length == 20 + options &&
            header->total_length == packet.size());
  Octets changed = packet;
  const bool did = wire::clamp_mss(changed, *header, kLimit);
  if (protocol == kTcp)
    clamped(Bytes(packet).subspan(20 + options), Bytes(changed).subspan(20 + options), did);
  else
    PNS_CLAIM(!did && changed == packet);
  wire::decrement_ttl(changed);
  const auto lower = wire::parse_ipv4(changed);
  PNS_CLAIM(lower && lower->time_to_live == 63);

  Octets echo = packet;
  if (wire::answer_echo(echo, *header)) {
    PNS_CLAIM(protocol == wire::kIpProtocolIcmp && packet[20 + options] == std::byte{8});
    const auto back = wire::parse_ipv4(echo);
    PNS_CLAIM(back && back->source == header->destination && back->destination == header->source);
    PNS_CLAIM(echo[20 + options] == std::byte{0});
    PNS_CLAIM(sum_of(Bytes(packet).subspan(20 + options)) % 0xffff ==
              sum_of(Bytes(echo).subspan(20 + options)) % 0xffff);
  } else {
    PNS_CLAIM(echo == packet);
  }
  if (wire::may_cause_icmp_error(*header, packet)) {
    Octets out(wire::kMaxIcmpError);
    const std::size_t size =
        wire::write_icmp_error(out, {3, 4, 1400}, Ipv4Address(1), *header, packet);
    const Bytes error = Bytes(out).first(size);
    const auto back = wire::parse_ipv4(error);
    PNS_CLAIM(back && back->total_length == size && back->destination == header->source);
    PNS_CLAIM(sum_of(error.subspan(20)) == 0xffff && !wire::may_cause_icmp_error(*back, error));
  }
}

// RFC 8200 §8.1, by the book.
std::uint32_t upper_sum(Bytes packet, std::size_t at, std::uint8_t protocol) {
  const auto length = static_cast<std::uint32_t>(packet.size() - at);
  return sum_of(packet.subspan(at), sum_of(packet.subspan(8, 32)) + protocol + length);
}

void ipv6(fuzz::Input& input, std::uint8_t protocol, bool solicitation) {
  const std::size_t extensions = input.octet() % 8;
  Octets packet(wire::kIpv6HeaderSize);
  packet[0] = std::byte{0x60};
  packet[7] = std::byte{255};
  packet[8] = std::byte{0xfe};
  packet[9] = std::byte{0x80};
  packet[23] = std::byte{9};
  if (solicitation) {
    packet[24] = std::byte{0xff};
    packet[25] = packet[39] = std::byte{2};
  } else {
    packet[24] = std::byte{0xfe};
    packet[25] = std::byte{0x80};
    packet[39] = std::byte{1};
  }
  // A chain of headers of the kinds that are walked over, with lengths as they come.
  constexpr std::uint8_t kKinds[] = {0, 43, 60, 44};
  std::size_t next_at = 6;
  for (std::size_t i = 0; i < extensions; ++i) {
    const std::uint8_t kind = kKinds[input.octet() % 4];
    packet[next_at] = static_cast<std::byte>(kind);
    next_at = packet.size();
    const Bytes body = input.octets(8);
    packet.insert(packet.end(), body.begin(), body.end());
    packet.resize(next_at + 8);
    if (kind != 44) packet[next_at + 1] = std::byte{0};  // 8 octets long
  }
  packet[next_at] = static_cast<std::byte>(protocol);
  const std::size_t at = packet.size();
  const Bytes rest = input.octets(1280);
  packet.insert(packet.end(), rest.begin(), rest.end());
  put_word(packet, 4, static_cast<std::uint16_t>(packet.size() - 40));
  if (protocol == wire::kIpProtocolIcmpv6 && rest.size() >= 4) {
    put_word(packet, at + 2, 0);
    const auto right = static_cast<std::uint16_t>(~upper_sum(packet, at, protocol));
    PNS_CLAIM(wire::upper_layer_checksum(packet, at, protocol) == right);
    put_word(packet, at + 2, right);
  }

  const auto header = wire::parse_ipv6(packet);
  PNS_CLAIM(header.has_value() == (packet.size() > 40 || packet[6] != std::byte{0}));
  if (!header) return;
  const auto upper = wire::find_upper_layer(packet, *header);
  if (upper) PNS_CLAIM(upper->offset >= 40 && upper->offset <= packet.size());
  Octets changed = packet;
  const bool did = wire::clamp_mss(changed, *header, kLimit);
  if (did) PNS_CLAIM(upper && upper->protocol == kTcp && !upper->later_fragment);
  const std::size_t from = upper ? upper->offset : 40;
  if (upper && upper->protocol == kTcp && !upper->later_fragment)
    clamped(Bytes(packet).subspan(from), Bytes(changed).subspan(from), did);
  PNS_CLAIM(std::equal(changed.begin(), changed.begin() + static_cast<std::ptrdiff_t>(from),
                       packet.begin()));

  Octets echo = packet;
  if (wire::answer_echo(echo, *header)) {
    const auto back = wire::parse_ipv6(echo);
    PNS_CLAIM(back && back->source == header->destination && back->destination == header->source);
    PNS_CLAIM(echo[40] == std::byte{129} && wire::upper_layer_checksum(echo, 40, 58) == 0);
  } else {
    PNS_CLAIM(echo == packet);
  }
  const bool valid = wire::is_valid_router_solicitation(packet, *header);
  const auto solicitor = wire::parse_router_solicitation(packet);
  // The one leaves the type to its caller, the other does not.
  PNS_CLAIM(solicitor.has_value() ==
            (valid && packet[40] == std::byte{wire::kIcmpv6RouterSolicitation}));
  if (solicitor) {
    PNS_CLAIM(extensions == 0 && packet.size() >= 48 && *solicitor == header->source);
    wire::RouterAdvertisement ra;
    ra.destination = *solicitor;
    Octets out(wire::kLongestRouterAdvertisement);
    const std::size_t size = wire::write_router_advertisement(out, ra);
    PNS_CLAIM(size != 0 && wire::upper_layer_checksum(Bytes(out).first(size), 40, 58) == 0);
  }
  if (const auto target = wire::neighbor_solicitation_target(packet, *header)) {
    PNS_CLAIM(packet.size() >= 64 && !target->is_multicast());
    Octets out(wire::kNeighborAdvertisementSize);
    PNS_CLAIM(wire::write_neighbor_advertisement(out, *target, header->source) == out.size());
    PNS_CLAIM(wire::upper_layer_checksum(out, 40, 58) == 0);
  }
  if (wire::may_cause_icmp_error(*header, packet)) {
    Octets out(wire::kMaxIcmpv6Error);
    const std::size_t size =
        wire::write_icmp_error(out, {2, 0, 1400}, Ipv6Address(1, 2), *header, packet);
    PNS_CLAIM(size >= 48 && wire::upper_layer_checksum(Bytes(out).first(size), 40, 58) == 0);
  }
}

// Fixed fields as a client fills them, but for the one octet that the input may change.
void dhcp(fuzz::Input& input) {
  constexpr std::size_t kFixed = 28 + 240;
  Octets packet(kFixed);
  const std::size_t at = input.octet() + std::size_t{28};
  const std::byte value{input.octet()};
  const std::size_t cut = input.octet();
  const Bytes options = input.octets(1'200);
  packet.insert(packet.end(), options.begin(), options.end());
  packet[0] = std::byte{0x45};
  packet[9] = std::byte{17};
  packet[12] = packet[28 + 12] = std::byte{10};
  packet[21] = std::byte{68};
  packet[23] = std::byte{67};
  packet[28] = packet[28 + 1] = std::byte{1};
  packet[28 + 2] = std::byte{6};
  constexpr std::uint32_t kCookie = 0x63825363;
  store_be<std::uint32_t>(&packet[28 + 236], kCookie);
  if (at < kFixed && value != std::byte{0}) packet[at] = value;
  packet.resize(packet.size() - std::min(cut, packet.size() - 28));
  put_word(packet, 2, static_cast<std::uint16_t>(packet.size()));
  put_word(packet, 24, static_cast<std::uint16_t>(packet.size() - 20));
  put_word(packet, 10, static_cast<std::uint16_t>(~sum_of(Bytes(packet).first(20))));

  const auto inform = wire::parse_dhcp_inform(packet);
  if (!inform) return;
  PNS_CLAIM(packet.size() >= kFixed && inform->hardware_size <= 16);
  PNS_CLAIM(inform->client_identifier.size() <= 255);
  const std::vector<Ipv4Prefix> routes(20, {Ipv4Address(0x0a000000), 24});
  const wire::DhcpAck ack{.server = Ipv4Address(0x0a000001),
                          .dns = {Ipv4Address(2), Ipv4Address(3)},
                          .wins = {Ipv4Address(4), Ipv4Address(5)},
                          .domain = "lab.example",
                          .routes = routes};
  Octets out(wire::kLongestDhcpAck);
  const std::size_t size = wire::write_dhcp_ack(out, *inform, ack);
  PNS_CLAIM(size >= 328 && size <= std::max<std::size_t>(inform->max_size, 576));
  const Bytes answer = Bytes(out).first(size);
  PNS_CLAIM(wire::parse_ipv4(answer) &&
            sum_of(answer.subspan(12), static_cast<std::uint32_t>(17 + answer.size() - 20)) ==
                0xffff);
  PNS_CLAIM(!wire::parse_dhcp_inform(answer));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  switch (input.octet() % 7) {
    case 0:
      ipv4(input, kTcp);
      break;
    case 1:
      ipv4(input, wire::kIpProtocolIcmp);
      break;
    case 2:
      ipv6(input, kTcp, false);
      break;
    case 3:
      ipv6(input, wire::kIpProtocolIcmpv6, false);
      break;
    case 4:
      ipv6(input, wire::kIpProtocolIcmpv6, true);
      break;
    case 5:
      dhcp(input);
      break;
    default:
      ipv4(input, 17);
      break;
  }
  return 0;
}
