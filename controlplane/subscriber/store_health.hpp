// SPDX-License-Identifier: BSD-3-Clause
//
// StoreHealth: what follows from writes to the store that fail. New calls are refused until the
// store can be written again; then everything that should be in it is written anew. Event-loop
// thread only.
#pragma once

#include <functional>

#include "controlplane/runtime/timer_queue.hpp"
#include "controlplane/subscriber/services.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {

class StoreHealth {
 public:
  // `rewrite_all` puts every record into the journal again.
  StoreHealth(Services& services, std::function<void()> rewrite_all);
  ~StoreHealth();
  StoreHealth(const StoreHealth&) = delete;
  StoreHealth& operator=(const StoreHealth&) = delete;

  // A turn of the event loop could not be written.
  void on_failure(const resume::Journal::Failure& failure);
  // Whether records could not be written and still cannot. Tries now, if the last try is long ago.
  [[nodiscard]] bool is_failing();

 private:
  void retry();
  void arm();

  Services& services_;
  std::function<void()> rewrite_all_;
  control::Timer timer_;
  TimePoint tried_{};
  log::RateLimit log_;
};

}  // namespace pns::subscriber
