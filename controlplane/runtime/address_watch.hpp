// SPDX-License-Identifier: BSD-3-Clause
//
// AddressWatch: the addresses of this host's interfaces, and each change of them, by netlink
// (RTM_NEWADDR, RTM_DELADDR). Loopback and link-local addresses are left out. Event-loop thread
// only.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <vector>

#include "pns/base/ip_address.hpp"
#include "pns/netlink/route_socket.hpp"

namespace pns::control {

struct HostAddresses {
  std::vector<Ipv4Prefix> ipv4;  // the address with the length of its network
  std::vector<Ipv6Prefix> ipv6;

  friend bool operator==(const HostAddresses&, const HostAddresses&) = default;
};

// Asks the kernel. Both of its sockets are open from the constructor on, so that nothing has to be
// opened later.
class HostAddressReader {
 public:
  // Throws std::runtime_error with the reason of the kernel.
  HostAddressReader();

  // Throws std::runtime_error likewise.
  [[nodiscard]] HostAddresses read() const;
  // Readable when addresses may have changed.
  [[nodiscard]] int events() const noexcept;
  // Takes what can be read there, at most kEventsPerTurn messages.
  void take_events() const;

 private:
  static constexpr int kEventsPerTurn = 256;

  netlink::RouteSocket requests_;
  netlink::RouteSocket events_;
};

class AddressWatch {
 public:
  // `reader` outlives this. `changed` is called with all addresses whenever they have changed; not
  // for the first ones. Throws as HostAddressReader::read() does.
  AddressWatch(asio::io_context& context, const HostAddressReader& reader,
               std::function<void(const HostAddresses&)> changed);
  AddressWatch(const AddressWatch&) = delete;
  AddressWatch& operator=(const AddressWatch&) = delete;
  ~AddressWatch();

  [[nodiscard]] const HostAddresses& addresses() const noexcept { return addresses_; }
  void start();

 private:
  void wait();
  void on_events();

  const HostAddressReader& reader_;
  std::function<void(const HostAddresses&)> changed_;
  asio::posix::stream_descriptor descriptor_;  // of the reader, which closes it
  HostAddresses addresses_;
};

}  // namespace pns::control
