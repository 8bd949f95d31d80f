// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_snapshots.hpp"

#include <chrono>
#include <utility>

namespace pns::subscriber {

SessionView view_of(const Session& session, TimePoint now) {
  const auto& call = session.call();
  const SessionLink& link = session.link();
  const SessionAccount& account = link.account();
  const auto& record = session.dataplane().record();
  SessionView view;
  view.id = call.id;
  view.slot = call.slot;
  view.user = account.user();
  view.claimed_user = account.claimed_user();
  view.peer = call.peer;
  view.local = call.local;
  if (account.lease() && link.machine() != nullptr && link.phase() == model::LinkPhase::kOpen &&
      link.machine()->ipv4_flows())
    view.address = account.lease()->address;
  view.state = session.state() == Session::State::kRemoving   ? "removing"
               : session.state() == Session::State::kDialling ? "dialling"
                                                              : model::name_of(link.phase());
  view.kind = model::name_of(call.kind);
  view.wan_errors = session.wan_errors();
  view.our_call_id = call.our_call_id;
  view.peer_call_id = call.peer_call_id;
  if (link.machine() != nullptr) {
    const auto status = link.machine()->status();
    view.auth = model::name_of(status.auth);
    view.mppe = status.mppe;
    view.ipv6_prefix = status.ipv6_prefix;
  }
  view.networks = link.networks_in_force();
  view.worker = session.worker();
  view.connection = call.connection.value;
  view.uptime_s = static_cast<std::uint64_t>(
      std::chrono::duration_cast<Seconds>(now - link.opened().value_or(call.started)).count());
  const std::uint64_t last = session.dataplane().last_heard_ns();
  if (last != 0 && monotonic_ns(now) > last)
    view.idle_s = (monotonic_ns(now) - last) / 1'000'000'000;
  if (link.opened())
    view.setup_ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<Milliseconds>(*link.opened() - call.started).count());
  view.mtu = link.mtu();
  view.rx_packets = record.upstream.packets.get();
  view.rx_bytes = record.upstream.bytes.get();
  view.tx_packets = record.downstream.packets.get();
  view.tx_bytes = record.downstream.bytes.get();
  view.rx_drops = record.upstream.drops.get();
  view.tx_drops = record.downstream.drops.get();
  view.sequence_gaps = record.upstream.sequence_gaps.get();
  return view;
}

std::optional<resume::StoredSession> record_of(const Session& session, TimePoint now) {
  const auto& call = session.call();
  const ppp::Link* const machine = session.link().machine();
  const SessionAccount& account = session.link().account();
  if (machine == nullptr || !account.lease()) return std::nullopt;
  auto snapshot = machine->snapshot();
  if (!snapshot) return std::nullopt;
  if (snapshot->from_lcp) snapshot->user = account.user();
  snapshot->keys.reset();  // keys do not go to the store
  return resume::StoredSession{.id = call.id,
                               .slot = call.slot,
                               .generation = session.dataplane().handle().generation,
                               .connection = call.connection,
                               .our_call_id = call.our_call_id,
                               .peer_call_id = call.peer_call_id,
                               .lease = *account.lease(),
                               .started_ns = monotonic_ns(call.started),
                               .opened_ns = monotonic_ns(session.link().opened().value_or(now)),
                               .mtu = machine->inner_mtu(),
                               .rates = account.rates(),
                               .filters = account.filters(),
                               .origin = account.origin(),
                               .conditions = session.conditions() != nullptr
                                                 ? *session.conditions()
                                                 : model::SessionConditions(),
                               .link = std::move(*snapshot)};
}

}  // namespace pns::subscriber
