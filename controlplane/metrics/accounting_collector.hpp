// SPDX-License-Identifier: BSD-3-Clause
//
// AccountingCollector: what /metrics shows of accounting, read at scrape time. Collect() runs on
// the exposer's thread and reads relaxed atomics only.
#pragma once

#include <prometheus/collectable.h>

#include <vector>

#include "controlplane/model/accounting_counts.hpp"

namespace pns::metrics {

class AccountingCollector final : public prometheus::Collectable {
 public:
  // `counts` outlives this.
  explicit AccountingCollector(const model::AccountingCounts& counts) : counts_(counts) {}
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const model::AccountingCounts& counts_;
};

}  // namespace pns::metrics
