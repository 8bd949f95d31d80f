// SPDX-License-Identifier: BSD-3-Clause
#include "pns/netlink/neighbour_request.hpp"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <utility>

#include "pns/base/bytes.hpp"

namespace pns::netlink {
namespace {

void send_request(nl_sock* socket, NeighbourVerb verb, int interface_index, int family,
                  Bytes address) noexcept {
  if (interface_index <= 0) return;
  const bool ask = verb == NeighbourVerb::kAsk;
  nl_msg* message =
      nlmsg_alloc_simple(ask ? RTM_NEWNEIGH : RTM_DELNEIGH, ask ? NLM_F_CREATE | NLM_F_REPLACE : 0);
  if (message == nullptr) return;
  ndmsg header{};
  header.ndm_family = static_cast<std::uint8_t>(family);
  header.ndm_ifindex = interface_index;
  header.ndm_state = NUD_NONE;
  // Managed: the kernel resolves it now and keeps it fresh. NTF_USE alone serves older kernels.
  header.ndm_flags = ask ? NTF_USE : 0;
  const std::uint32_t extended = NTF_EXT_MANAGED;
  if (nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO) == 0 &&
      nla_put(message, NDA_DST, static_cast<int>(address.size()), address.data()) == 0 &&
      (!ask || nla_put(message, NDA_FLAGS_EXT, sizeof(extended), &extended) == 0))
    (void)nl_send_auto(socket, message);
  nlmsg_free(message);
}

}  // namespace

std::expected<NeighbourRequests, std::string> NeighbourRequests::open() {
  auto socket = open_route_socket();
  if (!socket) return std::unexpected(std::move(socket.error()));
  // Refusals are never read; the kernel drops them when the socket's buffer is full.
  nl_socket_disable_auto_ack(socket->get());
  NeighbourRequests requests;
  requests.socket_ = std::move(*socket);
  return requests;
}

void NeighbourRequests::send(NeighbourVerb verb, int interface_index,
                             Ipv4Address neighbour) const noexcept {
  const be32 wire = neighbour.wire();
  send_request(socket_.get(), verb, interface_index, AF_INET, std::as_bytes(std::span(&wire, 1)));
}

void NeighbourRequests::send(NeighbourVerb verb, int interface_index,
                             const Ipv6Address& neighbour) const noexcept {
  const auto wire = neighbour.wire();
  send_request(socket_.get(), verb, interface_index, AF_INET6, std::as_bytes(std::span(wire)));
}

}  // namespace pns::netlink
