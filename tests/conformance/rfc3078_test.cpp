// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 3078, MPPE as the peer sees it: what CCP agrees on, and packets to and from another
// implementation (tests/support/mppe_peer.hpp). Forgeries and their cost are in
// tests/unit/mppe/mppe_test.cpp, the dataplane's stages in tests/pipeline/encryption_test.cpp.
#include <catch2/catch.hpp>

#include "pns/mppe/mppe.hpp"
#include "tests/support/mppe_peer.hpp"
#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;

namespace {

// A link at CCP, with the client out of the way.
struct AtCcp : LinkPair {
  explicit AtCcp(const MppeStrengths& strengths, MppeMode mode = MppeMode::kStateless)
      : LinkPair(settings(strengths, mode)) {
    client.ncps_upon_success = false;
    drop_to_client = [](const Octets& f) { return parse(f)->protocol == kCcp; };
    start();
    request = packet(actions, kCcp, kConfReq);
  }
  static LinkSettings settings(const MppeStrengths& strengths, MppeMode mode) {
    LinkSettings out;
    out.mppe_strengths = strengths;
    out.mppe_mode = mode;
    return out;
  }
  model::LinkActions send(std::uint8_t code, std::string_view options, std::uint8_t id = 1) {
    return link.on_frame(frame(kCcp, code, id, options), clock.now());
  }
  Packet request;
};

constexpr MppeStrengths kAll{.bits40 = true, .bits56 = true, .bits128 = true};

const Octets& start_key() {
  static const Octets key = octets("8B7CDC149B993A1B A118CB153F56DCCB");
  return key;
}

// Both ends of one direction in either role, with one start key.
struct Ends {
  Ends(unsigned bits, bool stateless)
      : peer(leading(start_key(), bits == 128 ? 16 : 8), bits, stateless) {
    mppe::init(ours, std::span<const std::byte, 16>(start_key().data(), 16), bits,
               stateless ? mppe::Mode::kStateless : mppe::Mode::kStateful);
  }
  Octets seal(const Octets& inner) {
    Octets out = concat({Octets(2), inner});
    REQUIRE(mppe::seal(ours, out));
    return out;
  }
  // The inner frame, or the name of what is wrong.
  std::string open(Octets packet) {
    const auto inner = mppe::open(ours, packet);
    return inner ? hex(*inner) : std::string(name_of(inner.error()));
  }
  mppe::DirectionState ours;
  MppePeer peer;
};

// An IPv6 packet without payload behind its Protocol field, told apart by its source.
Octets inner(unsigned n = 0) {
  Octets out = concat({octets("0057 6000 0000 0000 3b40"), Octets(32)});
  out[24] = static_cast<std::byte>(n >> 8);
  out[25] = static_cast<std::byte>(n);
  return out;
}

unsigned header_of(const Octets& packet) {
  return std::to_integer<unsigned>(packet[0]) << 8 | std::to_integer<unsigned>(packet[1]);
}

}  // namespace

TEST_CASE("rfc3078 §2.1: the request names strengths that are permitted, and nothing else",
          "[rfc3078-2.1]") {
  struct Row {
    MppeStrengths strengths;
    MppeMode mode;
    const char* request;
  };
  for (const Row& row :
       {Row{{.bits128 = true}, MppeMode::kStateless, "120601000040"},
        Row{{.bits56 = true, .bits128 = false}, MppeMode::kStateless, "120601000080"},
        Row{{.bits40 = true, .bits128 = false}, MppeMode::kStateless, "120601000020"},
        Row{{.bits128 = true}, MppeMode::kStateful, "120600000040"},
        Row{kAll, MppeMode::kAny, "1206010000e0"}}) {
    AtCcp at(row.strengths, row.mode);
    CHECK(hex(at.request.data) == row.request);
  }
}

TEST_CASE("rfc3078 §2.1: of several strengths one is left, the strongest that both have",
          "[rfc3078-2.1]") {
  struct Row {
    MppeStrengths ours;
    const char* offer;
    const char* answer;  // "": acknowledged
  };
  const Row row =
      GENERATE(Row{kAll, "1206010000e0", "120601000040"}, Row{kAll, "1206010000a0", "120601000080"},
               Row{kAll, "120601000060", "120601000040"}, Row{kAll, "120601000040", ""},
               Row{kAll, "120601000080", ""}, Row{kAll, "120601000020", ""},
               Row{{.bits40 = true, .bits128 = false}, "1206010000e0", "120601000020"},
               Row{{.bits128 = true}, "1206010000a0", "120601000040"},
               Row{{.bits128 = true}, "120601000020", "120601000040"});
  AtCcp at(row.ours);
  const auto actions = at.send(kConfReq, row.offer);
  if (*row.answer == '\0') {
    CHECK(packet(actions, kCcp, kConfAck).data == octets(row.offer));
    CHECK(find<model::ArmMppe>(actions) != nullptr);
  } else {
    CHECK(hex(packet(actions, kCcp, kConfNak).data) == row.answer);
    CHECK(find<model::ArmMppe>(actions) == nullptr);
  }
}

TEST_CASE("rfc3078 §2.1: whatever is offered, the link ends up with one strength and mode",
          "[rfc3078-2.1]") {
  for (const char* offer : {"1206010000e0", "1206010000a0", "120601000060", "120601000020",
                            "120600000040", "1206000000e1", "120601000050"}) {
    LinkPair pair(AtCcp::settings(kAll, MppeMode::kAny));
    pair.client.ccp_options = offer;
    pair.start();
    CAPTURE(offer);
    REQUIRE(pair.link.phase() == model::LinkPhase::kOpen);
    // We acknowledge one strength, and the dataplane is armed with it.
    const Octets agreed = packets(pair.actions, kCcp, kConfAck).back().data;
    const auto* const armed = find<model::ArmMppe>(pair.actions);
    REQUIRE(armed != nullptr);
    const unsigned bit = armed->key_bits == 128 ? 0x40 : armed->key_bits == 56 ? 0x80 : 0x20;
    CHECK(std::to_integer<unsigned>(agreed[5]) == bit);
    CHECK((agreed[2] == std::byte{1}) == armed->stateless);
    CHECK(pair.link.status().mppe == "mppe" + std::to_string(armed->key_bits) +
                                         (armed->stateless ? "-stateless" : "-stateful"));
  }
}

TEST_CASE("rfc3078 §2.1: neither MPPC nor the obsolete bit is ever acknowledged", "[rfc3078-2.1]") {
  for (const char* offer : {"120601000041", "120601000050", "120601000001", "120601000010"}) {
    AtCcp at(kAll);
    CHECK(packets(at.send(kConfReq, offer), kCcp, kConfAck).empty());
  }
}

TEST_CASE("rfc3078 §3: each packet has D set, C clear, and counts from 0", "[rfc3078-3]") {
  const unsigned bits = GENERATE(40u, 56u, 128u);
  const bool stateless = GENERATE(true, false);
  CAPTURE(bits, stateless);
  Ends ends(bits, stateless);
  for (unsigned n = 0; n < 4100; ++n) {
    const Octets sealed = ends.seal(inner(n));
    REQUIRE((header_of(sealed) & 0x0fff) == n % 4096);
    REQUIRE((header_of(sealed) & 0x7000) == 0x1000);
    // §3.1 A: always when stateless, else when the key has changed.
    REQUIRE(((header_of(sealed) & 0x8000) != 0) == (stateless || n % 256 == 255));
    REQUIRE(ends.peer.open(sealed) == inner(n));
  }
}

TEST_CASE("rfc3078 §7.1, §7.2: what another implementation sends is read, past the wrap",
          "[rfc3078-7]") {
  const unsigned bits = GENERATE(40u, 56u, 128u);
  const bool stateless = GENERATE(true, false);
  CAPTURE(bits, stateless);
  Ends ends(bits, stateless);
  for (unsigned n = 0; n < 4100; ++n) REQUIRE(ends.open(ends.peer.seal(inner(n))) == hex(inner(n)));
}

TEST_CASE("rfc3078 §3: a packet without D, or stateless without A, is dropped and costs nothing",
          "[rfc3078-3]") {
  Ends ends(128, true);
  const Octets sealed = ends.peer.seal(inner());
  Octets changed = sealed;
  changed[0] &= std::byte{0xef};
  CHECK(ends.open(changed) == "mppe_flags");
  changed = sealed;
  changed[0] &= std::byte{0x7f};
  CHECK(ends.open(changed) == "mppe_flags");
  CHECK(ends.open(sealed) == hex(inner()));
}

TEST_CASE("rfc3078 §3: B and C mean nothing in MPPE and are not looked at", "[rfc3078-3]") {
  Ends ends(128, true);
  Octets sealed = ends.peer.seal(inner(1));
  sealed[0] |= std::byte{0x60};
  CHECK(ends.open(sealed) == hex(inner(1)));
}

TEST_CASE("rfc3078 §8.1: stateless, lost packets cost nobody anything", "[rfc3078-8.1]") {
  for (const unsigned lost : {1u, 2u, 17u, 64u}) {
    Ends ends(128, true);
    for (unsigned n = 0; n < lost; ++n) (void)ends.peer.seal(inner());
    CHECK(ends.open(ends.peer.seal(inner(lost))) == hex(inner(lost)));
  }
}

TEST_CASE("rfc3078 §8.2: stateful, nothing is read after a loss until a packet is FLUSHED",
          "[rfc3078-8.2]") {
  Ends ends(128, false);
  CHECK(ends.open(ends.peer.seal(inner(1))) == hex(inner(1)));
  (void)ends.peer.seal(inner(2));
  CHECK(ends.open(ends.peer.seal(inner(3))) == "mppe_resync");  // a Reset-Request goes out
  CHECK(ends.open(ends.peer.seal(inner(4))) == "mppe_resync");
  CHECK(ends.open(ends.peer.seal(inner(5), true)) == hex(inner(5)));
  CHECK(ends.open(ends.peer.seal(inner(6))) == hex(inner(6)));
}

TEST_CASE("rfc3078 §8.2: after a Reset-Request our next packet is FLUSHED", "[rfc3078-8.2]") {
  Ends ends(128, false);
  (void)ends.seal(inner(1));
  CHECK((header_of(ends.seal(inner(2))) & 0x8000) == 0);
  mppe::request_flush(ends.ours);
  CHECK((header_of(ends.seal(inner(3))) & 0x8000) != 0);
  CHECK((header_of(ends.seal(inner(4))) & 0x8000) == 0);
}

TEST_CASE("rfc3078 §2: CCP resets of the peer are neither rejected nor answered here",
          "[rfc3078-2][rfc1962-5.7]") {
  AtCcp at(kAll);
  CHECK(at.send(14, "").empty());
  CHECK(at.send(15, "").empty());
}
