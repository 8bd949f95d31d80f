// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusCollector: what /metrics shows of the RADIUS client, read at scrape time. Collect() runs on
// the exposer's thread and reads relaxed atomics only.
#pragma once

#include <prometheus/collectable.h>

#include <deque>
#include <vector>

#include "controlplane/model/radius_counts.hpp"

namespace pns::metrics {

class RadiusCollector final : public prometheus::Collectable {
 public:
  // All outlive this; `servers` and `attributes` keep their size.
  RadiusCollector(const model::RadiusCounts& counts,
                  const std::deque<model::RadiusServerCounts>& servers,
                  const std::deque<model::RadiusAttributeCounts>& attributes)
      : counts_(counts), servers_(servers), attributes_(attributes) {}
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const model::RadiusCounts& counts_;
  const std::deque<model::RadiusServerCounts>& servers_;
  const std::deque<model::RadiusAttributeCounts>& attributes_;
};

}  // namespace pns::metrics
