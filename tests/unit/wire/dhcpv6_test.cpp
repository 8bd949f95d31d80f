// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/dhcpv6.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv6.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::wire;
using pns::test::concat;
using pns::test::hex;
using pns::test::octets;
using Octets = std::vector<std::byte>;
using Kind = Dhcpv6Ia::Kind;

namespace {

const Ipv6Address kClient(0xfe80'0000'0000'0000, 0x7);

// The message in UDP and IPv6, to `port`, with a right checksum.
Octets packet(const Octets& message, std::uint16_t port = 547) {
  Octets out(48 + message.size());
  const auto length = static_cast<std::uint16_t>(8 + message.size());
  store_be<std::uint16_t>(&out[40], 546);
  store_be<std::uint16_t>(&out[42], port);
  store_be<std::uint16_t>(&out[44], length);
  std::copy(message.begin(), message.end(), out.begin() + 48);
  Ipv6Header header;
  header.payload_length = length;
  header.next_header = 17;
  header.hop_limit = 1;
  header.source = kClient;
  header.destination = kAllDhcpv6Servers;
  write_ipv6(out, header);
  store_be<std::uint16_t>(&out[46], upper_layer_checksum(out, 40, 17));
  return out;
}
Octets packet(std::string_view message) { return packet(octets(message)); }

// RFC 8415 §21, by hand: Client Identifier (DUID-LL), Elapsed Time, Option Request (23, 24, 82),
// IA_NA 1 without an address, IA_PD 2 with the hint ::/56, Rapid Commit.
constexpr std::string_view kSolicit =
    "01 123456"
    "0001 000a 0003 0001 021122334455"
    "0008 0002 0000"
    "0006 0006 0017 0018 0052"
    "0003 000c 00000001 00000000 00000000"
    "0019 0029 00000002 00000e10 00001518"
    "  001a 0019 00000000 00000000 38 00000000000000000000000000000000"
    "000e 0000";

}  // namespace

TEST_CASE("dhcpv6: a Solicit is read", "[wire][rfc8415]") {
  const Octets whole = packet(kSolicit);
  const auto message = parse_dhcpv6(whole);
  REQUIRE(message);
  CHECK(message->type == Dhcpv6Type::kSolicit);
  CHECK(message->transaction == 0x123456);
  CHECK(message->source == kClient);
  CHECK(message->destination == kAllDhcpv6Servers);
  CHECK(hex(message->client_identifier) == "00030001021122334455");
  CHECK(message->server_identifier.empty());
  CHECK(message->rapid_commit);
  CHECK(message->wants(Dhcpv6Option::kDnsServers));
  CHECK(message->wants(Dhcpv6Option::kSolMaxRt));
  CHECK_FALSE(message->wants(Dhcpv6Option::kInfMaxRt));
  REQUIRE(message->ia_count == 2);
  CHECK(message->ias()[0] == Dhcpv6Ia{.kind = Kind::kAddresses, .iaid = 1});
  const Dhcpv6Ia& prefixes = message->ias()[1];
  CHECK(prefixes.kind == Kind::kPrefixes);
  CHECK(prefixes.iaid == 2);
  CHECK(prefixes.t1 == 3'600);
  CHECK(prefixes.t2 == 5'400);
  REQUIRE(prefixes.lease_count == 1);
  CHECK(prefixes.leases()[0] == Dhcpv6Lease{{{}, 56}, 0, 0});
}

TEST_CASE("dhcpv6: a message is written as RFC 8415 has it", "[wire][rfc8415]") {
  Dhcpv6Message reply;
  reply.type = Dhcpv6Type::kReply;
  reply.transaction = 0x123456;
  reply.source = Ipv6Address(0xfe80'0000'0000'0000, 1);
  reply.destination = kClient;
  const Octets client = octets("00030001021122334455");
  const Octets server = octets("000400112233445566778899aabbccddeeff");
  const Octets domain = octets("036c616200");
  reply.client_identifier = client;
  reply.server_identifier = server;
  Dhcpv6Ia ia{.kind = Kind::kPrefixes, .iaid = 2, .t1 = 7'200, .t2 = 11'520};
  REQUIRE(ia.add({Ipv6Prefix::parse("2001:db8:200::/56").value(), 14'400, 86'400}));
  REQUIRE(reply.add(ia));
  Dhcpv6Ia none{.kind = Kind::kTemporaryAddresses, .iaid = 3};
  none.status = Dhcpv6Status::kNoAddrsAvail;
  REQUIRE(reply.add(none));
  reply.dns_room[reply.dns_count++] = Ipv6Address::parse("2001:db8::53").value();
  reply.domain_list = domain;
  reply.sol_max_rt = 3'600;
  Octets out(kLongestDhcpv6);
  out.resize(write_dhcpv6(out, reply));
  REQUIRE(out.size() > 48);
  const auto header = parse_ipv6(out);
  REQUIRE(header);
  CHECK(header->total_length() == out.size());
  CHECK(header->next_header == 17);
  CHECK(hex(Bytes(out).subspan(40, 4)) == "02230222");  // 547 to 546
  CHECK(upper_layer_checksum(out, 40, 17) == 0);
  CHECK(hex(Bytes(out).subspan(48)) ==
        hex(octets("07 123456"
                   "0001 000a 0003 0001 021122334455"
                   "0002 0012 0004 00112233445566778899aabbccddeeff"
                   "0019 0029 00000002 00001c20 00002d00"
                   "  001a 0019 00003840 00015180 38 20010db8020000000000000000000000"
                   "0004 000a 00000003 000d 0002 0002"
                   "0017 0010 20010db8000000000000000000000053"
                   "0018 0005 036c616200"
                   "0052 0004 00000e10")));
  // It does not fit into less.
  Octets small(out.size() - 1);
  CHECK(write_dhcpv6(small, reply) == 0);
}

TEST_CASE("dhcpv6: what is written is what is read", "[wire][rfc8415]") {
  for (const auto type :
       {Dhcpv6Type::kSolicit, Dhcpv6Type::kAdvertise, Dhcpv6Type::kRequest, Dhcpv6Type::kConfirm,
        Dhcpv6Type::kRenew, Dhcpv6Type::kRebind, Dhcpv6Type::kReply, Dhcpv6Type::kRelease,
        Dhcpv6Type::kDecline, Dhcpv6Type::kReconfigure, Dhcpv6Type::kInformationRequest}) {
    Dhcpv6Message message;
    message.type = type;
    message.transaction = 0xffffff;
    message.source = kClient;
    message.destination = kAllDhcpv6Servers;
    const Octets duid(kMaxDuid, std::byte{0x5a});
    message.client_identifier = message.server_identifier = duid;
    message.rapid_commit = true;
    message.requested.set();
    message.preference = 255;
    message.status = Dhcpv6Status::kUseMulticast;
    for (std::uint32_t i = 0; i < Dhcpv6Message::kMaxIas; ++i) {
      Dhcpv6Ia ia{.kind = static_cast<Kind>(i % 3), .iaid = i};
      if (ia.kind != Kind::kTemporaryAddresses) ia.t1 = ia.t2 = i;
      const std::uint8_t length = ia.kind == Kind::kPrefixes ? 56 : 128;
      while (ia.add({{{std::uint64_t{0x20010db8} << 32 | (i << 8), 0}, length}, i, i + 1})) {
      }
      ia.status = Dhcpv6Status::kSuccess;
      REQUIRE(message.add(ia));
    }
    CHECK_FALSE(message.add(Dhcpv6Ia{}));
    message.dns_count = 3;
    message.information_refresh = message.sol_max_rt = message.inf_max_rt = 1;
    Octets out(kLongestDhcpv6);
    out.resize(write_dhcpv6(out, message));
    REQUIRE_FALSE(out.empty());
    const auto read = parse_dhcpv6(out);
    REQUIRE(read);
    CHECK(read->type == type);
    CHECK(read->transaction == message.transaction);
    CHECK(hex(read->client_identifier) == hex(duid));
    CHECK(read->rapid_commit);
    CHECK(read->requested == message.requested);
    CHECK(read->preference == message.preference);
    CHECK(read->status == message.status);
    CHECK(read->ia_room == message.ia_room);
    CHECK(read->dns_count == 3);
    CHECK(read->information_refresh == 1);
    CHECK(read->sol_max_rt == 1);
    CHECK(read->inf_max_rt == 1);
  }
}

TEST_CASE("dhcpv6: a message that is cut short is refused", "[wire][rfc8415]") {
  const Octets message = octets(kSolicit);
  // Offsets at which an option ends: what is left is a message with fewer options.
  const std::vector<std::size_t> whole = {4, 18, 24, 34, 50, 95};
  for (std::size_t size = 0; size < message.size(); ++size) {
    const auto read = parse_dhcpv6(
        packet(Octets(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size))));
    INFO(size);
    if (std::find(whole.begin(), whole.end(), size) != whole.end()) {
      CHECK(read);
    } else {
      REQUIRE_FALSE(read);
      CHECK(read.error() == (size == 0 ? Dhcpv6Error::kNoDatagram : Dhcpv6Error::kBadOption));
    }
  }
  // The packet itself.
  const Octets full = packet(message);
  for (std::size_t size = 0; size < full.size(); ++size)
    CHECK(parse_dhcpv6(Bytes(full).first(size)).error() == Dhcpv6Error::kNoDatagram);
}

TEST_CASE("dhcpv6: an option of a wrong form is refused", "[wire][rfc8415]") {
  const auto refused = [](std::string_view option) {
    const auto read = parse_dhcpv6(packet(std::string("01 123456") + std::string(option)));
    return !read && read.error() == Dhcpv6Error::kBadOption;
  };
  for (const char* option : {
           "0001 0002 0003",                             // a DUID of its type alone
           "0001 0000",                                  // none
           "0001 0003 000301 0001 0003 000301",          // twice
           "0002 0003 000301 0002 0003 000301",          // likewise
           "0003 000b 00000001 00000000 000000",         // IA_NA cut short
           "0004 0003 000000",                           // IA_TA cut short
           "0019 000c 00000001 00000000 00000000 001a",  // options of an IA beyond its end
           "0019 0010 00000001 00000000 00000000 001a 0001",
           "0003 0013 00000001 00000000 00000000 0005 0003 000000",  // IAADDR cut short
           "0019 0029 00000001 00000000 00000000 001a 0019 00000000 00000000 81"
           "00000000000000000000000000000000",          // a prefix of 129 bits
           "0006 0003 001700",                          // half a code
           "0007 0002 0000",                            // preference of two octets
           "000e 0001 00",                              // Rapid Commit with a value
           "000d 0001 00",                              // status of one octet
           "0017 000f 000000000000000000000000000000",  // an address cut short
           "0052 0003 000000",                          // SOL_MAX_RT of three octets
           "0063 0004 00",                              // beyond the message
       }) {
    INFO(option);
    CHECK(refused(option));
  }
  std::string long_duid = "0001 0083 ";
  for (std::size_t i = 0; i < 131; ++i) long_duid += "00";
  CHECK(refused(long_duid));
}

TEST_CASE("dhcpv6: parts beyond what is kept are refused", "[wire][rfc8415]") {
  std::string ias = "01 123456";
  for (std::size_t i = 0; i < Dhcpv6Message::kMaxIas; ++i) ias += "0004 0004 00000001";
  CHECK(parse_dhcpv6(packet(ias)));
  CHECK(parse_dhcpv6(packet(ias + "0004 0004 00000001")).error() == Dhcpv6Error::kTooManyParts);
  const std::string lease = "0005 0018 20010db8000000000000000000000001 00000000 00000000";
  CHECK(parse_dhcpv6(packet("01 123456 0004 0074 00000001" + lease + lease + lease + lease)));
  CHECK(parse_dhcpv6(packet("01 123456 0004 0090 00000001" + lease + lease + lease + lease + lease))
            .error() == Dhcpv6Error::kTooManyParts);
}

TEST_CASE("dhcpv6: checksum, port, protocol and type are checked", "[wire][rfc8415]") {
  Octets whole = packet(kSolicit);
  const auto header = parse_ipv6(whole);
  REQUIRE(header);
  CHECK(is_for_dhcpv6_server(whole, *header));
  whole.back() ^= std::byte{1};
  CHECK(parse_dhcpv6(whole).error() == Dhcpv6Error::kChecksum);
  whole.back() ^= std::byte{1};
  const auto sum = std::pair{whole[46], whole[47]};
  whole[46] = whole[47] = std::byte{0};  // none at all
  CHECK(parse_dhcpv6(whole).error() == Dhcpv6Error::kChecksum);
  std::tie(whole[46], whole[47]) = sum;
  CHECK(parse_dhcpv6(whole));
  whole[6] = std::byte{6};
  CHECK(parse_dhcpv6(whole).error() == Dhcpv6Error::kNoDatagram);
  CHECK_FALSE(is_for_dhcpv6_server(whole, *parse_ipv6(whole)));
  const Octets other = packet(octets(kSolicit), 53);
  CHECK(parse_dhcpv6(other).error() == Dhcpv6Error::kNoDatagram);
  CHECK_FALSE(is_for_dhcpv6_server(other, *parse_ipv6(other)));
  Octets shorter = packet(kSolicit);
  store_be<std::uint16_t>(&shorter[44], static_cast<std::uint16_t>(shorter.size() - 41));
  CHECK(parse_dhcpv6(shorter).error() == Dhcpv6Error::kNoDatagram);
  for (const char* relay : {"0c 01", "0d 01"})
    CHECK(parse_dhcpv6(packet(relay)).error() == Dhcpv6Error::kRelay);
  for (const char* unknown : {"00 123456", "0e 123456", "ff 123456"})
    CHECK(parse_dhcpv6(packet(unknown)).error() == Dhcpv6Error::kUnknownType);
}

TEST_CASE("dhcpv6: a domain is a list of labels", "[wire][rfc8415]") {
  Octets out(kMaxDomainList);
  const auto written = [&](std::string_view domain) {
    return hex(Bytes(out).first(write_dhcpv6_domain(out, domain)));
  };
  CHECK(written("lab") == "036c616200");
  CHECK(written("lab.example") == "036c6162076578616d706c6500");
  CHECK(written("lab.example.") == "036c6162076578616d706c6500");
  for (const char* bad : {"", ".", "a..b", ".a"}) CHECK(written(bad).empty());
  CHECK(written(std::string(64, 'a')).empty());
  CHECK_FALSE(written(std::string(63, 'a')).empty());
  Octets small(4);
  CHECK(write_dhcpv6_domain(small, "lab") == 0);
}
