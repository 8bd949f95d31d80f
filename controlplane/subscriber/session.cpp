// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/subscriber/session_id.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {

using model::SetupStage;

namespace {

constexpr std::uint16_t kMinIpv6Mtu = 1280;  // octets (RFC 8200 §5)
constexpr std::size_t kMaxEarlyFrames = 4;   // kept of a call that is not connected yet
using Kind = SessionChange::Kind;

}  // namespace

Session::Session(const Context& context, const Call& call, State state)
    : context_(context),
      call_(call),
      state_(state),
      worker_(context.call_ids.worker_of(call.our_call_id)),
      dataplane_(context.services, *this),
      timer_(context.services.loop.timers(), [this] { on_timer(); }) {}

Session::Session(const Context& context, const Call& call, const resume::StoredSession& stored)
    : Session(context, call, State::kUp) {
  link_started_ = !stored.link.from_lcp;  // otherwise reconcile() starts it
  dataplane_.set_generation(stored.generation);
  dataplane_.resume(stored.link);
  link_ = std::make_unique<ppp::Link>(context.link_settings, call.peer, stored.link,
                                      context.services.random, now());
  phase_ = link_->phase();
  stage_ = SetupStage::kOpen;
  resumption_ = link_->resume();
  lease_ = stored.lease;
  user_ = stored.link.user;
  rate_bits_per_second_ = stored.rate_bits_per_second;
  peer_mru_ = stored.link.lcp.peer_mru;
  mtu_ = stored.mtu;
  opened_ = from_monotonic_ns(stored.opened_ns);
  arm_timer();
}

Session::~Session() = default;

// ---- life -----------------------------------------------------------------------------------

void Session::begin_install() {
  state_ = State::kInstalling;
  context_.events.changed(*this, {.kind = Kind::kStage, .stage = SetupStage::kOffered});
  context_.events.changed(*this, {.kind = Kind::kDestination});
}

void Session::on_installed(std::uint32_t generation) {
  dataplane_.set_generation(generation);
  state_ = State::kUp;
  if (const Duration limit = context_.services.config.pptp.limits.set_up_deadline;
      limit != Duration{})
    open_by_ = now() + limit;
  link_ = std::make_unique<ppp::Link>(context_.link_settings, call_.peer, context_.services.random,
                                      now());
  context_.events.changed(*this, {.kind = Kind::kInstalled});
  reach(SetupStage::kInstalled);
  arm_timer();
}

void Session::begin_removal(std::optional<std::uint32_t> generation) {
  carried_gre_ = carried_gre();
  if (generation) dataplane_.set_generation(*generation);
  state_ = State::kRemoving;
  timer_.cancel();
}

void Session::reach(SetupStage stage) {
  if (stage <= stage_) return;
  stage_ = stage;
  context_.events.changed(*this, {.kind = Kind::kStage, .stage = stage});
}

// ---- the link -------------------------------------------------------------------------------

void Session::start_link() {
  if (state_ != State::kUp || link_started_ || end_reason_ != EndReason::kNone) return;
  link_started_ = true;
  const auto keep = shared_from_this();
  const auto early = std::exchange(early_, {});
  apply(link_->start(now()));
  for (const auto& frame : early) on_frame(frame);
}

void Session::on_frame(Bytes frame) {
  if (state_ == State::kUp && link_started_) return apply(link_->on_frame(frame, now()));
  if (state_ == State::kUp && early_.size() < kMaxEarlyFrames) {
    early_.emplace_back(frame.begin(), frame.end());
    return;
  }
  context_.services.statistics.punted_frames_stale.add();
}

void Session::postpone_echo(TimePoint until) {
  if (link_) link_->postpone_echo(until);
  arm_timer();
}

void Session::probe() {
  if (state_ == State::kUp && link_started_) apply(link_->probe(now()));
}

void Session::on_path_dead(bool opened) {
  if (state_ != State::kUp || !link_started_) return;
  context_.services.statistics.dead_paths.add();
  apply(link_->on_path_dead(opened, now()));
}

void Session::close_link(EndReason reason) {
  if (state_ != State::kUp) return;
  if (link_started_) return apply(link_->close(reason, now()));
  fail(reason);
}

void Session::fail(EndReason reason) {
  if (state_ == State::kUp) perform(model::LinkEnded{reason});
}

void Session::replace() {
  if (end_reason_ == EndReason::kNone) end_reason_ = EndReason::replaced;
  context_.owner.on_farewell_over(*this);
}

void Session::apply(const model::LinkActions& actions) {
  const auto keep = shared_from_this();
  note_resumption(actions);
  for (const auto& action : actions) {
    if (state_ != State::kUp) return;
    std::visit([this](const auto& a) { perform(a); }, action);
  }
  arm_timer();
}

// Comes before the first action: the record is written before the peer is told.
void Session::note_resumption(const model::LinkActions& actions) {
  const auto resumption = lease_ ? link_->resume() : ppp::Link::Resume::kNot;
  const bool changed = resumption != resumption_ ||
                       std::ranges::any_of(actions, [](const model::LinkAction& action) {
                         return std::holds_alternative<model::OpenIpv4>(action) ||
                                std::holds_alternative<model::OpenIpv6>(action) ||
                                std::holds_alternative<model::CloseIpv6>(action);
                       });
  if (!changed || state_ != State::kUp) return;
  resumption_ = resumption;
  context_.events.changed(*this, {.kind = Kind::kResumption});
}

void Session::arm_timer() {
  if (state_ != State::kUp || end_reason_ != EndReason::kNone) return;
  auto at = link_->deadline();
  if (open_by_ && (!at || *open_by_ < *at)) at = open_by_;
  timer_.arm(at);
}

void Session::on_timer() {
  if (state_ != State::kUp) return;
  if (end_reason_ != EndReason::kNone) return context_.owner.on_farewell_over(*this);
  // Whatever LCP and authentication do meanwhile. A link that is ending has bounds of its own.
  if (open_by_ && *open_by_ <= now()) {
    open_by_.reset();
    return close_link(EndReason::set_up_timeout);
  }
  apply(link_->on_deadline(now()));
}

// ---- what the link asks for -----------------------------------------------------------------

void Session::perform(const model::SendFrame& action) { dataplane_.inject(action); }

void Session::perform(const model::ConfigureLink& action) {
  peer_mru_ = action.peer_mru;
  if (action.open) reach(SetupStage::kLcpOpen);
  dataplane_.configure_link(action);
}

void Session::perform(const model::ArmMppe& action) {
  reach(SetupStage::kCcpOpen);
  dataplane_.arm(action);
}

void Session::perform(const model::DisarmMppe&) { dataplane_.disarm(); }

void Session::perform(const model::OpenIpv4& action) {
  changed_ = now();
  mtu_ = link_->inner_mtu();
  dataplane_.open_ipv4(action.subscriber, lease_ ? lease_->gateway : Ipv4Address(), mtu_,
                       rate_bits_per_second_.value_or(0));
  note_networks();
}

void Session::perform(const model::CloseIpv4&) {
  changed_ = now();
  dataplane_.close_ipv4();
  note_networks();
}

void Session::perform(const model::OpenIpv6& action) {
  if (lease_ && lease_->ipv6_prefix)
    dataplane_.open_ipv6(*lease_->ipv6_prefix, action, link_->inner_mtu(),
                         rate_bits_per_second_.value_or(0));
  note_networks();
}

void Session::perform(const model::CloseIpv6&) {
  dataplane_.close_ipv6();
  note_networks();
}

void Session::note_networks() {
  if (lease_ && lease_->networks) context_.events.changed(*this, {.kind = Kind::kNetworks});
}

Networks Session::networks_in_force() const {
  Networks networks;
  if (state_ != State::kUp || !link_ || !lease_ || !lease_->networks) return networks;
  if (link_->ipv4_flows()) networks.ipv4 = lease_->networks->ipv4;
  if (dataplane_.ipv6_flows()) networks.ipv6 = lease_->networks->ipv6;
  return networks;
}

void Session::perform(const model::PhaseChanged& action) {
  const model::LinkPhase before = std::exchange(phase_, action.phase);
  changed_ = now();
  context_.events.changed(*this, {.kind = Kind::kPhase, .phase_before = before});
  if (action.phase != model::LinkPhase::kOpen || opened_) return;
  opened_ = now();
  open_by_.reset();
  reach(SetupStage::kOpen);
  context_.events.opened(*this);
}

void Session::perform(const model::LinkEnded& action) {
  if (end_reason_ != EndReason::kNone) return;
  end_reason_ = action.reason;
  const Duration farewell = context_.owner.farewell_time();
  if (farewell == Duration{}) return context_.owner.on_farewell_over(*this);
  timer_.arm(now() + farewell);
}

// ---- authentication -------------------------------------------------------------------------

void Session::perform(const model::Authenticate& action) {
  claimed_user_ = std::make_unique<std::string>(action.request.user);
  auto& statistics = context_.services.statistics;
  statistics.auth_pending.add();
  model::AuthRequest request = action.request;
  request.call = {.session = call_.id,
                  .slot = call_.slot,
                  .peer_call_id = call_.peer_call_id,
                  .local = call_.local,
                  .mtu = peer_mru_};
  context_.services.authenticator.authenticate(
      std::move(request), [weak = weak_from_this(), &statistics](const model::AuthResult& result) {
        statistics.auth_pending.add(-1);
        if (const auto alive = weak.lock()) alive->on_auth_result(result);
      });
}

void Session::on_auth_result(const model::AuthResult& result) {
  if (state_ != State::kUp) return;
  auto& statistics = context_.services.statistics;
  if (result.challenge() != nullptr)  // another round
    return apply(link_->on_auth_result(result, std::nullopt, now()));
  if (!result) {
    statistics.auth_denied.add();
    if (auto& limit = context_.refusal_log.of(result.error().reason); limit.allow(now()))
      log::warn("authentication failed", {{"session", to_text(call_.id)},
                                          {"peer", call_.peer},
                                          {"claimed_user", claimed_user()},
                                          {"reason", name_of(result.error().reason)},
                                          {"suppressed", limit.take_suppressed()}});
    return apply(link_->on_auth_result(result, std::nullopt, now()));
  }
  statistics.auth_accepted.add();
  take_account(*result);
  if (lease_) return on_lease(result, *lease_);
  context_.leases.ask(*this, *result, [weak = weak_from_this(), result](Leases::Result lease) {
    if (const auto alive = weak.lock()) alive->on_lease(result, std::move(lease));
  });
}

// Re-authentication keeps the lease; another account gets one of its own. (The address is out of
// the dataplane's index then: the link closed IPv4 before it asked.)
void Session::take_account(const model::AuthGrant& grant) {
  const bool another = user_ != grant.user;
  if (another) {
    const std::string before = std::exchange(user_, grant.user);
    context_.events.changed(*this, {.kind = Kind::kUser, .user_before = before});
  }
  if (claimed_user_ && *claimed_user_ == user_) claimed_user_.reset();
  rate_bits_per_second_ = grant.rate_bits_per_second;
  if (lease_ && another) {
    context_.services.pools.release(*lease_);
    const Ipv4Address before = std::exchange(lease_, std::nullopt)->address;
    context_.events.changed(*this, {.kind = Kind::kAddress, .address_before = before});
  }
}

void Session::on_lease(const model::AuthResult& result, Leases::Result lease) {
  if (state_ != State::kUp) {
    if (lease && !lease_) context_.services.pools.release(*lease);
    return;
  }
  if (!lease) {
    const EndReason reason = lease.error();
    if (auto& limit = context_.refusal_log.of(reason); limit.allow(now()))
      log::warn("login not served", {{"session", to_text(call_.id)},
                                     {"peer", call_.peer},
                                     {"user", user_},
                                     {"pool", result->pool},
                                     {"reason", name_of(reason)},
                                     {"suppressed", limit.take_suppressed()}});
  }
  const bool had_one = lease_.has_value();
  lease_ = lease ? std::optional(std::move(*lease)) : std::nullopt;
  if (lease_ && !had_one) context_.events.changed(*this, {.kind = Kind::kAddress});
  if (resumption_ != ppp::Link::Resume::kNot) {
    if (!lease_) resumption_ = ppp::Link::Resume::kNot;
    context_.events.changed(*this, {.kind = Kind::kResumption});  // the lease may be another one
  }
  if (!lease_) return apply(link_->on_grant_refused(lease.error(), now()));
  reach(SetupStage::kAuthenticated);
  apply(link_->on_auth_result(result, network_parameters(), now()));
}

model::NetworkParameters Session::network_parameters() const {
  model::NetworkParameters parameters;
  parameters.our_address = lease_->gateway;
  parameters.subscriber_address = lease_->address;
  const auto& ppp = context_.services.config.ppp;
  std::copy_n(ppp.dns.begin(), std::min(ppp.dns.size(), parameters.dns.size()),
              parameters.dns.begin());
  std::copy_n(ppp.wins.begin(), std::min(ppp.wins.size(), parameters.wins.size()),
              parameters.wins.begin());
  // No IPv6 over a link that cannot carry its minimum MTU.
  if (lease_->ipv6_prefix &&
      std::min(ppp.mtu, peer_mru_) >= kMinIpv6Mtu + ppp::Link::kMppeOverhead) {
    parameters.ipv6 = model::Ipv6Parameters{.prefix = *lease_->ipv6_prefix};
    std::copy_n(ppp.ipv6_dns.begin(), std::min(ppp.ipv6_dns.size(), parameters.ipv6->dns.size()),
                parameters.ipv6->dns.begin());
  }
  return parameters;
}

// ---- after a restart of either plane --------------------------------------------------------

// Session memory holds what the dataplane knows. Commands that were in the channel when it was lost
// never arrived, so they are sent again. Nobody can send keys again, so CCP agrees on new ones.
void Session::reconcile() {
  if (state_ != State::kUp) return;
  const auto keep = shared_from_this();
  if (!dataplane_.is_installed()) return fail(EndReason::dataplane_unavailable);
  // Between authentication and the first data the keys may be among what was lost.
  // A link that is open without IPv4 has IPv6 alone.
  const bool data_flows = link_->ipv4_flows() || phase_ == model::LinkPhase::kOpen;
  const bool keys_lost = data_flows ? !dataplane_.is_armed() && link_->status().mppe != "none"
                                    : phase_ == model::LinkPhase::kNetwork;
  if (keys_lost) apply(link_->start_over(now()));
  if (state_ != State::kUp) return;
  const bool open = link_->ipv4_flows();
  // An earlier process was negotiating this link anew.
  const bool from_lcp = !link_started_ && link_->resume() == ppp::Link::Resume::kFromLcp;
  if (from_lcp && dataplane_.is_armed()) dataplane_.disarm();
  dataplane_.repeat_commands(open);
  if (open && lease_ && dataplane_.lacks_ipv4()) perform(model::OpenIpv4{lease_->address});
  if (const auto missing = dataplane_.missing_ipv6()) perform(*missing);
  if (from_lcp) start_link();
}

std::optional<resume::StoredSession> Session::stored_record() const {
  if (!link_ || !lease_) return std::nullopt;
  auto snapshot = link_->snapshot();
  if (!snapshot) return std::nullopt;
  if (snapshot->from_lcp) snapshot->user = user_;
  snapshot->keys.reset();  // keys do not go to the store
  return resume::StoredSession{.id = call_.id,
                               .slot = call_.slot,
                               .generation = dataplane_.handle().generation,
                               .connection = call_.connection,
                               .our_call_id = call_.our_call_id,
                               .peer_call_id = call_.peer_call_id,
                               .lease = *lease_,
                               .started_ns = monotonic_ns(call_.started),
                               .opened_ns = monotonic_ns(opened_.value_or(now())),
                               .mtu = link_->inner_mtu(),
                               .rate_bits_per_second = rate_bits_per_second_,
                               .link = std::move(*snapshot)};
}

model::WanErrors Session::set_wan_errors(const model::WanErrors& totals) {
  if (!wan_errors_) wan_errors_ = std::make_unique<model::WanErrors>();
  return std::exchange(*wan_errors_, totals);
}

SessionView Session::view() const {
  const auto& record = dataplane_.record();
  const TimePoint time = now();
  SessionView view;
  view.id = call_.id;
  view.slot = call_.slot;
  view.user = user_;
  view.claimed_user = claimed_user();
  view.peer = call_.peer;
  view.local = call_.local;
  if (lease_ && link_ && phase_ == model::LinkPhase::kOpen && link_->ipv4_flows())
    view.address = lease_->address;
  view.state = state_ == State::kRemoving   ? "removing"
               : state_ == State::kDialling ? "dialling"
                                            : model::name_of(phase_);
  view.kind = model::name_of(call_.kind);
  if (wan_errors_) view.wan_errors = *wan_errors_;
  view.our_call_id = call_.our_call_id;
  view.peer_call_id = call_.peer_call_id;
  if (link_) {
    const auto status = link_->status();
    view.auth = model::name_of(status.auth);
    view.mppe = status.mppe;
    view.ipv6_prefix = status.ipv6_prefix;
  }
  view.networks = networks_in_force();
  view.worker = worker_;
  view.connection = call_.connection.value;
  view.uptime_s = static_cast<std::uint64_t>(
      std::chrono::duration_cast<Seconds>(time - opened_.value_or(call_.started)).count());
  const std::uint64_t last = dataplane_.last_heard_ns();
  if (last != 0 && monotonic_ns(time) > last)
    view.idle_s = (monotonic_ns(time) - last) / 1'000'000'000;
  if (opened_)
    view.setup_ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<Milliseconds>(*opened_ - call_.started).count());
  view.mtu = mtu_;
  view.rx_packets = record.upstream.packets.get();
  view.rx_bytes = record.upstream.bytes.get();
  view.tx_packets = record.downstream.packets.get();
  view.tx_bytes = record.downstream.bytes.get();
  view.rx_drops = record.upstream.drops.get();
  view.tx_drops = record.downstream.drops.get();
  view.sequence_gaps = record.upstream.sequence_gaps.get();
  return view;
}

}  // namespace pns::subscriber
