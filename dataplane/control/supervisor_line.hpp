// SPDX-License-Identifier: BSD-3-Clause
//
// SupervisorLine: the dataplane's end of the socket to the supervisor. Grants come by it, requests
// go by it. A request that finds the socket full is repeated or waits here. Main thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>
#include <string>
#include <utility>

#include "dataplane/port/port.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/contract/supervisor_protocol.hpp"
#include "pns/netlink/neighbour_request.hpp"

namespace pns::dataplane {

class SupervisorLine {
 public:
  enum class Order : std::uint8_t { kNone, kStop, kLeave, kGone };
  // kSetLog is obeyed here.

  // `socket`: SEQPACKET, connected.
  explicit SupervisorLine(UniqueFd socket) noexcept : socket_(std::move(socket)) {}

  // Waits for the descriptors of the start, 10 s at most. Error: one line.
  [[nodiscard]] std::expected<contract::Grants, std::string> receive_grants();

  // Poll for reading; then receive().
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  [[nodiscard]] Order receive();

  // Whether the supervisor asks the kernel for neighbours: one of an earlier release does not.
  [[nodiscard]] bool asks_neighbours() const noexcept {
    return version_ >= contract::kAskNeighbourSince;
  }

  // The supervisor gives the twin of this port its MAC and its addresses. False: it takes no
  // messages.
  [[nodiscard]] bool set_twin(const Port& port);
  // Lost where the socket is full: the caller asks until it knows the address. IPv4 as mapped
  // addresses.
  void ask_neighbour(contract::PortRole role, const Ipv6Address& neighbour,
                     netlink::NeighbourVerb verb);
  // The kernel's way back to a subscriber outside the pools, from now on or no more. Changes wait
  // while the socket is full: a start may adopt many sessions. Nothing where the supervisor is of
  // an earlier release.
  void set_subscriber_route(const Networks& subscriber, bool bound);
  void send_waiting();
  void feed_watchdog();
  // Requests of the start may have filled the socket: this waits for room. A supervisor that is
  // gone shows in receive().
  void report_ready();

 private:
  [[nodiscard]] bool send(const contract::SupervisorMessage& message) const;

  UniqueFd socket_;
  std::uint32_t version_ = 0;  // of the supervisor's protocol
  // Subscribers that the supervisor has not been told of: as text, and whether a session has them.
  std::deque<std::pair<std::string, bool>> route_changes_;
};

}  // namespace pns::dataplane
