// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ppp.hpp"

namespace pns::wire {
namespace {

std::uint8_t octet(Bytes data, std::size_t at) noexcept {
  return std::to_integer<std::uint8_t>(data[at]);
}

// Made in one piece: a result that is changed later goes through memory, octet by octet.
std::expected<PppHeader, DropReason> parse_protocol(Bytes data, std::uint8_t address) noexcept {
  if (data.empty()) return std::unexpected(DropReason::ppp_truncated);
  const std::uint8_t first = octet(data, 0);
  if ((first & 1) != 0) return PppHeader{first, address, 1};
  if (data.size() < 2) return std::unexpected(DropReason::ppp_truncated);
  const std::uint8_t second = octet(data, 1);
  if ((second & 1) == 0) return std::unexpected(DropReason::ppp_protocol);
  return PppHeader{static_cast<std::uint16_t>((first << 8) | second), address, 2};
}

}  // namespace

std::expected<PppHeader, DropReason> parse_ppp_protocol(Bytes data) noexcept {
  return parse_protocol(data, 0);
}

std::expected<PppHeader, DropReason> detail::parse_short_ppp(Bytes frame) noexcept {
  const bool framed =
      frame.size() >= 2 && octet(frame, 0) == kPppAddress && octet(frame, 1) == kPppControl;
  return framed ? parse_protocol(frame.subspan(2), 2) : parse_protocol(frame, 0);
}

std::expected<EchoHeader, DropReason> parse_echo(Bytes information) noexcept {
  Reader reader(information);
  EchoHeader header;
  header.code = reader.read_u8();
  header.identifier = reader.read_u8();
  header.length = reader.read_u16();
  header.magic = reader.read_u32();
  if (!reader.ok() || header.length < kLcpEchoSize || header.length > information.size())
    return std::unexpected(DropReason::ppp_truncated);
  return header;
}

std::size_t write_echo(MutableBytes out, const EchoHeader& header) noexcept {
  Writer writer(out);
  writer.write_u8(header.code);
  writer.write_u8(header.identifier);
  writer.write_u16(header.length);
  writer.write_u32(header.magic);
  return writer.ok() ? writer.size() : 0;
}

}  // namespace pns::wire
