// SPDX-License-Identifier: BSD-3-Clause
//
// The reference for the burst engine: MPPE of one packet at a time, with the SHA-1 and RC4
// of others. Each keeps its own sessions. They do less than a server must: no plausibility check,
// no gap, no journal; so they are flattered.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "pns/base/bytes.hpp"

namespace pns::bench {

struct SessionKeys {
  std::array<std::byte, 16> start_key{};
  std::array<std::byte, 16> session_key{};  // the first one
  unsigned bits = 128;
};

class Reference {
 public:
  virtual ~Reference() = default;
  Reference() = default;
  Reference(const Reference&) = delete;
  Reference& operator=(const Reference&) = delete;

  virtual void start(std::span<const SessionKeys> sessions, bool stateful) = 0;
  // Header and data in place; the next packet of its session. The data is sealed or opened alike:
  // the count is taken for granted.
  virtual void crypt(std::size_t session, MutableBytes packet) = 0;
};

// The algorithm as kernels write it: words for the table of RC4, an octet at a time, SHA-1 in C
// with a buffer, four updates a key.
[[nodiscard]] std::unique_ptr<Reference> plain_reference();
[[nodiscard]] std::unique_ptr<Reference> openssl_low_reference();  // RC4_*, SHA1_*
[[nodiscard]] std::unique_ptr<Reference> openssl_evp_reference();  // fetched once
[[nodiscard]] std::unique_ptr<Reference> nettle_reference();

// MPPE around an RC4 and a SHA-1. Cipher: set_key(key), crypt(data) · Hash: digest of four parts.
template <class Cipher, class Hash>
class ReferenceOf final : public Reference {
 public:
  void start(std::span<const SessionKeys> sessions, bool stateful) override {
    stateful_ = stateful;
    sessions_ = std::vector<Session>(sessions.size());
    for (std::size_t n = 0; n < sessions.size(); ++n) {
      sessions_[n].keys = sessions[n];
      double_short(sessions_[n].keys);
      sessions_[n].cipher.set_key(sessions_[n].keys.session_key);
    }
  }

  void crypt(std::size_t number, MutableBytes packet) override {
    Session& session = sessions_[number];
    const bool change = !stateful_ || (session.count & 0xff) == 0xff;
    if (change) change_key(session);
    const unsigned header = 0x1000U | (change ? 0x8000U : 0U) | session.count;
    session.count = (session.count + 1) & 0xfff;
    packet[0] = static_cast<std::byte>(header >> 8);
    packet[1] = static_cast<std::byte>(header);
    session.cipher.crypt(packet.subspan(2));
  }

 private:
  struct Session {
    SessionKeys keys;
    Cipher cipher;
    unsigned count = 0;
  };

  void change_key(Session& session) {
    static constexpr auto kPad1 = std::array<std::byte, 40>{};
    static constexpr auto kPad2 = [] {
      std::array<std::byte, 40> pad;
      pad.fill(std::byte{0xf2});
      return pad;
    }();
    auto& key = session.keys.session_key;
    const std::size_t size = session.keys.bits == 128 ? 16 : 8;
    const std::array<std::byte, 20> digest = hash_.digest(Bytes(session.keys.start_key).first(size),
                                                          kPad1, Bytes(key).first(size), kPad2);
    std::copy_n(digest.begin(), size, key.begin());
    double_short(session.keys);
    session.cipher.set_key(key);
    session.cipher.crypt(key);
    // RFC 3079 §3.1, §3.2
    if (session.keys.bits == 40)
      key[0] = std::byte{0xd1}, key[1] = std::byte{0x26}, key[2] = std::byte{0x9e};
    if (session.keys.bits == 56) key[0] = std::byte{0xd1};
    double_short(session.keys);
    session.cipher.set_key(key);
  }

  // A key of 8 octets, twice, is the same key to RC4.
  static void double_short(SessionKeys& keys) {
    if (keys.bits != 128) std::copy_n(keys.session_key.begin(), 8, keys.session_key.begin() + 8);
  }

  bool stateful_ = false;
  Hash hash_;
  std::vector<Session> sessions_;
};

}  // namespace pns::bench
