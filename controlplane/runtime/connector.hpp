// SPDX-License-Identifier: BSD-3-Clause
//
// Connector: opens TCP connections from one of our addresses, a bounded number at once, each with a
// time limit. Event-loop thread only. Never blocks.
#pragma once

#include <asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::control {

// The address that the kernel would send from; empty when there is no route.
[[nodiscard]] std::optional<Ipv4Address> source_towards(Ipv4Address remote);

// Opens TCP connections. Connector is the product's; a test has one without sockets.
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

class Connector final : public ConnectionOpener {
 public:
  Connector(asio::io_context& context, std::size_t max_at_once);
  ~Connector() override;

  [[nodiscard]] std::uint64_t connect(Ipv4Address local, Ipv4Address remote,
                                      std::uint16_t remote_port, Duration within,
                                      Done done) override;
  void cancel(std::uint64_t attempt) override;

 private:
  struct Attempt;
  void finish(std::uint64_t number, std::expected<UniqueFd, int> result);

  asio::io_context& context_;
  std::size_t most_;
  std::uint64_t next_ = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<Attempt>> attempts_;
};

}  // namespace pns::control
