// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusRequestTable: the records of all open requests: the queues of those that wait for a server,
// and the timer of each. Requests that a server has stand in that server's lists; they move between
// lists without being copied. It decides nothing. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>

#include "controlplane/aaa/radius_request.hpp"
#include "controlplane/model/radius_counts.hpp"
#include "pns/base/time.hpp"

namespace pns::aaa {

class RadiusRequestTable {
 public:
  using Stage = RadiusRequest::Stage;
  // By the servers that each may go to, those with the least choice first: a request that waits for
  // one server holds up nobody who may go to another.
  struct LeastChoiceFirst {
    bool operator()(RadiusServerSet a, RadiusServerSet b) const noexcept;
  };
  using Waiting = std::map<RadiusServerSet, RadiusRequests, LeastChoiceFirst>;

  // A new record, at the end of a list or of a queue. Its timer is the deadline.
  RadiusRequest& create(RadiusRequests& list, Stage stage, model::RadiusKind kind,
                        TimePoint deadline);
  RadiusRequest& create_waiting(RadiusServerSet allowed, model::RadiusKind kind,
                                TimePoint deadline) {
    RadiusRequest& request = create(waiting_[allowed], Stage::kWaiting, kind, deadline);
    request.allowed = allowed;
    return request;
  }
  // To the end of a server's list.
  void move(RadiusRequest& request, RadiusRequests& to, Stage stage);
  // To the end of the queue for these servers, or to its front.
  void wait(RadiusRequest& request, RadiusServerSet allowed, bool first = false);
  // Takes the record out; the caller keeps it as long as it needs it.
  [[nodiscard]] RadiusRequests remove(RadiusRequest& request);

  // The timer of a request never exceeds its deadline.
  void set_timer(RadiusRequest& request, TimePoint at);
  // The request whose timer is due first; null: none is at `now`.
  [[nodiscard]] RadiusRequest* due(TimePoint now) const noexcept;
  [[nodiscard]] std::optional<TimePoint> next() const noexcept;

  // Queues may be empty.
  [[nodiscard]] Waiting& waiting() noexcept { return waiting_; }
  void drop_empty_queues();
  [[nodiscard]] std::size_t waiting_count(model::RadiusKind kind) const noexcept {
    return waiting_count_[static_cast<std::size_t>(kind)];
  }

 private:
  void enter(RadiusRequest& request, Stage stage) noexcept;

  RadiusTimers timers_;
  Waiting waiting_;
  std::array<std::size_t, model::kRadiusKinds> waiting_count_{};
};

}  // namespace pns::aaa
