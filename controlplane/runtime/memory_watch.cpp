// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/memory_watch.hpp"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <utility>

namespace pns::control {
namespace {

constexpr auto kInterval = std::chrono::seconds(1);
constexpr unsigned kMaxPause = 256;  // looks

}  // namespace

// statm counts pages: size, resident, shared, …
std::uint64_t private_memory() noexcept {
  try {
    std::ifstream file("/proc/self/statm");
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    std::uint64_t shared = 0;
    if (!(file >> size >> resident >> shared) || shared > resident) return 0;
    return (resident - shared) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  } catch (...) {
    return 0;
  }
}

void trim_heap() noexcept { (void)::malloc_trim(0); }

MemoryWatch::MemoryWatch(asio::io_context& context, std::uint64_t limit, Events events,
                         std::function<std::uint64_t()> measure, std::function<void()> trim)
    : timer_(context),
      limit_(limit),
      events_(std::move(events)),
      measure_(std::move(measure)),
      trim_(std::move(trim)) {}

void MemoryWatch::start() {
  look();
  timer_.expires_after(kInterval);
  timer_.async_wait([this](const asio::error_code& error) {
    if (!error) start();
  });
}

std::uint64_t MemoryWatch::shrink(std::uint64_t octets) {
  if (--looks_to_trim_ > 0) return octets;
  trim_();
  const std::uint64_t after = measure_();
  const bool helped = after < octets && octets - after >= limit_ / 100;
  pause_ = helped ? 1 : std::min(2 * pause_, kMaxPause);
  looks_to_trim_ = pause_;
  return after;
}

void MemoryWatch::look() {
  const std::uint64_t near_limit = limit_ / 20 * 19;
  std::uint64_t octets = measure_();
  if (limit_ != 0 && octets > near_limit)
    octets = shrink(octets);
  else
    pause_ = looks_to_trim_ = 1;
  events_.measured(octets);
  if (limit_ == 0) return;
  const bool over = octets > (over_ ? near_limit : limit_);
  if (std::exchange(over_, over) != over) events_.changed(over);
}

}  // namespace pns::control
