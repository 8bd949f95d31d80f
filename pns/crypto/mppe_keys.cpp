// SPDX-License-Identifier: BSD-3-Clause
#include "pns/crypto/mppe_keys.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "pns/crypto/hash.hpp"

namespace pns::crypto {
namespace {

constexpr std::array<std::byte, 40> make_pad(std::byte value) noexcept {
  std::array<std::byte, 40> pad{};
  pad.fill(value);
  return pad;
}
constexpr auto kShaPad1 = make_pad(std::byte{0x00});
constexpr auto kShaPad2 = make_pad(std::byte{0xf2});

constexpr std::string_view kMagic1 = "This is the MPPE Master Key";
constexpr std::string_view kMagic2 =
    "On the client side, this is the send key; on the server side, it is the receive key.";
constexpr std::string_view kMagic3 =
    "On the client side, this is the receive key; on the server side, it is the send key.";
static_assert(kMagic1.size() == 27 && kMagic2.size() == 84 && kMagic3.size() == 84);

}  // namespace

Secret<16> get_master_key(std::span<const std::byte, 16> password_hash_hash,
                          std::span<const std::byte, 24> nt_response) noexcept {
  auto digest = sha1({password_hash_hash, nt_response, as_octets(kMagic1)});
  Secret<16> out{std::span<const std::byte, 16>(digest.data(), 16)};
  wipe(digest);
  return out;
}

Secret<16> get_asymmetric_start_key(std::span<const std::byte, 16> master_key, unsigned key_bits,
                                    KeyDirection direction) noexcept {
  const std::string_view magic = direction == KeyDirection::kServerSend ? kMagic3 : kMagic2;
  auto digest = sha1({master_key, kShaPad1, as_octets(magic), kShaPad2});
  Secret<16> out;
  std::copy_n(digest.begin(), key_octets(key_bits), out.bytes().begin());
  wipe(digest);
  return out;
}

Secret<16> get_start_key(std::span<const std::byte, 8> challenge,
                         std::span<const std::byte, 16> password_hash_hash) noexcept {
  auto digest = sha1({password_hash_hash, password_hash_hash, challenge});
  Secret<16> out{std::span<const std::byte, 16>(digest.data(), 16)};
  wipe(digest);
  return out;
}

void get_new_key_from_sha(std::span<const std::byte, 16> start_key,
                          std::span<const std::byte, 16> session_key, std::size_t key_length,
                          std::span<std::byte, 16> out) noexcept {
  const std::size_t length = std::min<std::size_t>(key_length, 16);
  auto digest = sha1({start_key.first(length), kShaPad1, session_key.first(length), kShaPad2});
  std::fill(out.begin(), out.end(), std::byte{0});
  std::copy_n(digest.begin(), length, out.begin());
  wipe(digest);
}

void reduce_key(std::span<std::byte, 16> key, unsigned key_bits) noexcept {
  if (key_bits == 40) {
    key[0] = std::byte{0xd1};
    key[1] = std::byte{0x26};
    key[2] = std::byte{0x9e};
  } else if (key_bits == 56) {
    key[0] = std::byte{0xd1};
  }
}

Secret<16> first_session_key(std::span<const std::byte, 16> start_key, unsigned key_bits) noexcept {
  Secret<16> out;
  get_new_key_from_sha(start_key, start_key, key_octets(key_bits), out.bytes());
  reduce_key(out.bytes(), key_bits);
  return out;
}

}  // namespace pns::crypto
