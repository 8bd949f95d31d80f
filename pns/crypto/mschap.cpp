// SPDX-License-Identifier: BSD-3-Clause
#include "pns/crypto/mschap.hpp"

#include <algorithm>
#include <vector>

#include "pns/base/utf8.hpp"
#include "pns/crypto/hash.hpp"

namespace pns::crypto {
namespace {

// UTF-8 → UTF-16LE. Empty optional when the text is not well-formed UTF-8 (RFC 3629 §3).
std::optional<std::vector<std::byte>> to_utf16le(std::string_view text) {
  std::vector<std::byte> out;
  out.reserve(2 * text.size());  // never grows, so no copy of a password is left behind
  const auto put = [&out](std::uint32_t unit) {
    out.push_back(static_cast<std::byte>(unit & 0xff));
    out.push_back(static_cast<std::byte>(unit >> 8));
  };
  while (!text.empty()) {
    const auto code = take_utf8(text);
    if (!code) {
      wipe(out);
      return std::nullopt;
    }
    if (*code < 0x10000) {
      put(*code);
    } else {
      put(0xd800 + ((*code - 0x10000) >> 10));
      put(0xdc00 + ((*code - 0x10000) & 0x3ff));
    }
  }
  return out;
}

Sha1Digest authenticator_digest(const PasswordHash& password_hash,
                                std::span<const std::byte, 24> nt_response,
                                std::span<const std::byte, 16> peer_challenge,
                                std::span<const std::byte, 16> authenticator_challenge,
                                std::string_view user) noexcept {
  constexpr std::string_view kMagic1 = "Magic server to client signing constant";
  constexpr std::string_view kMagic2 = "Pad to make it do more than one iteration";
  const PasswordHash password_hash_hash = hash_nt_password_hash(password_hash);
  const Sha1Digest digest = sha1({password_hash_hash.bytes(), nt_response, as_octets(kMagic1)});
  const Challenge8 challenge = challenge_hash(peer_challenge, authenticator_challenge, user);
  return sha1({digest, challenge, as_octets(kMagic2)});
}

}  // namespace

std::string_view user_without_domain(std::string_view user) noexcept {
  const auto backslash = user.rfind('\\');
  return backslash == std::string_view::npos ? user : user.substr(backslash + 1);
}

std::optional<PasswordHash> nt_password_hash(std::string_view password) {
  auto unicode = to_utf16le(password);
  if (!unicode) return std::nullopt;
  auto digest = md4({*unicode});
  wipe(*unicode);
  PasswordHash out{std::span<const std::byte, 16>(digest)};
  wipe(digest);
  return out;
}

PasswordHash nt_password_hash_of_utf16(Bytes password) noexcept {
  auto digest = md4({password});
  PasswordHash out{std::span<const std::byte, 16>(digest)};
  wipe(digest);
  return out;
}

std::optional<PasswordHash> lm_password_hash(std::string_view password) noexcept {
  constexpr std::string_view kClear = "KGS!@#$%";
  std::array<std::byte, 14> upper{};
  if (password.empty() || password.size() > upper.size()) return std::nullopt;
  for (std::size_t i = 0; i < password.size(); ++i) {
    const auto c = static_cast<unsigned char>(password[i]);
    if (c >= 0x80) {
      wipe(upper);
      return std::nullopt;
    }
    upper[i] = static_cast<std::byte>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  const auto clear = as_octets(kClear).first<8>();
  PasswordHash out;
  for (std::size_t half = 0; half < 2; ++half) {
    auto block =
        des_encrypt_block(clear, std::span<const std::byte, 7>(upper.data() + 7 * half, 7));
    std::copy(block.begin(), block.end(),
              out.bytes().begin() + static_cast<std::ptrdiff_t>(8 * half));
    wipe(block);
  }
  wipe(upper);
  return out;
}

PasswordHash hash_nt_password_hash(const PasswordHash& password_hash) noexcept {
  auto digest = md4({password_hash.bytes()});
  PasswordHash out{std::span<const std::byte, 16>(digest)};
  wipe(digest);
  return out;
}

Challenge8 challenge_hash(std::span<const std::byte, 16> peer_challenge,
                          std::span<const std::byte, 16> authenticator_challenge,
                          std::string_view user) noexcept {
  const Sha1Digest digest = sha1({peer_challenge, authenticator_challenge, as_octets(user)});
  Challenge8 out;
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

NtResponse challenge_response(std::span<const std::byte, 8> challenge,
                              const PasswordHash& password_hash) noexcept {
  std::array<std::byte, 21> z_password_hash{};
  std::copy_n(password_hash.bytes().begin(), 16, z_password_hash.begin());
  NtResponse out;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto block = des_encrypt_block(
        challenge, std::span<const std::byte, 7>(z_password_hash.data() + 7 * i, 7));
    std::copy(block.begin(), block.end(), out.begin() + static_cast<std::ptrdiff_t>(8 * i));
  }
  wipe(z_password_hash);
  return out;
}

NtResponse generate_nt_response(std::span<const std::byte, 16> authenticator_challenge,
                                std::span<const std::byte, 16> peer_challenge,
                                std::string_view user, const PasswordHash& password_hash) noexcept {
  return challenge_response(challenge_hash(peer_challenge, authenticator_challenge, user),
                            password_hash);
}

std::string generate_authenticator_response(const PasswordHash& password_hash,
                                            std::span<const std::byte, 24> nt_response,
                                            std::span<const std::byte, 16> peer_challenge,
                                            std::span<const std::byte, 16> authenticator_challenge,
                                            std::string_view user) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out = "S=";
  for (const std::byte octet : authenticator_digest(password_hash, nt_response, peer_challenge,
                                                    authenticator_challenge, user)) {
    out += kDigits[std::to_integer<std::size_t>(octet >> 4)];
    out += kDigits[std::to_integer<std::size_t>(octet & std::byte{0x0f})];
  }
  return out;
}

bool check_authenticator_response(const PasswordHash& password_hash,
                                  std::span<const std::byte, 24> nt_response,
                                  std::span<const std::byte, 16> peer_challenge,
                                  std::span<const std::byte, 16> authenticator_challenge,
                                  std::string_view user, std::string_view received) {
  const std::string expected = generate_authenticator_response(
      password_hash, nt_response, peer_challenge, authenticator_challenge, user);
  if (received.size() < expected.size()) return false;
  std::string head(received.substr(0, expected.size()));
  // RFC 2759 §5 asks for upper case; some servers send lower case.
  std::transform(head.begin(), head.end(), head.begin(), [](char c) {
    return c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return equal_constant_time(as_octets(head), as_octets(expected));
}

std::optional<Bytes> decrypt_new_password(const EncryptedPassword& encrypted,
                                          const PasswordHash& old_hash,
                                          EncryptedPassword& clear) noexcept {
  constexpr std::size_t kLongest = kEncryptedPasswordLength - 4;
  clear = encrypted;
  rc4(old_hash.bytes(), clear);
  std::size_t length = 0;  // the only little-endian number of PPP
  for (std::size_t i = 4; i-- > 0;)
    length = length << 8 | std::to_integer<std::size_t>(clear[kLongest + i]);
  if (length == 0 || length > kLongest || length % 2 != 0) return std::nullopt;
  return Bytes(clear).subspan(kLongest - length, length);
}

std::array<std::byte, 16> old_hash_encrypted_with_new(const PasswordHash& old_hash,
                                                      const PasswordHash& new_hash) noexcept {
  std::array<std::byte, 16> out;
  for (std::size_t half = 0; half < 2; ++half) {
    const auto block =
        des_encrypt_block(std::span<const std::byte, 8>(old_hash.bytes().data() + 8 * half, 8),
                          std::span<const std::byte, 7>(new_hash.bytes().data() + 7 * half, 7));
    std::copy(block.begin(), block.end(), out.begin() + static_cast<std::ptrdiff_t>(8 * half));
  }
  return out;
}

std::optional<EncryptedPassword> encrypt_new_password(std::string_view new_password,
                                                      const PasswordHash& old_hash,
                                                      const EncryptedPassword& padding) {
  constexpr std::size_t kLongest = kEncryptedPasswordLength - 4;
  auto unicode = to_utf16le(new_password);
  if (!unicode || unicode->size() > kLongest) return std::nullopt;
  EncryptedPassword out = padding;
  std::copy(unicode->begin(), unicode->end(),
            out.begin() + static_cast<std::ptrdiff_t>(kLongest - unicode->size()));
  for (std::size_t i = 0; i < 4; ++i)
    out[kLongest + i] = static_cast<std::byte>(unicode->size() >> (8 * i) & 0xff);
  wipe(*unicode);
  rc4(old_hash.bytes(), out);
  return out;
}

}  // namespace pns::crypto
