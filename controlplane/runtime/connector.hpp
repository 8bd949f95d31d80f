// SPDX-License-Identifier: BSD-3-Clause
//
// Connector: opens TCP connections from one of our addresses, a bounded number at once, each with a
// time limit. Event-loop thread only. Never blocks.
#pragma once

#include <asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <unordered_map>

#include "controlplane/runtime/connection_opener.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::control {

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
