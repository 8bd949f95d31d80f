// SPDX-License-Identifier: BSD-3-Clause
//
// DHCPv6 of a subscriber: the octets of the input are a message, which gets a right UDP and IPv6
// header, so that a fuzzer is behind the checksum at once. The parser bounds it; what it has read
// is written again and read as the same; and a server of each mode answers with a valid message or
// not at all. First octet: mode, and what the session has; the second: destination and source.
#include <algorithm>
#include <vector>

#include "controlplane/ppp/dhcpv6_responder.hpp"
#include "pns/wire/dhcpv6.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv6.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/fake_random.hpp"

namespace {

using namespace pns;
using namespace pns::wire;
using Octets = std::vector<std::byte>;

const Ipv6Address kOurs = link_local(1);
const Ipv6Address kPeers = link_local(0x0211'22ff'fe33'4455);
const Ipv6Prefix kDelegated{{0x20010db802000000, 0}, 56};

Octets packet_of(Bytes message, const Ipv6Address& source, const Ipv6Address& destination) {
  Octets out(48 + message.size());
  const auto length = static_cast<std::uint16_t>(8 + message.size());
  store_be<std::uint16_t>(&out[40], kDhcpv6ClientPort);
  store_be<std::uint16_t>(&out[42], kDhcpv6ServerPort);
  store_be<std::uint16_t>(&out[44], length);
  std::copy(message.begin(), message.end(), out.begin() + 48);
  Ipv6Header header;
  header.payload_length = length;
  header.next_header = 17;
  header.hop_limit = 64;
  header.source = source;
  header.destination = destination;
  write_ipv6(out, header);
  const std::uint16_t sum = upper_layer_checksum(out, 40, 17);
  store_be<std::uint16_t>(&out[46], sum == 0 ? 0xffff : sum);
  return out;
}

bool same(Bytes one, Bytes other) { return std::ranges::equal(one, other); }

void claim_round_trip(const Dhcpv6Message& message) {
  if (message.domain_list.size() > kMaxDomainList) return;
  Octets out(kLongestDhcpv6);
  const std::size_t size = write_dhcpv6(out, message);
  PNS_CLAIM(size != 0);
  const auto again = parse_dhcpv6(Bytes(out).first(size));
  PNS_CLAIM(again.has_value());
  PNS_CLAIM(again->type == message.type && again->transaction == message.transaction);
  PNS_CLAIM(same(again->client_identifier, message.client_identifier));
  PNS_CLAIM(same(again->server_identifier, message.server_identifier));
  PNS_CLAIM(same(again->domain_list, message.domain_list));
  PNS_CLAIM(again->rapid_commit == message.rapid_commit && again->requested == message.requested);
  PNS_CLAIM(again->status == message.status && again->preference == message.preference);
  PNS_CLAIM(again->ia_count == message.ia_count && again->ia_room == message.ia_room);
  PNS_CLAIM(again->dns_count == message.dns_count && again->dns_room == message.dns_room);
  PNS_CLAIM(again->sol_max_rt == message.sol_max_rt && again->inf_max_rt == message.inf_max_rt);
}

// No machine of a link calls it here.
class NoObserver final : public ppp::LayerObserver {
 public:
  void layer_up(PppProtocol) override {}
  void layer_down(PppProtocol, ppp::Event) override {}
  void layer_finished(PppProtocol, EndReason) override {}
  void layer_failed(PppProtocol, EndReason) override {}
  void before_ccp_ack(const ppp::CompressionAgreement&) override {}
  void before_ncp_ack() override {}
  void credentials(model::AuthRequest) override {}
  void before_auth_success() override {}
  void authenticated() override {}
  void auth_failed(EndReason) override {}
};

void claim_answer(Bytes packet, unsigned choice) {
  const ppp::Dhcpv6Settings settings{.mode = static_cast<ppp::Dhcpv6Mode>(choice % 3),
                                     .server_identifier = Octets(18, std::byte{4}),
                                     .domain_list = {std::byte{1}, std::byte{'a'}, std::byte{0}}};
  model::Ipv6Parameters parameters{.prefix = {{0x20010db801000007, 0}, 64},
                                   .dns = {Ipv6Address{0x20010db800000000, 0x53}}};
  model::Delegation delegation;
  if ((choice & 4) != 0) delegation.prefix = kDelegated;
  if ((choice & 8) != 0) delegation.address = Ipv6Address{0x20010db800770000, 7};
  parameters.delegation = delegation;
  ppp::Dhcpv6Responder responder;

  model::LinkActions actions;
  test::FakeRandom random;
  NoObserver observer;
  ppp::RejectLimiter rejects(10);
  ppp::Context context{actions, TimePoint(Seconds(100)), random, observer, rejects, 1500};
  for (unsigned times = 0; times < 10; ++times)
    responder.on_packet(packet, parameters, 1, settings, context);
  unsigned answers = 0;
  unsigned handled = 0;
  for (const auto& action : actions) {
    if (std::holds_alternative<model::Dhcpv6Handled>(action)) ++handled;
    const auto* const sent = std::get_if<model::SendFrame>(&action);
    if (sent == nullptr) continue;
    ++answers;
    PNS_CLAIM(sent->frame.size() <= 4 + kIpv6MinimumMtu);
    const auto answer = parse_dhcpv6(Bytes(sent->frame).subspan(4));
    PNS_CLAIM(answer.has_value());
    PNS_CLAIM(answer->type == Dhcpv6Type::kReply || answer->type == Dhcpv6Type::kAdvertise);
    PNS_CLAIM(answer->source == kOurs && answer->destination == kPeers);
    for (const Dhcpv6Ia& ia : answer->ias())
      for (const Dhcpv6Lease& lease : ia.leases())
        PNS_CLAIM(lease.valid == 0 || lease.prefix == kDelegated || lease.prefix.length == 128);
  }
  PNS_CLAIM(handled == 10);
  PNS_CLAIM(answers <= ppp::Dhcpv6Responder::kRate.burst);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const unsigned choice = input.octet();
  const unsigned way = input.octet();
  const Bytes message = input.octets(1'400);
  const Octets packet = packet_of(message, (way & 1) == 0 ? kPeers : kDelegated.address,
                                  (way & 2) == 0 ? kAllDhcpv6Servers : kOurs);
  if (const auto read = parse_dhcpv6(packet)) claim_round_trip(*read);
  claim_answer(packet, choice);
  // The octets as they are: nobody has checked them.
  (void)parse_dhcpv6(message);
  return 0;
}
