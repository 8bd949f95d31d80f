// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/hiding.hpp"

#include <algorithm>

#include "pns/crypto/hash.hpp"

namespace pns::radius {
namespace {

constexpr std::size_t kBlock = 16;
constexpr std::size_t kSaltSize = 2;
constexpr std::byte kSaltBit{0x80};

enum class Way { kHide, kReveal };

// Each block is XORed with MD5 over the secret and the hidden block before it; before the first one
// stands `first` (RFC 2865 §5.2) and `salt` (RFC 2548 §2.4.2). In place; the last block may be
// short.
void chain(MutableBytes data, Bytes secret, Bytes first, Bytes salt, Way way) noexcept {
  std::array<std::byte, kBlock> before{};
  for (std::size_t at = 0; at < data.size(); at += kBlock) {
    const MutableBytes block = data.subspan(at, std::min(kBlock, data.size() - at));
    crypto::Md5Digest mask =
        at == 0 ? crypto::md5({secret, first, salt}) : crypto::md5({secret, before});
    if (way == Way::kReveal) std::ranges::copy(block, before.begin());
    for (std::size_t i = 0; i < block.size(); ++i) block[i] ^= mask[i];
    if (way == Way::kHide) std::ranges::copy(block, before.begin());
    wipe(mask);
  }
}

constexpr std::size_t padded(std::size_t size) noexcept {
  return (size + kBlock - 1) / kBlock * kBlock;
}

}  // namespace

bool add_user_password(PacketBuilder& builder, Bytes password, Bytes secret) noexcept {
  if (password.size() > kMaximumPasswordSize) return false;
  std::array<std::byte, kMaximumPasswordSize> octets{};
  std::ranges::copy(password, octets.begin());
  const auto hidden = MutableBytes(octets).first(std::max(kBlock, padded(password.size())));
  chain(hidden, secret, builder.authenticator(), {}, Way::kHide);
  builder.add(attribute::kUserPassword, hidden);
  return true;
}

std::optional<Bytes> reveal_user_password(
    Bytes value, Bytes secret, const Authenticator& request,
    std::span<std::byte, kMaximumPasswordSize> clear) noexcept {
  if (value.empty() || value.size() > clear.size() || value.size() % kBlock != 0)
    return std::nullopt;
  std::ranges::copy(value, clear.begin());
  chain(clear.first(value.size()), secret, request, {}, Way::kReveal);
  std::size_t size = value.size();
  while (size > 0 && clear[size - 1] == std::byte{0}) --size;
  return clear.first(size);
}

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |1|           Salt              | hidden: Key-Length, Key, zeros to a multiple of 16
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-
std::expected<MppeKey, MppeKeyError> reveal_mppe_key(Bytes value, Bytes secret,
                                                     const Authenticator& request) noexcept {
  constexpr std::size_t kLongest = padded(1 + 32);
  // More padding than the key needs is taken.
  std::array<std::byte, kLongest> clear;
  if (value.size() < kSaltSize + kBlock || (value.size() - kSaltSize) % kBlock != 0)
    return std::unexpected(MppeKeyError::length);
  if ((value[0] & kSaltBit) == std::byte{0}) return std::unexpected(MppeKeyError::salt);
  const Bytes hidden = value.subspan(kSaltSize).first(std::min(value.size() - kSaltSize, kLongest));
  std::ranges::copy(hidden, clear.begin());
  chain(MutableBytes(clear).first(hidden.size()), secret, request, value.first(kSaltSize),
        Way::kReveal);
  MppeKey key;
  key.size = std::to_integer<std::size_t>(clear[0]);
  const bool fits = (key.size == 16 || key.size == 32) && 1 + key.size <= hidden.size();
  if (fits) std::copy_n(clear.begin() + 1, key.size, key.octets.bytes().begin());
  wipe(clear);
  if (!fits) return std::unexpected(MppeKeyError::key_length);
  return key;
}

void add_mppe_key(PacketBuilder& builder, AttributeId id, Bytes key, std::uint16_t salt,
                  Bytes secret, const Authenticator& request) noexcept {
  std::array<std::byte, kSaltSize + padded(1 + 32)> value{};
  if (key.size() > 32) key = key.first(32);
  store_be(value.data(), salt);
  value[0] |= kSaltBit;
  value[kSaltSize] = static_cast<std::byte>(key.size());
  std::ranges::copy(key, value.begin() + kSaltSize + 1);
  const auto hidden = MutableBytes(value).subspan(kSaltSize, padded(1 + key.size()));
  chain(hidden, secret, request, Bytes(value).first(kSaltSize), Way::kHide);
  builder.add(id, Bytes(value).first(kSaltSize + hidden.size()));
}

std::expected<std::optional<MppeKeyPair>, MppeKeyError> read_mppe_keys(
    const PacketView& accept, Bytes secret, const Authenticator& request) noexcept {
  const auto send = accept.find_last(attribute::kMsMppeSendKey);
  const auto receive = accept.find_last(attribute::kMsMppeRecvKey);
  if (!send && !receive) return std::nullopt;
  if (!send || !receive) return std::unexpected(MppeKeyError::missing);
  auto send_key = reveal_mppe_key(*send, secret, request);
  if (!send_key) return std::unexpected(send_key.error());
  auto receive_key = reveal_mppe_key(*receive, secret, request);
  if (!receive_key) return std::unexpected(receive_key.error());
  if (std::ranges::equal(send->first(kSaltSize), receive->first(kSaltSize)))
    return std::unexpected(MppeKeyError::repeated_salt);
  return MppeKeyPair{.send = *send_key, .receive = *receive_key};
}

std::optional<MsChapMppeKeys> reveal_ms_chap_mppe_keys(Bytes value, Bytes secret,
                                                       const Authenticator& request) noexcept {
  constexpr std::size_t kKeys = 24;
  if (value.size() != kKeys && value.size() != padded(kKeys)) return std::nullopt;
  std::array<std::byte, padded(kKeys)> clear{};
  std::ranges::copy(value, clear.begin());
  chain(MutableBytes(clear).first(value.size()), secret, request, {}, Way::kReveal);
  const std::span<const std::byte, padded(kKeys)> keys(clear);
  MsChapMppeKeys out{.lm = Secret<8>(keys.first<8>()), .nt = Secret<16>(keys.subspan<8, 16>())};
  wipe(clear);
  return out;
}

void add_ms_chap_mppe_keys(PacketBuilder& builder, const MsChapMppeKeys& keys, Bytes secret,
                           const Authenticator& request) noexcept {
  std::array<std::byte, 32> value{};
  std::ranges::copy(keys.lm.bytes(), value.begin());
  std::ranges::copy(keys.nt.bytes(), value.begin() + 8);
  chain(value, secret, request, {}, Way::kHide);
  builder.add(attribute::kMsChapMppeKeys, value);
}

}  // namespace pns::radius
