// SPDX-License-Identifier: BSD-3-Clause
//
// The RADIUS codec: a datagram, each of its values by every reader, and its texts by every grammar.
// A second walk must agree about what is a packet; all that is read lies within it; what is built
// again from it is read the same; what is signed is verified, and what is hidden is revealed.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <vector>

#include "controlplane/aaa/radius_authorization.hpp"
#include "pns/base/networks.hpp"
#include "pns/radius/authenticators.hpp"
#include "pns/radius/cisco_avpair.hpp"
#include "pns/radius/hiding.hpp"
#include "pns/radius/ms_chap.hpp"
#include "pns/radius/packet.hpp"
#include "pns/radius/packet_builder.hpp"
#include "pns/radius/rate_limit.hpp"
#include "pns/radius/routes.hpp"
#include "pns/radius/terminate_time.hpp"
#include "pns/radius/values.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace pns;
using namespace pns::radius;
using Policy = MessageAuthenticatorPolicy;

const Bytes kSecret = as_octets("xyzzy5461");

bool within(Bytes part, Bytes whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

bool equal(Bytes a, Bytes b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

bool equal(const Attribute& a, const Attribute& b) {
  return a.id == b.id && equal(a.value, b.value);
}

unsigned octet(Bytes data, std::size_t at) { return std::to_integer<unsigned>(data[at]); }

// Whether these are attributes, told by positions instead of views.
bool is_list(Bytes data, std::size_t from, std::size_t end) {
  for (std::size_t at = from; at < end; at += octet(data, at + 1))
    if (end - at < 2 || octet(data, at + 1) < 2 || octet(data, at + 1) > end - at) return false;
  return true;
}

bool is_packet(Bytes data) {
  if (data.size() < 20) return false;
  const std::size_t length = octet(data, 2) * 256 + octet(data, 3);
  return length >= 20 && length <= 4096 && length <= data.size() && is_list(data, 20, length);
}

// The only attribute of a builder that nothing else was added to.
template <class Add>
std::vector<std::byte> built_alone(Add add) {
  PacketBuilder builder(Code::kAccessAccept, 0, {}, PacketBuilder::MessageAuthenticator::kNone);
  add(builder);
  const auto packet = PacketView::parse(*builder.finish());
  PNS_CLAIM(packet && packet->begin() != packet->end());
  const Bytes value = packet->begin()->value;
  return {value.begin(), value.end()};
}

void values(Bytes value) {
  constexpr AttributeId kAny = attribute::kClass;
  if (const auto read = read_u32(value))
    PNS_CLAIM(equal(built_alone([&](PacketBuilder& b) { b.add_u32(kAny, *read); }), value));
  if (const auto read = read_ipv4(value))
    PNS_CLAIM(equal(built_alone([&](PacketBuilder& b) { b.add_ipv4(kAny, *read); }), value));
  if (const auto read = read_ipv6(value))
    PNS_CLAIM(equal(built_alone([&](PacketBuilder& b) { b.add_ipv6(kAny, *read); }), value));
  if (const auto read = read_interface_id(value))
    PNS_CLAIM(
        equal(built_alone([&](PacketBuilder& b) { b.add_interface_id(kAny, *read); }), value));
  if (const auto read = read_ipv6_prefix(value)) {
    PNS_CLAIM(read->network() == read->address && read->length <= 128);
    PNS_CLAIM(read_ipv6_prefix(
                  built_alone([&](PacketBuilder& b) { b.add_ipv6_prefix(kAny, *read); })) == read);
  }
  if (const auto read = read_tagged_u24(value))
    PNS_CLAIM(equal(
        built_alone([&](PacketBuilder& b) { b.add_tagged_u24(kAny, read->tag, read->value); }),
        value));
  if (const auto read = read_tagged_text(value)) {
    PNS_CLAIM(within(as_octets(read->text), value) && read->tag <= 31);
    if (read->text.size() < kMaximumValueSize)
      PNS_CLAIM(read_tagged_text(built_alone([&](PacketBuilder& b) {
                  b.add_tagged_text(kAny, read->tag, read->text);
                })) == read);
  }
  if (const auto read = read_text(value)) PNS_CLAIM(equal(as_octets(*read), value));
}

void hidden(Bytes value, const Authenticator& request) {
  std::array<std::byte, kMaximumPasswordSize> clear;
  if (const auto password = reveal_user_password(value, kSecret, request, clear)) {
    PacketBuilder builder(Code::kAccessRequest, 0, request);
    PNS_CLAIM(add_user_password(builder, *password, kSecret));
    const Bytes again = *PacketView::parse(*builder.finish())->find_first(attribute::kUserPassword);
    // Padding of whole blocks is not written again.
    PNS_CLAIM(again.size() <= value.size() && equal(again, value.first(again.size())));
  }
  if (const auto key = reveal_mppe_key(value, kSecret, request)) {
    PNS_CLAIM(key->size == 16 || key->size == 32);
    const auto salt = load_be<std::uint16_t>(value.data());
    const auto again = built_alone([&](PacketBuilder& b) {
      add_mppe_key(b, attribute::kMsMppeSendKey, key->bytes(), salt, kSecret, request);
    });
    PNS_CLAIM(equal(reveal_mppe_key(again, kSecret, request)->bytes(), key->bytes()));
  }
  if (const auto keys = reveal_ms_chap_mppe_keys(value, kSecret, request))
    PNS_CLAIM(equal(Bytes(built_alone([&](PacketBuilder& b) {
                      add_ms_chap_mppe_keys(b, *keys, kSecret, request);
                    })).first(24),
                    value.first(24)));
}

void texts(Bytes value) {
  const std::string_view text = as_text(value);
  if (const auto limit = MikrotikRateLimit::parse(text)) {
    for (const RateLimit& each : {limit->upload, limit->download}) {
      PNS_CLAIM(each.rate <= kMaximumRate && each.burst_rate <= kMaximumRate);
      PNS_CLAIM(each.burst_time <= kMaximumBurstTime);
      PNS_CLAIM(each.has_burst() || each.burst_bits() == 0);
    }
    PNS_CLAIM(limit->priority >= 1 && limit->priority <= 8);
  }
  if (const auto route = FramedRoute::parse(text)) {
    PNS_CLAIM(route->destination.network() == route->destination.address);
    PNS_CLAIM(FramedRoute::parse(route->destination.to_string())->destination ==
              route->destination);
  }
  if (const auto route = FramedRoute::parse_with_mask(text))
    PNS_CLAIM(route->destination.network() == route->destination.address);
  if (const auto route = FramedIpv6Route::parse(text))
    PNS_CLAIM(route->destination.network() == route->destination.address);
  if (const auto pair = parse_cisco_avpair(text)) {
    if (const auto* const limit = std::get_if<CiscoRateLimit>(&*pair))
      PNS_CLAIM(limit->rate > 0 && limit->rate <= kMaximumRate &&
                limit->normal_burst <= limit->maximum_burst);
    if (const auto* const policy = std::get_if<CiscoPolicy>(&*pair))
      PNS_CLAIM(!policy->name.empty() && within(as_octets(policy->name), value));
    if (const auto* const pool = std::get_if<CiscoAddressPool>(&*pair))
      PNS_CLAIM(!pool->name.empty() && within(as_octets(pool->name), value));
  }
  static_cast<void>(parse_terminate_time(text));
  if (const auto success = read_ms_chap2_success(value))
    PNS_CLAIM(success->message.size() >= 42 && within(as_octets(success->message), value));
  if (const auto error = read_ms_chap_error(value))
    PNS_CLAIM(within(as_octets(error->message), value));
}

// Every attribute built again, each in an attribute of its own, is read the same.
void rebuild(const PacketView& packet) {
  PacketBuilder builder(packet.code(), packet.identifier(), packet.authenticator(),
                        PacketBuilder::MessageAuthenticator::kNone);
  std::vector<Attribute> expected;
  for (const Attribute& each : packet) {
    if (each.value.empty()) continue;
    builder.add(each.id, each.value);
    if (!builder.ok()) return;  // vendor headers made it longer
    expected.push_back(each);
  }
  const auto again = PacketView::parse(*builder.finish());
  PNS_CLAIM(again);
  std::size_t at = 0;
  for (const Attribute& each : *again)
    PNS_CLAIM(at < expected.size() && equal(each, expected[at++]));
  PNS_CLAIM(at == expected.size());
}

void sign_and_verify(const PacketView& packet) {
  const std::vector<std::byte> original(packet.whole().begin(), packet.whole().end());
  const Authenticator request = packet.authenticator();
  for (const Policy policy : {Policy::kRequire, Policy::kAccept}) {
    static_cast<void>(verify_request(packet, kSecret, policy));
    for (const Code code : {Code::kAccessRequest, Code::kAccountingRequest, Code::kStatusServer})
      static_cast<void>(
          verify_response(packet, {.code = code, .authenticator = request}, kSecret, policy));
  }
  const auto message_authenticator = packet.find_first(attribute::kMessageAuthenticator);
  if (packet.count(attribute::kMessageAuthenticator) != 1 || message_authenticator->size() != 16)
    return;
  for (const Code code : {Code::kAccessRequest, Code::kCoaRequest, Code::kAccessAccept}) {
    auto signed_packet = original;
    signed_packet[0] = static_cast<std::byte>(code);
    const auto verified = [&] {
      const auto view = PacketView::parse(signed_packet);
      PNS_CLAIM(view);
      if (is_request(code)) return verify_request(*view, kSecret, Policy::kRequire).has_value();
      return verify_response(*view, {.code = Code::kAccessRequest, .authenticator = request},
                             kSecret, Policy::kRequire)
          .has_value();
    };
    if (is_request(code))
      sign_request(signed_packet, kSecret);
    else
      sign_response(signed_packet, kSecret, request);
    PNS_CLAIM(verified());
    signed_packet[1] ^= std::byte{1};
    PNS_CLAIM(!verified());
  }
}

void packet(Bytes input) {
  const auto read = PacketView::parse(input);
  PNS_CLAIM(read.has_value() == is_packet(input));
  if (!read) return;
  PNS_CLAIM(within(read->whole(), input) && within(read->attributes(), read->whole()));
  std::size_t walked = 0;
  for (const Attribute& each : *read) {
    PNS_CLAIM(within(each.value, read->attributes()));
    walked += 2 + each.value.size();
    PNS_CLAIM(walked <= read->attributes().size());
    values(each.value);
    hidden(each.value, read->authenticator());
    texts(each.value);
    PNS_CLAIM(equal(*read->find_first(each.id), *read->all(each.id).begin()));
  }
  std::array<std::byte, kMaximumPacketSize> room;
  if (const auto eap = read->join_eap_message(room))
    PNS_CLAIM(eap->size() <= read->attributes().size());
  std::array<std::byte, kEncryptedPasswordSize> password;
  static_cast<void>(join_encrypted_password(*read, password));
  static_cast<void>(read_mppe_keys(*read, kSecret, read->authenticator()));
  rebuild(*read);
  sign_and_verify(*read);
}

// One vendor has an attribute of each meaning, half of them as texts.
const aaa::AttributeMeanings& meanings() {
  static const aaa::AttributeMeanings all = [] {
    std::vector<config::RadiusAttribute> attributes;
    for (std::uint8_t type = 0; type <= static_cast<std::uint8_t>(config::AttributeMeaning::kMtu);
         ++type)
      for (const bool is_text : {false, true})
        attributes.push_back({.vendor = 9999,
                              .type = static_cast<std::uint8_t>(2 * type + (is_text ? 2 : 1)),
                              .means = static_cast<config::AttributeMeaning>(type),
                              .is_text = is_text});
    return aaa::AttributeMeanings(attributes);
  }();
  return all;
}

// The terms of a service, which are within their bounds whatever came.
void authorization(Bytes input) {
  const auto packet = PacketView::parse(input);
  if (!packet) return;
  const auto count = std::ranges::distance(packet->begin(), packet->end());
  model::AuthGrant grant;
  aaa::IgnoredAttributes ignored;
  const auto granted = aaa::read_authorization(
      *packet, std::chrono::sys_seconds(Seconds(1'800'000'000)), meanings(), grant, ignored);
  PNS_CLAIM(static_cast<std::ptrdiff_t>(ignored.size()) <= count + 1);  // a mask without an address
  if (granted) {
    const model::ServiceLimits& limits = grant.terms.limits;
    PNS_CLAIM(limits.session_time != Seconds(0) && limits.idle_time != Seconds(0));
    PNS_CLAIM(limits.quota.total != 0u);
    PNS_CLAIM(grant.link.mtu == 0 || (grant.link.mtu >= 576 && grant.link.mtu <= 1500));
    PNS_CLAIM(grant.sessions != 0u);
    PNS_CLAIM(grant.terms.filters.upstream.size() <= 64);
    if (grant.networks) {
      PNS_CLAIM(!grant.networks->empty() && grant.networks->size() <= kMaxNetworks);
      for (const Ipv4Prefix& network : grant.networks->ipv4)
        PNS_CLAIM(may_be_behind_subscriber(network));
      for (const Ipv6Prefix& network : grant.networks->ipv6)
        PNS_CLAIM(may_be_behind_subscriber(network));
    }
  }
  const model::ServiceChange change = aaa::read_service_change(*packet, meanings(), ignored);
  if (granted && change.session_time.value_or(Seconds(0)) != Seconds(0))
    PNS_CLAIM(grant.terms.limits.session_time <= change.session_time);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input = std::as_bytes(std::span(data, std::min<std::size_t>(size, 5000)));
  packet(input);
  values(input.first(std::min(input.size(), kMaximumValueSize)));
  hidden(input.first(std::min(input.size(), kMaximumVendorValueSize)), Authenticator{});
  texts(input);
  authorization(input);
  // A Length that fits lets the attributes be seen whatever the mutation did to it.
  if (input.size() >= kHeaderSize && input.size() <= kMaximumPacketSize) {
    std::vector<std::byte> fitted(input.begin(), input.end());
    store_be(fitted.data() + 2, static_cast<std::uint16_t>(fitted.size()));
    packet(fitted);
    authorization(fitted);
  }
  return 0;
}
