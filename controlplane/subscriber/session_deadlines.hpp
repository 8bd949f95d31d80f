// SPDX-License-Identifier: BSD-3-Clause
//
// SessionDeadlines: at most one point in time for each session, and the sessions in the order of
// these. Event-loop thread only.
#pragma once

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"

namespace pns::subscriber {

class SessionDeadlines {
 public:
  // Instead of the one that the session had.
  void set(SessionId id, TimePoint at) {
    remove(id);
    in_order_.emplace(at, id);
    of_session_.emplace(id, at);
  }
  void remove(SessionId id) {
    const auto found = of_session_.find(id);
    if (found == of_session_.end()) return;
    in_order_.erase({found->second, id});
    of_session_.erase(found);
  }
  // Empty: there is none.
  [[nodiscard]] std::optional<TimePoint> next() const noexcept {
    return in_order_.empty() ? std::nullopt : std::optional(in_order_.begin()->first);
  }
  // Removes the first one that is not after `now`. Empty: there is none.
  [[nodiscard]] std::optional<std::pair<TimePoint, SessionId>> take_due(TimePoint now) {
    if (in_order_.empty() || in_order_.begin()->first > now) return std::nullopt;
    const auto first = *in_order_.begin();
    remove(first.second);
    return first;
  }

 private:
  std::set<std::pair<TimePoint, SessionId>> in_order_;
  std::unordered_map<SessionId, TimePoint> of_session_;
};

}  // namespace pns::subscriber
