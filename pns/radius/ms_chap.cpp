// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/ms_chap.hpp"

#include <algorithm>

#include "pns/radius/text.hpp"
#include "pns/radius/values.hpp"

namespace pns::radius {
namespace {

constexpr std::uint8_t kChangePasswordCode = 7;
constexpr std::uint8_t kEncryptedPasswordCode = 6;
constexpr std::size_t kPartHeader = 4;  // Code, Ident, Sequence-Number
constexpr std::size_t kPartSize = kMaximumVendorValueSize - kPartHeader;
constexpr std::size_t kParts = (kEncryptedPasswordSize + kPartSize - 1) / kPartSize;

// The part of this sequence number, from 1; empty where there is none.
Bytes find_part(const PacketView& request, std::uint16_t sequence) noexcept {
  for (const Bytes value : request.all(attribute::kMsChapNtEncPw)) {
    if (value.size() > kPartHeader && value[0] == std::byte{kEncryptedPasswordCode} &&
        load_be<std::uint16_t>(value.data() + 2) == sequence)
      return value.subspan(kPartHeader);
  }
  return {};
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

template <std::size_t N>
std::optional<std::array<std::byte, N>> read_hex(std::string_view text) noexcept {
  if (text.size() != 2 * N) return std::nullopt;
  std::array<std::byte, N> out;
  for (std::size_t i = 0; i < N; ++i) {
    const int high = hex_digit(text[2 * i]);
    const int low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out[i] = static_cast<std::byte>(high * 16 + low);
  }
  return out;
}

}  // namespace

void add_chap(PacketBuilder& builder, std::uint8_t identifier, Bytes challenge,
              std::span<const std::byte, 16> response) noexcept {
  std::array<std::byte, 17> password;
  password[0] = static_cast<std::byte>(identifier);
  std::ranges::copy(response, password.begin() + 1);
  builder.add(attribute::kChapPassword, password);
  builder.add(attribute::kChapChallenge, challenge);
}

void add_ms_chap(PacketBuilder& builder, std::uint8_t identifier,
                 std::span<const std::byte, 8> challenge,
                 std::span<const std::byte, 24> nt_response) noexcept {
  constexpr std::uint8_t kUseNtResponse = 1;
  std::array<std::byte, 50> value;
  Writer writer(value);
  writer.write_u8(identifier);
  writer.write_u8(kUseNtResponse);
  writer.write_zeros(24);
  writer.write_bytes(nt_response);
  builder.add(attribute::kMsChapChallenge, challenge);
  builder.add(attribute::kMsChapResponse, value);
}

void add_ms_chap2(PacketBuilder& builder, const MsChap2Response& response) noexcept {
  std::array<std::byte, 50> value;
  Writer writer(value);
  writer.write_u8(response.identifier);
  writer.write_u8(0);  // Flags
  writer.write_bytes(response.peer_challenge);
  writer.write_zeros(8);
  writer.write_bytes(response.nt_response);
  builder.add(attribute::kMsChapChallenge, response.authenticator_challenge);
  builder.add(attribute::kMsChap2Response, value);
}

void add_ms_chap2_change_password(
    PacketBuilder& builder, const MsChap2Response& response,
    std::span<const std::byte, kEncryptedPasswordSize> encrypted_password,
    std::span<const std::byte, 16> encrypted_hash) noexcept {
  std::array<std::byte, 68> value;
  Writer writer(value);
  writer.write_u8(kChangePasswordCode);
  writer.write_u8(response.identifier);
  writer.write_bytes(encrypted_hash);
  writer.write_bytes(response.peer_challenge);
  writer.write_zeros(8);
  writer.write_bytes(response.nt_response);
  writer.write_zeros(2);  // Flags
  builder.add(attribute::kMsChapChallenge, response.authenticator_challenge);
  builder.add(attribute::kMsChap2Cpw, value);

  Bytes rest = encrypted_password;
  for (std::uint16_t sequence = 1; !rest.empty(); ++sequence) {
    std::array<std::byte, kMaximumVendorValueSize> octets;
    Writer part(octets);
    part.write_u8(kEncryptedPasswordCode);
    part.write_u8(response.identifier);
    part.write_u16(sequence);
    const std::size_t size = std::min(rest.size(), kPartSize);
    part.write_bytes(rest.first(size));
    builder.add(attribute::kMsChapNtEncPw, part.written());
    rest = rest.subspan(size);
  }
}

bool join_encrypted_password(const PacketView& request,
                             std::span<std::byte, kEncryptedPasswordSize> out) noexcept {
  Writer writer(out);
  for (std::uint16_t sequence = 1; sequence <= kParts; ++sequence) {
    const Bytes part = find_part(request, sequence);
    if (part.empty()) return false;
    writer.write_bytes(part);
  }
  return writer.ok() && writer.remaining() == 0;
}

std::optional<MsChap2Success> read_ms_chap2_success(Bytes value) noexcept {
  if (value.empty()) return std::nullopt;
  const std::string_view text = as_text(value.subspan(1));
  if (!text.starts_with("S=") || !read_hex<20>(text.substr(2, 40))) return std::nullopt;
  return MsChap2Success{.identifier = std::to_integer<std::uint8_t>(value[0]), .message = text};
}

std::optional<MsChapError> read_ms_chap_error(Bytes value) noexcept {
  MsChapError out;
  std::string_view text = as_text(value);
  if (!text.starts_with("E=")) {
    if (value.empty()) return std::nullopt;
    out.identifier = std::to_integer<std::uint8_t>(value[0]);
    text.remove_prefix(1);
  }
  // The message comes last and may have spaces.
  const std::size_t message = text.find(" M=");
  if (message != text.npos) {
    out.message = text.substr(message + 3);
    text = text.substr(0, message);
  }
  bool has_error = false;
  Words words(text);
  for (std::string_view word = words.next(); !word.empty(); word = words.next()) {
    if (word.size() < 2 || word[1] != '=') continue;
    const std::string_view field = word.substr(2);
    const auto number = parse_number(field, 0xffff);
    switch (word[0]) {
      case 'E':
        if (!number) return std::nullopt;
        out.error = static_cast<std::uint16_t>(*number);
        has_error = true;
        break;
      case 'R':
        out.may_retry = number == 1;
        break;
      case 'C':
        out.challenge = read_hex<16>(field);
        out.short_challenge = read_hex<8>(field);
        break;
      case 'V':
        if (number && *number <= 0xff) out.version = static_cast<std::uint8_t>(*number);
        break;
      default:
        break;
    }
  }
  if (!has_error) return std::nullopt;
  return out;
}

}  // namespace pns::radius
