// SPDX-License-Identifier: BSD-3-Clause
//
// The codec against FreeRADIUS's library: what ours accepts, theirs accepts; a value that ours
// reads is the one that theirs reads; what is signed by us they verify. Ours may be stricter.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "pns/radius/authenticators.hpp"
#include "pns/radius/hiding.hpp"
#include "pns/radius/values.hpp"
#include "tests/support/fake_random.hpp"
#include "tests/support/octets.hpp"
#include "tests/unit/radius/libfreeradius/oracle.h"

using namespace pns;
using namespace pns::radius;
using pns::test::hex;
using pns::test::Octets;

namespace {

constexpr const char* kSecretText = "xyzzy5461";
const Bytes kSecret = as_octets(kSecretText);

const std::uint8_t* raw(Bytes data) { return reinterpret_cast<const std::uint8_t*>(data.data()); }

void start_oracle() {
  static const bool started = oracle_start(PNS_FREERADIUS_DICTIONARIES);
  REQUIRE(started);
}

std::string line(AttributeId id, unsigned tag, Bytes value) {
  return std::to_string(id.vendor) + ":" + std::to_string(id.number) + ":" + std::to_string(tag) +
         "=" + hex(value);
}

// Their values of the attributes that we have names for.
std::vector<std::string> theirs(Bytes datagram, const Authenticator& request) {
  std::vector<std::string> out;
  oracle_decode(
      raw(datagram), datagram.size(), raw(request), kSecretText,
      [](void* context, unsigned vendor, unsigned number, unsigned tag, const std::uint8_t* value,
         std::size_t size) {
        const AttributeId id{vendor, static_cast<std::uint8_t>(number)};
        if (number > 255 || find_attribute(id) == nullptr) return;
        static_cast<std::vector<std::string>*>(context)->push_back(
            line(id, tag, std::as_bytes(std::span(value, size))));
      },
      &out);
  return out;
}

// Those whose value FreeRADIUS joins, takes apart or wants in one size.
bool is_compared(const Attribute& each) {
  return each.id != attribute::kEapMessage && each.id != attribute::kMessageAuthenticator &&
         each.id != attribute::kVendorSpecific && each.id != attribute::kUserPassword &&
         each.id != attribute::kChapPassword && each.id != attribute::kMsChapResponse &&
         each.id != attribute::kMsChap2Response && each.id != attribute::kMsChap2Cpw &&
         each.id != attribute::kMsChapMppeKeys;
}

std::vector<std::string> ours(const PacketView& packet, const Authenticator& request) {
  std::vector<std::string> out;
  for (const Attribute& each : packet) {
    const AttributeInfo* const info = find_attribute(each.id);
    if (info == nullptr || each.value.empty() || !is_compared(each)) continue;
    const auto add = [&](unsigned tag, Bytes value) { out.push_back(line(each.id, tag, value)); };
    switch (info->kind) {
      case AttributeKind::octets:
      case AttributeKind::text:
        if (info->kind == AttributeKind::octets || read_text(each.value)) add(0, each.value);
        break;
      case AttributeKind::u32:
      case AttributeKind::ipv4:
        if (read_u32(each.value)) add(0, each.value);
        break;
      case AttributeKind::ipv6:
        if (read_ipv6(each.value)) add(0, each.value);
        break;
      case AttributeKind::interface_id:
        if (read_interface_id(each.value)) add(0, each.value);
        break;
      case AttributeKind::ipv6_prefix:
        if (const auto prefix = read_ipv6_prefix(each.value)) {
          Octets value(18);
          value[1] = static_cast<std::byte>(prefix->length);
          const auto wire = prefix->address.wire();
          std::ranges::copy(std::as_bytes(std::span(wire)), value.begin() + 2);
          add(0, value);
        }
        break;
      case AttributeKind::tagged_u24:
        if (const auto tagged = read_tagged_u24(each.value)) {
          Octets value(4);
          store_be(value.data(), tagged->value);
          add(tagged->tag, value);
        }
        break;
      case AttributeKind::tagged_text:
        if (const auto tagged = read_tagged_text(each.value))
          add(tagged->tag, as_octets(tagged->text));
        break;
      case AttributeKind::salted:
        if (const auto key = reveal_mppe_key(each.value, kSecret, request)) add(0, key->bytes());
        break;
      case AttributeKind::hidden:
        break;
    }
  }
  return out;
}

// The first of `part` that does not follow in `whole`; empty when all do.
std::string first_missing(const std::vector<std::string>& part,
                          const std::vector<std::string>& whole) {
  auto at = whole.begin();
  for (const std::string& each : part) {
    at = std::find(at, whole.end(), each);
    if (at == whole.end()) return each;
    ++at;
  }
  return "";
}

// FreeRADIUS judges more while it parses: attribute 0, Message-Authenticators, and two ways of
// authentication in one packet. It does not read on after a NAS-Filter-Rule with a NUL.
bool is_judged_elsewhere(const PacketView& packet) {
  const auto is_zero = [](const Attribute& each) { return each.id == AttributeId{}; };
  const bool has_password =
      packet.has(attribute::kUserPassword) || packet.has(attribute::kChapPassword);
  return packet.count(attribute::kMessageAuthenticator) != 1 ||
         packet.find_first(attribute::kMessageAuthenticator)->size() != 16 ||
         (has_password && packet.has(attribute::kEapMessage)) ||
         packet.has(attribute::kNasFilterRule) ||
         std::ranges::any_of(packet.begin(), packet.end(), is_zero);
}

// Attributes of mostly the right form.
Octets random_answer(test::FakeRandom& random, const Authenticator& request) {
  const auto below = [&random](std::size_t bound) { return random.next_u32() % bound; };
  PacketBuilder builder(Code::kAccessAccept, static_cast<std::uint8_t>(below(256)));
  for (std::size_t count = below(12); count > 0; --count) {
    const AttributeInfo& info = kAttributes[below(kAttributes.size())];
    if (info.id == attribute::kMessageAuthenticator || info.id == attribute::kVendorSpecific ||
        info.id == attribute::kUserPassword || info.id == attribute::kChapPassword ||
        info.id == attribute::kNasFilterRule)
      continue;
    Octets value(1 + below(40));
    random.fill(value);
    if (below(8) != 0) {
      switch (info.kind) {
        case AttributeKind::text:
        case AttributeKind::tagged_text:
          for (std::byte& octet : value) octet &= std::byte{0x7f};
          break;
        case AttributeKind::u32:
        case AttributeKind::ipv4:
          value.resize(4);
          break;
        case AttributeKind::tagged_u24:
          value.resize(4);
          value[0] = static_cast<std::byte>(below(33));
          break;
        case AttributeKind::ipv6:
          value.resize(16);
          break;
        case AttributeKind::interface_id:
          value.resize(8);
          break;
        case AttributeKind::ipv6_prefix:
          builder.add_ipv6_prefix(info.id, {.address = {random.next_u32() * 0x100000001u, 7},
                                            .length = static_cast<std::uint8_t>(below(129))});
          continue;
        case AttributeKind::salted:
          value.resize(below(2) == 0 ? 16 : 32);
          add_mppe_key(builder, info.id, value, static_cast<std::uint16_t>(below(65536)), kSecret,
                       request);
          continue;
        case AttributeKind::octets:
        case AttributeKind::hidden:
          break;
      }
    }
    builder.add(info.id, value);
  }
  return test::to_octets(*sign_response(builder, kSecret, request));
}

}  // namespace

TEST_CASE("libfreeradius: it verifies and reads what we build as we do", "[radius][differential]") {
  start_oracle();
  test::FakeRandom random(1);
  std::size_t compared = 0;
  for (int round = 0; round < 3'000; ++round) {
    const Authenticator request = random_authenticator(random);
    const Octets datagram = random_answer(random, request);
    INFO(hex(datagram));
    CHECK(oracle_verifies(raw(datagram), datagram.size(), 1, raw(request), kSecretText));
    const auto packet = PacketView::parse(datagram);
    REQUIRE(packet);
    const auto mine = ours(*packet, request);
    CHECK(first_missing(mine, theirs(datagram, request)) == "");
    compared += mine.size();
  }
  CHECK(compared > 5'000);
}

TEST_CASE("libfreeradius: it verifies our requests", "[radius][differential]") {
  start_oracle();
  test::FakeRandom random(2);
  const Authenticator zeros{};
  for (const Code code : {Code::kAccessRequest, Code::kAccountingRequest, Code::kStatusServer,
                          Code::kCoaRequest, Code::kDisconnectRequest}) {
    const bool is_random = code == Code::kAccessRequest || code == Code::kStatusServer;
    PacketBuilder builder(code, 7, is_random ? random_authenticator(random) : zeros);
    builder.add_text(attribute::kUserName, "alice");
    Octets packet = test::to_octets(*sign_request(builder, kSecret));
    INFO(hex(packet));
    CHECK(oracle_verifies(raw(packet), packet.size(), 0, nullptr, kSecretText));
    packet.back() ^= std::byte{1};
    CHECK_FALSE(oracle_verifies(raw(packet), packet.size(), 0, nullptr, kSecretText));
  }
}

TEST_CASE("libfreeradius: of damaged packets it takes all that we take", "[radius][differential]") {
  start_oracle();
  test::FakeRandom random(3);
  std::size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    const Authenticator request = random_authenticator(random);
    Octets datagram = random_answer(random, request);
    for (std::size_t changes = 1 + random.next_u32() % 3; changes > 0; --changes) {
      const std::size_t at = 2 + random.next_u32() % (datagram.size() - 2);
      datagram[at] = static_cast<std::byte>(random.next_u32());
    }
    INFO(hex(datagram));
    const auto packet = PacketView::parse(datagram);
    if (!packet) continue;
    if (is_judged_elsewhere(*packet)) continue;
    ++accepted;
    const bool accepts = oracle_accepts(raw(datagram), datagram.size());
    INFO(oracle_error());
    CHECK(accepts);
    CHECK(first_missing(ours(*packet, request), theirs(datagram, request)) == "");
  }
  CHECK(accepted > 5'000);
}
