// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/gre.hpp"

#include <cstring>

namespace pns::wire {
namespace {

constexpr std::uint16_t kMustBeZero =
    kGreChecksum | kGreRouting | kGreStrictRoute | kGreRecursion | kGreFlags;

std::uint32_t read_be32(Bytes data, std::size_t at) noexcept {
  be32 value;
  std::memcpy(&value, data.data() + at, sizeof(value));
  return value.host();
}

void write_be32(MutableBytes data, std::size_t at, std::uint32_t host) noexcept {
  const be32 value = be32::from_host(host);
  std::memcpy(data.data() + at, &value, sizeof(value));
}

}  // namespace

std::expected<GreHeader, DropReason> parse_gre(Bytes packet) noexcept {
  if (packet.size() < kGreMinimumSize) return std::unexpected(DropReason::gre_truncated);
  GreWireHeader wire;
  std::memcpy(&wire, packet.data(), sizeof(wire));
  const std::uint16_t flags = wire.flags.host();
  if ((flags & kGreVersionMask) != kGreVersionPptp) return std::unexpected(DropReason::gre_version);
  if (wire.protocol.host() != kGreProtocolPpp) return std::unexpected(DropReason::gre_protocol);
  if ((flags & kMustBeZero) != 0 || (flags & kGreKey) == 0)
    return std::unexpected(DropReason::gre_flags);

  GreHeader header;
  header.payload_length = wire.payload_length.host();
  header.call_id = wire.call_id.host();
  header.has_sequence = (flags & kGreSequence) != 0;
  header.has_ack = (flags & kGreAck) != 0;
  if (packet.size() < header.size()) return std::unexpected(DropReason::gre_truncated);
  if (header.has_sequence != (header.payload_length != 0) ||
      header.payload_length > packet.size() - header.size())
    return std::unexpected(DropReason::gre_payload_length);
  std::size_t at = kGreMinimumSize;
  if (header.has_sequence) {
    header.sequence = read_be32(packet, at);
    at += 4;
  }
  if (header.has_ack) header.ack = read_be32(packet, at);
  return header;
}

std::size_t write_gre(MutableBytes out, const GreHeader& header) noexcept {
  if (out.size() < header.size()) return 0;
  GreWireHeader wire{};
  wire.flags = be16::from_host(static_cast<std::uint16_t>(kGreKey | kGreVersionPptp |
                                                          (header.has_sequence ? kGreSequence : 0) |
                                                          (header.has_ack ? kGreAck : 0)));
  wire.protocol = be16::from_host(kGreProtocolPpp);
  wire.payload_length = be16::from_host(header.payload_length);
  wire.call_id = be16::from_host(header.call_id);
  std::memcpy(out.data(), &wire, sizeof(wire));
  std::size_t at = kGreMinimumSize;
  if (header.has_sequence) {
    write_be32(out, at, header.sequence);
    at += 4;
  }
  if (header.has_ack) write_be32(out, at, header.ack);
  return header.size();
}

}  // namespace pns::wire
