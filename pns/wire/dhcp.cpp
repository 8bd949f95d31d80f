// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/dhcp.hpp"

#include <algorithm>

#include "pns/wire/checksum.hpp"
#include "pns/wire/udp.hpp"

namespace pns::wire {
namespace {

constexpr std::uint8_t kBootRequest = 1;
constexpr std::uint8_t kBootReply = 2;
constexpr std::uint8_t kDhcpAck = 5;
constexpr std::uint8_t kDhcpInform = 8;
constexpr std::uint32_t kMagicCookie = 0x63825363;
constexpr std::uint8_t kPad = 0;
constexpr std::uint8_t kEnd = 255;
constexpr std::size_t kNames = 64 + 128;  // octets of sname and file
// Each client takes an IPv4 packet of 576 octets (RFC 2131 §2), that is so long a message.
constexpr std::size_t kMinMaxSize = 576 - kIpv4HeaderSize - kUdpHeaderSize;
constexpr std::size_t kMinBootpSize = 300;  // RFC 1542 §2.1
constexpr std::uint8_t kTimeToLive = 64;

//  op (1) htype (1) hlen (1) hops (1) · xid (4) · secs (2) flags (2) · ciaddr (4) · yiaddr (4) ·
//  siaddr (4) · giaddr (4) · chaddr (16) · sname (64) · file (128) · magic cookie (4) · options
// RFC 2131 §2, RFC 2132 §2.

// Sum over the pseudo header of RFC 768 and the datagram.
std::uint16_t udp_checksum(Ipv4Address source, Ipv4Address destination, Bytes datagram) noexcept {
  std::array<std::byte, 12> pseudo{};
  Writer writer(pseudo);
  writer.write_u32(source.value);
  writer.write_u32(destination.value);
  writer.write_u16(kIpProtocolUdp);
  writer.write_u16(static_cast<std::uint16_t>(datagram.size()));
  return finish_sum(raw_sum(datagram, raw_sum(pseudo)));
}

// False: an option reaches beyond the end, or there are none.
bool read_options(Reader& reader, DhcpInform& inform, std::uint8_t& type) noexcept {
  while (reader.remaining() != 0) {
    const std::uint8_t code = reader.read_u8();
    if (code == kPad) continue;
    if (code == kEnd) return true;
    const Bytes value = reader.read_bytes(reader.read_u8());
    if (!reader.ok()) return false;
    Reader octets(value);
    switch (static_cast<DhcpOption>(code)) {
      case DhcpOption::kMessageType:
        if (value.size() != 1) return false;
        type = octets.read_u8();
        break;
      case DhcpOption::kParameterList:
        for (const std::byte wanted : value)
          inform.parameters.set(std::to_integer<std::size_t>(wanted));
        break;
      case DhcpOption::kMaximumSize:
        if (value.size() != 2) return false;
        inform.max_size = octets.read_u16();
        break;
      case DhcpOption::kClientIdentifier:
        inform.client_identifier = value;
        break;
      default:
        break;
    }
  }
  return true;  // without an end: some clients leave it out
}

// Options within the size that the client takes.
class Options {
 public:
  Options(Writer& writer, std::size_t limit) noexcept : writer_(writer), limit_(limit) {}

  // An option that does not fit is left out.
  void write(DhcpOption option, Bytes value) noexcept {
    if (value.empty() || value.size() > 255 || room() < 2 + value.size()) return;
    begin(option, value.size());
    writer_.write_bytes(value);
  }
  void write_u8(DhcpOption option, std::uint8_t value) noexcept {
    begin(option, 1);
    writer_.write_u8(value);
  }
  void write_addresses(DhcpOption option, std::span<const Ipv4Address> list) noexcept {
    const auto given = [](const Ipv4Address& address) { return !address.is_unspecified(); };
    const auto count = static_cast<std::size_t>(std::ranges::count_if(list, given));
    if (count == 0 || room() < 2 + 4 * count) return;
    begin(option, 4 * count);
    for (const Ipv4Address& address : list)
      if (given(address)) writer_.write_u32(address.value);
  }
  // RFC 3442: length of the prefix, its significant octets, the next hop.
  void write_routes(DhcpOption option, std::span<const Ipv4Prefix> routes,
                    Ipv4Address next_hop) noexcept {
    std::size_t size = 0;
    for (const Ipv4Prefix& route : routes) size += dhcp_route_size(route);
    if (size == 0 || size > 255 || room() < 2 + size) return;
    begin(option, size);
    for (const Ipv4Prefix& route : routes) {
      writer_.write_u8(route.length);
      for (unsigned bits = 0; bits < route.length; bits += 8)
        writer_.write_u8(static_cast<std::uint8_t>(route.network().value >> (24 - bits)));
      writer_.write_u32(next_hop.value);
    }
  }

 private:
  void begin(DhcpOption option, std::size_t size) noexcept {
    writer_.write_u8(static_cast<std::uint8_t>(option));
    writer_.write_u8(static_cast<std::uint8_t>(size));
  }
  // Octets left before the end option.
  [[nodiscard]] std::size_t room() const noexcept {
    return limit_ > writer_.size() + 1 ? limit_ - writer_.size() - 1 : 0;
  }

  Writer& writer_;
  std::size_t limit_;  // octets of the message
};

void write_message(Writer& writer, std::size_t limit, const DhcpInform& inform,
                   const DhcpAck& ack) noexcept {
  writer.write_u8(kBootReply);
  writer.write_u8(inform.hardware_type);
  writer.write_u8(inform.hardware_size);
  writer.write_u8(0);  // hops
  writer.write_u32(inform.transaction);
  writer.write_u16(0);  // secs
  writer.write_u16(inform.flags);
  writer.write_u32(inform.client.value);
  writer.write_u32(0);  // yiaddr: the client has its address (RFC 2131 §4.3.5)
  writer.write_u32(0);  // siaddr
  writer.write_u32(0);  // giaddr
  writer.write_bytes(inform.hardware_address);
  writer.write_zeros(kNames);
  writer.write_u32(kMagicCookie);

  Options options(writer, limit);
  options.write_u8(DhcpOption::kMessageType, kDhcpAck);
  options.write_addresses(DhcpOption::kServerIdentifier, std::span(&ack.server, 1));
  if (inform.wants(DhcpOption::kRoutes))
    options.write_routes(DhcpOption::kRoutes, ack.routes, ack.server);
  if (inform.wants(DhcpOption::kDns)) options.write_addresses(DhcpOption::kDns, ack.dns);
  if (inform.wants(DhcpOption::kDomain)) options.write(DhcpOption::kDomain, as_octets(ack.domain));
  if (inform.wants(DhcpOption::kWins)) options.write_addresses(DhcpOption::kWins, ack.wins);
  options.write(DhcpOption::kClientIdentifier, inform.client_identifier);  // RFC 6842 §3
  if (inform.wants(DhcpOption::kMicrosoftRoutes))
    options.write_routes(DhcpOption::kMicrosoftRoutes, ack.routes, ack.server);
  writer.write_u8(kEnd);
  if (writer.size() < kMinBootpSize) writer.write_zeros(kMinBootpSize - writer.size());
}

}  // namespace

bool is_for_dhcp_server(Bytes packet, const Ipv4Header& header) noexcept {
  return header.protocol == kIpProtocolUdp && !header.is_fragment() &&
         packet.size() >= header.header_length + kUdpHeaderSize &&
         load_be<std::uint16_t>(packet.data() + header.header_length + 2) == kDhcpServerPort;
}

std::optional<DhcpInform> parse_dhcp_inform(Bytes packet) noexcept {
  const auto ip = parse_ipv4(packet);
  if (!ip || !is_for_dhcp_server(packet.first(ip->total_length), *ip)) return std::nullopt;
  Bytes datagram = packet.subspan(ip->header_length, ip->total_length - ip->header_length);
  Reader udp(datagram);
  if (udp.read_u16() != kDhcpClientPort) return std::nullopt;
  udp.skip(2);
  const std::uint16_t length = udp.read_u16();
  const std::uint16_t checksum = udp.read_u16();
  if (length < kUdpHeaderSize || length > datagram.size()) return std::nullopt;
  datagram = datagram.first(length);
  if (checksum != 0 && udp_checksum(ip->source, ip->destination, datagram) != 0)
    return std::nullopt;

  Reader reader(datagram.subspan(kUdpHeaderSize));
  DhcpInform inform;
  const std::uint8_t operation = reader.read_u8();
  inform.hardware_type = reader.read_u8();
  inform.hardware_size = reader.read_u8();
  reader.skip(1);  // hops
  inform.transaction = reader.read_u32();
  inform.seconds = reader.read_u16();
  inform.flags = reader.read_u16();
  inform.client = Ipv4Address(reader.read_u32());
  reader.skip(3 * sizeof(std::uint32_t));
  const Bytes hardware = reader.read_bytes(inform.hardware_address.size());
  std::ranges::copy(hardware, inform.hardware_address.begin());
  reader.skip(kNames);
  const std::uint32_t cookie = reader.read_u32();
  std::uint8_t type = 0;
  if (!reader.ok() || operation != kBootRequest || cookie != kMagicCookie ||
      inform.hardware_size > inform.hardware_address.size() || inform.client != ip->source ||
      !read_options(reader, inform, type) || type != kDhcpInform)
    return std::nullopt;
  return inform;
}

std::size_t write_dhcp_ack(MutableBytes out, const DhcpInform& inform,
                           const DhcpAck& ack) noexcept {
  constexpr std::size_t kHeaders = kIpv4HeaderSize + kUdpHeaderSize;
  if (out.size() < kHeaders + kMinMaxSize) return 0;
  // Option 57 counts the message alone in some clients and the whole packet in others; a packet of
  // that size is right for both.
  const std::size_t asked = std::clamp<std::size_t>(inform.max_size, kHeaders + kMinMaxSize,
                                                    std::min(out.size(), kLongestDhcpAck));
  const std::size_t size = std::max(std::min(asked, ack.mtu), kHeaders + kMinBootpSize);
  Writer message(out.subspan(kHeaders));
  write_message(message, size - kHeaders, inform, ack);
  if (!message.ok()) return 0;

  const auto length = static_cast<std::uint16_t>(kUdpHeaderSize + message.size());
  const MutableBytes datagram = out.subspan(kIpv4HeaderSize, length);
  Writer udp(datagram);
  udp.write_u16(kDhcpServerPort);
  udp.write_u16(kDhcpClientPort);
  udp.write_u16(length);
  udp.write_u16(0);
  const std::uint16_t sum = udp_checksum(ack.server, inform.client, datagram);
  store_be<std::uint16_t>(datagram.data() + 6, sum == 0 ? 0xffff : sum);  // RFC 768

  Ipv4Header header;
  header.total_length = static_cast<std::uint16_t>(kIpv4HeaderSize + length);
  header.time_to_live = kTimeToLive;
  header.protocol = kIpProtocolUdp;
  header.source = ack.server;
  header.destination = inform.client;
  write_ipv4(out, header);
  return header.total_length;
}

}  // namespace pns::wire
