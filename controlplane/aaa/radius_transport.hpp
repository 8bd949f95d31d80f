// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusTransport: the sockets of the RADIUS client, as it sees them. A fixed number for each
// address family, all alike; their ports differ. The owner passes received datagrams to
// RadiusClient::on_datagram().
#pragma once

#include <cstdint>

#include "pns/base/bytes.hpp"
#include "pns/base/ip_endpoint.hpp"

namespace pns::aaa {

class RadiusTransport {
 public:
  RadiusTransport() = default;
  RadiusTransport(const RadiusTransport&) = delete;
  RadiusTransport& operator=(const RadiusTransport&) = delete;
  virtual ~RadiusTransport() = default;

  // At least 1 for the family of each server; does not change.
  [[nodiscard]] virtual std::uint16_t socket_count(bool ipv6) const noexcept = 0;
  // From the socket of this index among those of the server's family. False: the kernel did not
  // take it; the client treats it as lost.
  [[nodiscard]] virtual bool send(const IpEndpoint& server, std::uint16_t socket, Bytes packet) = 0;
};

}  // namespace pns::aaa
