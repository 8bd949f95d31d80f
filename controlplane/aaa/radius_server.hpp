// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusServer: one server for one kind of request, as RadiusClient knows it: settings, window,
// Identifiers, round trip, health, the requests that it has, and its counters. A server that does
// authentication and accounting is two of these: each port has a queue of its own. One thread.
#pragma once

#include <cstdint>
#include <optional>

#include "controlplane/aaa/radius_health.hpp"
#include "controlplane/aaa/radius_identifiers.hpp"
#include "controlplane/aaa/radius_request.hpp"
#include "controlplane/aaa/radius_round_trip.hpp"
#include "controlplane/aaa/radius_window.hpp"
#include "controlplane/model/radius_counts.hpp"
#include "pns/base/ip_endpoint.hpp"
#include "pns/base/random.hpp"
#include "pns/base/secret.hpp"

namespace pns::aaa {

struct RadiusServerSettings {
  IpEndpoint endpoint;
  model::RadiusKind kind = model::RadiusKind::kAuthentication;
  SecretText secret{};
  std::uint32_t priority = 0;     // the lowest number that answers is used
  std::uint32_t weight = 1;       // share among servers of one priority
  Duration timeout = Seconds(1);  // of a transmission, before a round trip was measured
  unsigned tries = 3;             // transmissions before a request goes to another server
  std::uint32_t max_window = 1024;
  RadiusHealthSettings health{};
};

class RadiusServer {
 public:
  using State = model::RadiusState;

  // `sockets`: from which it is asked. `counts` outlives this.
  RadiusServer(RadiusServerSettings settings, std::uint16_t sockets, RandomSource& random,
               model::RadiusServerCounts& counts);

  [[nodiscard]] const RadiusServerSettings& settings() const noexcept { return settings_; }
  [[nodiscard]] model::RadiusServerCounts& counts() noexcept { return counts_; }
  [[nodiscard]] RadiusIdentifiers& identifiers() noexcept { return identifiers_; }
  [[nodiscard]] RadiusHealth& health() noexcept { return health_; }
  [[nodiscard]] const RadiusHealth& health() const noexcept { return health_; }
  [[nodiscard]] State state() const noexcept { return health_.state(); }

  // Requests by stage: kOutstanding, kDeferred and kProbe stand here.
  [[nodiscard]] RadiusRequests& outstanding() noexcept { return outstanding_; }
  [[nodiscard]] RadiusRequests& deferred() noexcept { return deferred_; }
  [[nodiscard]] RadiusRequests& probes() noexcept { return probes_; }

  // The window has room for one more transmission. A suspect server gets few.
  [[nodiscard]] bool has_room() const noexcept;
  // For a request that it does not have yet: those that it has go first.
  [[nodiscard]] bool takes_more(TimePoint now) const noexcept {
    return deferred_.empty() && has_room() && identifiers_.has_free(now);
  }

  // The outcome of a transmission, for the window, the round trip and the health. The request
  // still stands in outstanding() or deferred().
  void on_sent(TimePoint now) noexcept { health_.on_sent(now); }
  // Both: true: it was not alive before.
  bool on_answer(const RadiusRequest& request, TimePoint now) noexcept;
  // A request that was given up is answered after all: the server is slow.
  bool on_late_answer(TimePoint sent, TimePoint now) noexcept;
  void on_timeout(const RadiusRequest& request, TimePoint now) noexcept;
  void restart_window() noexcept { window_.restart(); }

  // How long a transmission waits for its answer, after so many time-outs of the request (RFC 5080
  // §2.2.1: doubled each time, with jitter).
  [[nodiscard]] Duration wait(unsigned timeouts, RandomSource& random) const noexcept;

  // Brings the gauges up to date.
  void publish() noexcept;

 private:
  RadiusServerSettings settings_;
  model::RadiusServerCounts& counts_;
  RadiusIdentifiers identifiers_;
  RadiusWindow window_;
  RadiusRoundTrip round_trip_;
  RadiusHealth health_;
  RadiusRequests outstanding_;
  RadiusRequests deferred_;
  RadiusRequests probes_;
};

}  // namespace pns::aaa
