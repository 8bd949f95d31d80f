// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/session_reports.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "controlplane/subscriber/session.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::accounting {

using subscriber::Session;

SessionFacts facts_of(const Session& session) {
  const Session::Call& call = session.call();
  const subscriber::SessionAccount& account = session.account();
  SessionFacts facts{.session = session.id(),
                     .user = account.user(),
                     .slot = call.slot,
                     .peer = call.peer,
                     .local = call.local,
                     .our_call_id = call.our_call_id,
                     .peer_call_id = call.peer_call_id,
                     .networks = session.link().networks_in_force()};
  model::AuthOrigin origin = account.origin();
  if (origin.is_radius) facts.authentic = Authentic::kRadius;
  facts.classes = std::move(origin.classes);
  facts.realm = std::move(origin.realm);
  const auto& lease = account.lease();
  if (lease) facts.address = lease->address;
  if (const ppp::Link* const link = session.link().machine())
    facts.ipv6_prefix = link->status().ipv6_prefix;
  if (lease && facts.ipv6_prefix) {
    facts.delegated_prefix = lease->delegation->prefix;
    facts.ipv6_address = lease->delegation->address;
  }
  return facts;
}

SessionCounters counters_of(const Session& session, TimePoint now) {
  const contract::SessionRecord& record = session.dataplane().record();
  const TimePoint opened = session.link().opened().value_or(now);
  return {.seconds = static_cast<std::uint64_t>(
              std::chrono::duration_cast<Seconds>(std::max(now, opened) - opened).count()),
          .input_octets = record.upstream.bytes.get(),
          .output_octets = record.downstream.bytes.get(),
          .input_packets = record.upstream.packets.get(),
          .output_packets = record.downstream.packets.get()};
}

void SessionReports::on_created(const Session& session) {
  if (session.link().opened())
    accountant_.taken_over(facts_of(session), counters_of(session, loop_.now()));
}

void SessionReports::on_opened(const Session& session) { accountant_.opened(facts_of(session)); }

void SessionReports::on_counters_due(const Session& session) {
  accountant_.interim(facts_of(session), counters_of(session, loop_.now()));
}

void SessionReports::on_ended(const Session& session, const subscriber::SessionEnd& end) {
  accountant_.ended(facts_of(session), counters_of(session, loop_.now()),
                    terminate_cause(end.reason));
}

}  // namespace pns::accounting
