// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/memory_watch.hpp"

#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <utility>

namespace pns::control {
namespace {

constexpr auto kInterval = std::chrono::seconds(1);

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

MemoryWatch::MemoryWatch(asio::io_context& context, std::uint64_t limit, Events events,
                         std::function<std::uint64_t()> measure)
    : timer_(context), limit_(limit), events_(std::move(events)), measure_(std::move(measure)) {}

void MemoryWatch::start() {
  look();
  timer_.expires_after(kInterval);
  timer_.async_wait([this](const asio::error_code& error) {
    if (!error) start();
  });
}

void MemoryWatch::look() {
  std::uint64_t octets = measure_();
  if (limit_ != 0 && octets > limit_ / 20 * 19) {
    (void)::malloc_trim(0);
    octets = measure_();
  }
  events_.measured(octets);
  if (limit_ == 0) return;
  const bool over = octets > (over_ ? limit_ / 20 * 19 : limit_);
  if (std::exchange(over_, over) != over) events_.changed(over);
}

}  // namespace pns::control
