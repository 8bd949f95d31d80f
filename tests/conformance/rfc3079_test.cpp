// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 3079, MPPE keys as the client sees them: what it derives from its password and the exchange
// is what the dataplane is armed with. The client's side is tests/support/mppe_peer.hpp. The
// arithmetic step by step is in tests/unit/crypto/mppe_keys_test.cpp.
#include <catch2/catch.hpp>

#include "pns/crypto/mppe_keys.hpp"
#include "pns/mppe/mppe.hpp"
#include "tests/support/mppe_peer.hpp"
#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;

namespace {

// "clientPass" as UTF-16, hashed twice (RFC 2759 §8.3, §8.4).
Octets password_hash_hash() {
  const auto hash = crypto::md4({octets("63006c00690065006e0074005000610073007300")});
  return to_octets(crypto::md4({hash}));
}

const char* option_of(unsigned bits) {
  return bits == 128 ? "120601000040" : bits == 56 ? "120601000080" : "120601000020";
}

// A link that is open with keys of this strength, and what the dataplane was told.
struct Encrypted : LinkPair {
  explicit Encrypted(unsigned bits, model::AuthMethod method = model::AuthMethod::kMsChapV2)
      : LinkPair(settings(bits, method)) {
    client.ccp_options = option_of(bits);
    start();
    REQUIRE(link.phase() == model::LinkPhase::kOpen);
    const auto* const found = find<model::ArmMppe>(actions);
    REQUIRE(found != nullptr);
    armed = *found;
    REQUIRE(armed.key_bits == bits);
  }
  static LinkSettings settings(unsigned bits, model::AuthMethod method) {
    LinkSettings out;
    out.auth = {method};
    out.mppe_strengths = {.bits40 = bits == 40, .bits56 = bits == 56, .bits128 = bits == 128};
    return out;
  }
  model::ArmMppe armed;
};

Octets used(const Secret<16>& key, unsigned bits) {
  return leading(key.bytes(), bits == 128 ? 16 : 8);
}

}  // namespace

TEST_CASE("rfc3079 §3.1-3.3: with MS-CHAPv2 both directions have the keys that the client derives",
          "[rfc3079-3]") {
  const unsigned bits = GENERATE(40u, 56u, 128u);
  CAPTURE(bits);
  Encrypted pair(bits);
  const auto& credentials = std::get<model::MsChapV2Credentials>(pair.asked->credentials);
  const Octets from_server =
      start_key_v2(password_hash_hash(), credentials.nt_response, Sender::kServer, bits);
  const Octets from_client =
      start_key_v2(password_hash_hash(), credentials.nt_response, Sender::kClient, bits);
  CHECK(from_server != from_client);
  CHECK(used(pair.armed.keys.send, bits) == from_server);
  CHECK(used(pair.armed.keys.receive, bits) == from_client);

  // And one packet each way.
  const Octets inner = concat({octets("0057 6000 0000 0000 3b40"), Octets(32)});
  mppe::DirectionState ours;
  mppe::init(ours, pair.armed.keys.send.bytes(), bits, mppe::Mode::kStateless);
  Octets packet = concat({Octets(2), inner});
  REQUIRE(mppe::seal(ours, packet));
  CHECK(MppePeer(from_server, bits, true).open(packet) == inner);
  mppe::init(ours, pair.armed.keys.receive.bytes(), bits, mppe::Mode::kStateless);
  packet = MppePeer(from_client, bits, true).seal(inner);
  const auto opened = mppe::open(ours, packet);
  REQUIRE(opened);
  CHECK(to_octets(*opened) == inner);
}

TEST_CASE("rfc3079 §3.3: each log-in has keys of its own", "[rfc3079-3.3]") {
  Encrypted pair(128);
  const Octets first = used(pair.armed.keys.send, 128);
  pair.actions.clear();
  pair.run(pair.link.on_frame(frame(kLcp, kConfReq, 0x77, "0506aabbccdd"), pair.clock.now()));
  const auto* again = find<model::ArmMppe>(pair.actions);
  REQUIRE(again != nullptr);
  CHECK(used(again->keys.send, 128) != first);
}

TEST_CASE("rfc3079 §2.3: with MS-CHAPv1 the 128-bit key is one for both directions",
          "[rfc3079-2.3]") {
  Encrypted pair(128, model::AuthMethod::kMsChap);
  const Packet challenge = packet(pair.actions, kChap, kChallenge);
  REQUIRE(challenge.data.size() > 9);
  const Octets key = start_key_v1(password_hash_hash(), Bytes(challenge.data).subspan(1, 8));
  CHECK(used(pair.armed.keys.send, 128) == key);
  CHECK(used(pair.armed.keys.receive, 128) == key);
}

TEST_CASE("rfc3079 §2.1, §2.2: with MS-CHAPv1 shorter keys are the LM hash's first eight octets",
          "[rfc3079-2.1]") {
  const unsigned bits = GENERATE(40u, 56u);
  Encrypted pair(bits, model::AuthMethod::kMsChap);
  // LM hash of CLIENTPASS, from the samples of §2.5.
  CHECK(hex(used(pair.armed.keys.send, bits)) == "76a152936096d783");
  CHECK(hex(used(pair.armed.keys.receive, bits)) == "76a152936096d783");
}

TEST_CASE("rfc3079 §1: methods without keys give no encryption", "[rfc3079-1]") {
  const auto method = GENERATE(model::AuthMethod::kPap, model::AuthMethod::kChapMd5);
  LinkSettings settings;
  settings.auth = {method};
  settings.mppe = MppePolicy::kPrefer;
  LinkPair pair(settings);
  pair.start();
  CHECK(pair.client.authenticated);
  CHECK(find<model::ArmMppe>(pair.actions) == nullptr);
  CHECK(packets(pair.actions, kCcp, kConfReq).empty());
}

TEST_CASE("rfc3079 §3.5: the samples come out on both sides", "[rfc3079-3.5]") {
  struct Sample {
    unsigned bits;
    const char* start_key;
    const char* session_key;
  };
  const Octets hash_hash = octets("41C00C584BD2D91C4017A2A12FA59F3F");
  const Octets response = octets("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF");
  CHECK(password_hash_hash() == hash_hash);
  const auto master = crypto::get_master_key(std::span<const std::byte, 16>(hash_hash.data(), 16),
                                             std::span<const std::byte, 24>(response.data(), 24));
  for (const Sample& sample :
       {Sample{40, "8b7cdc149b993a1b", "d1269ec49fa62e3e"},
        Sample{56, "8b7cdc149b993a1b", "d15c00c49fa62e3e"},
        Sample{128, "8b7cdc149b993a1ba118cb153f56dccb", "405cb2247a7956e6e211007ae27b22d4"}}) {
    const Octets theirs = start_key_v2(hash_hash, response, Sender::kServer, sample.bits);
    const auto ours = crypto::get_asymmetric_start_key(master.bytes(), sample.bits,
                                                       crypto::KeyDirection::kServerSend);
    CHECK(hex(theirs) == sample.start_key);
    CHECK(used(ours, sample.bits) == theirs);
    CHECK(hex(MppePeer(theirs, sample.bits, false).session_key()) == sample.session_key);
    CHECK(hex(used(crypto::first_session_key(ours.bytes(), sample.bits), sample.bits)) ==
          sample.session_key);
  }
}

TEST_CASE("rfc3079 §2.5: the samples of MS-CHAPv1 come out on both sides", "[rfc3079-2.5]") {
  const Octets challenge = octets("102db5df085d3041");
  const Octets hash_hash = octets("41c00c584bd2d91c4017a2a12fa59f3f");
  const Octets start = start_key_v1(hash_hash, challenge);
  CHECK(hex(start) == "a8947850cfc0acc1d1789fb62ddcddb0");
  CHECK(hex(MppePeer(start, 128, false).session_key()) == "59d159bc09f76f1da2a86a28ffec0b1e");
  const Octets lm = octets("76a152936096d783");
  CHECK(hex(MppePeer(lm, 40, false).session_key()) == "d1269e538cec4a08");
  CHECK(hex(MppePeer(lm, 56, false).session_key()) == "d10801538cec4a08");
  const auto ours = crypto::get_start_key(std::span<const std::byte, 8>(challenge.data(), 8),
                                          std::span<const std::byte, 16>(hash_hash.data(), 16));
  CHECK(used(ours, 128) == start);
}
