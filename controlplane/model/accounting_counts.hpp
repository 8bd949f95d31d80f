// SPDX-License-Identifier: BSD-3-Clause
//
// Figures of accounting for metrics. The event loop writes them, any thread reads them.
#pragma once

#include "controlplane/model/statistics.hpp"

namespace pns::model {

struct AccountingCounts {
  Count records;           // made, ever
  Count answered;          // ever
  Count unanswered;        // attempts without an answer, ever
  Count collapsed;         // Interim-Updates that a later record made needless, ever
  Count interims_dropped;  // Interim-Updates that were not made: the spool was nearly full, ever
  Count not_kept;          // records that could not be written to the spool, ever
  Count lost;              // of these: those that memory had no room for either, ever
  Count recovered;         // Stops of sessions that an earlier process left, ever
  Count open_sessions;     // with a Start and without a Stop
  Count waiting;           // records in the spool
  Count under_way;         // sent and not answered
  Count oldest_seconds;    // age of the oldest record that waits
  Count fill_permille;     // of the spool
  Count failing;           // 0 or 1: the last write to the spool failed
};

}  // namespace pns::model
