// SPDX-License-Identifier: BSD-3-Clause
//
// DatagramSockets: a fixed set of UDP sockets, some of IPv4 and some of IPv6, which send to and
// receive from many peers. They are not connected: their number does not depend on that of the
// peers, and an ICMP error that somebody forged ends nothing. The receiver must look at the source
// of each datagram.
//
// A turn of the event loop reads at most kBatch datagrams from each socket. Event-loop thread only.
// Never blocks, and opens no descriptor after its start.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/runtime/socket_poller.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ip_endpoint.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::control {

class DatagramSockets {
 public:
  static constexpr std::size_t kBatch = 8;
  static constexpr std::size_t kMaxDatagram = 4096;  // octets; the rest of a longer one is cut off

  using Received =
      std::function<void(const IpEndpoint& source, std::uint16_t socket, Bytes datagram)>;

  // `count` sockets at ports of the kernel's choice. `local`: the source address of what they send;
  // unspecified: the kernel's choice. Error: why not, ready to print.
  [[nodiscard]] static std::expected<std::vector<UniqueFd>, std::string> open(
      const IpAddress& local, std::uint16_t count);

  // A socket that receives at this address and port.
  struct OpenError {
    int number = 0;      // errno
    std::string reason;  // ready to print
  };
  [[nodiscard]] static std::expected<UniqueFd, OpenError> open_at(const IpEndpoint& local);

  // `poller` outlives this. `received` may stop() this, but not destroy it.
  DatagramSockets(SocketPoller& poller, std::vector<UniqueFd> ipv4, std::vector<UniqueFd> ipv6,
                  Received received);
  ~DatagramSockets();
  DatagramSockets(const DatagramSockets&) = delete;
  DatagramSockets& operator=(const DatagramSockets&) = delete;

  void start();
  // Receives nothing any more.
  void stop() noexcept;

  [[nodiscard]] std::uint16_t count(bool ipv6) const noexcept {
    return static_cast<std::uint16_t>(sockets_[ipv6].size());
  }
  // From the socket of this index among those of the peer's family. False: the kernel did not take
  // it.
  [[nodiscard]] bool send(const IpEndpoint& peer, std::uint16_t socket, Bytes datagram) noexcept;

 private:
  class Socket;

  void receive(Socket& socket);
  void wait(Socket& socket);

  SocketPoller& poller_;
  Received received_;
  std::array<std::vector<std::shared_ptr<Socket>>, 2> sockets_;  // IPv4, IPv6
  std::array<std::array<std::byte, kMaxDatagram>, kBatch> buffers_;
};

}  // namespace pns::control
