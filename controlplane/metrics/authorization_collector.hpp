// SPDX-License-Identifier: BSD-3-Clause
//
// AuthorizationCollector: what /metrics shows of dynamic authorization (RFC 5176), read at scrape
// time. Collect() runs on the exposer's thread and reads relaxed atomics only.
#pragma once

#include <prometheus/collectable.h>

#include <deque>
#include <vector>

#include "controlplane/model/authorization_counts.hpp"

namespace pns::metrics {

class AuthorizationCollector final : public prometheus::Collectable {
 public:
  // Both outlive this; `clients` keeps its size.
  AuthorizationCollector(const model::AuthorizationCounts& counts,
                         const std::deque<model::AuthorizationClientCounts>& clients)
      : counts_(counts), clients_(clients) {}
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const model::AuthorizationCounts& counts_;
  const std::deque<model::AuthorizationClientCounts>& clients_;
};

}  // namespace pns::metrics
