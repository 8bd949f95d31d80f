// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ppp_auth.hpp"

#include <algorithm>

namespace pns::wire {
namespace {

// An octet of length and that many octets.
void write_short(Writer& out, Bytes text) noexcept {
  const Bytes shortened = text.first(std::min<std::size_t>(text.size(), 255));
  out.write_u8(static_cast<std::uint8_t>(shortened.size()));
  out.write_bytes(shortened);
}

constexpr std::size_t kMsHeaderLength = 4;  // OpCode to MS-Length

}  // namespace

std::optional<PapRequest> PapRequest::parse(Bytes data) noexcept {
  Reader reader(data);
  PapRequest out;
  const std::size_t id_length = reader.read_u8();
  out.peer_id = reader.read_bytes(id_length);
  const std::size_t password_length = reader.read_u8();
  out.password = reader.read_bytes(password_length);
  if (!reader.ok()) return std::nullopt;
  return out;
}

void PapRequest::write(Writer& out) const noexcept {
  write_short(out, peer_id);
  write_short(out, password);
}

void write_pap_message(Writer& out, Bytes message) noexcept { write_short(out, message); }

std::optional<MsChapV1Response> MsChapV1Response::parse(Bytes value) noexcept {
  if (value.size() != kLength) return std::nullopt;
  Reader reader(value);
  MsChapV1Response out;
  reader.skip(24);
  reader.read_struct(out.nt_response);
  out.use_nt_response = reader.read_u8() == 1;
  return out;
}

void MsChapV1Response::write(Writer& out) const noexcept {
  out.write_zeros(24);
  out.write_struct(nt_response);
  out.write_u8(use_nt_response ? 1 : 0);
}

std::optional<MsChapV2ChangePassword> MsChapV2ChangePassword::parse(Bytes data) noexcept {
  if (data.size() != kLength) return std::nullopt;
  Reader reader(data);
  MsChapV2ChangePassword out;
  reader.read_struct(out.encrypted_password);
  reader.read_struct(out.encrypted_hash);
  reader.read_struct(out.peer_challenge);
  const std::uint32_t reserved = reader.read_u32() | reader.read_u32();
  reader.read_struct(out.nt_response);
  const std::uint16_t flags = reader.read_u16();
  if (reserved != 0 || flags != 0) return std::nullopt;
  return out;
}

void MsChapV2ChangePassword::write(Writer& out) const noexcept {
  out.write_struct(encrypted_password);
  out.write_struct(encrypted_hash);
  out.write_struct(peer_challenge);
  out.write_zeros(8);
  out.write_struct(nt_response);
  out.write_u16(0);
}

std::optional<EapData> EapData::parse(Bytes packet_data) noexcept {
  Reader reader(packet_data);
  EapData out;
  out.type = reader.read_u8();
  if (!reader.ok()) return std::nullopt;
  out.data = reader.read_rest();
  return out;
}

std::optional<EapMsChapV2> EapMsChapV2::parse(Bytes type_data) noexcept {
  Reader reader(type_data);
  EapMsChapV2 out;
  out.code = reader.read_u8();
  if (!reader.ok()) return std::nullopt;
  if (reader.remaining() == 0) return out;
  out.identifier = reader.read_u8();
  const std::size_t length = reader.read_u16();
  if (!reader.ok() || length != type_data.size()) return std::nullopt;
  out.data = reader.read_rest();
  return out;
}

void EapMsChapV2::write(Writer& out) const noexcept {
  out.write_u8(code);
  out.write_u8(identifier);
  out.write_u16(static_cast<std::uint16_t>(kMsHeaderLength + data.size()));
  out.write_bytes(data);
}

}  // namespace pns::wire
