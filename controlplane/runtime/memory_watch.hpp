// SPDX-License-Identifier: BSD-3-Clause
//
// MemoryWatch: says when this process holds more memory than it may, and when it no longer does.
// Looks once a second; near the limit it gives back to the kernel what the allocator keeps.
//
// malloc_trim(3) visits every free block and holds up the event loop meanwhile. With every second
// block of a heap free, it took 20 ms at 100 MB, 150 ms at 400 MB and 0.5 s at 1 GB, and gave back
// a tenth the first time and nothing after that. So each time that it gives back less than 1 % of
// the limit, the pause before the next one doubles, up to 256 s. Event-loop thread only.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <functional>

namespace pns::control {

// Octets of this process's memory that are its own and resident: not the mappings it shares with
// others, as session memory. 0 when it cannot be told.
[[nodiscard]] std::uint64_t private_memory() noexcept;
// Gives memory back to the kernel that the allocator keeps.
void trim_heap() noexcept;

class MemoryWatch {
 public:
  struct Events {
    std::function<void(std::uint64_t octets)> measured;  // each time
    std::function<void(bool over)> changed;
  };

  // Over: above `limit` octets, until below 95 % of it. 0: never.
  MemoryWatch(asio::io_context& context, std::uint64_t limit, Events events,
              std::function<std::uint64_t()> measure = private_memory,
              std::function<void()> trim = trim_heap);
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  // Looks now, and once a second from now on.
  void start();

 private:
  void look();
  // Octets after memory was given back, where that is worth while.
  [[nodiscard]] std::uint64_t shrink(std::uint64_t octets);

  asio::steady_timer timer_;
  std::uint64_t limit_;
  Events events_;
  std::function<std::uint64_t()> measure_;
  std::function<void()> trim_;
  unsigned pause_ = 1;          // looks from one trim to the next
  unsigned looks_to_trim_ = 1;  // until the next trim
  bool over_ = false;
};

}  // namespace pns::control
