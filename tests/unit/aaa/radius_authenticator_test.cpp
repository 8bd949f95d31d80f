// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusAuthenticator against scripted servers, in virtual time. The vectors are those of RFC 2759
// §9.2 and RFC 3079 §3.5.3, as FreeRADIUS 3.2.1 answers them.
#include "controlplane/aaa/radius_authenticator.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "pns/radius/hiding.hpp"
#include "pns/radius/values.hpp"
#include "tests/support/octets.hpp"
#include "tests/unit/aaa/radius_world.hpp"

using namespace pns;
using namespace pns::aaa;
using pns::test::octets;
using pns::test::RadiusWorld;
using pns::test::ScriptedServer;
namespace attribute = pns::radius::attribute;

namespace {

template <std::size_t N>
std::array<std::byte, N> array_of(std::string_view hex) {
  const auto bytes = octets(hex);
  REQUIRE(bytes.size() == N);
  std::array<std::byte, N> out;
  std::ranges::copy(bytes, out.begin());
  return out;
}

model::MsChapV2Credentials ms_chap_v2() {
  return {.authenticator_challenge = array_of<16>("5B5D7C7D7B3F2F3E3C2C602132262628"),
          .peer_challenge = array_of<16>("21402324255E262A28295F2B3A337C7E"),
          .nt_response = array_of<24>("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"),
          .identifier = 7};
}

const std::string kProof = "S=407A5589115FD0D6209F510FE9C04566932CDA56";

model::AuthRequest request_of(model::Credentials credentials) {
  return {.user = "User",
          .credentials = std::move(credentials),
          .peer = Ipv4Address(0xc6336407),
          .call = {.session = SessionId(0xabcd),
                   .slot = SlotId(12),
                   .peer_call_id = PeerCallId(34),
                   .local = Ipv4Address(0xcb007101),
                   .mtu = 1400}};
}

std::optional<std::string> text_of(const radius::PacketView& packet, radius::AttributeId id) {
  const auto value = packet.find_first(id);
  if (!value) return std::nullopt;
  return std::string(radius::as_text(*value));
}

std::optional<std::uint32_t> number_of(const radius::PacketView& packet, radius::AttributeId id) {
  const auto value = packet.find_first(id);
  return value ? radius::read_u32(*value) : std::nullopt;
}

std::vector<std::byte> value_of(const radius::PacketView& packet, radius::AttributeId id) {
  const auto value = packet.find_first(id);
  REQUIRE(value);
  return {value->begin(), value->end()};
}

void add_success(radius::PacketBuilder& answer) {
  answer.add_text(attribute::kMsChap2Success, "\x07" + kProof);
}

struct Bench : RadiusWorld {
  Bench() { server = &add(1); }

  // Asks and lets 2 s pass.
  model::AuthResult ask_for(model::AuthRequest request) {
    if (!authenticator) {
      start();
      authenticator.emplace(
          client(),
          RadiusAuthenticator::Settings{
              .nas = {.identifier = "lns-7", .ipv4 = Ipv4Address(0xcb007109), .ipv6 = std::nullopt},
              .patience = Seconds(20)},
          [] { return std::chrono::sys_seconds(Seconds(1'800'000'000)); });
    }
    std::optional<model::AuthResult> result;
    authenticator->authenticate(
        std::move(request), [&result](model::AuthResult verdict) { result = std::move(verdict); });
    RadiusWorld::run(patience);
    REQUIRE(result);
    return std::move(*result);
  }
  [[nodiscard]] radius::PacketView seen() const { return server->requests.back().packet(); }
  // The reason and the rest of a refusal.
  model::AuthDenial refused(model::AuthRequest request) {
    const auto result = ask_for(std::move(request));
    REQUIRE(result.denial() != nullptr);
    return *result.denial();
  }

  ScriptedServer* server;
  Duration patience = Seconds(2);
  std::optional<RadiusAuthenticator> authenticator;
};

}  // namespace

TEST_CASE("radius authenticator: a request says who asks, for whom and from where",
          "[aaa][radius]") {
  Bench bench;
  const auto result =
      bench.ask_for(request_of(model::PapCredentials{SecretText(std::string_view("clientPass"))}));
  REQUIRE(result);
  CHECK(result->user == "User");
  CHECK(result->method == model::AuthMethod::kPap);
  CHECK_FALSE(result->mppe);
  CHECK(result->pool.empty());
  const auto packet = bench.seen();
  CHECK(text_of(packet, attribute::kUserName) == "User");
  CHECK(text_of(packet, attribute::kNasIdentifier) == "lns-7");
  CHECK(number_of(packet, attribute::kNasIpAddress) == 0xcb007109);
  CHECK_FALSE(packet.has(attribute::kNasIpv6Address));
  CHECK(number_of(packet, attribute::kNasPort) == 12);
  CHECK(number_of(packet, attribute::kNasPortType) == 5);
  CHECK(text_of(packet, attribute::kNasPortId) == "pptp:198.51.100.7:34");
  CHECK(number_of(packet, attribute::kServiceType) == 2);
  CHECK(number_of(packet, attribute::kFramedProtocol) == 1);
  CHECK(text_of(packet, attribute::kCallingStationId) == "198.51.100.7");
  CHECK(text_of(packet, attribute::kCalledStationId) == "203.0.113.1");
  CHECK(text_of(packet, attribute::kAcctSessionId) == "000000000000abcd");
  CHECK(text_of(packet, attribute::kTunnelClientEndpoint) == "198.51.100.7");
  CHECK(text_of(packet, attribute::kTunnelServerEndpoint) == "203.0.113.1");
  CHECK_FALSE(packet.has(attribute::kState));
  std::array<std::byte, radius::kMaximumPasswordSize> clear;
  const auto password =
      radius::reveal_user_password(value_of(packet, attribute::kUserPassword),
                                   as_octets("testing123"), packet.authenticator(), clear);
  REQUIRE(password);
  CHECK(radius::as_text(*password) == "clientPass");
}

TEST_CASE("radius authenticator: CHAP and MS-CHAPv1", "[aaa][radius]") {
  Bench bench;
  model::ChapMd5Credentials chap{.identifier = 9};
  chap.challenge.fill(std::byte{0xc1});
  chap.response.fill(std::byte{0x5e});
  REQUIRE(bench.ask_for(request_of(chap)));
  CHECK(value_of(bench.seen(), attribute::kChapPassword) ==
        octets("095E5E5E5E5E5E5E5E5E5E5E5E5E5E5E5E"));
  CHECK(value_of(bench.seen(), attribute::kChapChallenge) ==
        octets("C1C1C1C1C1C1C1C1C1C1C1C1C1C1C1C1"));

  // RFC 2433 appendix B.1, RFC 3079 §2.5: the password is MyPw.
  const model::MsChapCredentials ms_chap{
      .challenge = array_of<8>("102DB5DF085D3041"),
      .nt_response = array_of<24>("4E9D3C8F9CFD385D5BF4D3246791956CA4C351AB409A3D61"),
      .identifier = 3};
  const auto hash_hash = array_of<16>("41C00C584BD2D91C4017A2A12FA59F3F");
  bench.server->fill = [&](radius::PacketBuilder& answer, const radius::PacketView& request) {
    radius::add_ms_chap_mppe_keys(answer, {.lm = {}, .nt = Secret<16>(std::span(hash_hash))},
                                  as_octets("testing123"), request.authenticator());
  };
  const auto result = bench.ask_for(request_of(ms_chap));
  REQUIRE(result);
  CHECK(value_of(bench.seen(), attribute::kMsChapResponse) ==
        octets("0301000000000000000000000000000000000000000000000000"
               "4E9D3C8F9CFD385D5BF4D3246791956CA4C351AB409A3D61"));
  REQUIRE(result->mppe);
  CHECK(result->mppe->send == result->mppe->receive);
  CHECK(result->mppe->weak == model::MppeKeys::Weak::kNone);
}

TEST_CASE("radius authenticator: MS-CHAPv2 with its proof and keys", "[aaa][radius][rfc2548-2.3]") {
  Bench bench;
  bench.server->fill = [](radius::PacketBuilder& answer, const radius::PacketView& request) {
    add_success(answer);
    radius::add_mppe_key(answer, attribute::kMsMppeSendKey,
                         octets("8B7CDC149B993A1BA118CB153F56DCCB"), 0x8001,
                         as_octets("testing123"), request.authenticator());
    radius::add_mppe_key(answer, attribute::kMsMppeRecvKey,
                         octets("D5F0E9521E3EA9589645E86051C82226"), 0x8002,
                         as_octets("testing123"), request.authenticator());
    answer.add_text(attribute::kUserName, "user@example.net");
    answer.add_ipv4(attribute::kFramedIpAddress, Ipv4Address(0x0a400707));
    answer.add_text(attribute::kFramedPool, "staff");
  };
  const auto result = bench.ask_for(request_of(ms_chap_v2()));
  REQUIRE(result);
  CHECK(value_of(bench.seen(), attribute::kMsChap2Response) ==
        octets("070021402324255E262A28295F2B3A337C7E0000000000000000"
               "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF"));
  CHECK(value_of(bench.seen(), attribute::kMsChapChallenge) ==
        octets("5B5D7C7D7B3F2F3E3C2C602132262628"));
  CHECK(result->authenticator_response == kProof);
  REQUIRE(result->mppe);
  const auto is = [](const Secret<16>& key, std::string_view hex) {
    return std::ranges::equal(key.bytes(), octets(hex));
  };
  CHECK(is(result->mppe->send, "8B7CDC149B993A1BA118CB153F56DCCB"));
  CHECK(is(result->mppe->receive, "D5F0E9521E3EA9589645E86051C82226"));
  CHECK(result->user == "user@example.net");
  CHECK(result->address == Ipv4Address(0x0a400707));
  CHECK(result->pool == "staff");
}

TEST_CASE("radius authenticator: 255.255.255.254 means an address of our pool", "[aaa][radius]") {
  Bench bench;
  bench.server->fill = [](radius::PacketBuilder& answer, const radius::PacketView&) {
    add_success(answer);
    answer.add_u32(attribute::kFramedIpAddress, 0xfffffffe);
  };
  const auto result = bench.ask_for(request_of(ms_chap_v2()));
  REQUIRE(result);
  CHECK_FALSE(result->address);
}

TEST_CASE("radius authenticator: an accept that cannot be served is refused, and is no verdict",
          "[aaa][radius]") {
  using Fill = std::function<void(radius::PacketBuilder&, const radius::PacketView&)>;
  const std::pair<EndReason, Fill> cases[] = {
      {EndReason::auth_no_proof, [](auto&, const auto&) {}},
      {EndReason::auth_no_proof,
       [](auto& answer, const auto&) {
         answer.add_text(attribute::kMsChap2Success, "\x07S=short");
       }},
      {EndReason::auth_service_type,
       [](auto& answer, const auto&) {
         add_success(answer);
         answer.add_u32(attribute::kServiceType, 1);
       }},
      {EndReason::auth_bad_keys,
       [](auto& answer, const auto& request) {
         add_success(answer);
         radius::add_mppe_key(answer, attribute::kMsMppeSendKey,
                              octets("8B7CDC149B993A1BA118CB153F56DCCB"), 0x8001,
                              as_octets("testing123"), request.authenticator());
       }},
  };
  for (const auto& [reason, fill] : cases) {
    Bench bench;
    bench.server->fill = fill;
    const auto denial = bench.refused(request_of(ms_chap_v2()));
    CHECK(denial.reason == reason);
    CHECK_FALSE(denial.is_verdict);
  }
}

TEST_CASE("radius authenticator: a reject passes on what MS-CHAP-Error says",
          "[aaa][radius][rfc2759-6]") {
  Bench bench;
  bench.server->code = radius::Code::kAccessReject;
  std::string error;
  bench.server->fill = [&](radius::PacketBuilder& answer, const radius::PacketView&) {
    answer.add_text(attribute::kMsChapError, "\x07" + error);
  };
  error = "E=691 R=1 C=000102030405060708090A0B0C0D0E0F V=3 M=Authentication rejected";
  auto denial = bench.refused(request_of(ms_chap_v2()));
  CHECK(denial.reason == EndReason::auth_failed);
  CHECK(denial.ms_chap_error == 691);
  CHECK(denial.may_retry);
  CHECK(denial.is_verdict);
  CHECK_FALSE(denial.may_change_password);
  CHECK(denial.challenge == octets("000102030405060708090A0B0C0D0E0F"));

  error = "E=648 R=0 C=000102030405060708090A0B0C0D0E0F V=3 M=Password expired";
  denial = bench.refused(request_of(ms_chap_v2()));
  CHECK(denial.reason == EndReason::auth_password_expired);
  CHECK(denial.may_change_password);
  CHECK_FALSE(denial.may_retry);

  error = "E=647 R=0 V=3";
  denial = bench.refused(request_of(ms_chap_v2()));
  CHECK(denial.reason == EndReason::auth_account_disabled);
  CHECK(denial.challenge.empty());

  bench.server->fill = nullptr;
  denial = bench.refused(request_of(ms_chap_v2()));
  CHECK(denial.reason == EndReason::auth_failed);
  CHECK_FALSE(denial.may_retry);
}

TEST_CASE("radius authenticator: a changed password goes in three parts",
          "[aaa][radius][rfc2548-2.3.4]") {
  Bench bench;
  bench.server->fill = [](radius::PacketBuilder& answer, const radius::PacketView&) {
    add_success(answer);
  };
  model::ChangePasswordCredentials change{.response = ms_chap_v2()};
  change.encrypted_password.fill(std::byte{0xee});
  const auto result = bench.ask_for(request_of(change));
  REQUIRE(result);
  CHECK(result->method == model::AuthMethod::kMsChapV2);
  CHECK(bench.seen().has(attribute::kMsChap2Cpw));
  CHECK(bench.seen().count(attribute::kMsChapNtEncPw) == 3);
}

TEST_CASE("radius authenticator: an EAP conversation carries its State to its server",
          "[aaa][radius][rfc3579-2.1]") {
  Bench bench;
  ScriptedServer& other = bench.add(2);
  const std::vector<std::byte> long_message(600, std::byte{0x77});
  for (ScriptedServer* const server : {bench.server, &other}) {
    server->code = radius::Code::kAccessChallenge;
    server->fill = [&, server](radius::PacketBuilder& answer, const radius::PacketView&) {
      answer.add_eap_message(long_message);
      answer.add_text(attribute::kState, server == &other ? "other" : "first");
    };
  }
  std::vector<std::byte> state;
  for (int round = 0; round < 8; ++round) {
    const auto result = bench.ask_for(
        request_of(model::RelayedCredentials{.message = octets("0201000501"), .state = state}));
    REQUIRE(result.challenge() != nullptr);
    CHECK(result.challenge()->message == long_message);
    state = result.challenge()->state;
    if (round == 0) continue;
    CHECK(text_of(bench.seen(), attribute::kState) == "first");
    CHECK(number_of(bench.seen(), attribute::kFramedMtu) == 1400);
  }
  CHECK(other.requests.empty());

  // 32 octets of a key of EAP-TLS: the leading 16 count.
  bench.server->code = radius::Code::kAccessAccept;
  bench.server->fill = [](radius::PacketBuilder& answer, const radius::PacketView& request) {
    answer.add_eap_message(octets("03010004"));
    const std::vector<std::byte> key(32, std::byte{0x42});
    for (const auto id : {attribute::kMsMppeSendKey, attribute::kMsMppeRecvKey})
      radius::add_mppe_key(answer, id, key, id.number, as_octets("testing123"),
                           request.authenticator());
  };
  const auto result = bench.ask_for(
      request_of(model::RelayedCredentials{.message = octets("0201000501"), .state = state}));
  REQUIRE(result);
  CHECK(result->method == model::AuthMethod::kEap);
  REQUIRE(result->mppe);
  CHECK(result->mppe->send.bytes()[15] == std::byte{0x42});
}

TEST_CASE("radius authenticator: a challenge to a password is a refusal", "[aaa][radius]") {
  Bench bench;
  bench.server->code = radius::Code::kAccessChallenge;
  const auto denial =
      bench.refused(request_of(model::PapCredentials{SecretText(std::string_view("x"))}));
  CHECK(denial.reason == EndReason::auth_failed);
  CHECK_FALSE(denial.may_retry);
}

TEST_CASE("radius authenticator: without an answer nobody is told of a wrong password",
          "[aaa][radius]") {
  Bench bench;
  bench.server->answers = false;
  bench.patience = Seconds(21);
  const auto denial = bench.refused(request_of(ms_chap_v2()));
  CHECK(denial.reason == EndReason::auth_unavailable);
  CHECK_FALSE(denial.is_verdict);
}

TEST_CASE("radius authenticator: what no attribute can hold is refused unasked", "[aaa][radius]") {
  Bench bench;
  auto denial = bench.refused(
      request_of(model::PapCredentials{SecretText(std::string_view(std::string(129, 'x')))}));
  CHECK(denial.reason == EndReason::auth_failed);
  auto request = request_of(ms_chap_v2());
  request.user = std::string(254, 'u');
  denial = bench.refused(std::move(request));
  CHECK(denial.reason == EndReason::auth_failed);
  CHECK(bench.server->requests.empty());
}

TEST_CASE("radius authenticator: a realm is stripped where the server can judge without it",
          "[aaa][radius][realms][rfc2759-8.2]") {
  const auto sent_as = [](const char* user, const char* account, model::Credentials credentials) {
    Bench bench;
    bench.server->fill = [](radius::PacketBuilder& answer, const radius::PacketView&) {
      add_success(answer);
    };
    model::AuthRequest request = request_of(std::move(credentials));
    request.user = user;
    request.account = account;
    request.realm = "example.com";
    const auto result = bench.ask_for(std::move(request));
    if (result) {
      CHECK(result->user == account);
      CHECK(result->origin.realm == "example.com");
    }
    return text_of(bench.seen(), attribute::kUserName);
  };
  const char* const kSuffixed = "User@example.com";
  CHECK(sent_as(kSuffixed, "User", model::PapCredentials{}) == "User");
  CHECK(sent_as(kSuffixed, "User", model::ChapMd5Credentials{}) == "User");
  CHECK(sent_as(kSuffixed, "User", model::MsChapCredentials{}) == "User");
  // The hash of MS-CHAPv2 has the name without DOMAIN\, and with @realm.
  CHECK(sent_as(kSuffixed, "User", ms_chap_v2()) == kSuffixed);
  CHECK(sent_as("EXAMPLE.COM\\User", "User", ms_chap_v2()) == "User");
  CHECK(sent_as("EXAMPLE.COM\\User", "User",
                model::ChangePasswordCredentials{.response = ms_chap_v2()}) == "User");
  CHECK(sent_as(kSuffixed, "User", model::ChangePasswordCredentials{.response = ms_chap_v2()}) ==
        kSuffixed);
  // The server compares it with the peer's Identity.
  CHECK(sent_as("EXAMPLE.COM\\User", "User",
                model::RelayedCredentials{.message = {}, .state = {}}) == "EXAMPLE.COM\\User");
}

TEST_CASE("radius authenticator: User-Name of the Access-Accept is the account, whatever the realm",
          "[aaa][radius][realms][rfc2865-5.1]") {
  Bench bench;
  bench.server->fill = [](radius::PacketBuilder& answer, const radius::PacketView&) {
    answer.add_text(attribute::kUserName, "u4711@example.com");
  };
  model::AuthRequest request = request_of(model::PapCredentials{});
  request.user = "User@example.com";
  request.account = "User";
  request.realm = "example.com";
  const auto result = bench.ask_for(std::move(request));
  REQUIRE(result);
  CHECK(result->user == "u4711@example.com");
}

TEST_CASE("radius authenticator: the users of a realm are asked of its servers alone",
          "[aaa][radius][realms]") {
  RadiusWorld world;
  ScriptedServer& first = world.add(1);
  ScriptedServer& second = world.add(2);
  world.start();
  RealmServers realms;
  realms.add("example.com", model::RadiusKind::kAuthentication, 1);
  RadiusAuthenticator authenticator(world.client(), {.realms = realms},
                                    [] { return std::chrono::sys_seconds(); });
  std::size_t granted = 0;
  for (int i = 0; i < 8; ++i) {
    model::AuthRequest request = request_of(model::PapCredentials{});
    request.realm = "example.com";
    authenticator.authenticate(std::move(request), [&granted](const model::AuthResult& result) {
      granted += result.has_value() ? 1 : 0;
    });
    world.run(Seconds(1));
  }
  CHECK(granted == 8);
  CHECK(first.requests.empty());
  CHECK(second.requests.size() == 8);
}

TEST_CASE("radius authenticator: a login that an earlier answer has asked for carries its State",
          "[aaa][radius][rfc2865-5.24]") {
  Bench bench;
  bench.server->fill = [](radius::PacketBuilder& answer, const radius::PacketView&) {
    add_success(answer);
  };
  for (const model::Credentials& credentials :
       {model::Credentials(ms_chap_v2()),
        model::Credentials(model::RelayedCredentials{.message = {}, .state = {}})}) {
    model::AuthRequest request = request_of(credentials);
    request.state = octets("a1b2");
    (void)bench.ask_for(std::move(request));
    CHECK(value_of(bench.seen(), attribute::kState) == octets("a1b2"));
  }
  // PAP cannot be asked for again.
  bench.server->fill = [](radius::PacketBuilder& answer, const radius::PacketView&) {
    answer.add_u32(attribute::kSessionTimeout, 60);
    answer.add_u32(attribute::kTerminationAction, 1);
  };
  const auto pap = bench.ask_for(request_of(model::PapCredentials{}));
  REQUIRE(pap);
  CHECK_FALSE(pap->login_again);
  const auto chap = bench.ask_for(request_of(model::ChapMd5Credentials{}));
  REQUIRE(chap);
  CHECK(chap->login_again);
}
