// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/broadcast_socket.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "pns/wire/dhcp.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/udp.hpp"

namespace pns::dataplane {
namespace {

// IPv4 over Ethernet to all hosts of the link, UDP, no port of DHCP. The dataplane checks the frame
// again; the filter keeps the rest of a busy link away from it.
constexpr std::uint32_t kProtocolAt = wire::kEthernetHeaderSize + 9;
constexpr std::uint32_t kPortsAt = wire::kEthernetHeaderSize;  // behind the IPv4 header
constexpr sock_filter kFilter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_BROADCAST, 0, 10),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kProtocolAt),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wire::kIpProtocolUdp, 0, 8),
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, wire::kEthernetHeaderSize),
    BPF_STMT(BPF_LD | BPF_H | BPF_IND, kPortsAt),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wire::kDhcpServerPort, 5, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wire::kDhcpClientPort, 4, 0),
    BPF_STMT(BPF_LD | BPF_H | BPF_IND, kPortsAt + 2),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wire::kDhcpServerPort, 2, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wire::kDhcpClientPort, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, 0xffff),
    BPF_STMT(BPF_RET | BPF_K, 0),
};

// The sender runs on this machine, and left the checksum of UDP to a device that the frame has not
// met. A datagram without one is valid (RFC 768).
void remove_udp_checksum(MutableBytes frame) noexcept {
  if (frame.size() < wire::kEthernetHeaderSize) return;
  const MutableBytes packet = frame.subspan(wire::kEthernetHeaderSize);
  const auto ip = wire::parse_ipv4(packet);
  if (!ip || !wire::parse_udp(packet, *ip)) return;
  store_be<std::uint16_t>(
      packet.data() + ip->header_length + offsetof(wire::UdpWireHeader, checksum), 0);
}

}  // namespace

std::expected<BroadcastSocket, std::string> BroadcastSocket::open(const std::string& interface) {
  const auto failed = [&](const char* what) {
    return std::unexpected(
        fmt::format("broadcasts of {}: {}: {}", interface, what, std::strerror(errno)));
  };
  // Without a protocol it gets nothing before it is bound.
  UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd)
    return failed(errno == EAFNOSUPPORT
                      ? "packet socket (RestrictAddressFamilies=AF_PACKET of the unit)"
                      : "packet socket");
  const sock_fprog filter{std::size(kFilter), const_cast<sock_filter*>(kFilter)};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0)
    return failed("filter");
  const int octets = kBufferOctets;
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &octets, sizeof(octets)) != 0 ||
      ::setsockopt(fd.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) != 0)
    return failed("options");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IP);  // and so no frames of VLANs
  address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (address.sll_ifindex == 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return failed("bind");
  return BroadcastSocket(std::move(fd));
}

std::optional<Bytes> BroadcastSocket::receive(MutableBytes room) noexcept {
  iovec part{room.data(), room.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(tpacket_auxdata))> control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const auto got = ::recvmsg(fd_.get(), &message, 0);
  if (got <= 0) return std::nullopt;
  const MutableBytes frame = room.first(static_cast<std::size_t>(got));
  for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr;
       item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_level != SOL_PACKET || item->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata about{};
    std::memcpy(&about, CMSG_DATA(item), sizeof(about));
    if ((about.tp_status & TP_STATUS_CSUMNOTREADY) != 0) remove_udp_checksum(frame);
  }
  return frame;
}

std::uint64_t BroadcastSocket::lost() noexcept {
  tpacket_stats statistics{};
  socklen_t length = sizeof(statistics);
  if (::getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &length) == 0)
    lost_ += statistics.tp_drops;
  return lost_;
}

}  // namespace pns::dataplane
