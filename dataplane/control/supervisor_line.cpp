// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/control/supervisor_line.hpp"

#include <poll.h>

#include <cerrno>
#include <string_view>

#include "dataplane/routing/mapped_address.hpp"
#include "pns/log/log.hpp"

namespace pns::dataplane {
namespace {

using contract::SupervisorMessage;
using contract::SupervisorMessageType;

constexpr int kGrantTimeoutMs = 10'000;
constexpr int kRoomTimeoutMs = 100;

// Always with a terminator.
void set_text(SupervisorMessage& message, std::string_view text) {
  message.text.fill('\0');
  text.copy(message.text.data(), message.text.size() - 1);
}

}  // namespace

std::expected<contract::Grants, std::string> SupervisorLine::receive_grants() {
  auto grants = contract::receive_grants(socket_.get(), kGrantTimeoutMs);
  if (grants) version_ = grants->supervisor_version;
  return grants;
}

SupervisorLine::Order SupervisorLine::receive() {
  const auto message = contract::receive_supervisor_message(socket_.get());
  if (!message)
    return message.error() == contract::ReceiveError::kWouldBlock ? Order::kNone : Order::kGone;
  switch (message->message.type) {
    case SupervisorMessageType::kStop:
      return Order::kStop;
    case SupervisorMessageType::kLeave:
      return Order::kLeave;
    case SupervisorMessageType::kSetLog:
      if (message->message.value <= static_cast<std::uint32_t>(log::Level::kError))
        log::set_level(static_cast<log::Level>(message->message.value));
      return Order::kNone;
    default:
      return Order::kNone;
  }
}

bool SupervisorLine::set_twin(const Port& port) {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kSetTwin;
  message.port = static_cast<std::uint32_t>(port.role);
  message.mac = port.mac;
  message.value = port.mtu;
  return send(message);
}

void SupervisorLine::ask_neighbour(contract::PortRole role, const Ipv6Address& neighbour,
                                   netlink::NeighbourVerb verb) {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kAskNeighbour;
  message.value = verb == netlink::NeighbourVerb::kAsk ? 0 : 1;
  message.port = static_cast<std::uint32_t>(role);
  set_text(message, is_mapped(neighbour) ? unmapped(neighbour).to_string() : neighbour.to_string());
  (void)send(message);
}

void SupervisorLine::set_subscriber_route(const Networks& subscriber, bool bound) {
  if (version_ < contract::kSubscriberRouteSince) return;
  for (const Ipv4Prefix& prefix : subscriber.ipv4)
    route_changes_.emplace_back(prefix.address.to_string(), bound);
  for (const Ipv6Prefix& prefix : subscriber.ipv6)
    route_changes_.emplace_back(prefix.address.to_string(), bound);
  send_waiting();
}

void SupervisorLine::send_waiting() {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kSubscriberRoute;
  while (!route_changes_.empty()) {
    const auto& [subscriber, bound] = route_changes_.front();
    message.value = bound ? 0 : 1;
    set_text(message, subscriber);
    if (!send(message)) return;
    route_changes_.pop_front();
  }
}

void SupervisorLine::feed_watchdog() {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kWatchdog;
  (void)send(message);
}

void SupervisorLine::report_ready() {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kReady;
  while (!send(message) && errno == EAGAIN) {
    pollfd room{socket_.get(), POLLOUT, 0};
    (void)::poll(&room, 1, kRoomTimeoutMs);
  }
}

bool SupervisorLine::send(const SupervisorMessage& message) const {
  return contract::send_supervisor_message(socket_.get(), message);
}

}  // namespace pns::dataplane
