// SPDX-License-Identifier: BSD-3-Clause
//
// SessionConditions: the terms of one session that the control process enforces by itself: its
// limits, and how often it reports. Most sessions have none. Plain values.
#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>
#include <vector>

#include "controlplane/model/service_terms.hpp"
#include "pns/base/time.hpp"

namespace pns::model {

struct SessionConditions {
  ServiceLimits limits;
  std::optional<Seconds> interim_interval;  // of accounting; empty: as configured; 0: no reports
  std::optional<std::vector<std::byte>> login_again{};  // as in AuthGrant
  friend bool operator==(const SessionConditions&, const SessionConditions&) = default;
};

// The limits after a change. A time or a quota of 0 in the change is no limit.
[[nodiscard]] inline ServiceLimits changed(const ServiceLimits& limits,
                                           const ServiceChange& change) {
  const auto after = [](const auto& before, const auto& wanted) {
    if (!wanted) return before;
    return *wanted == std::remove_cvref_t<decltype(*wanted)>{} ? std::nullopt : wanted;
  };
  return {.session_time = after(limits.session_time, change.session_time),
          .idle_time = after(limits.idle_time, change.idle_time),
          .quota = {.upstream = after(limits.quota.upstream, change.quota.upstream),
                    .downstream = after(limits.quota.downstream, change.quota.downstream),
                    .total = after(limits.quota.total, change.quota.total)}};
}

}  // namespace pns::model
