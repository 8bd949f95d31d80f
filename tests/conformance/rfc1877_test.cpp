// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 1877, name servers in IPCP, as the peer sees them.
#include <catch2/catch.hpp>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;

namespace {

constexpr std::string_view kLease = "03060a400005";

// A link at IPCP, with these servers configured.
struct AtIpcp : LinkPair {
  AtIpcp(std::array<Ipv4Address, 2> dns, std::array<Ipv4Address, 2> wins) : LinkPair(settings()) {
    network.dns = dns;
    network.wins = wins;
    client.ncps_upon_success = false;
    drop_to_client = [](const Octets& f) { return parse(f)->protocol == kIpcp; };
    start();
  }
  static LinkSettings settings() {
    LinkSettings out;
    out.mppe = MppePolicy::kOff;
    return out;
  }
  model::LinkActions ask(std::string_view options) {
    return link.on_frame(frame(kIpcp, kConfReq, 1, std::string(kLease) + std::string(options)),
                         clock.now());
  }
};

const std::array<Ipv4Address, 2> kDns = {Ipv4Address(0x0a000035), Ipv4Address(0x0a000036)};
const std::array<Ipv4Address, 2> kWins = {Ipv4Address(0x0a000089), Ipv4Address(0x0a00008a)};

}  // namespace

TEST_CASE("rfc1877 §1: zero, or another server, is answered with ours", "[rfc1877-1]") {
  struct Row {
    const char* section;
    std::string type;
    std::string address;
  };
  const Row row = GENERATE(
      Row{"1.1 primary DNS", "8106", "0a000035"}, Row{"1.2 primary NBNS", "8206", "0a000089"},
      Row{"1.3 secondary DNS", "8306", "0a000036"}, Row{"1.4 secondary NBNS", "8406", "0a00008a"});
  CAPTURE(row.section);
  AtIpcp at(kDns, kWins);
  for (const char* wish : {"00000000", "01020304", "ffffffff"})
    CHECK(packet(at.ask(row.type + wish), kIpcp, kConfNak).data == octets(row.type + row.address));
  CHECK(packets(at.ask(row.type + row.address), kIpcp, kConfAck).size() == 1);
}

TEST_CASE("rfc1877 §1: an option of the wrong size is answered with the right one", "[rfc1877-1]") {
  AtIpcp at(kDns, kWins);
  for (const char* wish : {"8102", "81040a00", "81080a0000350000"})
    CHECK(packet(at.ask(wish), kIpcp, kConfNak).data == octets("81060a000035"));
}

TEST_CASE("rfc1877 §1: a server that is not configured is rejected, before any Nak",
          "[rfc1877-1][rfc1661-5.4]") {
  AtIpcp at({kDns[0], Ipv4Address()}, {});
  const auto actions = at.ask("810600000000 820600000000 830600000000 840600000000");
  CHECK(packet(actions, kIpcp, kConfRej).data == octets("820600000000 830600000000 840600000000"));
  CHECK(packets(actions, kIpcp, kConfNak).empty());
  CHECK(packet(at.ask("810600000000"), kIpcp, kConfNak).data == octets("81060a000035"));
}

TEST_CASE("rfc1877 §1: nobody is told servers that it did not ask for, and we ask for none",
          "[rfc1877-1]") {
  AtIpcp at(kDns, kWins);
  const Packet request = packet(at.actions, kIpcp, kConfReq);
  for (std::uint8_t type = 129; type <= 132; ++type)
    CHECK_FALSE(option(request.data, type).has_value());
  CHECK(packet(at.ask(""), kIpcp, kConfAck).data == octets(kLease));
}
