// SPDX-License-Identifier: BSD-3-Clause
//
// Vectors: the samples of RFC 3079 §3.5 (user "User", password "clientPass"; the last octet of the
// 56-bit message is misprinted there, 58 for b8), and packets made by an independent Python program
// (hashlib's SHA-1, RC4 written from its description) that reproduces those samples.
#include "pns/mppe/mppe.hpp"

#include <catch2/catch.hpp>
#include <cstring>

#include "pns/crypto/mppe_keys.hpp"
#include "pns/mppe/rc4.hpp"
#include "tests/support/octets.hpp"
#include "tests/unit/mppe/foreign_vectors.hpp"

using namespace pns;
using test::hex;
using test::Octets;
using test::octets;

namespace {

constexpr std::string_view kStart = "8B7CDC149B993A1B A118CB153F56DCCB";

std::span<const std::byte, 16> start_key() {
  static const Octets key = octets(kStart);
  return std::span<const std::byte, 16>(key.data(), 16);
}

mppe::DirectionState make(unsigned bits = 128, mppe::Mode mode = mppe::Mode::kStateless) {
  mppe::DirectionState state;
  mppe::init(state, start_key(), bits, mode);
  return state;
}

// An IPv4 packet from 10.64.0.2 to 10.0.0.9 with a Protocol field before it.
Octets plain(unsigned number = 0, std::size_t size = 28) {
  auto inner = octets("0021 4500 001c 0000 0000 4011 6687 0a400002 0a000009 7061636b65742030");
  inner.resize(size + 2);
  inner[4] = static_cast<std::byte>(size >> 8);
  inner[5] = static_cast<std::byte>(size);
  inner[6] = static_cast<std::byte>(number >> 8);
  inner[7] = static_cast<std::byte>(number);
  inner[12] = inner[13] = std::byte{0};
  std::uint32_t sum = 0;
  for (std::size_t i = 2; i < 22; i += 2)
    sum += std::to_integer<unsigned>(inner[i]) << 8 | std::to_integer<unsigned>(inner[i + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16));
  inner[12] = static_cast<std::byte>(sum >> 8);
  inner[13] = static_cast<std::byte>(sum);
  return inner;
}

Octets sealed(mppe::DirectionState& state, const Octets& inner) {
  Octets frame(inner.size() + 2);
  std::copy(inner.begin(), inner.end(), frame.begin() + 2);
  REQUIRE(mppe::seal(state, frame));
  return frame;
}

// The result of opening a packet: the inner frame, or the reason.
std::string opened(mppe::DirectionState& state, Octets packet) {
  const auto inner = mppe::open(state, packet);
  return inner ? hex(*inner) : std::string(name_of(inner.error()));
}

unsigned count_of(const Octets& packet) {
  return (std::to_integer<unsigned>(packet[0]) << 8 | std::to_integer<unsigned>(packet[1])) & 0xfff;
}

}  // namespace

TEST_CASE("mppe: RFC 3079 §3.5 first session keys and messages", "[mppe][rfc3079-3.5]") {
  struct Sample {
    unsigned bits;
    const char* key;
    const char* message;
  };
  for (const Sample& sample :
       {Sample{40, "d1269ec49fa62e3e0000000000000000", "929137917e5803d668d75898"},
        Sample{56, "d15c00c49fa62e3e0000000000000000", "3f106833fa448da842bc57b8"},
        Sample{128, "405cb2247a7956e6e211007ae27b22d4", "81848317df68846272fb5abe"}}) {
    const auto state = make(sample.bits, mppe::Mode::kStateful);
    CHECK(hex(state.session_key) == sample.key);
    mppe::Rc4 rc4;
    rc4.set_key(Bytes(state.session_key).first(crypto::key_octets(sample.bits)));
    Octets message = octets("74657374206d657373616765");  // "test message"
    rc4.apply(message);
    CHECK(hex(message) == sample.message);
  }
}

TEST_CASE("mppe: rc4 gives the published key stream", "[mppe][rfc6229]") {
  // RFC 6229 §2, 128-bit key 0102…10, offset 0.
  mppe::Rc4 rc4;
  rc4.set_key(octets("0102030405060708090a0b0c0d0e0f10"));
  Octets zeros(32);
  rc4.apply(zeros);
  CHECK(hex(zeros) == "9ac7cc9a609d1ef7b2932899cde41b975248c4959014126a6e8a84f11d1a9e1c");
}

TEST_CASE("mppe: stateless packets of another implementation open and are made alike",
          "[mppe][rfc3078-7.1]") {
  for (const test::ForeignVector& vector : test::kForeignVectors) {
    CAPTURE(vector.bits);
    auto receiver = make(vector.bits);
    auto sender = make(vector.bits);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(opened(receiver, octets(vector.packets[i])) == test::kForeignClear[i]);
      CHECK(hex(sealed(sender, octets(test::kForeignClear[i]))) == vector.packets[i]);
    }
    auto lossy = make(vector.bits);
    CHECK(opened(lossy, octets(vector.packets[2])) == test::kForeignClear[2]);
    CHECK(opened(lossy, octets(vector.packets[1])) == "mppe_gap");
  }
}

TEST_CASE("mppe: stateful packets of another implementation open and are made alike",
          "[mppe][rfc3078-7.2]") {
  const std::string clear = "00214500001c00070000401166800a4000020a000009737461746566756c";
  auto receiver = make(128, mppe::Mode::kStateful);
  auto sender = make(128, mppe::Mode::kStateful);
  for (unsigned n = 0; n < 258; ++n) {
    const Octets packet = sealed(sender, octets(clear));
    if (n == 0)
      CHECK(hex(packet) == "1000f5c0b563ff19e116019a7dcaf942e8f8df693aba0d2f3c16d4f78caa08c0");
    if (n == 1)
      CHECK(hex(packet) == "10018777509d41929494d989ebe8bab9f98207930537a90a06d86b4c1c43d4d5");
    if (n == 254)
      CHECK(hex(packet) == "10fee478e21f5ac9e92cf45b68f94cfa0e6906d3bd99c27282c065eecab6fbac");
    if (n == 255)
      CHECK(hex(packet) == "90ff7058132be07358bdd366c93419d49ffa69f232d345fcc7406c51f834a2ef");
    if (n == 256)
      CHECK(hex(packet) == "11004a6c17ed9fcec23a8d26b5edb0c38c0fccded496c417f41d6457e8a21e64");
    if (n == 257)
      CHECK(hex(packet) == "11015bee81ce34154b5cb0116eee8eeac2bade7f8706c3b5f8f87477dd5664da");
    REQUIRE(opened(receiver, packet) == clear);
  }
}

TEST_CASE("mppe: lengths from one octet up, both modes and all strengths", "[mppe]") {
  for (const auto mode : {mppe::Mode::kStateless, mppe::Mode::kStateful})
    for (const unsigned bits : {40U, 56U, 128U}) {
      auto sender = make(bits, mode);
      auto receiver = make(bits, mode);
      for (std::size_t size = 20; size < 1500; size += 37) {
        const Octets inner = plain(static_cast<unsigned>(size), size);
        REQUIRE(opened(receiver, sealed(sender, inner)) == hex(inner));
      }
    }
}

TEST_CASE("mppe: header bits that must be set", "[mppe][rfc3078-3.1][conformance-51]") {
  auto sender = make();
  auto receiver = make();
  auto packet = sealed(sender, plain());
  auto no_d = packet;
  no_d[0] &= std::byte{0xef};
  CHECK(opened(receiver, no_d) == "mppe_flags");
  auto no_a = packet;
  no_a[0] &= std::byte{0x7f};
  CHECK(opened(receiver, no_a) == "mppe_flags");
  CHECK(opened(receiver, packet) == hex(plain()));
}

TEST_CASE("mppe: packets of 0 to 3 octets", "[mppe][conformance-51]") {
  auto receiver = make();
  for (std::size_t size = 0; size < 3; ++size)
    CHECK(opened(receiver, Octets(size, std::byte{0x90})) == "mppe_truncated");
  CHECK(opened(receiver, octets("900000")) == "mppe_garbage");
  auto sender = make();
  Octets nothing(2);
  CHECK(mppe::seal(sender, nothing).error() == DropReason::mppe_truncated);
  CHECK(opened(receiver, sealed(sender, plain())) == hex(plain()));
}

TEST_CASE("mppe: a direction that is off does nothing", "[mppe]") {
  mppe::DirectionState off;
  Octets frame(10);
  CHECK(mppe::open(off, frame).error() == DropReason::mppe_not_open);
  CHECK(mppe::seal(off, frame).error() == DropReason::mppe_not_open);
}

TEST_CASE("mppe: the count wraps at 4,096", "[mppe][rfc3078-3.1]") {
  auto sender = make();
  auto receiver = make();
  for (unsigned n = 0; n < 4100; ++n) {
    const Octets packet = sealed(sender, plain(n));
    REQUIRE(count_of(packet) == n % 4096);
    if (n > 4090 || n % 50 == 0) REQUIRE(opened(receiver, packet) == hex(plain(n)));
  }
}

TEST_CASE("mppe: the first packet after a gap opens", "[mppe][rfc3078-8.1]") {
  for (const unsigned bits : {40U, 56U, 128U})
    for (const unsigned lost : {1U, 64U, 65U, 1'000U, 2'047U}) {
      CAPTURE(bits, lost);
      auto sender = make(bits);
      auto receiver = make(bits);
      CHECK(opened(receiver, sealed(sender, plain())) == hex(plain()));
      for (unsigned n = 0; n < lost; ++n) (void)sealed(sender, plain());
      CHECK(opened(receiver, sealed(sender, plain(9))) == hex(plain(9)));
      CHECK(opened(receiver, sealed(sender, plain(10))) == hex(plain(10)));
    }
}

TEST_CASE("mppe: a caller who knows more than 12 bits follows any gap", "[mppe][rfc3078-8.1]") {
  for (const unsigned lost : {2'047U, 2'048U, 4'095U, 4'096U, 10'000U}) {
    CAPTURE(lost);
    auto sender = make();
    auto receiver = make();
    CHECK(opened(receiver, sealed(sender, plain())) == hex(plain()));
    for (unsigned n = 0; n < lost; ++n) (void)sealed(sender, plain());
    Octets packet = sealed(sender, plain(9));
    CHECK(mppe::counts_ahead(receiver, packet) == lost % 4096);
    // With another number of packets it does not open, and nothing changes.
    Octets other = packet;
    CHECK(mppe::open(receiver, other, lost + 4'096, false).error() == DropReason::mppe_garbage);
    const auto inner = mppe::open(receiver, packet, lost, false);
    REQUIRE(inner);
    CHECK(hex(*inner) == hex(plain(9)));
    CHECK(opened(receiver, sealed(sender, plain(10))) == hex(plain(10)));
  }
}

TEST_CASE("mppe: a flushed packet after any loss sets the key up again", "[mppe][rfc3078-8.2]") {
  for (const unsigned lost : {1U, 255U, 256U, 4'095U, 4'096U, 10'000U}) {
    CAPTURE(lost);
    auto sender = make(128, mppe::Mode::kStateful);
    auto receiver = make(128, mppe::Mode::kStateful);
    CHECK(opened(receiver, sealed(sender, plain())) == hex(plain()));
    for (unsigned n = 0; n < lost; ++n) (void)sealed(sender, plain());
    Octets packet = sealed(sender, plain(9));
    if ((lost + 1) % 256 != 255) {  // that one is a flag packet, which is flushed anyhow
      Octets copy = packet;
      CHECK(mppe::open(receiver, copy, lost, false).error() == DropReason::mppe_resync);
    }
    mppe::request_flush(sender);
    packet = sealed(sender, plain(11));  // the sender goes on at its next flag packet
    const std::uint32_t all = ((lost + 2) | 0xff) - 1;
    CHECK(mppe::counts_ahead(receiver, packet) == all % 4'096);
    CHECK(mppe::key_changes(receiver, all) == (all + 2) / 256);
    const auto inner = mppe::open(receiver, packet, all, false);
    REQUIRE(inner);
    CHECK(hex(*inner) == hex(plain(11)));
    CHECK(opened(receiver, sealed(sender, plain(12))) == hex(plain(12)));
  }
}

TEST_CASE("mppe: forged packets ahead or behind leave the session usable",
          "[mppe][conformance-51]") {
  auto sender = make();
  auto receiver = make();
  CHECK(opened(receiver, sealed(sender, plain())) == hex(plain()));
  std::uint32_t noise = 12345;
  for (unsigned n = 0; n < 3000; ++n) {
    Octets forged(60);
    for (auto& octet : forged) {
      noise = noise * 1664525 + 1013904223;
      octet = static_cast<std::byte>(noise >> 24);
    }
    forged[0] = static_cast<std::byte>(0x90 | (n >> 8 & 0xf));
    forged[1] = static_cast<std::byte>(n);
    if ((n & 0xfff) == 1) continue;  // the count expected next: see the next case
    const std::string result = opened(receiver, forged);
    REQUIRE((result == "mppe_garbage" || result == "mppe_gap"));
  }
  CHECK(opened(receiver, sealed(sender, plain(2))) == hex(plain(2)));
}

TEST_CASE("mppe: even a lucky forgery costs the peer one packet at most",
          "[mppe][conformance-51]") {
  auto sender = make();
  auto receiver = make();
  // As if it had been plausible: the chain moves by one.
  const Octets real = sealed(sender, plain(1));
  CHECK(opened(receiver, real) == hex(plain(1)));
  CHECK(opened(receiver, real) == "mppe_gap");
  CHECK(opened(receiver, sealed(sender, plain(2))) == hex(plain(2)));
}

TEST_CASE("mppe: late packets cost no key work and change nothing", "[mppe][conformance-52]") {
  auto sender = make();
  auto receiver = make();
  std::vector<Octets> old;
  for (unsigned n = 0; n < 100; ++n) {
    old.push_back(sealed(sender, plain(n)));
    REQUIRE(opened(receiver, old.back()) == hex(plain(n)));
  }
  const auto before = receiver;
  for (const Octets& packet : old) CHECK(opened(receiver, packet) == "mppe_gap");
  CHECK(std::memcmp(&before, &receiver, sizeof(before)) == 0);
}

TEST_CASE("mppe: only network protocols may be inside", "[mppe][rfc3078-3][conformance-53]") {
  for (const char* inner :
       {"00fd 9000", "c021 0901", "8021 0101", "0001 45", "0020 45", "80fd 0e01"}) {
    auto sender = make();
    auto receiver = make();
    CAPTURE(inner);
    CHECK(opened(receiver, sealed(sender, octets(inner))) == "mppe_garbage");
    // The chain did not move; the next packet is one step ahead.
    CHECK(opened(receiver, sealed(sender, plain())) == hex(plain()));
  }
}

TEST_CASE("mppe: a compressed inner protocol is taken", "[mppe][rfc1661-6.5]") {
  auto sender = make();
  auto receiver = make();
  Octets inner = plain();
  inner.erase(inner.begin());
  CHECK(opened(receiver, sealed(sender, inner)) == hex(inner));
}

TEST_CASE("mppe: plausible text, with and without doubt", "[mppe]") {
  const Octets good = plain();
  CHECK(mppe::is_plausible(good, good.size(), true));
  Octets bad_sum = good;
  bad_sum[12] ^= std::byte{1};
  CHECK_FALSE(mppe::is_plausible(bad_sum, bad_sum.size(), true));
  CHECK(mppe::is_plausible(bad_sum, bad_sum.size(), false));
  CHECK_FALSE(mppe::is_plausible(good, good.size() - 1, true));  // Total Length beyond the frame
  Octets version = good;
  version[2] = std::byte{0x65};
  CHECK_FALSE(mppe::is_plausible(version, version.size(), false));
  CHECK_FALSE(mppe::is_plausible({}, 0, false));
  CHECK_FALSE(mppe::is_plausible(octets("00"), 1, false));
  Octets ipv6 = octets("0057 6000 0000 0000");
  CHECK(mppe::is_plausible(ipv6, ipv6.size(), false));
  CHECK_FALSE(mppe::is_plausible(ipv6, ipv6.size(), true));
  ipv6.resize(42);
  CHECK(mppe::is_plausible(ipv6, ipv6.size(), true));
  CHECK(mppe::is_plausible(octets("002b 00"), 3, false));  // to be rejected by name
  CHECK_FALSE(mppe::is_plausible(octets("2b 00"), 2, false));
  CHECK_FALSE(mppe::is_plausible(octets("006b 00"), 3, false));
  CHECK_FALSE(mppe::is_plausible(octets("002b 00"), 3, true));
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK_FALSE(mppe::is_plausible(Bytes(good).first(size), size, true));
}

TEST_CASE("mppe: stateful loss asks for a reset and recovers", "[mppe][rfc3078-8.2]") {
  for (const unsigned lost : {1U, 10U, 254U, 255U, 300U, 700U}) {
    auto sender = make(128, mppe::Mode::kStateful);
    auto receiver = make(128, mppe::Mode::kStateful);
    CHECK(opened(receiver, sealed(sender, plain())) == hex(plain()));
    for (unsigned n = 0; n < lost; ++n) (void)sealed(sender, plain());
    CAPTURE(lost);
    const Octets after_loss = sealed(sender, plain(1));
    // A flag packet is FLUSHED and needs no reset.
    if (count_of(after_loss) % 256 != 255) CHECK(opened(receiver, after_loss) == "mppe_resync");
    mppe::request_flush(sender);
    const Octets flushed = sealed(sender, plain(2));
    CHECK((flushed[0] & std::byte{0x80}) == std::byte{0x80});
    CHECK(opened(receiver, flushed) == hex(plain(2)));
    for (unsigned n = 0; n < 300; ++n)
      REQUIRE(opened(receiver, sealed(sender, plain(n))) == hex(plain(n)));
  }
}

TEST_CASE("mppe: stateful FLUSHED is taken as RFC 3078 and as Linux mean it",
          "[mppe][rfc3078-8.2]") {
  // How often the key was changed: never, or once for each flushed packet, of which all but the
  // last were lost.
  for (const unsigned changes : {0U, 1U, 2U, 5U, 8U, 9U}) {
    auto receiver = make(128, mppe::Mode::kStateful);
    auto sender = make(128, mppe::Mode::kStateful);
    CHECK(opened(receiver, sealed(sender, plain())) == hex(plain()));
    (void)sealed(sender, plain());
    CHECK(opened(receiver, sealed(sender, plain())) == "mppe_resync");
    // A peer that answers the reset without going on to a flag packet.
    std::array<std::byte, 16> key = sender.session_key;
    for (unsigned n = 0; n < changes; ++n) mppe::change_key(sender.start_key, key, 128);
    mppe::Rc4 rc4;
    rc4.set_key(key);
    Octets inner = plain(3);
    rc4.apply(inner);
    Octets packet = octets("9003");
    packet.insert(packet.end(), inner.begin(), inner.end());
    CAPTURE(changes);
    CHECK(opened(receiver, packet) == (changes <= 8 ? hex(plain(3)) : "mppe_garbage"));
  }
}

TEST_CASE("mppe: a change that was cut short is finished", "[mppe]") {
  for (const auto mode : {mppe::Mode::kStateless, mppe::Mode::kStateful}) {
    auto sender = make(128, mode);
    auto receiver = make(128, mode);
    // Up to the packet before a flag packet: the next one changes a stateful key too.
    for (unsigned n = 0; n < 255; ++n) (void)opened(receiver, sealed(sender, plain(n)));
    const auto before = sender;
    auto after = sender;
    (void)sealed(after, plain());
    REQUIRE(after.session_key != before.session_key);
    // The process may die after any of the stores; the journal is valid through the middle ones.
    for (const bool key_stored : {false, true})
      for (const bool count_stored : {false, true}) {
        CAPTURE(int(mode), key_stored, count_stored);
        auto torn = after;
        torn.session_key = key_stored ? after.session_key : before.session_key;
        torn.coherency = count_stored ? after.coherency : before.coherency;
        torn.journal_valid = true;
        mppe::recover(torn);
        CHECK(torn.coherency == after.coherency);
        CHECK(torn.session_key == after.session_key);
        CHECK_FALSE(torn.journal_valid);
        auto peer = receiver;
        CHECK(opened(peer, sealed(torn, plain(5))) == hex(plain(5)));
      }
    auto untouched = before;
    mppe::recover(untouched);
    CHECK(untouched.session_key == before.session_key);
    CHECK(untouched.coherency == before.coherency);
  }
}

TEST_CASE("mppe: after a crash a stateful sender starts afresh, FLUSHED", "[mppe]") {
  auto sender = make(128, mppe::Mode::kStateful);
  auto receiver = make(128, mppe::Mode::kStateful);
  CHECK(opened(receiver, sealed(sender, plain())) == hex(plain()));
  mppe::recover(sender);
  const Octets packet = sealed(sender, plain(1));
  CHECK((packet[0] & std::byte{0x80}) == std::byte{0x80});
  CHECK(opened(receiver, packet) == hex(plain(1)));
}

TEST_CASE("mppe: forget leaves no key behind", "[mppe]") {
  auto state = make();
  mppe::forget(state);
  const mppe::DirectionState empty{};
  CHECK(std::memcmp(&state, &empty, sizeof(state)) == 0);
}
