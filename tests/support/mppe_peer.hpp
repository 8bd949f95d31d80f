// SPDX-License-Identifier: BSD-3-Clause
//
// MppePeer: the other end of an MPPE direction, and the keys a client derives from its password,
// written from RFC 3078 §7 and RFC 3079 with nothing but SHA-1: none of our key derivation, cipher
// or count keeping is in it, so that the two check each other.
#pragma once

#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

#include "pns/crypto/hash.hpp"
#include "tests/support/octets.hpp"

namespace pns::test {

// ---- RFC 3079

inline Octets leading(Bytes octets, std::size_t count) { return to_octets(octets.first(count)); }

// GetNewKeyFromSHA (§3.4, and Get_Key of §2.4): the first octets of SHA-1 over key, 40 × 00, key,
// 40 × F2.
inline Octets key_from_sha(Bytes start_key, Bytes middle) {
  const Octets pad1(40, std::byte{0x00});
  const Octets pad2(40, std::byte{0xf2});
  return leading(crypto::sha1({start_key, pad1, middle, pad2}), start_key.size());
}

// §3.4: the start key of what one side of an MS-CHAPv2 exchange sends, 16 octets for 128 bit,
// else 8.
enum class Sender { kClient, kServer };
inline Octets start_key_v2(Bytes password_hash_hash, Bytes nt_response, Sender sender,
                           unsigned bits) {
  const Octets master = leading(
      crypto::sha1({password_hash_hash, nt_response, as_octets("This is the MPPE Master Key")}),
      16);
  const std::string_view text =
      sender == Sender::kClient
          ? "On the client side, this is the send key; on the server side, it is the receive key."
          : "On the client side, this is the receive key; on the server side, it is the send key.";
  const Octets pad1(40, std::byte{0x00});
  const Octets pad2(40, std::byte{0xf2});
  return leading(crypto::sha1({master, pad1, as_octets(text), pad2}), bits == 128 ? 16 : 8);
}

// §2.4 Get_Start_Key: of an MS-CHAPv1 exchange, both directions, 128 bit.
inline Octets start_key_v1(Bytes password_hash_hash, Bytes challenge) {
  return leading(crypto::sha1({password_hash_hash, password_hash_hash, challenge}), 16);
}

// ---- RFC 3078

class MppePeer {
 public:
  MppePeer(Octets start_key, unsigned bits, bool stateless)
      : start_(std::move(start_key)),
        key_(key_from_sha(start_, start_)),
        bits_(bits),
        stateless_(stateless) {
    weaken();
    set_up();
  }

  [[nodiscard]] const Octets& session_key() const { return key_; }
  [[nodiscard]] std::uint16_t count() const { return count_; }

  // The next packet: header and encrypted data. `flush`: as after a Reset-Request (§8.2).
  Octets seal(Octets inner, bool flush = false) {
    bool flushed = flush;
    if (stateless_ || (count_ & 0xff) == 0xff) {
      change_key();
      flushed = true;
    } else if (flush) {
      set_up();
    }
    apply(inner);
    const unsigned header = (flushed ? 0x8000u : 0u) | 0x1000u | count_;
    const Octets head = {static_cast<std::byte>(header >> 8), static_cast<std::byte>(header)};
    count_ = static_cast<std::uint16_t>((count_ + 1) & 0xfff);
    return concat({head, inner});
  }

  // The inner frame of the packet with the next count; empty when header or count are not what
  // they must be.
  std::optional<Octets> open(const Octets& packet) {
    if (packet.size() < 3) return std::nullopt;
    const unsigned header =
        std::to_integer<unsigned>(packet[0]) << 8 | std::to_integer<unsigned>(packet[1]);
    const bool flushed = (header & 0x8000) != 0;
    const bool flag_packet = (count_ & 0xff) == 0xff;
    if ((header & 0x7000) != 0x1000 || (header & 0xfff) != count_) return std::nullopt;
    if ((stateless_ || flag_packet) && !flushed) return std::nullopt;
    if (stateless_ || flag_packet)
      change_key();
    else if (flushed)
      set_up();
    Octets inner(packet.begin() + 2, packet.end());
    apply(inner);
    count_ = static_cast<std::uint16_t>((count_ + 1) & 0xfff);
    return inner;
  }

 private:
  // §7.3, with the interim key run through RC4 under itself.
  void change_key() {
    key_ = key_from_sha(start_, key_);
    set_up();
    apply(key_);
    weaken();
    set_up();
  }
  // RFC 3079 §3.1, §3.2: what is known of keys that are weak on purpose.
  void weaken() {
    if (bits_ == 128) return;
    key_[0] = std::byte{0xd1};
    if (bits_ == 56) return;
    key_[1] = std::byte{0x26};
    key_[2] = std::byte{0x9e};
  }

  void set_up() {
    std::iota(s_.begin(), s_.end(), std::uint8_t{0});
    i_ = j_ = 0;
    std::uint8_t j = 0;
    for (std::size_t i = 0; i < 256; ++i) {
      j = static_cast<std::uint8_t>(j + s_[i] + std::to_integer<unsigned>(key_[i % key_.size()]));
      std::swap(s_[i], s_[j]);
    }
  }
  void apply(Octets& octets) {
    for (std::byte& octet : octets) {
      i_ = static_cast<std::uint8_t>(i_ + 1);
      j_ = static_cast<std::uint8_t>(j_ + s_[i_]);
      std::swap(s_[i_], s_[j_]);
      octet ^= std::byte{s_[static_cast<std::uint8_t>(s_[i_] + s_[j_])]};
    }
  }

  Octets start_;
  Octets key_;
  unsigned bits_;
  bool stateless_;
  std::uint16_t count_ = 0;
  std::array<std::uint8_t, 256> s_{};
  std::uint8_t i_ = 0, j_ = 0;
};

}  // namespace pns::test
