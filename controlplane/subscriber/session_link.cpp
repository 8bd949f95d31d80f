// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_link.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_id.hpp"
#include "controlplane/subscriber/settings.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {

using model::SetupStage;

namespace {

constexpr std::size_t kMaxEarlyFrames = 4;  // kept of a call that is not connected yet
using Kind = SessionChange::Kind;

contract::SessionRates to_contract(const model::ServiceRates& rates,
                                   const config::Rates& settings) {
  const auto one = [](const model::RateLimit& rate, const config::Rates::Direction& direction) {
    if (rate.bits_per_second == 0) return contract::SessionRate{};
    return contract::SessionRate{
        rate.bits_per_second,
        rate.burst_octets != 0 ? rate.burst_octets : direction.burst_octets(rate.bits_per_second)};
  };
  return {one(rates.upstream, settings.up), one(rates.downstream, settings.down)};
}

}  // namespace

SessionLink::SessionLink(const SessionContext& context, Session& session)
    : context_(context),
      session_(session),
      timer_(context.services.loop.timers(), [this] { on_timer(); }) {}

SessionLink::~SessionLink() = default;

bool SessionLink::is_up() const noexcept { return session_.state() == Session::State::kUp; }

// ---- life -----------------------------------------------------------------------------------

void SessionLink::install() {
  if (const Duration limit = context_.services.config.pptp.limits.set_up_deadline;
      limit != Duration{})
    open_by_ = now() + limit;
  machine_ = std::make_unique<ppp::Link>(context_.link_settings, session_.call().peer,
                                         context_.services.random, now());
  context_.events.changed(session_, {.kind = Kind::kInstalled});
  reach(SetupStage::kInstalled);
  arm_timer();
}

void SessionLink::restore(const resume::StoredSession& stored) {
  started_ = !stored.link.from_lcp;  // otherwise reconcile() starts it
  machine_ = std::make_unique<ppp::Link>(context_.link_settings, session_.call().peer, stored.link,
                                         context_.services.random, now());
  phase_ = machine_->phase();
  stage_ = SetupStage::kOpen;
  resumption_ = machine_->resume();
  account_.restore(stored.link.user, stored.lease, stored.rates, stored.filters, stored.origin);
  peer_mru_ = stored.link.lcp.peer_mru;
  mtu_ = stored.mtu;
  opened_ = from_monotonic_ns(stored.opened_ns);
  arm_timer();
}

// ---- the link -------------------------------------------------------------------------------

void SessionLink::reach(SetupStage stage) {
  if (stage <= stage_) return;
  stage_ = stage;
  context_.events.changed(session_, {.kind = Kind::kStage, .stage = stage});
}

void SessionLink::start() {
  if (!is_up() || started_ || end_reason_ != EndReason::kNone) return;
  started_ = true;
  const auto keep = session_.shared_from_this();
  const auto early = std::move(early_);
  apply(machine_->start(now()));
  if (!early) return;
  for (const auto& frame : *early) on_frame(frame);
}

void SessionLink::on_frame(Bytes frame) {
  if (is_up() && started_) return apply(machine_->on_frame(frame, now()));
  if (is_up() && (!early_ || early_->size() < kMaxEarlyFrames)) {
    if (!early_) early_ = std::make_unique<std::vector<std::vector<std::byte>>>();
    early_->emplace_back(frame.begin(), frame.end());
    return;
  }
  context_.services.statistics.punted_frames_stale.add();
}

void SessionLink::postpone_echo(TimePoint until) {
  if (machine_) machine_->postpone_echo(until);
  arm_timer();
}

void SessionLink::probe() {
  if (is_up() && started_) apply(machine_->probe(now()));
}

void SessionLink::on_path_dead(bool opened) {
  if (!is_up() || !started_) return;
  context_.services.statistics.dead_paths.add();
  apply(machine_->on_path_dead(opened, now()));
}

bool SessionLink::log_in_again() {
  if (!is_up() || !started_ || end_reason_ != EndReason::kNone) return false;
  if (machine_->logs_in_again()) return true;
  const auto actions = machine_->log_in_again(now());
  if (actions) apply(*actions);
  return actions.has_value();
}

void SessionLink::close(EndReason reason) {
  if (!is_up()) return;
  if (started_) return apply(machine_->close(reason, now()));
  fail(reason);
}

void SessionLink::fail(EndReason reason) {
  if (is_up()) perform(model::LinkEnded{reason});
}

void SessionLink::replace() {
  if (end_reason_ == EndReason::kNone) end_reason_ = EndReason::replaced;
  context_.owner.on_farewell_over(session_);
}

void SessionLink::apply(const model::LinkActions& actions) {
  const auto keep = session_.shared_from_this();
  note_resumption(actions);
  for (const auto& action : actions) {
    if (!is_up()) return;
    std::visit([this](const auto& a) { perform(a); }, action);
  }
  arm_timer();
}

// Comes before the first action: the record is written before the peer is told.
void SessionLink::note_resumption(const model::LinkActions& actions) {
  for (const auto& action : actions)
    if (const auto* changed = std::get_if<model::Ipv6BindingsChanged>(&action))
      account_.set_bindings(changed->bindings);
  const auto resumption = account_.lease() ? machine_->resume() : ppp::Link::Resume::kNot;
  const bool changed = resumption != resumption_ ||
                       std::ranges::any_of(actions, [](const model::LinkAction& action) {
                         return std::holds_alternative<model::OpenIpv4>(action) ||
                                std::holds_alternative<model::OpenIpv6>(action) ||
                                std::holds_alternative<model::Ipv6BindingsChanged>(action) ||
                                std::holds_alternative<model::CloseIpv6>(action);
                       });
  if (!changed || !is_up()) return;
  resumption_ = resumption;
  context_.events.changed(session_, {.kind = Kind::kResumption});
}

void SessionLink::arm_timer() {
  if (!is_up() || end_reason_ != EndReason::kNone) return;
  auto at = machine_->deadline();
  if (open_by_ && (!at || *open_by_ < *at)) at = open_by_;
  timer_.arm(at);
}

void SessionLink::on_timer() {
  if (!is_up()) return;
  if (end_reason_ != EndReason::kNone) return context_.owner.on_farewell_over(session_);
  // Whatever LCP and authentication do meanwhile. A link that is ending has bounds of its own.
  if (open_by_ && *open_by_ <= now()) {
    open_by_.reset();
    return close(EndReason::set_up_timeout);
  }
  apply(machine_->on_deadline(now()));
}

// ---- what the link asks for -----------------------------------------------------------------

void SessionLink::perform(const model::SendFrame& action) { session_.dataplane().inject(action); }

void SessionLink::perform(const model::ConfigureLink& action) {
  peer_mru_ = action.peer_mru;
  if (action.open) reach(SetupStage::kLcpOpen);
  session_.dataplane().configure_link(action);
}

void SessionLink::perform(const model::ArmMppe& action) {
  reach(SetupStage::kCcpOpen);
  session_.dataplane().arm(action);
}

void SessionLink::perform(const model::DisarmMppe&) { session_.dataplane().disarm(); }

void SessionLink::perform(const model::OpenIpv4& action) {
  changed_ = now();
  mtu_ = machine_->inner_mtu();
  session_.dataplane().open_ipv4(
      action.subscriber, account_.lease() ? account_.lease()->gateway : Ipv4Address(), mtu_,
      contract::rate_of_both(to_contract(account_.rates(), context_.services.config.rates)));
  note_networks();
}

void SessionLink::perform(const model::CloseIpv4&) {
  changed_ = now();
  session_.dataplane().close_ipv4();
  note_networks();
}

void SessionLink::perform(const model::OpenIpv6& action) {
  if (account_.lease() && account_.lease()->ipv6_prefix)
    session_.dataplane().open_ipv6(
        *account_.lease()->ipv6_prefix, action, machine_->inner_mtu(),
        contract::rate_of_both(to_contract(account_.rates(), context_.services.config.rates)));
  note_networks();
}

void SessionLink::perform(const model::CloseIpv6&) {
  session_.dataplane().close_ipv6();
  note_networks();
}

void SessionLink::perform(const model::Ipv6BindingsChanged&) {
  context_.events.changed(session_, {.kind = Kind::kNetworks});
}

void SessionLink::perform(const model::Dhcpv6Handled& action) {
  context_.services.statistics.dhcpv6[static_cast<std::size_t>(action.result)].add();
}

void SessionLink::note_networks() {
  if (account_.lease() && account_.lease()->may_have_networks())
    context_.events.changed(session_, {.kind = Kind::kNetworks});
}

Networks SessionLink::networks_in_force() const {
  Networks networks;
  if (!is_up() || !machine_ || !account_.lease()) return networks;
  const model::Lease& lease = *account_.lease();
  if (!lease.may_have_networks()) return networks;
  if (lease.networks && machine_->ipv4_flows()) networks.ipv4 = lease.networks->ipv4;
  if (!session_.dataplane().ipv6_flows()) return networks;
  if (lease.networks) networks.ipv6 = lease.networks->ipv6;
  const model::Delegation& delegation = *lease.delegation;
  if (delegation.bindings.prefix && delegation.prefix) networks.add(*delegation.prefix);
  if (delegation.bindings.address && lease.has_address_elsewhere())
    networks.add(Ipv6Prefix{*delegation.address, 128});
  return networks;
}

void SessionLink::perform(const model::PhaseChanged& action) {
  const model::LinkPhase before = std::exchange(phase_, action.phase);
  changed_ = now();
  context_.events.changed(session_, {.kind = Kind::kPhase, .phase_before = before});
  if (action.phase != model::LinkPhase::kOpen || opened_) return;
  opened_ = now();
  open_by_.reset();
  reach(SetupStage::kOpen);
  context_.events.opened(session_);
}

void SessionLink::perform(const model::LinkEnded& action) {
  if (end_reason_ != EndReason::kNone) return;
  end_reason_ = action.reason;
  const Duration farewell = context_.owner.farewell_time();
  if (farewell == Duration{}) return context_.owner.on_farewell_over(session_);
  timer_.arm(now() + farewell);
}

// ---- rates and filters ----------------------------------------------------------------------

std::expected<contract::SessionService, EndReason> SessionLink::service_of(
    const model::ServiceRates& rates, const model::ServiceFilters& filters) const {
  const auto number = [this](const std::string& name) -> std::optional<std::uint8_t> {
    if (name.empty()) return 0;
    return contract::find_filter(context_.services.memory.header(), name);
  };
  const auto upstream = number(filters.upstream);
  const auto downstream = number(filters.downstream);
  if (!upstream || !downstream) return std::unexpected(EndReason::auth_filter_unknown);
  std::optional<std::uint16_t> group = 0;
  if (!rates.group.empty())
    group = contract::find_rate_group(context_.services.memory.header(), rates.group);
  if (!group) return std::unexpected(EndReason::auth_rate_group_unknown);
  contract::SessionService service{.rates = to_contract(rates, context_.services.config.rates),
                                   .filters = {.upstream = *upstream, .downstream = *downstream}};
  service.rate_group = *group;
  return service;
}

bool SessionLink::has_filters(const model::ServiceChange& change) const {
  return service_of({}, {.upstream = change.upstream_filter.value_or(""),
                         .downstream = change.downstream_filter.value_or("")})
      .has_value();
}

void SessionLink::change_service(const model::ServiceChange& change, DataplaneSession::Held done) {
  const model::ServiceRates rates_before = account_.rates();
  const model::ServiceFilters filters_before = account_.filters();
  const model::ServiceRates rates{
      .upstream = change.upstream_rate.value_or(rates_before.upstream),
      .downstream = change.downstream_rate.value_or(rates_before.downstream),
      .group = rates_before.group};
  const model::ServiceFilters filters{
      .upstream = change.upstream_filter.value_or(filters_before.upstream),
      .downstream = change.downstream_filter.value_or(filters_before.downstream)};
  const auto service = service_of(rates, filters);
  if (!is_up() || end_reason_ != EndReason::kNone || account_.user().empty() || !service)
    return done(false);
  account_.set_service(rates, filters);
  context_.events.changed(session_, {.kind = Kind::kResumption});
  session_.dataplane().set_service(
      *service, [weak = session_.weak_from_this(), rates, filters, rates_before, filters_before,
                 done = std::move(done)](bool held) mutable {
        const auto alive = weak.lock();
        if (alive && !held) alive->link().take_back(rates, filters, rates_before, filters_before);
        done(alive && held);
      });
}

// A change that the dataplane does not have. A later change has an answer of its own.
void SessionLink::take_back(const model::ServiceRates& rates, const model::ServiceFilters& filters,
                            const model::ServiceRates& rates_before,
                            const model::ServiceFilters& filters_before) {
  if (account_.rates() != rates || account_.filters() != filters) return;
  account_.set_service(rates_before, filters_before);
  context_.events.changed(session_, {.kind = Kind::kResumption});
}

// After a restart of either plane: session memory may have missed the last change.
void SessionLink::repeat_service() {
  const auto service = service_of(account_.rates(), account_.filters());
  if (!service) return fail(service.error());
  if (session_.dataplane().lacks(*service)) session_.dataplane().set_service(*service);
}

// ---- authentication -------------------------------------------------------------------------

void SessionLink::perform(const model::Authenticate& action) {
  account_.claim(action.request.user);
  auto& statistics = context_.services.statistics;
  statistics.auth_pending.add();
  const Session::Call& call = session_.call();
  model::AuthRequest request = action.request;
  request.call = {.session = call.id,
                  .slot = call.slot,
                  .peer_call_id = call.peer_call_id,
                  .local = call.local,
                  .mtu = peer_mru_};
  if (machine_->logs_in_again() && session_.conditions() != nullptr)
    request.state = session_.conditions()->login_again.value_or(std::vector<std::byte>());
  context_.services.authenticator.authenticate(
      std::move(request),
      [weak = session_.weak_from_this(), &statistics](const model::AuthResult& result) {
        statistics.auth_pending.add(-1);
        if (const auto alive = weak.lock()) alive->link().on_auth_result(result);
      });
}

void SessionLink::on_auth_result(const model::AuthResult& result) {
  if (!is_up()) return;
  auto& statistics = context_.services.statistics;
  if (result.challenge() != nullptr)  // another round
    return apply(machine_->on_auth_result(result, std::nullopt, now()));
  const bool again = machine_->logs_in_again();
  // The session is that of one account, whose accounting one realm has.
  if (again && result &&
      (result->user != account_.user() || result->origin.realm != account_.origin().realm))
    return on_auth_result(std::unexpected(model::AuthDenial{.reason = EndReason::auth_failed}));
  if (!result) {
    statistics.auth_denied.add();
    if (auto& limit = context_.refusal_log.of(result.error().reason); limit.allow(now()))
      log::warn("authentication failed", {{"session", to_text(session_.id())},
                                          {"peer", session_.call().peer},
                                          {"claimed_user", account_.claimed_user()},
                                          {"reason", name_of(result.error().reason)},
                                          {"suppressed", limit.take_suppressed()}});
    return apply(machine_->on_auth_result(result, std::nullopt, now()));
  }
  const auto service = service_of(result->terms.rates, result->terms.filters);
  if (!service) return refuse_service(*result, service.error());
  statistics.auth_accepted.add();
  const bool had_service =
      account_.rates() != model::ServiceRates() || account_.filters() != model::ServiceFilters();
  take_account(*result);
  take_conditions(*result);
  // Before any network protocol opens: the dataplane keeps the order.
  if (had_service || *service != contract::SessionService())
    session_.dataplane().set_service(*service);
  if (account_.lease()) {
    on_lease(result, *account_.lease());
    if (again && is_up() && !machine_->logs_in_again()) report_change();
    return;
  }
  context_.leases.ask(session_, *result,
                      [weak = session_.weak_from_this(), result](SessionLeases::Result lease) {
                        if (const auto alive = weak.lock())
                          alive->link().on_lease(result, std::move(lease));
                      });
}

// The session time of a login begins with that login, also where the link began anew; the limit
// counts from the first time that it opened. More seconds than an attribute can say are as many.
void SessionLink::take_conditions(const model::AuthGrant& grant) {
  model::SessionConditions conditions{.limits = grant.terms.limits,
                                      .interim_interval = grant.interim_interval,
                                      .login_again = grant.login_again};
  constexpr Seconds kMost(std::numeric_limits<std::uint32_t>::max());
  if (auto& time = conditions.limits.session_time;
      time && opened_ && (machine_->logs_in_again() || grant.login_again))
    *time = std::min(kMost, *time + std::chrono::ceil<Seconds>(now() - *opened_));
  session_.set_conditions(conditions);
}

void SessionLink::refuse_service(const model::AuthGrant& grant, EndReason reason) {
  context_.services.statistics.auth_denied.add();
  if (auto& limit = context_.refusal_log.of(reason); limit.allow(now()))
    log::warn("filter or rate group unknown",
              {{"session", to_text(session_.id())},
               {"peer", session_.call().peer},
               {"user", grant.user},
               {"upstream_filter", grant.terms.filters.upstream},
               {"downstream_filter", grant.terms.filters.downstream},
               {"rate_group", grant.terms.rates.group},
               {"reason", name_of(reason)},
               {"suppressed", limit.take_suppressed()}});
  constexpr std::uint16_t kNoDialInPermission = 649;  // RFC 2759 §6
  apply(machine_->on_auth_result(
      std::unexpected(model::AuthDenial{.reason = reason, .ms_chap_error = kNoDialInPermission}),
      std::nullopt, now()));
}

// Re-authentication keeps the lease; another account gets one of its own. (The address is out of
// the dataplane's index then: the link closed IPv4 before it asked.)
void SessionLink::take_account(const model::AuthGrant& grant) {
  const auto user_before = account_.log_in(grant);
  if (!user_before) return;
  context_.events.changed(session_, {.kind = Kind::kUser, .user_before = *user_before});
  if (!account_.lease()) return;
  context_.services.pools.release(*account_.lease());
  const Ipv4Address address_before = account_.set_lease(std::nullopt)->address;
  context_.events.changed(session_, {.kind = Kind::kAddress, .address_before = address_before});
}

void SessionLink::on_lease(const model::AuthResult& result, SessionLeases::Result lease) {
  if (!is_up()) {
    if (lease && !account_.lease()) context_.services.pools.release(*lease);
    return;
  }
  if (!lease) {
    const EndReason reason = lease.error();
    if (auto& limit = context_.refusal_log.of(reason); limit.allow(now()))
      log::warn("login not served", {{"session", to_text(session_.id())},
                                     {"peer", session_.call().peer},
                                     {"user", account_.user()},
                                     {"pool", result->pool},
                                     {"reason", name_of(reason)},
                                     {"suppressed", limit.take_suppressed()}});
  }
  const auto before = account_.set_lease(lease ? std::optional(std::move(*lease)) : std::nullopt);
  if (account_.lease() && !before) context_.events.changed(session_, {.kind = Kind::kAddress});
  if (resumption_ != ppp::Link::Resume::kNot) {
    if (!account_.lease()) resumption_ = ppp::Link::Resume::kNot;
    context_.events.changed(session_, {.kind = Kind::kResumption});  // the lease may be another one
  }
  if (!account_.lease()) return apply(machine_->on_grant_refused(lease.error(), now()));
  reach(SetupStage::kAuthenticated);
  apply(machine_->on_auth_result(
      result,
      make_network_parameters(*account_.lease(), context_.services.config.ppp, peer_mru_,
                              result->link),
      now()));
}

// ---- changes by others than the peer --------------------------------------------------------

void SessionLink::set_classes(const std::vector<std::vector<std::byte>>& classes) {
  if (is_up()) account_.set_classes(classes);
}

void SessionLink::report_change() {
  if (!is_up()) return;
  context_.events.changed(session_, {.kind = Kind::kResumption});
  context_.events.counters_due(session_);
}

// ---- after a restart of either plane --------------------------------------------------------

// Session memory holds what the dataplane knows. Commands that were in the channel when it was lost
// never arrived, so they are sent again. Nobody can send keys again, so CCP agrees on new ones.
void SessionLink::reconcile() {
  if (!is_up()) return;
  const auto keep = session_.shared_from_this();
  if (!session_.dataplane().is_installed()) return fail(EndReason::dataplane_unavailable);
  // Between authentication and the first data the keys may be among what was lost.
  // A link that is open without IPv4 has IPv6 alone.
  const bool data_flows = machine_->ipv4_flows() || phase_ == model::LinkPhase::kOpen;
  const bool keys_lost = data_flows
                             ? !session_.dataplane().is_armed() && machine_->status().mppe != "none"
                             : phase_ == model::LinkPhase::kNetwork;
  if (keys_lost) apply(machine_->start_over(now()));
  if (!is_up()) return;
  const bool open = machine_->ipv4_flows();
  // An earlier process was negotiating this link anew.
  const bool from_lcp = !started_ && machine_->resume() == ppp::Link::Resume::kFromLcp;
  if (from_lcp && session_.dataplane().is_armed()) session_.dataplane().disarm();
  repeat_service();
  if (!is_up() || end_reason_ != EndReason::kNone) return;
  session_.dataplane().repeat_commands(open);
  if (open && account_.lease() && session_.dataplane().lacks_ipv4())
    perform(model::OpenIpv4{account_.lease()->address});
  if (const auto missing = session_.dataplane().missing_ipv6()) perform(*missing);
  if (from_lcp) start();
}

}  // namespace pns::subscriber
