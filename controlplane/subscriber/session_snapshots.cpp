// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_snapshots.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "pns/contract/octet_rate.hpp"

namespace pns::subscriber {
namespace {

std::optional<std::uint64_t> left_of(const std::optional<std::uint64_t>& limit,
                                     std::uint64_t used) noexcept {
  return limit ? std::optional(*limit - std::min(used, *limit)) : std::nullopt;
}

DirectionView direction_of(const model::RateLimit& rate, std::string filter,
                           const std::optional<std::uint64_t>& quota, std::uint64_t used) {
  DirectionView view{.filter = std::move(filter), .quota_left = left_of(quota, used)};
  if (rate.bits_per_second == 0) return view;
  view.rate = rate.bits_per_second;
  constexpr std::uint64_t kDefaultBurstsInSecond =
      1'000'000'000 / contract::OctetRate::kDefaultBurstNs;
  view.burst = rate.burst_octets != 0 ? rate.burst_octets
                                      : rate.bits_per_second / 8 / kDefaultBurstsInSecond;
  return view;
}

TermsView terms_of(const Session& session, TimePoint now) {
  const SessionAccount& account = session.account();
  const auto& record = session.dataplane().record();
  const std::uint64_t up = record.upstream.bytes.get();
  const std::uint64_t down = record.downstream.bytes.get();
  static const model::SessionConditions kNone;
  const model::ServiceLimits& limits =
      (session.conditions() != nullptr ? *session.conditions() : kNone).limits;
  model::AuthOrigin origin = account.origin();
  TermsView view{.realm = std::move(origin.realm),
                 .pool = account.lease() ? account.lease()->pool : "",
                 .quota_left = left_of(limits.quota.total, up + down),
                 .classes = std::move(origin.classes)};
  if (limits.session_time) {
    const TimePoint end = session.link().opened().value_or(now) + *limits.session_time;
    view.session_left_s =
        static_cast<std::uint64_t>(std::chrono::ceil<Seconds>(std::max(end, now) - now).count());
  }
  if (limits.idle_time) view.idle_timeout_s = static_cast<std::uint64_t>(limits.idle_time->count());
  model::ServiceFilters filters = account.filters();
  const model::ServiceRates rates = account.rates();
  view.up = direction_of(rates.upstream, std::move(filters.upstream), limits.quota.upstream, up);
  view.down =
      direction_of(rates.downstream, std::move(filters.downstream), limits.quota.downstream, down);
  return view;
}

}  // namespace

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
  if (account.lease()) view.delegated_prefix = account.lease()->delegation->prefix;
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
  view.terms = terms_of(session, now);
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
