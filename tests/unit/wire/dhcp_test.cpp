// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/dhcp.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "pns/wire/checksum.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::wire;
using pns::test::octets;
using Octets = std::vector<std::byte>;

namespace {

constexpr Ipv4Address kClient(0x0a400002);  // 10.64.0.2
constexpr Ipv4Address kServer(0x0a400001);

// The DHCPINFORM that Windows sends into a tunnel, 10.64.0.2 to 255.255.255.255; without checksums.
Octets message(const std::string& options =
                   "350108 3d07 01005345000000 0c04 77696e37 "
                   "3c08 4d53465420352e30 3706 062c2b 0f 79f9 ff") {
  Octets out = octets(
      "01 08 06 00  11223344 0000 0000  0a400002 00000000 00000000 00000000 "
      "00005345000000000000000000000000");
  out.resize(out.size() + 192);
  const Octets rest = octets("63825363 " + options);
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

// In an IPv4 packet with UDP.
Octets packet(const Octets& payload, std::uint16_t port = 67, std::uint32_t destination = ~0U) {
  Octets out(28);
  const auto length = static_cast<std::uint16_t>(8 + payload.size());
  store_be<std::uint16_t>(&out[20], 68);
  store_be<std::uint16_t>(&out[22], port);
  store_be<std::uint16_t>(&out[24], length);
  out.insert(out.end(), payload.begin(), payload.end());
  Ipv4Header header;
  header.total_length = static_cast<std::uint16_t>(20 + length);
  header.time_to_live = 128;
  header.protocol = kIpProtocolUdp;
  header.source = kClient;
  header.destination = Ipv4Address(destination);
  write_ipv4(out, header);
  return out;
}

struct Answer {
  Ipv4Header ip;
  Octets message;
  std::map<unsigned, Octets> options;
  std::vector<unsigned> order;
};

Answer parse_answer(Bytes whole) {
  Answer answer;
  answer.ip = parse_ipv4(whole).value();
  REQUIRE(answer.ip.total_length == whole.size());
  // The checksum of UDP, over the pseudo header.
  Octets summed = octets("0a400001 0a400002 0011");
  summed.resize(12);
  store_be<std::uint16_t>(&summed[10], static_cast<std::uint16_t>(whole.size() - 20));
  summed.insert(summed.end(), whole.begin() + 20, whole.end());
  CHECK(internet_checksum(summed) == 0);
  answer.message.assign(whole.begin() + 28, whole.end());
  Reader reader(Bytes(answer.message).subspan(240));
  for (unsigned code = 0; (code = reader.read_u8()) != 255;) {
    const Bytes value = reader.read_bytes(reader.read_u8());
    REQUIRE(reader.ok());
    CHECK_FALSE(answer.options.contains(code));
    answer.options[code].assign(value.begin(), value.end());
    answer.order.push_back(code);
  }
  return answer;
}

Answer answer_to(const Octets& question, const DhcpAck& ack) {
  const auto inform = parse_dhcp_inform(question);
  REQUIRE(inform);
  Octets out(kLongestDhcpAck);
  out.resize(write_dhcp_ack(out, *inform, ack));
  REQUIRE_FALSE(out.empty());
  return parse_answer(out);
}

const std::vector<Ipv4Prefix> kRoutes = {{Ipv4Address(0x0a000000), 8},
                                         {Ipv4Address(0xac100000), 12},
                                         {Ipv4Address(0xc0000280), 25},
                                         {Ipv4Address(), 0}};

DhcpAck bare_ack() {
  DhcpAck ack;
  ack.server = kServer;
  return ack;
}

DhcpAck full_ack() {
  return {.server = kServer,
          .dns = {Ipv4Address(0x0a000035), Ipv4Address(0x0a000036)},
          .wins = {Ipv4Address(0x0a000037)},
          .domain = "lab.example",
          .routes = kRoutes};
}

}  // namespace

TEST_CASE("dhcp: Windows' DHCPINFORM is read", "[wire][rfc2131-4.4.3]") {
  const auto inform = parse_dhcp_inform(packet(message()));
  REQUIRE(inform);
  CHECK(inform->transaction == 0x11223344);
  CHECK(inform->client == kClient);
  CHECK(inform->hardware_size == 6);
  CHECK(inform->client_identifier.size() == 7);
  CHECK(inform->wants(DhcpOption::kRoutes));
  CHECK(inform->wants(DhcpOption::kMicrosoftRoutes));
  CHECK_FALSE(inform->wants(DhcpOption::kServerIdentifier));
}

TEST_CASE("dhcp: the answer has what was asked for", "[wire][rfc2131-4.3.5][rfc3442]") {
  const Answer answer = answer_to(packet(message()), full_ack());
  CHECK(answer.ip.source == kServer);
  CHECK(answer.ip.destination == kClient);
  CHECK(Octets(answer.message.begin(), answer.message.begin() + 44) ==
        octets("02 08 06 00  11223344 0000 0000  0a400002 00000000 00000000 00000000 "
               "00005345000000000000000000000000"));
  CHECK(answer.options.at(53) == octets("05"));
  CHECK(answer.options.at(54) == octets("0a400001"));
  CHECK(answer.options.at(6) == octets("0a000035 0a000036"));
  CHECK(answer.options.at(44) == octets("0a000037"));
  CHECK(answer.options.at(15) == octets("6c61622e6578616d706c65"));
  CHECK(answer.options.at(61) == octets("01005345000000"));
  const Octets routes =
      octets("08 0a 0a400001  0c ac10 0a400001  19 c0000280 0a400001  00 0a400001");
  CHECK(answer.options.at(121) == routes);
  CHECK(answer.options.at(249) == routes);
  CHECK(answer.message.size() >= 300);  // BOOTP

  const Answer some = answer_to(packet(message("350108 3702 060f ff")), full_ack());
  CHECK(some.order == std::vector<unsigned>{53, 54, 6, 15});
  const Answer bare = answer_to(packet(message()), bare_ack());
  CHECK(bare.order == std::vector<unsigned>{53, 54, 61});
  // A client without a list gets all.
  const Answer all = answer_to(packet(message("350108 ff")), full_ack());
  CHECK(all.order == std::vector<unsigned>{53, 54, 121, 6, 15, 44, 249});
}

TEST_CASE("dhcp: the longest answer fits into what every client takes", "[wire][rfc2131-2]") {
  std::vector<Ipv4Prefix> routes;
  for (std::uint32_t n = 0; n < 21; ++n) routes.push_back({Ipv4Address(0x0a000000 + (n << 8)), 24});
  const std::string domain(kMaxDhcpDomain, 'd');
  const DhcpAck ack{.server = kServer,
                    .dns = {kServer, kClient},
                    .wins = {kServer, kClient},
                    .domain = domain,
                    .routes = routes};
  const Answer answer = answer_to(packet(message()), ack);
  CHECK(answer.ip.total_length <= 576);
  CHECK(answer.options.at(121).size() == 168);
  CHECK(answer.options.at(15).size() == kMaxDhcpDomain);
  CHECK(answer.options.contains(61));
  CHECK_FALSE(answer.options.contains(249));  // no room
  // Room for more, if the client says so.
  const Answer larger = answer_to(packet(message("350108 3902 05dc ff")), ack);
  CHECK(larger.options.contains(249));
  // A client that takes less than every client must is not believed.
  CHECK(answer_to(packet(message("350108 3902 0010 ff")), ack).options.contains(121));
}

TEST_CASE("dhcp: no answer is longer than the link's MTU", "[wire][rfc2131-2]") {
  std::vector<Ipv4Prefix> routes;
  for (std::uint32_t n = 0; n < 21; ++n) routes.push_back({Ipv4Address(0x0a000000 + (n << 8)), 24});
  DhcpAck ack = full_ack();
  ack.routes = routes;
  const Octets question = packet(message("350108 3902 05dc ff"));
  CHECK(answer_to(question, ack).ip.total_length > 600);
  for (const std::size_t mtu : {572U, 400U, 328U}) {
    ack.mtu = mtu;
    const Answer answer = answer_to(question, ack);
    CHECK(answer.ip.total_length <= mtu);
    CHECK(answer.options.contains(54));
  }
}

TEST_CASE("dhcp: no other message passes for a DHCPINFORM", "[wire][rfc2131-4.3.5]") {
  const auto refused = [](const Octets& question) { return !parse_dhcp_inform(question); };
  const Octets good = packet(message());
  REQUIRE_FALSE(refused(good));
  CHECK(refused(packet(message(), 69)));
  CHECK(refused(packet(message("350101 ff"))));          // DHCPDISCOVER
  CHECK(refused(packet(message("3702 060f ff"))));       // BOOTP
  CHECK(refused(packet(message("350208 08 ff"))));       // type of two octets
  CHECK(refused(packet(message("350108 3901 05 ff"))));  // size of one octet
  CHECK(refused(packet(message("350108 37ff 06"))));     // beyond the end
  CHECK(refused(packet(message("350108 37"))));          // no length
  CHECK_FALSE(refused(packet(message("350108"))));       // no end
  CHECK_FALSE(refused(packet(message("00 350108 00 ff 37ff"))));
  const auto changed = [](std::size_t at, std::uint8_t value) {
    Octets payload = message();
    payload[at] = std::byte{value};
    return packet(payload);
  };
  CHECK(refused(changed(0, 2)));    // a reply
  CHECK(refused(changed(2, 17)));   // hardware address of 17 octets
  CHECK(refused(changed(15, 9)));   // ciaddr of somebody else
  CHECK(refused(changed(236, 0)));  // cookie
  for (std::size_t size = 0; size < good.size(); ++size) {
    Octets cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(refused(cut));
  }
  Octets shorter = good;  // UDP longer than IP
  store_be<std::uint16_t>(&shorter[24], static_cast<std::uint16_t>(good.size()));
  CHECK(refused(shorter));
  Octets sum = good;  // a wrong checksum
  store_be<std::uint16_t>(&sum[26], 1);
  CHECK(refused(sum));
}
