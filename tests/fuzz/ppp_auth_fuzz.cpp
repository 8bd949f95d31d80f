// SPDX-License-Identifier: BSD-3-Clause
//
// The decoders of authentication packets, and what AAA does with what they yield. First octet:
// which one. The rest is a packet's data. All that is read must be within the packet, what is
// written again must read as the same, and no user comes in that does not know the password.
#include <algorithm>
#include <array>

#include "controlplane/aaa/local_authenticator.hpp"
#include "pns/crypto/mschap.hpp"
#include "pns/wire/ppp_auth.hpp"
#include "pns/wire/ppp_control.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/fake_random.hpp"

namespace {

using namespace pns;

bool within(Bytes part, Bytes whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

template <class Body>
std::vector<std::byte> encode(const Body& body) {
  std::vector<std::byte> out(2048);
  Writer writer(out);
  body.write(writer);
  PNS_CLAIM(writer.ok());
  out.resize(writer.size());
  return out;
}

aaa::LocalAuthenticator make_users() {
  static test::FakeRandom random;
  aaa::LocalUser user;
  user.name = "user";
  user.nt_hash = crypto::nt_password_hash("the password of this user").value();
  user.password = SecretText("the password of this user");
  user.password_expired = true;
  return {{user}, random};
}

void nobody_comes_in(model::Credentials credentials) {
  static aaa::LocalAuthenticator users = make_users();
  users.allow_password_changes([](const auto&, const auto&, auto done) { done(true); });
  const auto result =
      users.decide({.user = "user", .credentials = std::move(credentials), .peer = {}});
  PNS_CLAIM(!result && result.error().ms_chap_error == 691);
}

void pap(Bytes data) {
  const auto request = wire::PapRequest::parse(data);
  if (!request) return;
  PNS_CLAIM(within(request->peer_id, data) && within(request->password, data));
  const auto again = encode(*request);
  PNS_CLAIM(again.size() <= data.size() && std::equal(again.begin(), again.end(), data.begin()));
  nobody_comes_in(model::PapCredentials{SecretText(request->password)});
}

void chap(Bytes data) {
  const auto value = wire::ChapValue::parse(data);
  if (!value) return;
  PNS_CLAIM(within(value->value, data) && within(value->name, data));
  if (value->value.size() == 16) {
    model::ChapMd5Credentials credentials;
    Reader(value->value).read_struct(credentials.response);
    nobody_comes_in(credentials);
  }
  if (const auto v1 = wire::MsChapV1Response::parse(value->value)) {
    PNS_CLAIM(wire::MsChapV1Response::parse(encode(*v1)) == v1);
    nobody_comes_in(model::MsChapCredentials{.nt_response = v1->nt_response});
  }
  if (const auto v2 = wire::MsChapV2Response::parse(value->value)) {
    PNS_CLAIM(wire::MsChapV2Response::parse(encode(*v2)) == v2);
    nobody_comes_in(model::MsChapV2Credentials{.peer_challenge = v2->peer_challenge,
                                               .nt_response = v2->nt_response});
  }
}

void change_password(Bytes data) {
  const auto change = wire::MsChapV2ChangePassword::parse(data);
  if (!change) return;
  const auto again = encode(*change);
  PNS_CLAIM(std::equal(again.begin(), again.end(), data.begin(), data.end()));
  crypto::EncryptedPassword clear;
  const auto password = crypto::decrypt_new_password(change->encrypted_password,
                                                     crypto::nt_password_hash("x").value(), clear);
  if (password)
    PNS_CLAIM(within(*password, clear) && password->size() % 2 == 0 && password->size() <= 512);
  nobody_comes_in(model::ChangePasswordCredentials{
      .response = {.peer_challenge = change->peer_challenge, .nt_response = change->nt_response},
      .encrypted_password = change->encrypted_password,
      .encrypted_hash = change->encrypted_hash});
}

void eap(Bytes data) {
  const auto eap_data = wire::EapData::parse(data);
  PNS_CLAIM(eap_data.has_value() == !data.empty());
  if (!eap_data) return;
  PNS_CLAIM(within(eap_data->data, data));
  const auto inner = wire::EapMsChapV2::parse(eap_data->data);
  if (!inner) return;
  PNS_CLAIM(within(inner->data, eap_data->data));
  if (eap_data->data.size() > 1) {
    const auto again = encode(*inner);
    PNS_CLAIM(std::equal(again.begin(), again.end(), eap_data->data.begin(), eap_data->data.end()));
  }
  chap(inner->data);
  change_password(inner->data);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 1500) return 0;
  fuzz::Input input(data, size);
  const std::uint8_t which = input.octet();
  const Bytes rest = input.octets(size);
  switch (which % 4) {
    case 0:
      pap(rest);
      break;
    case 1:
      chap(rest);
      break;
    case 2:
      change_password(rest);
      break;
    default:
      eap(rest);
      break;
  }
  return 0;
}
