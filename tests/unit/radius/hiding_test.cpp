// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/hiding.hpp"

#include <catch2/catch.hpp>

#include "pns/crypto/mppe_keys.hpp"
#include "pns/crypto/mschap.hpp"
#include "tests/support/fake_random.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::radius;
using pns::test::hex;
using pns::test::octets;
using pns::test::Octets;

namespace {

const Octets kSecret = test::to_octets(as_octets("xyzzy5461"));  // of the examples in RFC 2865 §7

Authenticator authenticator(std::string_view text) {
  const Octets all = octets(text);
  Authenticator out{};
  std::copy(all.begin(), all.end(), out.begin());
  return out;
}

const Authenticator kRequest = authenticator("0f403f9473978057bd83d5cb98f4227a");

std::string revealed(Bytes value) {
  const auto key = reveal_mppe_key(value, kSecret, kRequest);
  return key ? hex(key->bytes()) : std::string(name_of(key.error()));
}

// An attribute's first value in what was built.
Octets value_of(PacketBuilder& builder, AttributeId id) {
  const auto packet = PacketView::parse(*builder.finish());
  const auto value = packet->find_first(id);
  REQUIRE(value);
  return test::to_octets(*value);
}

// Hidden by Python's hashlib: the keys of RFC 3079 §3.5.3 under two salts.
constexpr const char* kSendKey =
    "8d1103640bd38744eaa986542d2f75bb021c43d6d47fbd24efdc6093fd2dedce0a90";
constexpr const char* kReceiveKey =
    "8d1293044342adf3b8a309e79783e69093e8921aa421bdc7215fff9f4de2b94a46c0";

}  // namespace

TEST_CASE("radius: the passwords of RFC 2865 §7 are hidden and revealed", "[radius][rfc2865-5.2]") {
  struct Example {
    const char* request;
    const char* password;
    const char* hidden;
  };
  const Example examples[] = {
      {"0f403f9473978057bd83d5cb98f4227a", "arctangent", "0dbe708d93d413ce3196e43f782a0aee"},
      {"f3a47a1f6a6d76710b947ab93041a039", "challenge", "33657573778289b570885e15084825c5"},
      {"b122556d428a13d0d6253807c457ecf0", "99101462", "692c1f205fc081b919b95195f561a581"},
  };
  for (const Example& each : examples) {
    INFO(each.password);
    PacketBuilder builder(Code::kAccessRequest, 0, authenticator(each.request));
    REQUIRE(add_user_password(builder, as_octets(each.password), kSecret));
    const Octets hidden = value_of(builder, attribute::kUserPassword);
    CHECK(hex(hidden) == each.hidden);
    std::array<std::byte, kMaximumPasswordSize> clear;
    const auto password = reveal_user_password(hidden, kSecret, builder.authenticator(), clear);
    REQUIRE(password);
    CHECK(hex(*password) == hex(as_octets(each.password)));
  }
}

TEST_CASE("radius: a password has at most 128 octets, and is padded to 16",
          "[radius][rfc2865-5.2]") {
  for (std::size_t size = 0; size <= 128; ++size) {
    Octets password(size, std::byte{'a'});
    PacketBuilder builder(Code::kAccessRequest, 0, kRequest);
    REQUIRE(add_user_password(builder, password, kSecret));
    const Octets hidden = value_of(builder, attribute::kUserPassword);
    CHECK(hidden.size() == std::max<std::size_t>(16, (size + 15) / 16 * 16));
    std::array<std::byte, kMaximumPasswordSize> clear;
    const auto password_again = reveal_user_password(hidden, kSecret, kRequest, clear);
    REQUIRE(password_again);
    CHECK(hex(*password_again) == hex(password));
  }
  PacketBuilder builder(Code::kAccessRequest, 0, kRequest);
  CHECK_FALSE(add_user_password(builder, Octets(129), kSecret));
  CHECK(builder.ok());
  CHECK_FALSE(PacketView::parse(*builder.finish())->has(attribute::kUserPassword));

  std::array<std::byte, kMaximumPasswordSize> clear;
  for (const std::size_t size : {0, 1, 15, 17, 127, 129, 144})
    CHECK_FALSE(reveal_user_password(Octets(size), kSecret, kRequest, clear));
}

TEST_CASE("radius: the keys of RFC 3079 §3.5.3 are revealed", "[radius][rfc2548-2.4.2]") {
  const Octets challenge = octets("5B5D7C7D7B3F2F3E3C2C602132262628");
  const Octets peer_challenge = octets("21402324255E262A28295F2B3A337C7E");
  const auto hash = crypto::nt_password_hash("clientPass");
  const auto response = crypto::generate_nt_response(
      Bytes(challenge).first<16>(), Bytes(peer_challenge).first<16>(), "User", *hash);
  const auto master =
      crypto::get_master_key(crypto::hash_nt_password_hash(*hash).bytes(), response);
  const auto send =
      crypto::get_asymmetric_start_key(master.bytes(), 128, crypto::KeyDirection::kServerSend);
  const auto receive =
      crypto::get_asymmetric_start_key(master.bytes(), 128, crypto::KeyDirection::kServerReceive);
  CHECK(revealed(octets(kSendKey)) == "8b7cdc149b993a1ba118cb153f56dccb");
  CHECK(revealed(octets(kReceiveKey)) == "d5f0e9521e3ea9589645e86051c82226");
  CHECK(hex(send.bytes()) == "8b7cdc149b993a1ba118cb153f56dccb");
  CHECK(hex(receive.bytes()) == "d5f0e9521e3ea9589645e86051c82226");

  PacketBuilder accept(Code::kAccessAccept, 0);
  add_mppe_key(accept, attribute::kMsMppeSendKey, send.bytes(), 0x0d11, kSecret, kRequest);
  add_mppe_key(accept, attribute::kMsMppeRecvKey, receive.bytes(), 0x8d12, kSecret, kRequest);
  CHECK(hex(value_of(accept, attribute::kMsMppeSendKey)) == hex(octets(kSendKey)));
  const auto keys = read_mppe_keys(*PacketView::parse(*accept.finish()), kSecret, kRequest);
  REQUIRE(keys);
  REQUIRE(*keys);
  CHECK(hex((*keys)->send.leading()) == hex(send.bytes()));
  CHECK(hex((*keys)->receive.leading()) == hex(receive.bytes()));
}

TEST_CASE("radius: a key of 32 octets gives its leading 16", "[radius][rfc2548-2.4.2]") {
  const Octets value = octets(
      "ffff99c206ad664076503de8a77eb98333474310812f90436bfce3c34bfa5d530deb5957836acb6b9042704f544c"
      "54ffe122");
  const auto key = reveal_mppe_key(value, kSecret, kRequest);
  REQUIRE(key);
  CHECK(key->size == 32);
  CHECK(hex(key->bytes()) == "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  CHECK(hex(key->leading()) == "000102030405060708090a0b0c0d0e0f");
}

TEST_CASE("radius: a key that is not of its form is refused by name", "[radius][rfc2548-2.4.2]") {
  const Octets good = octets(kSendKey);
  for (std::size_t size = 0; size < good.size(); ++size) {
    if (size == 18) continue;  // whole blocks: the key does not fit into them
    CHECK(revealed(Bytes(good).first(size)) == "length");
  }
  CHECK(revealed(Bytes(good).first(18)) == "key_length");
  Octets salt = good;
  salt[0] &= std::byte{0x7f};
  CHECK(revealed(salt) == "salt");
  for (const char* inside :
       {"8001d64fd67865119ff7c7062f09e6838723e18707ff7d106bfb8c0dc75d0971fb94",
        "8001c74fd67865119ff7c7062f09e6838723", "8001e74fd67865119ff7c7062f09e6838723"})
    CHECK(revealed(octets(inside)) == "key_length");
  // The longest value of whole blocks.
  Octets longest(242, std::byte{0x80});
  CHECK(revealed(longest) == "key_length");
  // A key under another secret has, almost always, another length.
  CHECK_FALSE(reveal_mppe_key(good, octets("00"), kRequest));
}

TEST_CASE("radius: an Accept has both keys or none, under different salts",
          "[radius][rfc2548-2.4.2]") {
  const auto read = [](PacketBuilder& accept) -> std::string {
    const auto keys = read_mppe_keys(*PacketView::parse(*accept.finish()), kSecret, kRequest);
    if (!keys) return std::string(name_of(keys.error()));
    return *keys ? hex((*keys)->send.bytes()).substr(0, 2) +
                       hex((*keys)->receive.bytes()).substr(0, 2)
                 : "none";
  };
  const auto add = [](PacketBuilder& accept, AttributeId id, int octet, std::uint16_t salt) {
    add_mppe_key(accept, id, Octets(16, static_cast<std::byte>(octet)), salt, kSecret, kRequest);
  };
  PacketBuilder accept(Code::kAccessAccept, 0);
  CHECK(read(accept) == "none");
  add(accept, attribute::kMsMppeRecvKey, 0x11, 1);
  CHECK(read(accept) == "missing");
  add(accept, attribute::kMsMppeSendKey, 0x22, 1);
  CHECK(read(accept) == "repeated_salt");
  // Four keys: the last ones count.
  add(accept, attribute::kMsMppeSendKey, 0x33, 2);
  CHECK(read(accept) == "3311");
  add(accept, attribute::kMsMppeRecvKey, 0x44, 3);
  CHECK(read(accept) == "3344");
  accept.add(attribute::kMsMppeRecvKey, Octets(3));
  CHECK(read(accept) == "length");
}

TEST_CASE("radius: any key comes back as it was hidden", "[radius][rfc2548-2.4.2]") {
  test::FakeRandom random(11);
  for (int round = 0; round < 200; ++round) {
    Octets key(round % 2 == 0 ? 16 : 32);
    random.fill(key);
    const Authenticator request = [&random] {
      Authenticator out;
      random.fill(out);
      return out;
    }();
    PacketBuilder accept(Code::kAccessAccept, 0);
    add_mppe_key(accept, attribute::kMsMppeSendKey, key,
                 static_cast<std::uint16_t>(random.next_u32()), kSecret, request);
    const auto again =
        reveal_mppe_key(value_of(accept, attribute::kMsMppeSendKey), kSecret, request);
    REQUIRE(again);
    CHECK(hex(again->bytes()) == hex(key));
  }
}

TEST_CASE("radius: the keys of MS-CHAPv1 are hidden like a password", "[radius][rfc2548-2.4.1]") {
  // PasswordHashHash of "clientPass" (RFC 2759 §9.2), hidden by Python's hashlib.
  const Octets value = octets("6ccc13f9f2ba74ab1e22e86733f8d3f2889a895e498fcfd940f3d06f6e0efbd7");
  for (const std::size_t size : {32, 24}) {
    const auto keys = reveal_ms_chap_mppe_keys(Bytes(value).first(size), kSecret, kRequest);
    REQUIRE(keys);
    CHECK(hex(keys->lm.bytes()) == "0000000000000000");
    CHECK(hex(keys->nt.bytes()) == "41c00c584bd2d91c4017a2a12fa59f3f");
    PacketBuilder accept(Code::kAccessAccept, 0);
    add_ms_chap_mppe_keys(accept, *keys, kSecret, kRequest);
    CHECK(hex(value_of(accept, attribute::kMsChapMppeKeys)) == hex(value));
  }
  for (const std::size_t size : {0, 8, 16, 23, 25, 31, 33})
    CHECK_FALSE(reveal_ms_chap_mppe_keys(Octets(size), kSecret, kRequest));
}
