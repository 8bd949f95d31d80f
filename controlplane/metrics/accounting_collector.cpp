// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/accounting_collector.hpp"

#include "controlplane/metrics/metric_families.hpp"

namespace pns::metrics {
namespace {

using prometheus::MetricType;
using Counts = model::AccountingCounts;

constexpr Figure<Counts> kSpoolFigures[] = {
    {"pns_accounting_records_total", "Accounting records made", MetricType::Counter,
     &Counts::records},
    {"pns_accounting_answered_total", "Accounting records that a server has answered",
     MetricType::Counter, &Counts::answered},
    {"pns_accounting_unanswered_total", "Attempts to send an accounting record without an answer",
     MetricType::Counter, &Counts::unanswered},
    {"pns_accounting_collapsed_total",
     "Interim-Updates that were not sent because a later record has all that they say",
     MetricType::Counter, &Counts::collapsed},
    {"pns_accounting_interims_dropped_total",
     "Interim-Updates that were not made because the spool was nearly full", MetricType::Counter,
     &Counts::interims_dropped},
    {"pns_accounting_not_kept_total", "Accounting records that could not be written to the spool",
     MetricType::Counter, &Counts::not_kept},
    {"pns_accounting_lost_total",
     "Accounting records that neither the spool nor memory had room for", MetricType::Counter,
     &Counts::lost},
    {"pns_accounting_recovered_total", "Stops made for sessions that an earlier process left",
     MetricType::Counter, &Counts::recovered},
    {"pns_accounting_open_sessions", "Sessions with a Start and without a Stop", MetricType::Gauge,
     &Counts::open_sessions},
    {"pns_accounting_waiting_records", "Accounting records in the spool", MetricType::Gauge,
     &Counts::waiting},
    {"pns_accounting_under_way", "Accounting records that were sent and not answered",
     MetricType::Gauge, &Counts::under_way},
    {"pns_accounting_oldest_seconds", "Age of the oldest accounting record that waits",
     MetricType::Gauge, &Counts::oldest_seconds},
    {"pns_accounting_spool_ratio", "Share of the spool that is in use", MetricType::Gauge,
     &Counts::fill_permille, 1000},
    {"pns_accounting_spool_failing", "1: the last write to the spool failed", MetricType::Gauge,
     &Counts::failing},
};

}  // namespace

std::vector<prometheus::MetricFamily> AccountingCollector::Collect() const {
  std::vector<prometheus::MetricFamily> out;
  for (const auto& figure : kSpoolFigures) {
    out.push_back(figure.family());
    add(out.back(), {}, figure.value(counts_));
  }
  return out;
}

}  // namespace pns::metrics
