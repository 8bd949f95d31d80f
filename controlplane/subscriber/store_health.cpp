// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/store_health.hpp"

#include <utility>

namespace pns::subscriber {
namespace {

// Between two tries: when a call is asked for, and when none is.
constexpr auto kMinRetry = Milliseconds(200);
constexpr auto kMaxRetry = Milliseconds(1000);

}  // namespace

StoreHealth::StoreHealth(Services& services, std::function<void()> rewrite_all)
    : services_(services),
      rewrite_all_(std::move(rewrite_all)),
      timer_(services.loop.timers(),
             [this] {
               retry();
               if (services_.statistics.store_failing.get() != 0) arm();
             }),
      log_(1, Seconds(10)) {
  services.journal.on_failure(
      [this](const resume::Journal::Failure& failure) { on_failure(failure); });
}

StoreHealth::~StoreHealth() { services_.journal.on_failure(nullptr); }

void StoreHealth::on_failure(const resume::Journal::Failure& failure) {
  auto& statistics = services_.statistics;
  statistics.store_failures.add();
  if (statistics.store_failing.get() == 0) arm();
  statistics.store_failing.set(1);
  if (log_.allow(services_.loop.now()))
    log::error("store failed", {{"reason", failure.reason},
                                {"changes", failure.changes},
                                {"suppressed", log_.take_suppressed()}});
}

bool StoreHealth::is_failing() {
  retry();
  return services_.statistics.store_failing.get() != 0;
}

void StoreHealth::arm() { timer_.arm(services_.loop.now() + kMaxRetry); }

void StoreHealth::retry() {
  auto& statistics = services_.statistics;
  const TimePoint now = services_.loop.now();
  if (statistics.store_failing.get() == 0 || now - tried_ < kMinRetry) return;
  tried_ = now;
  if (!services_.journal.probe()) return;
  const auto failures = statistics.store_failures.get();
  rewrite_all_();
  if (!services_.journal.commit() || statistics.store_failures.get() != failures) return;
  statistics.store_failing.set(0);
  log::info("store recovered");
}

}  // namespace pns::subscriber
