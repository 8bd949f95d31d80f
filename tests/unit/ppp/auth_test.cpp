// SPDX-License-Identifier: BSD-3-Clause
//
// The authentication methods as a client meets them, beyond what the conformance tests say of each
// RFC: order of preference, retries, changes of password, what reaches CCP.
#include <catch2/catch.hpp>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::AuthMethod;
using model::LinkPhase;

namespace {

LinkSettings with(std::vector<AuthMethod> methods, MppePolicy mppe = MppePolicy::kPrefer) {
  LinkSettings settings;
  settings.auth = std::move(methods);
  settings.mppe = mppe;
  settings.eap = {EapMethod::kMsChapV2, EapMethod::kMd5};
  return settings;
}

const std::vector<AuthMethod> kAll = {AuthMethod::kMsChapV2, AuthMethod::kEap, AuthMethod::kMsChap,
                                      AuthMethod::kChapMd5, AuthMethod::kPap};

struct Method {
  AuthMethod method;
  const char* option;  // Authentication-Protocol data
  const char* mppe;    // what CCP comes to, with policy prefer
};
const Method kMethods[] = {{AuthMethod::kPap, "c023", "none"},
                           {AuthMethod::kChapMd5, "c22305", "none"},
                           {AuthMethod::kMsChap, "c22380", "mppe128-stateless"},
                           {AuthMethod::kMsChapV2, "c22381", "mppe128-stateless"},
                           {AuthMethod::kEap, "c227", "mppe128-stateless"}};

}  // namespace

TEST_CASE("auth: every method lets the right password in", "[ppp][auth]") {
  for (const Method& row : kMethods) {
    INFO(row.option);
    LinkPair pair(with({row.method}));
    pair.start();
    CHECK(option(packet(pair.actions, kLcp, kConfReq).data, 3) == octets(row.option));
    CHECK(pair.client.authenticated);
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    CHECK(pair.link.status().auth == row.method);
    CHECK(pair.link.status().user == "User");
    CHECK(pair.link.status().mppe == row.mppe);
  }
}

TEST_CASE("auth: every method keeps a wrong password and an unknown user out", "[ppp][auth]") {
  for (const Method& row : kMethods)
    for (const bool unknown : {false, true}) {
      INFO(row.option);
      LinkPair pair(with({row.method}));
      (unknown ? pair.client.user : pair.client.password) = "wrong";
      pair.start();
      pair.advance(Seconds(3));  // those that may try again hang up
      CHECK_FALSE(pair.client.authenticated);
      CHECK_FALSE(pair.client.failure.empty());
      CHECK(ended(pair.actions) == EndReason::auth_failed);
      CHECK(packets(pair.actions, kIpcp, kConfReq).empty());
      CHECK(find<model::ArmMppe>(pair.actions) == nullptr);
    }
}

TEST_CASE("auth: a peer that Naks gets the permitted method it names", "[ppp][auth]") {
  for (const Method& row : kMethods) {
    INFO(row.option);
    LinkPair pair(with(kAll));
    pair.client.wants_auth = row.option;
    pair.start();
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    CHECK(pair.link.status().auth == row.method);
  }
}

TEST_CASE("auth: a Nak for what is not permitted moves on, and never below the floor",
          "[ppp][auth]") {
  LinkPair pair(with({AuthMethod::kMsChapV2, AuthMethod::kMsChap}, MppePolicy::kRequire));
  pair.client.wants_auth = "c023";
  pair.start();
  pair.advance(Seconds(10));
  std::vector<Octets> asked;
  for (const Packet& request : packets(pair.actions, kLcp, kConfReq))
    asked.push_back(option(request.data, 3).value());
  CHECK(asked ==
        std::vector{octets("c22381"), octets("c22380"), octets("c22381"), octets("c22380")});
  CHECK(ended(pair.actions) == EndReason::auth_no_common_method);
  CHECK(packets(pair.actions, kPap, kAuthAck).empty());
}

TEST_CASE("auth: packets of a method that was not agreed on are not looked at",
          "[ppp][auth][conformance-45]") {
  for (const Method& row : kMethods) {
    INFO(row.option);
    LinkPair pair(with({row.method}));
    pair.answer_auth = false;
    pair.start();
    const TimePoint now = pair.clock.now();
    const bool chap = row.method != AuthMethod::kPap && row.method != AuthMethod::kEap;
    if (row.method != AuthMethod::kPap)
      CHECK(pair.link.on_frame(pair.client.pap_request(), now).empty());
    if (row.method != AuthMethod::kEap)
      CHECK(pair.link.on_frame(frame(kEap, kEapResponse, 1, "0155736572"), now).empty());
    if (!chap) CHECK(pair.link.on_frame(frame(kChap, kResponse, 1, "0155"), now).empty());
  }
}

TEST_CASE("auth: on an open link a method that was not agreed on is rejected",
          "[ppp][auth][conformance-45]") {
  LinkPair pair(with({AuthMethod::kPap}));
  pair.start();
  const auto actions = pair.link.on_frame(frame(kChap, kResponse, 1, "0155"), pair.clock.now());
  CHECK(packets(actions, kLcp, kProtRej).size() == 1);
}

TEST_CASE("auth: a Protocol-Reject of the method in use ends the link", "[ppp][auth]") {
  LinkPair pair(with({AuthMethod::kEap}));
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kEap; };
  pair.start();
  pair.run(pair.link.on_frame(frame(kLcp, kProtRej, 1, "c227 0101 0005 01"), pair.clock.now()));
  CHECK(ended(pair.actions) == EndReason::auth_no_common_method);
}

// ---- Another try

TEST_CASE("auth: another password on the same call lets a client in", "[ppp][auth][rfc2759-6]") {
  for (const auto method : {AuthMethod::kMsChapV2, AuthMethod::kMsChap, AuthMethod::kEap}) {
    LinkPair pair(with({method}, MppePolicy::kRequire));
    pair.client.password = "wrong";
    pair.client.retry_passwords = {"wrong again", "still wrong", "clientPass"};
    pair.start();
    INFO(model::name_of(method));
    CHECK(pair.client.authenticated);
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    CHECK(pair.link.status().mppe == "mppe128-stateless");
  }
}

TEST_CASE("auth: there are so many tries and no more", "[ppp][auth][conformance-46]") {
  for (const auto method : {AuthMethod::kMsChapV2, AuthMethod::kMsChap, AuthMethod::kEap}) {
    LinkPair pair(with({method}));
    pair.client.password = "wrong";
    pair.client.retry_passwords = std::vector<std::string>(9, "wrong");
    pair.start();
    INFO(model::name_of(method));
    std::size_t questions = 0;
    for (const auto& action : pair.actions)
      questions += std::holds_alternative<model::Authenticate>(action);
    CHECK(questions == 1 + 3);
    CHECK(pair.client.failure.starts_with("E=691 R=0 C="));
    CHECK(ended(pair.actions) == EndReason::auth_failed);
  }
}

TEST_CASE("auth: who is offered another try and stays silent is ended after a minute",
          "[ppp][auth][rfc2759-6]") {
  for (const auto method : {AuthMethod::kMsChapV2, AuthMethod::kEap}) {
    LinkPair pair(with({method}));
    pair.client.password = "wrong";
    pair.drop_from_client = [](const Octets& f) {
      const Packet p = parse(f).value();
      return (p.protocol == kLcp && p.code == kTermReq) ||
             (p.protocol == kEap && p.data == octets("1a04"));
    };
    pair.start();
    pair.advance(Seconds(59));
    CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
    pair.advance(Seconds(10));
    CHECK(ended(pair.actions) == EndReason::auth_failed);
  }
}

// ---- MPPE keys

TEST_CASE("auth: MS-CHAPv1 has one key for both directions", "[ppp][auth][rfc3079-2]") {
  LinkPair pair(with({AuthMethod::kMsChap}, MppePolicy::kRequire));
  pair.start();
  const auto* armed = find<model::ArmMppe>(pair.actions);
  REQUIRE(armed != nullptr);
  CHECK(armed->keys.send == armed->keys.receive);
}

TEST_CASE("auth: MS-CHAPv1 with short keys uses the LM hash, or offers 128 bit only",
          "[ppp][auth][rfc3079-2]") {
  LinkSettings settings = with({AuthMethod::kMsChap}, MppePolicy::kRequire);
  settings.mppe_strengths = {.bits40 = true, .bits56 = true, .bits128 = true};
  aaa::LocalUser account = LinkPair::make_users()[0];
  SECTION("the account has one") {
    LinkPair pair(settings);
    pair.client.ccp_options = "120601000020";
    pair.start();
    const auto* armed = find<model::ArmMppe>(pair.actions);
    REQUIRE(armed != nullptr);
    CHECK(armed->key_bits == 40);
    CHECK(hex(armed->keys.send.bytes().first(8)) == "76a152936096d783");
    CHECK(armed->keys.send == armed->keys.receive);
  }
  SECTION("it has none, and 128 bit is what remains") {
    LinkPair pair(settings);
    account.lm_hash.reset();
    pair.set_account(account);
    pair.client.ccp_options = "120601000020";
    pair.start();
    CHECK(find<model::ArmMppe>(pair.actions)->key_bits == 128);
  }
  SECTION("it has none, and 128 bit is not permitted") {
    settings.mppe_strengths.bits128 = false;
    LinkPair pair(settings);
    account.lm_hash.reset();
    pair.set_account(account);
    pair.start();
    CHECK(ended(pair.actions) == EndReason::no_mppe_keys);
  }
}

// ---- Expired and disabled accounts

TEST_CASE("auth: an expired password can be changed on the call, once", "[ppp][auth][rfc2759-7]") {
  for (const auto method : {AuthMethod::kMsChapV2, AuthMethod::kEap}) {
    INFO(model::name_of(method));
    LinkPair pair(with({method}, MppePolicy::kRequire));
    aaa::LocalUser account = LinkPair::make_users()[0];
    account.password_expired = true;
    pair.set_account(account);
    std::optional<Secret<16>> kept;
    pair.users->allow_password_changes(
        [&](const std::string& name, const Secret<16>& hash, auto done) {
          CHECK(name == "User");
          kept = hash;
          done(true);
        });
    pair.client.new_password = "n€w";
    pair.start();
    CHECK(pair.client.failure.starts_with("E=648 R=0 C="));
    CHECK(pair.client.authenticated);
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    REQUIRE(kept.has_value());
    CHECK(*kept == crypto::nt_password_hash("n€w").value());

    // From now on it is the password.
    pair.run(pair.link.on_frame(frame(kLcp, kConfReq, 0x77, "0506aabbccdd"), pair.clock.now()));
    CHECK(pair.link.phase() == LinkPhase::kOpen);
  }
}

TEST_CASE("auth: a change that is not taken is error 709, and the old password stays",
          "[ppp][auth][rfc2759-7]") {
  LinkPair pair(with({AuthMethod::kMsChapV2}));
  aaa::LocalUser account = LinkPair::make_users()[0];
  account.password_expired = true;
  pair.set_account(account);
  const bool same = GENERATE(false, true);
  pair.users->allow_password_changes([&](const auto&, const auto&, auto done) { done(same); });
  pair.client.new_password = same ? "clientPass" : "new";
  pair.start();
  CHECK(pair.client.failure.starts_with("E=709 R=0 C="));
  CHECK(ended(pair.actions) == EndReason::auth_change_refused);
}

TEST_CASE("auth: without a file for changes an expired password ends the call",
          "[ppp][auth][rfc2759-7]") {
  for (const Method& row : kMethods) {
    INFO(row.option);
    LinkPair pair(with({row.method}));
    aaa::LocalUser account = LinkPair::make_users()[0];
    account.password_expired = true;
    pair.set_account(account);
    pair.client.new_password = "new";
    pair.start();
    CHECK_FALSE(pair.client.authenticated);
    CHECK(ended(pair.actions) == EndReason::auth_password_expired);
    if (row.method == AuthMethod::kMsChapV2) CHECK(pair.client.failure.starts_with("E=648 R=0"));
  }
}

TEST_CASE("auth: a disabled account is told so", "[ppp][auth][rfc2759-6]") {
  LinkPair pair(with({AuthMethod::kMsChapV2}));
  aaa::LocalUser account = LinkPair::make_users()[0];
  account.disabled = true;
  pair.set_account(account);
  pair.start();
  CHECK(pair.client.failure.starts_with("E=647 R=0 C="));
  CHECK(ended(pair.actions) == EndReason::auth_account_disabled);
}

TEST_CASE("auth: a client that gives up after a Failure has failed, not left", "[ppp][auth]") {
  LinkPair pair;
  pair.client.password = "wrong";
  pair.start();
  pair.advance(Seconds(5));
  CHECK(pair.client.failure.starts_with("E=691 R=1 "));
  CHECK(ended(pair.actions) == EndReason::auth_failed);
}
