// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ppp_control.hpp"

#include <algorithm>

#include "pns/wire/ppp.hpp"

namespace pns::wire {
namespace {

constexpr std::size_t kOptionHeaderLength = 2;

void write_option_header(Writer& out, std::uint8_t type, std::size_t data_length) noexcept {
  out.write_u8(type);
  out.write_u8(static_cast<std::uint8_t>(kOptionHeaderLength + data_length));
}

std::optional<std::uint16_t> parse_u16(Bytes data) noexcept {
  if (data.size() != 2) return std::nullopt;
  return Reader(data).read_u16();
}

std::optional<std::uint32_t> parse_u32(Bytes data) noexcept {
  if (data.size() != 4) return std::nullopt;
  return Reader(data).read_u32();
}

}  // namespace

std::optional<PppFrame> parse_ppp_frame(Bytes frame) noexcept {
  const auto header = parse_ppp(frame);
  if (!header) return std::nullopt;
  return PppFrame{header->protocol, frame.subspan(header->size())};
}

std::expected<ControlPacket, PacketError> parse_control_packet(Bytes information) noexcept {
  if (information.size() < kControlHeaderLength) return std::unexpected(PacketError::kTruncated);
  Reader reader(information);
  ControlPacket packet;
  packet.code = reader.read_u8();
  packet.identifier = reader.read_u8();
  const std::size_t length = reader.read_u16();
  if (length < kControlHeaderLength || length > information.size())
    return std::unexpected(PacketError::kBadLength);
  packet.whole = information.first(length);
  packet.data = packet.whole.subspan(kControlHeaderLength);
  return packet;
}

std::size_t write_control_packet(MutableBytes out, std::uint8_t code, std::uint8_t identifier,
                                 Bytes data) noexcept {
  const std::size_t length = kControlHeaderLength + data.size();
  if (length > out.size() || length > 0xffff) return 0;
  Writer writer(out);
  writer.write_u8(code);
  writer.write_u8(identifier);
  writer.write_u16(static_cast<std::uint16_t>(length));
  writer.write_bytes(data);
  return writer.ok() ? writer.size() : 0;
}

std::optional<Option> OptionReader::next() noexcept {
  if (!ok_ || rest_.empty()) return std::nullopt;
  if (rest_.size() < kOptionHeaderLength) {
    ok_ = false;
    return std::nullopt;
  }
  const auto length = std::to_integer<std::size_t>(rest_[1]);
  if (length < kOptionHeaderLength || length > rest_.size()) {
    ok_ = false;
    return std::nullopt;
  }
  Option option;
  option.type = std::to_integer<std::uint8_t>(rest_[0]);
  option.whole = rest_.first(length);
  option.data = option.whole.subspan(kOptionHeaderLength);
  rest_ = rest_.subspan(length);
  return option;
}

bool options_well_formed(Bytes options) noexcept {
  OptionReader reader(options);
  while (reader.next()) {
  }
  return reader.ok();
}

std::optional<MaximumReceiveUnit> MaximumReceiveUnit::parse(Bytes data) noexcept {
  const auto value = parse_u16(data);
  if (!value) return std::nullopt;
  return MaximumReceiveUnit{*value};
}

void MaximumReceiveUnit::write(Writer& out) const noexcept {
  write_option_header(out, kType, 2);
  out.write_u16(octets);
}

std::optional<AsyncControlCharacterMap> AsyncControlCharacterMap::parse(Bytes data) noexcept {
  const auto value = parse_u32(data);
  if (!value) return std::nullopt;
  return AsyncControlCharacterMap{*value};
}

void AsyncControlCharacterMap::write(Writer& out) const noexcept {
  write_option_header(out, kType, 4);
  out.write_u32(map);
}

std::optional<AuthenticationProtocol> AuthenticationProtocol::parse(Bytes data) noexcept {
  Reader reader(data);
  AuthenticationProtocol out;
  out.protocol = reader.read_u16();
  if (!reader.ok()) return std::nullopt;
  if (out.protocol == static_cast<std::uint16_t>(PppProtocol::kChap)) {
    out.algorithm = reader.read_u8();
    if (!reader.ok() || reader.remaining() != 0) return std::nullopt;
  }
  return out;
}

void AuthenticationProtocol::write(Writer& out) const noexcept {
  const bool chap = protocol == static_cast<std::uint16_t>(PppProtocol::kChap);
  write_option_header(out, kType, chap ? 3 : 2);
  out.write_u16(protocol);
  if (chap) out.write_u8(algorithm);
}

std::optional<MagicNumber> MagicNumber::parse(Bytes data) noexcept {
  const auto value = parse_u32(data);
  if (!value) return std::nullopt;
  return MagicNumber{*value};
}

void MagicNumber::write(Writer& out) const noexcept {
  write_option_header(out, kType, 4);
  out.write_u32(magic);
}

std::optional<ProtocolFieldCompression> ProtocolFieldCompression::parse(Bytes data) noexcept {
  if (!data.empty()) return std::nullopt;
  return ProtocolFieldCompression{};
}

void ProtocolFieldCompression::write(Writer& out) const noexcept {
  write_option_header(out, kType, 0);
}

std::optional<AddressAndControlFieldCompression> AddressAndControlFieldCompression::parse(
    Bytes data) noexcept {
  if (!data.empty()) return std::nullopt;
  return AddressAndControlFieldCompression{};
}

void AddressAndControlFieldCompression::write(Writer& out) const noexcept {
  write_option_header(out, kType, 0);
}

std::optional<AddressOption> AddressOption::parse(const Option& option) noexcept {
  const auto value = parse_u32(option.data);
  if (!value) return std::nullopt;
  return AddressOption{static_cast<IpcpOption>(option.type), Ipv4Address(*value)};
}

void AddressOption::write(Writer& out) const noexcept {
  write_option_header(out, static_cast<std::uint8_t>(type), 4);
  out.write_u32(address.value);
}

std::optional<InterfaceIdentifier> InterfaceIdentifier::parse(Bytes data) noexcept {
  if (data.size() != 8) return std::nullopt;
  Reader reader(data);
  const std::uint64_t high = reader.read_u32();
  return InterfaceIdentifier{(high << 32) | reader.read_u32()};
}

void InterfaceIdentifier::write(Writer& out) const noexcept {
  write_option_header(out, kType, 8);
  out.write_u32(static_cast<std::uint32_t>(value >> 32));
  out.write_u32(static_cast<std::uint32_t>(value));
}

std::optional<MppeSupportedBits> MppeSupportedBits::parse(Bytes data) noexcept {
  const auto value = parse_u32(data);
  if (!value) return std::nullopt;
  return MppeSupportedBits{*value};
}

void MppeSupportedBits::write(Writer& out) const noexcept {
  write_option_header(out, kType, 4);
  out.write_u32(bits);
}

std::optional<ProtocolReject> ProtocolReject::parse(Bytes data) noexcept {
  Reader reader(data);
  ProtocolReject out;
  out.rejected_protocol = reader.read_u16();
  if (!reader.ok()) return std::nullopt;
  out.rejected_information = reader.read_rest();
  return out;
}

std::optional<EchoBody> EchoBody::parse(Bytes data) noexcept {
  Reader reader(data);
  EchoBody out;
  out.magic = reader.read_u32();
  if (!reader.ok()) return std::nullopt;
  out.data = reader.read_rest();
  return out;
}

std::optional<ChapValue> ChapValue::parse(Bytes data) noexcept {
  Reader reader(data);
  ChapValue out;
  const std::size_t value_size = reader.read_u8();
  out.value = reader.read_bytes(value_size);
  if (!reader.ok()) return std::nullopt;
  out.name = reader.read_rest();
  return out;
}

void ChapValue::write(Writer& out) const noexcept {
  const Bytes shortened = value.first(std::min<std::size_t>(value.size(), 255));
  out.write_u8(static_cast<std::uint8_t>(shortened.size()));
  out.write_bytes(shortened);
  out.write_bytes(name);
}

std::optional<MsChapV2Response> MsChapV2Response::parse(Bytes value) noexcept {
  if (value.size() != kLength) return std::nullopt;
  Reader reader(value);
  MsChapV2Response out;
  reader.read_struct(out.peer_challenge);
  const std::uint32_t reserved = reader.read_u32() | reader.read_u32();
  reader.read_struct(out.nt_response);
  const std::uint8_t flags = reader.read_u8();
  if (reserved != 0 || flags != 0) return std::nullopt;
  return out;
}

void MsChapV2Response::write(Writer& out) const noexcept {
  out.write_struct(peer_challenge);
  out.write_zeros(8);
  out.write_struct(nt_response);
  out.write_u8(0);
}

}  // namespace pns::wire
