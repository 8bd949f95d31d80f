// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/asio_event_loop.hpp"

#include <time.h>

#include <asio/post.hpp>
#include <chrono>
#include <memory>
#include <utility>

namespace pns::control {
namespace {

// Timer callbacks of one turn of the loop. Sockets get their turn between two of these.
constexpr std::size_t kTimersPerTurn = 256;

Duration thread_cpu_time() noexcept {
  timespec time{};
  (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return Seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

AsioEventLoop::AsioEventLoop(asio::io_context& context) : context_(context), timer_(context) {
  timers().on_earlier([this](TimePoint at) { wait_until(at); });
}

TimePoint AsioEventLoop::now() const noexcept { return std::chrono::steady_clock::now(); }

void AsioEventLoop::post(std::move_only_function<void()> work) {
  asio::post(context_, std::move(work));
}

void AsioEventLoop::run(const std::function<void(Duration)>& turned) {
  Duration begun = thread_cpu_time();
  while (context_.run_one() != 0) {
    const Duration ended = thread_cpu_time();
    turned(ended - begun);
    begun = ended;
  }
}

void AsioEventLoop::wait_until(TimePoint at) {
  // A wait that ends too early finds nothing due and waits again.
  if (waits_until_ && *waits_until_ <= at) return;
  waits_until_ = at;
  timer_.expires_at(at);
  timer_.async_wait([this](const asio::error_code& error) {
    if (!error) on_timer();
  });
}

void AsioEventLoop::on_timer() {
  waits_until_.reset();
  (void)timers().run_due(now(), kTimersPerTurn);
  if (const auto next = timers().next()) wait_until(*next);
}

}  // namespace pns::control
