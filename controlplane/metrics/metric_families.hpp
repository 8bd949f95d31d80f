// SPDX-License-Identifier: BSD-3-Clause
//
// How the collectors make metric families. Private to controlplane/metrics. Pure functions, any
// thread.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/model/statistics.hpp"

namespace pns::metrics {

using Labels = std::vector<prometheus::ClientMetric::Label>;

[[nodiscard]] inline prometheus::MetricFamily family(std::string name, std::string help,
                                                     prometheus::MetricType type) {
  prometheus::MetricFamily f;
  f.name = std::move(name);
  f.help = std::move(help);
  f.type = type;
  return f;
}

// A counter or a gauge, as the family is.
template <class Number>
void add(prometheus::MetricFamily& f, Labels labels, Number value) {
  prometheus::ClientMetric metric;
  metric.label = std::move(labels);
  if (f.type == prometheus::MetricType::Gauge)
    metric.gauge.value = static_cast<double>(value);
  else
    metric.counter.value = static_cast<double>(value);
  f.metric.push_back(std::move(metric));
}

template <class Number>
[[nodiscard]] prometheus::MetricFamily single(std::string name, std::string help,
                                              prometheus::MetricType type, Number value) {
  prometheus::MetricFamily f = family(std::move(name), std::move(help), type);
  add(f, {}, value);
  return f;
}

// A family that shows one Count of each Counts, in units of `per`.
template <class Counts>
struct Figure {
  std::string_view name;
  std::string_view help;
  prometheus::MetricType type;
  model::Count Counts::*count;
  double per = 1;

  [[nodiscard]] prometheus::MetricFamily family() const {
    return metrics::family(std::string(name), std::string(help), type);
  }
  [[nodiscard]] double value(const Counts& counts) const noexcept {
    return static_cast<double>((counts.*count).get()) / per;
  }
};

}  // namespace pns::metrics
