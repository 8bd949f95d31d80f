// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/resume/records.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cstring>

#include "pns/contract/build_contract.hpp"
#include "tests/unit/resume/samples.hpp"

using namespace pns;
using namespace pns::resume;
using namespace pns::test;

namespace {

void put_little(Octets& octets, std::size_t at, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i)
    octets.at(at + i) = static_cast<std::byte>(value >> (8 * i));
}

std::uint64_t get_little(const Octets& octets, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;)
    value = value << 8 | std::to_integer<std::uint64_t>(octets.at(at + i));
  return value;
}

// The same record with a field appended, its length mended.
Octets with_field(Octets record, std::uint16_t tag, const std::vector<int>& value) {
  const std::size_t at = record.size();
  record.resize(at + 4);
  put_little(record, at, tag, 2);
  put_little(record, at + 2, value.size(), 2);
  for (const int octet : value) record.push_back(static_cast<std::byte>(octet));
  put_little(record, 4, record.size(), 4);
  return record;
}

std::vector<Octets> every_kind() {
  return {encode(stored_connection(1)), encode(known_call(1)), encode(stored_session(1)),
          encode(StoredDrain{.since_ns = 7, .deadline_ns = 1ULL << 60, .calls_at_start = 9}),
          encode_number(77)};
}

bool readable(std::size_t kind, Bytes record) {
  switch (kind) {
    case 0:
      return decode_connection(record).has_value();
    case 1:
      return decode_call(record).has_value();
    case 2:
      return decode_session(record).has_value();
    case 3:
      return decode_drain(record).has_value();
    default:
      return decode_number(record).has_value();
  }
}

constexpr std::size_t kHead = 8;

}  // namespace

TEST_CASE("records: a connection is read as it was written", "[resume]") {
  const auto wanted = stored_connection(0x1234567890);
  const auto got = decode_connection(encode(wanted)).value();
  CHECK(got.id == wanted.id);
  CHECK(got.local == wanted.local);
  CHECK(got.peer == wanted.peer);
  CHECK(got.peer_port == wanted.peer_port);
  CHECK(got.opened_ns == wanted.opened_ns);
  // Calls and the place in the stream are records of their own.
  CHECK(got.handled_up_to == 0);
  auto machine = wanted.machine;
  machine.calls.clear();
  CHECK(got.machine == machine);
}

TEST_CASE("records: a call of each kind and a request without an answer are read as written",
          "[resume]") {
  for (const auto& call : stored_connection(1).machine.calls) {
    CAPTURE(call.number);
    CHECK(decode_call(encode(call)) == call);
  }
}

TEST_CASE("records: a session is read as it was written", "[resume]") {
  const auto wanted = stored_session(40'000);
  const auto s = decode_session(encode(wanted)).value();
  CHECK(s.id == wanted.id);
  CHECK(s.slot == wanted.slot);
  CHECK(s.generation == wanted.generation);
  CHECK(s.connection == wanted.connection);
  CHECK(s.our_call_id == wanted.our_call_id);
  CHECK(s.peer_call_id == wanted.peer_call_id);
  CHECK(s.lease.address == wanted.lease.address);
  CHECK(s.lease.gateway == wanted.lease.gateway);
  CHECK(s.lease.pool == wanted.lease.pool);
  CHECK(s.lease.ipv6_prefix == wanted.lease.ipv6_prefix);
  REQUIRE(s.lease.networks);
  CHECK(*s.lease.networks == *wanted.lease.networks);
  CHECK(s.lease.delegation == wanted.lease.delegation);
  CHECK(s.started_ns == wanted.started_ns);
  CHECK(s.opened_ns == wanted.opened_ns);
  CHECK(s.mtu == wanted.mtu);
  CHECK(s.conditions == wanted.conditions);
  CHECK(s.link.network.mtu == wanted.link.network.mtu);
  CHECK(s.rates == wanted.rates);
  CHECK(s.filters == wanted.filters);
  CHECK(s.link.user == wanted.link.user);
  CHECK(s.link.auth == wanted.link.auth);
  CHECK_FALSE(s.link.from_lcp);
  CHECK(s.link.lcp == wanted.link.lcp);
  CHECK(s.link.mppe == wanted.link.mppe);
  CHECK(s.link.network.our_address == wanted.link.network.our_address);
  CHECK(s.link.network.subscriber_address == wanted.link.network.subscriber_address);
  CHECK(s.link.network.dns == wanted.link.network.dns);
  CHECK(s.link.network.wins == wanted.link.network.wins);
  CHECK(s.link.network.ipv6 == wanted.link.network.ipv6);
  REQUIRE(s.link.ipv6);
  CHECK(s.link.ipv6->ours == 1);
  CHECK(s.link.ipv6->peers == 0xffffffffffffffff);
  CHECK(s.link.ipv4);
}

TEST_CASE("records: a link without IPv4 is read as one", "[resume]") {
  auto s = stored_session(1);
  s.link.ipv4 = false;
  CHECK_FALSE(decode_session(encode(s))->link.ipv4);
}

TEST_CASE("records: the origin of an account is read as it was written", "[resume]") {
  auto s = stored_session(1);
  CHECK(decode_session(encode(s))->origin == model::AuthOrigin());
  s.origin.is_radius = true;
  CHECK(decode_session(encode(s))->origin == s.origin);
  s.origin.classes = {Octets(253, std::byte{1}), Octets{std::byte{2}}, Octets(1, std::byte{0})};
  CHECK(decode_session(encode(s))->origin == s.origin);
  s.origin.realm = "example.com";
  CHECK(decode_session(encode(s))->origin == s.origin);
  s.origin = {.realm = "CORP"};  // of the users file
  CHECK(decode_session(encode(s))->origin == s.origin);
}

TEST_CASE("records: a login that must be repeated is read as it was written", "[resume]") {
  auto s = stored_session(1);
  s.conditions.login_again.emplace();
  CHECK(decode_session(encode(s))->conditions == s.conditions);
  s.conditions.login_again = Octets{std::byte{0}, std::byte{0xff}};
  CHECK(decode_session(encode(s))->conditions == s.conditions);
}

TEST_CASE("records: absent options stay absent", "[resume]") {
  auto s = stored_session(1);
  s.link.mppe.reset();
  s.rates = {};
  s.filters = {};
  s.lease.pool.clear();
  s.lease.ipv6_prefix.reset();
  s.lease.networks.reset();
  s.lease.delegation = {};
  s.link.network.ipv6.reset();
  s.link.ipv6.reset();
  const auto got = decode_session(encode(s)).value();
  CHECK_FALSE(got.link.mppe);
  CHECK(got.rates == model::ServiceRates());
  CHECK(got.filters == model::ServiceFilters());
  CHECK(got.lease.pool.empty());
  CHECK_FALSE(got.lease.ipv6_prefix);
  CHECK_FALSE(got.lease.networks);
  CHECK(*got.lease.delegation == model::Delegation());
  CHECK_FALSE(got.link.network.ipv6);
  CHECK_FALSE(got.link.ipv6);
  const StoredDrain drain{.since_ns = 7, .calls_at_start = 9};
  CHECK(decode_drain(encode(drain)) == drain);
}

TEST_CASE("records: a delegated prefix that no subscriber can have is no record", "[resume]") {
  auto s = stored_session(1);
  for (const char* bad : {"::/0", "2001:db8::1/56", "fe80::/56", "ff00::/16"}) {
    s.lease.delegation = model::Delegation{.prefix = Ipv6Prefix::parse(bad).value()};
    CHECK_FALSE(decode_session(encode(s)));
  }
}

TEST_CASE("records: networks that no subscriber can have, or too many, are no record", "[resume]") {
  auto s = stored_session(1);
  const auto is_read = [&s](const Networks& networks) {
    s.lease.networks = std::make_shared<const Networks>(networks);
    return decode_session(encode(s)).has_value();
  };
  const Ipv4Prefix ipv4 = Ipv4Prefix::parse("192.168.50.0/24").value();
  const Ipv6Prefix ipv6 = Ipv6Prefix::parse("2001:db8:50::/48").value();
  CHECK(is_read({{ipv4}, {ipv6}}));
  CHECK(is_read({std::vector(kMaxNetworks, ipv4), {}}));
  CHECK_FALSE(is_read({std::vector(kMaxNetworks, ipv4), {ipv6}}));
  CHECK_FALSE(is_read({std::vector(kMaxNetworks + 1, ipv4), {}}));
  for (const char* bad : {"0.0.0.0/0", "192.168.50.1/24", "224.0.0.0/8", "127.0.0.0/8"})
    CHECK_FALSE(is_read({{Ipv4Prefix::parse(bad).value()}, {}}));
  for (const char* bad : {"::/0", "2001:db8::1/64", "fe80::/16", "ff00::/16", "::ffff:0:0/96"})
    CHECK_FALSE(is_read({{}, {Ipv6Prefix::parse(bad).value()}}));
}

TEST_CASE("records: a link that begins with LCP has no LCP agreement, and is read as such",
          "[resume]") {
  auto s = stored_session(1);
  s.link.from_lcp = true;
  const auto got = decode_session(encode(s)).value();
  CHECK(got.link.from_lcp);
  CHECK(got.link.lcp.our_magic == 0);
  CHECK(got.link.user == s.link.user);
  CHECK(got.link.mppe.has_value());
}

TEST_CASE("records: no key is written", "[resume]") {
  auto s = stored_session(1);
  model::MppeKeys keys;
  const std::string marker = "SIXTEEN OCTETS!!";
  std::memcpy(keys.send.bytes().data(), marker.data(), 16);
  s.link.keys = keys;
  const auto octets = encode(s);
  CHECK(octets == encode(stored_session(1)));
  CHECK_FALSE(decode_session(octets)->link.keys);
}

TEST_CASE("records: the octets are those of the description", "[resume]") {
  // Written by hand from records.hpp: little-endian, head, core, one field.
  const auto octets = encode(StoredDrain{.since_ns = 0x0102030405060708,
                                         .deadline_ns = 0x1112131415161718,
                                         .calls_at_start = 0x2122232425262728});
  REQUIRE(octets.size() == kHead + 16 + 4 + 8);
  CHECK(get_little(octets, 0, 2) == contract::kStoreVersion);
  CHECK(get_little(octets, 2, 2) == contract::kStoreMinCompatible);
  CHECK(get_little(octets, 4, 4) == octets.size());
  CHECK(octets[kHead] == std::byte{0x08});
  CHECK(octets[kHead + 7] == std::byte{0x01});
  CHECK(get_little(octets, kHead + 8, 8) == 0x2122232425262728);
  CHECK(get_little(octets, kHead + 16, 2) == 1);  // tag
  CHECK(get_little(octets, kHead + 18, 2) == 8);  // length
  CHECK(get_little(octets, kHead + 20, 8) == 0x1112131415161718);
}

TEST_CASE("records: no prefix of a record is a record, nor is one with octets behind it",
          "[resume]") {
  const auto records = every_kind();
  for (std::size_t kind = 0; kind < records.size(); ++kind) {
    CAPTURE(kind);
    const auto& record = records[kind];
    REQUIRE(readable(kind, record));
    for (std::size_t size = 0; size < record.size(); ++size) {
      CAPTURE(size);
      CHECK_FALSE(readable(kind, Bytes(record).first(size)));
      // Even one whose length says that it is whole, unless it ends where a field ends.
      Octets cut(record.begin(), record.begin() + static_cast<std::ptrdiff_t>(size));
      if (size < kHead) continue;
      put_little(cut, 4, size, 4);
      if (readable(kind, cut)) CHECK(size > kHead);
    }
    Octets longer = record;
    longer.push_back(std::byte{0});
    CHECK_FALSE(readable(kind, longer));
    put_little(longer, 4, longer.size(), 4);
    CHECK_FALSE(readable(kind, longer));  // one octet is no field
  }
}

TEST_CASE("records: tags that are not known are skipped, and what a field has beyond its end",
          "[resume]") {
  const auto records = every_kind();
  for (std::size_t kind = 0; kind < records.size(); ++kind) {
    CAPTURE(kind);
    CHECK(readable(kind, with_field(records[kind], 0x7fff, {})));
    CHECK(readable(kind, with_field(records[kind], 0x7fff, {1, 2, 3})));
  }
  const auto rate = stored_session(1);
  auto without = rate;
  without.rates = {};
  // As a later program may write it: the rate, and something new behind it.
  const auto longer = with_field(encode(without), 4, {5, 0, 0, 0, 0, 0, 0, 0, 99, 99});
  // An earlier program knows one rate, which is that of both directions.
  CHECK(decode_session(longer).value().rates ==
        model::ServiceRates{.upstream = {5, 0}, .downstream = {5, 0}});
  // Too short: damage.
  CHECK_FALSE(decode_session(with_field(encode(without), 4, {5, 0, 0})));
}

TEST_CASE("records: the version decides who may read", "[resume]") {
  const auto records = every_kind();
  for (std::size_t kind = 0; kind < records.size(); ++kind) {
    CAPTURE(kind);
    auto record = records[kind];
    // A later program that says that we can read it.
    put_little(record, 0, contract::kStoreVersion + 1, 2);
    CHECK(readable(kind, record));
    // One that says that we cannot.
    put_little(record, 2, contract::kStoreVersion + 1, 2);
    CHECK_FALSE(readable(kind, record));
    // An earlier program than any whose records we can read.
    put_little(record, 0, contract::kStoreMinCompatible - 1, 2);
    put_little(record, 2, contract::kStoreMinCompatible - 1, 2);
    CHECK_FALSE(readable(kind, record));
  }
}

TEST_CASE("records: a call in a state that its kind has not is damage", "[resume]") {
  using model::CallKind;
  using pptp::CallState;
  const auto good = known_call(1);
  const auto changed = [&](CallKind kind, CallState state, bool offer) {
    auto call = good;
    call.kind = kind;
    call.state = state;
    if (offer) call.our_call_id.reset();
    return decode_call(encode(call)).has_value();
  };
  std::size_t possible = 0;
  for (std::uint8_t kind = 0; kind <= 4; ++kind)
    for (std::uint8_t state = 0; state <= 7; ++state)
      for (const bool offer : {false, true})
        possible += changed(static_cast<CallKind>(kind), static_cast<CallState>(state), offer);
  // Subscriber: established, and wait-cs-ans as an offer. Incoming: wait-connect, established,
  // wait-disconnect, and offered as an offer. Placed: wait-reply, established, wait-disconnect.
  // Announced: wait-reply, established.
  CHECK(possible == 2 + 4 + 3 + 2);
  CHECK(changed(CallKind::kSubscriber, CallState::kWaitCsAns, true));
  CHECK_FALSE(changed(CallKind::kSubscriber, CallState::kWaitCsAns, false));
  CHECK_FALSE(changed(CallKind::kSubscriber, CallState::kEstablished, true));
  CHECK_FALSE(changed(CallKind::kSubscriber, CallState::kIdle, false));
  for (const std::uint32_t number : {0u, 0xffffffffu}) {
    auto call = good;
    call.number = number;
    CHECK_FALSE(decode_call(encode(call)));
  }
}

TEST_CASE("records: a value out of range is damage", "[resume]") {
  // Places from the core as records.cpp lays it out: 8 id, 4 slot, 4 generation, 8 connection,
  // 2 + 2 Call IDs, 4 + 4 lease, 8 + 8 times, 2 mtu, then the method of authentication.
  const std::size_t auth = kHead + 8 + 4 + 4 + 8 + 2 + 2 + 4 + 4 + 8 + 8 + 2;
  auto session = encode(stored_session(1));
  REQUIRE(get_little(session, auth, 1) == static_cast<unsigned>(model::AuthMethod::kMsChapV2));
  session[auth] = std::byte{200};
  CHECK_FALSE(decode_session(session));
  auto prefix = stored_session(1);
  prefix.lease.ipv6_prefix.reset();
  CHECK_FALSE(decode_session(with_field(encode(prefix), 3, {0, 0, 0, 0, 0, 0, 0, 0})));
  CHECK_FALSE(decode_session(with_field(encode(prefix), 6, {128, 2})));  // a flag that is 2
  auto call = encode(known_call(1));
  call[kHead + 6] = std::byte{2};  // has a Call ID of ours: yes, no, or damage
  CHECK_FALSE(decode_call(call));
}
