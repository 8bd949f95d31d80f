// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/dhcpv6.hpp"

#include <algorithm>

#include "pns/wire/icmpv6.hpp"
#include "pns/wire/udp.hpp"

namespace pns::wire {
namespace {

using Kind = Dhcpv6Ia::Kind;

constexpr std::uint8_t kDhcpv6HopLimit = 64;
constexpr std::size_t kMinDuid = 3;  // a type and one octet
constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxName = 255;
constexpr std::uint8_t kAddressBits = 128;

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |    msg-type   |               transaction-id                  |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                            options                            |
// RFC 8415 §8. An option: code (2), length of the value (2), value (§21.1).

bool goes_to_client(Dhcpv6Type type) noexcept {
  return type == Dhcpv6Type::kAdvertise || type == Dhcpv6Type::kReply ||
         type == Dhcpv6Type::kReconfigure;
}

// Passes each option to `read`, which says whether its value is right.
template <class Read>
std::optional<Dhcpv6Error> read_options(Reader& in, Read read) noexcept {
  while (in.remaining() != 0) {
    const auto code = static_cast<Dhcpv6Option>(in.read_u16());
    const Bytes value = in.read_bytes(in.read_u16());
    if (!in.ok()) return Dhcpv6Error::kBadOption;
    if (const std::optional<Dhcpv6Error> wrong = read(code, value)) return wrong;
  }
  return std::nullopt;
}

std::optional<Dhcpv6Error> bad_unless(bool right) noexcept {
  if (right) return std::nullopt;
  return Dhcpv6Error::kBadOption;
}

Ipv6Address read_address(Reader& in) noexcept {
  Ipv6Address::Octets octets{};
  in.read_struct(octets);
  return Ipv6Address(octets);
}

bool read_status(Bytes value, std::optional<Dhcpv6Status>& out) noexcept {
  Reader in(value);
  const auto status = static_cast<Dhcpv6Status>(in.read_u16());
  if (out || !in.ok()) return false;
  out = status;
  return true;
}

// Options inside of a lease say nothing that is read here; their bounds must be right.
bool skip_options(Reader& in) noexcept {
  return !read_options(in, [](Dhcpv6Option, Bytes) { return std::optional<Dhcpv6Error>(); });
}

// RFC 8415 §21.6 and §21.22.
std::optional<Dhcpv6Error> read_lease(Dhcpv6Option code, Bytes value, Dhcpv6Ia& ia) noexcept {
  Reader in(value);
  Dhcpv6Lease lease;
  if (code == Dhcpv6Option::kIaAddress) {
    lease.prefix = {read_address(in), kAddressBits};
    lease.preferred = in.read_u32();
    lease.valid = in.read_u32();
  } else {
    lease.preferred = in.read_u32();
    lease.valid = in.read_u32();
    lease.prefix.length = in.read_u8();
    lease.prefix.address = read_address(in);
  }
  if (!in.ok() || lease.prefix.length > kAddressBits || !skip_options(in))
    return Dhcpv6Error::kBadOption;
  lease.prefix.address = lease.prefix.network();
  if (!ia.add(lease)) return Dhcpv6Error::kTooManyParts;
  return std::nullopt;
}

// RFC 8415 §21.4, §21.5, §21.21.
std::optional<Dhcpv6Error> read_ia(Kind kind, Bytes value, Dhcpv6Message& message) noexcept {
  Reader in(value);
  Dhcpv6Ia ia;
  ia.kind = kind;
  ia.iaid = in.read_u32();
  if (kind != Kind::kTemporaryAddresses) {
    ia.t1 = in.read_u32();
    ia.t2 = in.read_u32();
  }
  if (!in.ok()) return Dhcpv6Error::kBadOption;
  const Dhcpv6Option wanted =
      kind == Kind::kPrefixes ? Dhcpv6Option::kIaPrefix : Dhcpv6Option::kIaAddress;
  const auto wrong = read_options(in, [&](Dhcpv6Option code, Bytes part) {
    if (code == wanted) return read_lease(code, part, ia);
    if (code == Dhcpv6Option::kStatusCode) return bad_unless(read_status(part, ia.status));
    return std::optional<Dhcpv6Error>();
  });
  if (wrong) return wrong;
  if (!message.add(ia)) return Dhcpv6Error::kTooManyParts;
  return std::nullopt;
}

bool read_duid(Bytes value, Bytes& out) noexcept {
  if (!out.empty() || value.size() < kMinDuid || value.size() > kMaxDuid) return false;
  out = value;
  return true;
}

bool read_requested(Bytes value, Dhcpv6Message& message) noexcept {
  if (value.size() % 2 != 0) return false;
  for (Reader in(value); in.remaining() != 0;)
    if (const std::uint16_t code = in.read_u16(); code < Dhcpv6Message::kOptions)
      message.requested.set(code);
  return true;
}

bool read_dns(Bytes value, Dhcpv6Message& message) noexcept {
  if (value.empty() || value.size() % sizeof(Ipv6Address::Octets) != 0) return false;
  for (Reader in(value); in.remaining() != 0 && message.dns_count < message.dns_room.size();)
    message.dns_room[message.dns_count++] = read_address(in);
  return true;
}

bool read_seconds(Bytes value, std::optional<std::uint32_t>& out) noexcept {
  Reader in(value);
  const std::uint32_t seconds = in.read_u32();
  if (out || value.size() != sizeof(seconds)) return false;
  out = seconds;
  return true;
}

std::optional<Dhcpv6Error> read_option(Dhcpv6Option code, Bytes value,
                                       Dhcpv6Message& message) noexcept {
  switch (code) {
    case Dhcpv6Option::kClientIdentifier:
      return bad_unless(read_duid(value, message.client_identifier));
    case Dhcpv6Option::kServerIdentifier:
      return bad_unless(read_duid(value, message.server_identifier));
    case Dhcpv6Option::kIaNa:
      return read_ia(Kind::kAddresses, value, message);
    case Dhcpv6Option::kIaTa:
      return read_ia(Kind::kTemporaryAddresses, value, message);
    case Dhcpv6Option::kIaPd:
      return read_ia(Kind::kPrefixes, value, message);
    case Dhcpv6Option::kOptionRequest:
      return bad_unless(read_requested(value, message));
    case Dhcpv6Option::kPreference:
      if (message.preference || value.size() != 1) return Dhcpv6Error::kBadOption;
      message.preference = std::to_integer<std::uint8_t>(value[0]);
      return std::nullopt;
    case Dhcpv6Option::kStatusCode:
      return bad_unless(read_status(value, message.status));
    case Dhcpv6Option::kRapidCommit:
      message.rapid_commit = true;
      return bad_unless(value.empty());
    case Dhcpv6Option::kDnsServers:
      return bad_unless(read_dns(value, message));
    case Dhcpv6Option::kDomainList:
      if (!message.domain_list.empty()) return Dhcpv6Error::kBadOption;
      message.domain_list = value;
      return std::nullopt;
    case Dhcpv6Option::kInformationRefreshTime:
      return bad_unless(read_seconds(value, message.information_refresh));
    case Dhcpv6Option::kSolMaxRt:
      return bad_unless(read_seconds(value, message.sol_max_rt));
    case Dhcpv6Option::kInfMaxRt:
      return bad_unless(read_seconds(value, message.inf_max_rt));
    default:
      return std::nullopt;
  }
}

// The octets of the UDP datagram; empty: there is no whole one for a port of DHCPv6.
Bytes datagram_of(Bytes packet, const Ipv6Header& header) noexcept {
  if (header.next_header != kIpProtocolUdp || header.payload_length < kUdpHeaderSize) return {};
  const Bytes datagram = packet.subspan(kIpv6HeaderSize, header.payload_length);
  Reader udp(datagram);
  udp.skip(2);
  const std::uint16_t port = udp.read_u16();
  if (port != kDhcpv6ServerPort && port != kDhcpv6ClientPort) return {};
  // RFC 768: a length of its own, which IPv6 makes needless (RFC 2675 aside).
  return udp.read_u16() == datagram.size() ? datagram : Bytes();
}

// ---- writing

class OptionWriter {
 public:
  explicit OptionWriter(Writer& out) noexcept : out_(out) {}

  // An option around what `write` writes.
  template <class Write>
  void option(Dhcpv6Option code, Write write) noexcept {
    out_.write_u16(static_cast<std::uint16_t>(code));
    const std::size_t length_at = out_.size();
    out_.write_u16(0);
    write();
    if (out_.ok())
      out_.patch_u16(length_at, static_cast<std::uint16_t>(out_.size() - length_at - 2));
  }
  void octets(Dhcpv6Option code, Bytes value) noexcept {
    if (!value.empty()) option(code, [&] { out_.write_bytes(value); });
  }
  void seconds(Dhcpv6Option code, const std::optional<std::uint32_t>& value) noexcept {
    if (value) option(code, [&] { out_.write_u32(*value); });
  }
  void status(const std::optional<Dhcpv6Status>& value) noexcept {
    if (value)
      option(Dhcpv6Option::kStatusCode,
             [&] { out_.write_u16(static_cast<std::uint16_t>(*value)); });
  }
  void address(const Ipv6Address& value) noexcept {
    const Ipv6Address::Octets octets = value.wire();
    out_.write_bytes(std::as_bytes(std::span(octets)));
  }
  void ia(const Dhcpv6Ia& ia) noexcept {
    option(code_of(ia.kind), [&] {
      out_.write_u32(ia.iaid);
      if (ia.kind != Kind::kTemporaryAddresses) {
        out_.write_u32(ia.t1);
        out_.write_u32(ia.t2);
      }
      for (const Dhcpv6Lease& of : ia.leases()) lease(ia.kind, of);
      status(ia.status);
    });
  }

 private:
  static Dhcpv6Option code_of(Kind kind) noexcept {
    if (kind == Kind::kPrefixes) return Dhcpv6Option::kIaPd;
    return kind == Kind::kAddresses ? Dhcpv6Option::kIaNa : Dhcpv6Option::kIaTa;
  }
  void lease(Kind kind, const Dhcpv6Lease& lease) noexcept {
    if (kind == Kind::kPrefixes) {
      option(Dhcpv6Option::kIaPrefix, [&] {
        out_.write_u32(lease.preferred);
        out_.write_u32(lease.valid);
        out_.write_u8(lease.prefix.length);
        address(lease.prefix.network());
      });
      return;
    }
    option(Dhcpv6Option::kIaAddress, [&] {
      address(lease.prefix.address);
      out_.write_u32(lease.preferred);
      out_.write_u32(lease.valid);
    });
  }

  Writer& out_;
};

void write_options(Writer& writer, const Dhcpv6Message& message) noexcept {
  OptionWriter out(writer);
  out.octets(Dhcpv6Option::kClientIdentifier, message.client_identifier);
  out.octets(Dhcpv6Option::kServerIdentifier, message.server_identifier);
  if (message.rapid_commit) out.option(Dhcpv6Option::kRapidCommit, [] {});
  if (message.preference)
    out.option(Dhcpv6Option::kPreference, [&] { writer.write_u8(*message.preference); });
  if (message.requested.any())
    out.option(Dhcpv6Option::kOptionRequest, [&] {
      for (std::size_t code = 0; code < Dhcpv6Message::kOptions; ++code)
        if (message.requested.test(code)) writer.write_u16(static_cast<std::uint16_t>(code));
    });
  out.status(message.status);
  for (const Dhcpv6Ia& ia : message.ias()) out.ia(ia);
  if (message.dns_count != 0)
    out.option(Dhcpv6Option::kDnsServers, [&] {
      for (const Ipv6Address& server : message.dns()) out.address(server);
    });
  if (message.domain_list.size() <= kMaxDomainList)
    out.octets(Dhcpv6Option::kDomainList, message.domain_list);
  out.seconds(Dhcpv6Option::kInformationRefreshTime, message.information_refresh);
  out.seconds(Dhcpv6Option::kSolMaxRt, message.sol_max_rt);
  out.seconds(Dhcpv6Option::kInfMaxRt, message.inf_max_rt);
}

}  // namespace

bool is_for_dhcpv6_server(Bytes packet, const Ipv6Header& header) noexcept {
  return header.next_header == kIpProtocolUdp && header.payload_length >= kUdpHeaderSize &&
         load_be<std::uint16_t>(packet.data() + kIpv6HeaderSize +
                                offsetof(UdpWireHeader, destination_port)) == kDhcpv6ServerPort;
}

std::expected<Dhcpv6Message, Dhcpv6Error> parse_dhcpv6(Bytes packet) noexcept {
  const auto header = parse_ipv6(packet);
  if (!header) return std::unexpected(Dhcpv6Error::kNoDatagram);
  packet = packet.first(header->total_length());
  const Bytes datagram = datagram_of(packet, *header);
  if (datagram.empty()) return std::unexpected(Dhcpv6Error::kNoDatagram);
  if (load_be<std::uint16_t>(datagram.data() + offsetof(UdpWireHeader, checksum)) == 0 ||
      upper_layer_checksum(packet, kIpv6HeaderSize, kIpProtocolUdp) != 0)
    return std::unexpected(Dhcpv6Error::kChecksum);

  Reader in(datagram.subspan(kUdpHeaderSize));
  Dhcpv6Message message;
  const std::uint8_t type = in.read_u8();
  message.type = static_cast<Dhcpv6Type>(type);
  if (!in.ok()) return std::unexpected(Dhcpv6Error::kNoDatagram);
  if (message.type == Dhcpv6Type::kRelayForward || message.type == Dhcpv6Type::kRelayReply)
    return std::unexpected(Dhcpv6Error::kRelay);
  if (type == 0 || message.type > Dhcpv6Type::kRelayReply)
    return std::unexpected(Dhcpv6Error::kUnknownType);
  message.transaction = std::uint32_t{in.read_u8()} << 16;
  message.transaction |= in.read_u16();
  if (!in.ok()) return std::unexpected(Dhcpv6Error::kBadOption);
  message.source = header->source;
  message.destination = header->destination;
  const auto wrong = read_options(
      in, [&](Dhcpv6Option code, Bytes value) { return read_option(code, value, message); });
  if (wrong) return std::unexpected(*wrong);
  return message;
}

std::size_t write_dhcpv6(MutableBytes out, const Dhcpv6Message& message) noexcept {
  Writer writer(out);
  writer.write_zeros(kIpv6HeaderSize);  // written when its length is known
  const bool to_client = goes_to_client(message.type);
  writer.write_u16(to_client ? kDhcpv6ServerPort : kDhcpv6ClientPort);
  writer.write_u16(to_client ? kDhcpv6ClientPort : kDhcpv6ServerPort);
  const std::size_t length_at = writer.size();
  writer.write_u16(0);
  const std::size_t checksum_at = writer.size();
  writer.write_u16(0);
  writer.write_u8(static_cast<std::uint8_t>(message.type));
  writer.write_u8(static_cast<std::uint8_t>(message.transaction >> 16));
  writer.write_u16(static_cast<std::uint16_t>(message.transaction));
  write_options(writer, message);
  if (!writer.ok()) return 0;

  const auto length = static_cast<std::uint16_t>(writer.size() - kIpv6HeaderSize);
  writer.patch_u16(length_at, length);
  Ipv6Header header;
  header.payload_length = length;
  header.next_header = kIpProtocolUdp;
  header.hop_limit = kDhcpv6HopLimit;
  header.source = message.source;
  header.destination = message.destination;
  write_ipv6(writer.written(), header);
  const std::uint16_t sum = upper_layer_checksum(writer.written(), kIpv6HeaderSize, kIpProtocolUdp);
  writer.patch_u16(checksum_at, sum == 0 ? 0xffff : sum);  // RFC 8200 §8.1
  return writer.size();
}

std::size_t write_dhcpv6_domain(MutableBytes out, std::string_view domain) noexcept {
  if (domain.ends_with('.')) domain.remove_suffix(1);
  if (domain.empty() || domain.size() + 2 > kMaxName) return 0;
  Writer writer(out);
  while (!domain.empty()) {
    const std::string_view label = domain.substr(0, domain.find('.'));
    if (label.empty() || label.size() > kMaxLabel) return 0;
    writer.write_u8(static_cast<std::uint8_t>(label.size()));
    writer.write_bytes(as_octets(label));
    domain.remove_prefix(std::min(domain.size(), label.size() + 1));
  }
  writer.write_u8(0);
  return writer.ok() ? writer.size() : 0;
}

}  // namespace pns::wire
