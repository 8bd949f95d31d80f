// SPDX-License-Identifier: BSD-3-Clause
//
// ConnectionOpener: opens TCP connections. Connector (connector.hpp) is the product's; a test has
// one without sockets. Event-loop thread only.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>

#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::control {

class ConnectionOpener {
 public:
  // A connected, non-blocking socket, or errno (ETIMEDOUT: the time limit).
  using Done = std::function<void(std::expected<UniqueFd, int>)>;

  ConnectionOpener() = default;
  ConnectionOpener(const ConnectionOpener&) = delete;
  ConnectionOpener& operator=(const ConnectionOpener&) = delete;
  virtual ~ConnectionOpener() = default;

  // Calls `done` once, never before it returns, unless the attempt is cancelled. 0: there are too
  // many attempts; otherwise the attempt's number.
  [[nodiscard]] virtual std::uint64_t connect(Ipv4Address local, Ipv4Address remote,
                                              std::uint16_t remote_port, Duration within,
                                              Done done) = 0;
  // Unknown numbers are ignored.
  virtual void cancel(std::uint64_t attempt) = 0;
};

}  // namespace pns::control
