// SPDX-License-Identifier: BSD-3-Clause
//
// Counter: a number in shared memory that one thread writes and others read.
#pragma once

#include <atomic>
#include <cstdint>

namespace pns::contract {

// A counter with one writer; plain increment for the writer, torn-free read for others.
class Counter {
 public:
  void add(std::uint64_t n) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  // For numbers that somebody else counts.
  void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }
  void reset() noexcept { set(0); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace pns::contract
