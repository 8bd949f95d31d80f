// SPDX-License-Identifier: BSD-3-Clause
//
// AddressWatch: the addresses of this host's interfaces, and each change of them, by netlink
// (RTM_NEWADDR, RTM_DELADDR). Loopback and link-local addresses are left out. Both sockets are
// opened by the constructor. Event-loop thread only.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "pns/base/ip_address.hpp"

struct nl_sock;

namespace pns::control {

struct HostAddresses {
  std::vector<Ipv4Prefix> ipv4;  // the address with the length of its network
  std::vector<Ipv6Prefix> ipv6;

  friend bool operator==(const HostAddresses&, const HostAddresses&) = default;
};

class AddressWatch {
 public:
  // `changed` is called with all addresses whenever they have changed; not for the first ones.
  // Throws std::runtime_error with the reason of the kernel.
  AddressWatch(asio::io_context& context, std::function<void(const HostAddresses&)> changed);
  AddressWatch(const AddressWatch&) = delete;
  AddressWatch& operator=(const AddressWatch&) = delete;
  ~AddressWatch();

  [[nodiscard]] const HostAddresses& addresses() const noexcept { return addresses_; }
  void start();

 private:
  struct CloseSocket {
    void operator()(nl_sock* socket) const noexcept;
  };
  using Socket = std::unique_ptr<nl_sock, CloseSocket>;

  [[nodiscard]] static Socket open_socket();
  [[nodiscard]] HostAddresses read() const;
  void wait();
  void on_events();

  std::function<void(const HostAddresses&)> changed_;
  Socket requests_;
  Socket events_;
  asio::posix::stream_descriptor descriptor_;  // of events_, which closes it
  HostAddresses addresses_;
};

}  // namespace pns::control
