// SPDX-License-Identifier: BSD-3-Clause
#include "pns/crypto/hash.hpp"

#include <nettle/arcfour.h>
#include <nettle/des.h>
#include <nettle/hmac.h>
#include <nettle/md4.h>
#include <nettle/md5.h>
#include <nettle/sha1.h>

#include <bit>

#include "pns/base/secret.hpp"

namespace pns::crypto {
namespace {

const std::uint8_t* octets(Bytes data) noexcept {
  return reinterpret_cast<const std::uint8_t*>(data.data());
}

template <class T>
void wipe_object(T& object) noexcept {
  wipe(std::as_writable_bytes(std::span(&object, 1)));
}

template <class Digest, class Context, class Init, class Update, class Finish>
Digest digest_of(std::initializer_list<Bytes> parts, Init init, Update update,
                 Finish finish) noexcept {
  Context context;
  init(&context);
  for (const Bytes part : parts)
    if (!part.empty()) update(&context, part.size(), octets(part));
  Digest digest;
  finish(&context, digest.size(), reinterpret_cast<std::uint8_t*>(digest.data()));
  wipe_object(context);
  return digest;
}

}  // namespace

Md4Digest md4(std::initializer_list<Bytes> parts) noexcept {
  return digest_of<Md4Digest, md4_ctx>(parts, nettle_md4_init, nettle_md4_update,
                                       nettle_md4_digest);
}

Md5Digest md5(std::initializer_list<Bytes> parts) noexcept {
  return digest_of<Md5Digest, md5_ctx>(parts, nettle_md5_init, nettle_md5_update,
                                       nettle_md5_digest);
}

Sha1Digest sha1(std::initializer_list<Bytes> parts) noexcept {
  return digest_of<Sha1Digest, sha1_ctx>(parts, nettle_sha1_init, nettle_sha1_update,
                                         nettle_sha1_digest);
}

Md5Digest hmac_md5(Bytes key, std::initializer_list<Bytes> parts) noexcept {
  hmac_md5_ctx context;
  nettle_hmac_md5_set_key(&context, key.size(), octets(key));
  for (const Bytes part : parts)
    if (!part.empty()) nettle_hmac_md5_update(&context, part.size(), octets(part));
  Md5Digest digest;
  nettle_hmac_md5_digest(&context, digest.size(), reinterpret_cast<std::uint8_t*>(digest.data()));
  wipe_object(context);
  return digest;
}

std::array<std::byte, 8> des_key_with_parity(std::span<const std::byte, 7> key) noexcept {
  std::uint64_t bits = 0;
  for (const std::byte octet : key) bits = bits << 8 | std::to_integer<std::uint64_t>(octet);
  std::array<std::byte, 8> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto seven = static_cast<unsigned>(bits >> (49 - 7 * i)) & 0x7f;
    const unsigned parity = std::popcount(seven) % 2 == 0 ? 1 : 0;
    out[i] = static_cast<std::byte>(seven << 1 | parity);
  }
  wipe_object(bits);
  return out;
}

std::array<std::byte, 8> des_encrypt_block(std::span<const std::byte, 8> clear,
                                           std::span<const std::byte, 7> key) noexcept {
  auto wide = des_key_with_parity(key);
  des_ctx context;
  // Zero means a weak key; the key comes from a password hash and is used as it is.
  static_cast<void>(nettle_des_set_key(&context, octets(wide)));
  std::array<std::byte, 8> out;
  nettle_des_encrypt(&context, out.size(), reinterpret_cast<std::uint8_t*>(out.data()),
                     octets(clear));
  wipe(wide);
  wipe_object(context);
  return out;
}

void rc4(Bytes key, MutableBytes data) noexcept {
  arcfour_ctx context;
  nettle_arcfour_set_key(&context, key.size(), octets(key));
  auto* place = reinterpret_cast<std::uint8_t*>(data.data());
  nettle_arcfour_crypt(&context, data.size(), place, place);
  wipe_object(context);
}

}  // namespace pns::crypto
