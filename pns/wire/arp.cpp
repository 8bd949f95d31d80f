// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/arp.hpp"

#include <cstring>

#include "pns/wire/ethernet.hpp"

namespace pns::wire {
namespace {

constexpr std::uint16_t kEthernet = 1;
constexpr std::uint16_t kRequest = 1;
constexpr std::uint16_t kReply = 2;

std::size_t write(MutableBytes out, std::uint16_t operation, const MacAddress& sender_mac,
                  Ipv4Address sender, const MacAddress& target_mac, Ipv4Address target) noexcept {
  if (out.size() < kArpSize) return 0;
  const ArpPacket packet{be16::from_host(kEthernet),
                         be16::from_host(kEtherTypeIpv4),
                         sizeof(MacAddress),
                         sizeof(be32),
                         be16::from_host(operation),
                         sender_mac,
                         sender.wire(),
                         target_mac,
                         target.wire()};
  std::memcpy(out.data(), &packet, sizeof(packet));
  return kArpSize;
}

}  // namespace

std::optional<ArpRequest> parse_arp_request(Bytes packet) noexcept {
  if (packet.size() < kArpSize) return std::nullopt;
  ArpPacket arp;
  std::memcpy(&arp, packet.data(), sizeof(arp));
  if (arp.hardware_type.host() != kEthernet || arp.protocol_type.host() != kEtherTypeIpv4 ||
      arp.hardware_length != sizeof(MacAddress) || arp.protocol_length != sizeof(be32) ||
      arp.operation.host() != kRequest)
    return std::nullopt;
  const ArpRequest request{arp.sender_mac, Ipv4Address(arp.sender), Ipv4Address(arp.target)};
  // An answer goes to one station, and nobody asks for his own address.
  const bool is_group = (request.sender_mac[0] & 1) != 0 || request.sender_mac == MacAddress{};
  if (is_group || request.sender == request.target) return std::nullopt;
  return request;
}

std::size_t write_arp_reply(MutableBytes out, const ArpRequest& request,
                            const MacAddress& mac) noexcept {
  return write(out, kReply, mac, request.target, request.sender_mac, request.sender);
}

std::size_t write_arp_announcement(MutableBytes out, Ipv4Address address,
                                   const MacAddress& mac) noexcept {
  return write(out, kRequest, mac, address, {}, address);
}

}  // namespace pns::wire
