// SPDX-License-Identifier: BSD-3-Clause
//
// MemoryWatch: says when this process holds more memory than it may, and when it no longer does.
// Looks once a second; over the limit it gives back to the kernel what the allocator keeps.
// Event-loop thread only.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <functional>

namespace pns::control {

// Octets of this process's memory that are its own and resident: not the mappings it shares with
// others, as session memory. 0 when it cannot be told.
[[nodiscard]] std::uint64_t private_memory() noexcept;

class MemoryWatch {
 public:
  struct Events {
    std::function<void(std::uint64_t octets)> measured;  // each time
    std::function<void(bool over)> changed;
  };

  // Over: above `limit` octets, until below 95 % of it. 0: never.
  MemoryWatch(asio::io_context& context, std::uint64_t limit, Events events,
              std::function<std::uint64_t()> measure = private_memory);
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  // Looks now, and once a second from now on.
  void start();

 private:
  void look();

  asio::steady_timer timer_;
  std::uint64_t limit_;
  Events events_;
  std::function<std::uint64_t()> measure_;
  bool over_ = false;
};

}  // namespace pns::control
