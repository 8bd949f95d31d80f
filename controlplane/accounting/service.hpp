// SPDX-License-Identifier: BSD-3-Clause
//
// Service: the accounting of the server as one part, for the composition root. It owns the spool,
// the delivery and the accountant, and joins them to the RADIUS client. Event-loop thread only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "controlplane/accounting/accountant.hpp"
#include "controlplane/accounting/delivery.hpp"
#include "controlplane/accounting/radius_sender.hpp"
#include "controlplane/accounting/session_reports.hpp"
#include "controlplane/accounting/spool.hpp"
#include "controlplane/model/accounting_counts.hpp"
#include "controlplane/runtime/event_loop.hpp"
#include "pns/base/random.hpp"
#include "pns/config/config.hpp"

namespace pns::accounting {

class Service {
 public:
  struct Parts {
    control::EventLoop& loop;
    RandomSource& random;
    aaa::RadiusClient& client;
    aaa::RadiusNas nas;
    aaa::RealmServers realms;
    config::OnFullSpool on_full = config::OnFullSpool::kRefuseNewCalls;
    // New calls must be refused, or need not be any more.
    std::function<void(bool refuse)> on_shortage;
  };

  // All that the references name outlives this.
  Service(SpoolStore store, Parts parts);
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  [[nodiscard]] subscriber::SessionListener& listener() noexcept { return reports_; }
  // Every session of an earlier process was told to listener(). `is_new_server`: there was none, so
  // Accounting-On goes out.
  void start(bool is_new_server);
  // The server ends, and so did its sessions: Accounting-Off. `done` is called when every record
  // was answered, or after `within`: the next process sends the rest.
  void finish(Duration within, std::function<void()> done);
  // Brings counts() up to date, and looks at the spool. Call once a second.
  void refresh();

  [[nodiscard]] const model::AccountingCounts& counts() const noexcept { return counts_; }

 private:
  // Shares of the spool.
  static constexpr double kShortOfRoom = 0.8;  // kDropInterimsFirst: no Interim-Update from here on
  static constexpr double kFull = 0.9;         // kRefuseNewCalls: no new calls
  static constexpr double kAlmostFull = 0.95;  // kRefuseNewCalls: no Interim-Update either

  // Interim-Updates are not made now.
  [[nodiscard]] bool is_short() const noexcept;
  void watch_spool();
  void end_if_answered();

  control::EventLoop& loop_;
  std::function<void(bool)> on_shortage_;
  config::OnFullSpool on_full_;
  std::optional<std::filesystem::path> damaged_;
  Spool spool_;
  RadiusSender sender_;
  control::Timer delivery_timer_;
  Delivery delivery_;
  Accountant accountant_;
  SessionReports reports_;
  model::AccountingCounts counts_;
  bool refuses_ = false;
  bool failed_ = false;  // both: as the log was told
  bool full_ = false;
  std::function<void()> finished_;
  TimePoint finish_by_{};
  control::Timer finish_timer_;
};

}  // namespace pns::accounting
