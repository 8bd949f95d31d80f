// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/line_error_reports.hpp"

#include <algorithm>

#include "controlplane/subscriber/settings.hpp"

namespace pns::subscriber {
namespace {

constexpr auto kInterval = Seconds(2);  // how often drop counters are read

}  // namespace

LineErrorReports::LineErrorReports(Services& services, SessionTable& sessions,
                                   ConnectionTable& connections)
    : services_(services),
      sessions_(sessions),
      connections_(connections),
      timer_(services.loop.timers(), [this] { report_all(); }) {
  if (make_connection_settings(services_.config).wan_error_notify) report_all();
}

void LineErrorReports::on_reported(Session& session, const model::WanErrors& totals) {
  const auto before = session.set_wan_errors(totals);
  for (std::size_t i = 0; i < model::WanErrors::kCount; ++i) {
    const std::uint32_t total = totals.counts.at(i);
    const std::uint32_t old = before.counts.at(i);
    services_.statistics.wan_errors.at(i).add(total >= old ? total - old : total);
  }
}

void LineErrorReports::report_all() {
  const TimePoint now = services_.loop.now();
  sessions_.for_each([this, now](Session& session) {
    if (session.state() != Session::State::kUp || model::we_are_pns(session.call().kind)) return;
    const auto connection = connections_.find(session.call().connection);
    if (!connection) return;
    model::WanErrors totals;
    totals.counts[model::kBufferOverrun] = static_cast<std::uint32_t>(std::min<std::uint64_t>(
        session.dataplane().record().downstream.drops.get(), ~std::uint32_t{0}));
    connections_.apply(*connection, connection->machine().our_calls().report_wan_errors(
                                        session.call().our_call_id, totals, now));
  });
  timer_.arm(now + kInterval);
}

}  // namespace pns::subscriber
