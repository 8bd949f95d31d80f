// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/link.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

namespace pns::ppp {
namespace {

using model::LinkPhase;
using wire::LcpCode;
using wire::PppProtocol;

// RFC 1661 §6.1: 1,500 octets can always be received, whatever MRU was agreed.
constexpr std::size_t kLongestFrame = 1500 + wire::kPppFrameHeaderLength;
// Nothing that matters here is shorter, however compressed its header is.
constexpr std::size_t kShortestFrame = 4;

constexpr bool is(std::uint16_t protocol, PppProtocol known) noexcept {
  return protocol == static_cast<std::uint16_t>(known);
}

// The protocol that carries a method; 0 for none.
std::uint16_t protocol_of(model::AuthMethod method) noexcept {
  switch (method) {
    case model::AuthMethod::kNone:
      return 0;
    case model::AuthMethod::kPap:
      return static_cast<std::uint16_t>(PppProtocol::kPap);
    case model::AuthMethod::kEap:
      return static_cast<std::uint16_t>(PppProtocol::kEap);
    default:
      return static_cast<std::uint16_t>(PppProtocol::kChap);
  }
}

}  // namespace

// One call from outside. It carries the actions and turns what the machines tell into Link's steps.
class Link::Run final : public LayerObserver {
 public:
  Run(Link& link, TimePoint now)
      : context{actions,
                now,
                link.random_,
                *this,
                link.rejects_,
                link.lcp_.is_open() ? link.lcp_.agreement().peer_mru : MruOption::kDefault},
        link_(link) {}

  void layer_up(PppProtocol layer) override { link_.layer_up(layer, *this); }
  void layer_down(PppProtocol layer, Event cause) override {
    link_.layer_down(layer, cause, *this);
  }
  void layer_finished(PppProtocol layer, EndReason reason) override {
    link_.layer_finished(layer, reason, *this);
  }
  void layer_failed(PppProtocol layer, EndReason reason) override {
    link_.layer_failed(layer, reason, *this);
  }
  void before_ccp_ack(const CompressionAgreement& agreed) override {
    link_.before_ccp_ack(agreed, *this);
  }
  void before_ncp_ack() override { link_.settle_networks(*this); }
  void credentials(model::AuthRequest request) override {
    link_.credentials(std::move(request), *this);
  }
  void before_auth_success() override { link_.before_auth_success(*this); }
  void authenticated() override { link_.authenticated(*this); }
  void auth_failed(EndReason reason) override { link_.terminate(reason, *this); }

  template <class Action>
  void add(Action action) {
    context.add(std::move(action));
  }

  model::LinkActions actions;
  Context context;

 private:
  Link& link_;
};

Link::Link(std::shared_ptr<const LinkSettings> settings, Ipv4Address peer, RandomSource& random,
           TimePoint)
    : shared_settings_(std::move(settings)),
      settings_(*shared_settings_),
      random_(random),
      peer_(peer),
      lcp_(settings_),
      ccp_(settings_),
      rejects_(settings_.rejects_per_second) {}

Link::Link(std::shared_ptr<const LinkSettings> settings, Ipv4Address peer,
           const LinkSnapshot& snapshot, RandomSource& random, TimePoint now)
    : Link(std::move(settings), peer, random, now) {
  established_ = true;
  was_encrypted_ = snapshot.mppe.has_value();
  if (snapshot.from_lcp) return;
  phase_ = LinkPhase::kOpen;
  lcp_.restore(snapshot.lcp, now);
  user_ = snapshot.user;
  auth_method_ = snapshot.auth;
  keys_ = snapshot.keys;
  encryption_ = snapshot.mppe ? Encryption::kOn : Encryption::kOff;
  armed_ = snapshot.mppe;
  if (snapshot.mppe) ccp_.restore_opened(now);
  offer_networks(snapshot.network);
  for (const auto& ncp : networks_) ncp->restore(snapshot, inner_mtu(), now);
  schedule_echo(now + spread_interval());
}

Link::~Link() = default;

// ---- Calls from outside

model::LinkActions Link::start(TimePoint now) {
  Run run(*this, now);
  if (ended_ || phase_ != LinkPhase::kDead) return {};
  set_phase(LinkPhase::kEstablish, run);
  lcp_.open(run.context);
  lcp_.up(run.context);
  return finish(run);
}

model::LinkActions Link::start_over(TimePoint now) {
  Run run(*this, now);
  renegotiate(run);
  return finish(run);
}

model::LinkActions Link::on_frame(Bytes ppp_frame, TimePoint now) {
  if (ended_ || phase_ == LinkPhase::kDead) return {};
  if (ppp_frame.size() < kShortestFrame || ppp_frame.size() > kLongestFrame) return {};
  const auto frame = wire::parse_ppp_frame(ppp_frame);
  if (!frame) return {};

  Run run(*this, now);
  const bool network = phase_ == LinkPhase::kNetwork || phase_ == LinkPhase::kOpen;
  // Only the authentication protocol that LCP agreed on is looked at. An open link
  // that was taken over has no authenticator, and nothing to say to a late packet of its method.
  const bool is_auth = frame->protocol == (auth_ ? static_cast<std::uint16_t>(auth_->protocol())
                                                 : protocol_of(auth_method_));
  const bool known = is(frame->protocol, PppProtocol::kLcp) || is_auth ||
                     is(frame->protocol, PppProtocol::kCcp) || knows(frame->protocol);
  NetworkProtocol* const carrier = offered_for_data(frame->protocol);
  if (carrier != nullptr && carrier->flows()) {
    carrier->on_data(frame->information, run.context);
    return finish(run);
  }
  if (!known) {
    // RFC 1661 §3.4: before the network phase, and in Terminate, the rest is discarded. Network
    // data in the clear is the dataplane's; one that strays here is not answered either.
    const bool data = carrier != nullptr || is(frame->protocol, PppProtocol::kMppe);
    if (network && !data) send_protocol_reject(*frame, run);
    return finish(run);
  }

  const auto packet = wire::parse_control_packet(frame->information);
  if (!packet) return {};
  echoes_unanswered_ = 0;  // it lives
  switch (static_cast<PppProtocol>(frame->protocol)) {
    case PppProtocol::kLcp:
      on_lcp(*packet, run);
      break;
    case PppProtocol::kPap:
    case PppProtocol::kChap:
    case PppProtocol::kEap:
      if (auth_ && (network || phase_ == LinkPhase::kAuthenticate))
        auth_->on_packet(*packet, run.context);
      break;
    case PppProtocol::kCcp:
      if (network) on_ccp(*frame, *packet, run);
      break;
    default:
      if (!network) break;
      if (NetworkProtocol* const ncp = offered(static_cast<PppProtocol>(frame->protocol)))
        on_ncp(*ncp, *packet, run);
      else
        send_protocol_reject(*frame, run);
      break;
  }
  return finish(run);
}

model::LinkActions Link::on_auth_result(const model::AuthResult& result,
                                        const std::optional<model::NetworkParameters>& network,
                                        TimePoint now) {
  Run run(*this, now);
  if (!take_answer(run)) return finish(run);
  if (const model::AuthChallenge* const challenge = result.challenge()) {
    if (++challenges_ <= kMaximumChallenges && auth_->challenge(*challenge, run.context))
      return finish(run);
    deny({.reason = EndReason::auth_unavailable}, run);
  } else if (!result) {
    deny(result.error(), run);
  } else if (settings_.mppe == MppePolicy::kRequire && !gives_usable_keys(*result)) {
    terminate(EndReason::no_mppe_keys, run);
  } else if (!network) {
    terminate(EndReason::no_address, run);
  } else {
    // Not make_unique: clang 14 takes no parentheses for an aggregate.
    granted_ = std::unique_ptr<Granted>(new Granted{*result, *network});
    auth_->grant(*result, run.context);
  }
  return finish(run);
}

model::LinkActions Link::on_grant_refused(EndReason reason, TimePoint now) {
  Run run(*this, now);
  if (take_answer(run)) terminate(reason, run);
  return finish(run);
}

model::LinkActions Link::probe(TimePoint now) {
  Run run(*this, now);
  if (lcp_.is_open() && !ended_) lcp_.send_echo_request(++echo_identifier_, run.context);
  return finish(run);
}

model::LinkActions Link::on_path_dead(bool opened, TimePoint now) {
  Run run(*this, now);
  if (phase_ != LinkPhase::kOpen || !armed_) return {};
  if (rearmed_ && !opened) {
    terminate(EndReason::dead_data_path, run);
  } else {
    rearmed_ = true;
    ccp_.down(run.context);
    if (ccp_.state() == State::kStarting) ccp_.up(run.context);
  }
  return finish(run);
}

model::LinkActions Link::close(EndReason reason, TimePoint now) {
  Run run(*this, now);
  terminate(reason, run);
  return finish(run);
}

std::optional<TimePoint> Link::deadline() const {
  if (ended_) return std::nullopt;
  std::optional<TimePoint> earliest;
  const auto consider = [&earliest](const std::optional<TimePoint>& at) {
    if (at && (!earliest || *at < *earliest)) earliest = at;
  };
  consider(lcp_.deadline());
  consider(ccp_.deadline());
  for (const auto& ncp : networks_) {
    consider(ncp->deadline());
    consider(ncp->data_deadline());
  }
  if (auth_) consider(auth_->deadline());
  consider(answer_by_);
  consider(echo_at_);
  return earliest;
}

model::LinkActions Link::on_deadline(TimePoint now) {
  if (ended_) return {};
  Run run(*this, now);
  lcp_.on_timer(run.context);
  if (auth_) auth_->on_timer(run.context);
  ccp_.on_timer(run.context);
  for (const auto& ncp : networks_) {
    ncp->on_timer(run.context);
    ncp->on_data_timer(run.context);
  }
  if (answer_by_ && now >= *answer_by_) {
    answer_by_.reset();
    terminate(EndReason::auth_unavailable, run);
  }
  if (echo_at_ && now >= *echo_at_) on_echo_timer(run);
  return finish(run);
}

LinkStatus Link::status() const {
  LinkStatus out;
  out.phase = phase_;
  out.auth = auth_method_;
  out.user = user_;
  if (armed_ && encryption_ == Encryption::kOn) out.mppe = armed_->name();
  for (const auto& ncp : networks_) ncp->describe(out);
  out.peer_mru = lcp_.agreement().peer_mru;
  return out;
}

Link::Resume Link::resume() const noexcept {
  if (!established_ || ended_ || end_reason_ != EndReason::kNone) return Resume::kNot;
  return network_possible() ? Resume::kAsOpen : Resume::kFromLcp;
}

std::optional<LinkSnapshot> Link::snapshot() const {
  const Resume resume = this->resume();
  if (resume == Resume::kNot) return std::nullopt;
  if (resume == Resume::kFromLcp) {
    LinkSnapshot snapshot;
    snapshot.from_lcp = true;
    if (was_encrypted_) snapshot.mppe = MppeAgreement{};
    return snapshot;
  }
  LinkSnapshot snapshot{.lcp = lcp_.agreement(),
                        .user = user_,
                        .auth = auth_method_,
                        .mppe = {},
                        .keys = keys_,
                        .network = {}};
  if (encryption_ == Encryption::kOn && armed_ && armed_->mppe() != nullptr)
    snapshot.mppe = *armed_->mppe();
  for (const auto& ncp : networks_)
    if (ncp->offered) ncp->save(snapshot);
  return snapshot;
}

bool Link::ipv4_flows() const noexcept {
  return std::ranges::any_of(networks_, [](const auto& ncp) {
    return ncp->need() == NetworkProtocol::Need::kPrimary && ncp->flows();
  });
}

model::LinkActions Link::finish(Run& run) {
  if (phase_ == LinkPhase::kOpen) {
    lcp_.rest();
    ccp_.rest();
    for (const auto& ncp : networks_) ncp->rest();
  }
  return std::move(run.actions);
}

// ---- Frames by protocol

void Link::on_lcp(const wire::ControlPacket& packet, Run& run) {
  if (packet.code == static_cast<std::uint8_t>(LcpCode::kProtocolReject)) {
    if (lcp_.is_open()) on_protocol_reject(packet.data, run);  // RFC 1661 §5.7
    return;
  }
  lcp_.on_packet(packet, run.context);
}

void Link::on_ccp(const wire::PppFrame& frame, const wire::ControlPacket& packet, Run& run) {
  // Not spoken at all: policy off, or no keys to speak it with.
  if (ccp_.state() == State::kInitial) return send_protocol_reject(frame, run);
  ccp_.on_packet(packet, run.context);
}

void Link::on_ncp(NetworkProtocol& ncp, const wire::ControlPacket& packet, Run& run) {
  if (encryption_ != Encryption::kPending) {
    ncp.on_packet(packet, run.context);
    if (!ncp.rejected || ncp.state() < State::kReqSent) return;
    ncp.rejected = false;  // it asks for what it has rejected
    return settle_networks(run);
  }
  // Held until CCP is settled. The peer's request is kept and answered then, so that it need not
  // wait for its timer; anything else can only belong to an older negotiation.
  if (packet.code == static_cast<std::uint8_t>(LcpCode::kConfigureRequest))
    ncp.held_request.assign(packet.whole.begin(), packet.whole.end());
}

void Link::on_protocol_reject(Bytes data, Run& run) {
  const auto reject = wire::ProtocolReject::parse(data);
  if (!reject) return;
  switch (static_cast<PppProtocol>(reject->rejected_protocol)) {
    case PppProtocol::kLcp:
      lcp_.on_protocol_rejected(EndReason::code_rejected, run.context);
      break;
    case PppProtocol::kPap:
    case PppProtocol::kChap:
    case PppProtocol::kEap:
      if (phase_ == LinkPhase::kAuthenticate && auth_ &&
          is(reject->rejected_protocol, auth_->protocol()))
        terminate(EndReason::auth_no_common_method, run);
      break;
    case PppProtocol::kCcp:
      ccp_.on_protocol_rejected(EndReason::mppe_refused, run.context);
      break;
    default:
      if (NetworkProtocol* const ncp =
              offered(static_cast<PppProtocol>(reject->rejected_protocol))) {
        ncp->rejected = true;
        ncp->on_protocol_rejected(ncp->rejected_reason(), run.context);
      }
      break;
  }
}

void Link::send_protocol_reject(const wire::PppFrame& frame, Run& run) {
  if (rejects_.allow(run.context.now))
    lcp_.send_protocol_reject(frame.protocol, frame.information, run.context);
}

// ---- What the machines tell

void Link::layer_up(PppProtocol layer, Run& run) {
  switch (layer) {
    case PppProtocol::kLcp:
      return lcp_up(run);
    case PppProtocol::kCcp:
      encryption_ = Encryption::kOn;
      was_encrypted_ |= armed_ && armed_->encrypts();
      return start_ncps(run);
    default:
      return settle_networks(run);
  }
}

void Link::lcp_up(Run& run) {
  const LcpAgreement agreed = lcp_.agreement();
  run.context.peer_mru = agreed.peer_mru;
  run.add(model::ConfigureLink{.open = true,
                               .our_magic = agreed.our_magic,
                               .peer_magic = agreed.peer_magic,
                               .peer_mru = agreed.peer_mru,
                               .send_acfc = agreed.send_acfc,
                               .send_pfc = agreed.send_pfc});
  schedule_echo(run.context.now + settings_.lcp_echo_interval);
  start_authentication(run);
}

void Link::layer_down(PppProtocol layer, Event cause, Run& run) {
  if (layer == PppProtocol::kLcp) return lcp_down(cause, run);
  if (layer == PppProtocol::kCcp) return ccp_down(cause, run);
  settle_networks(run);
  NetworkProtocol* const ncp = offered(layer);
  if (ncp == nullptr || (cause != Event::kRtr && cause != Event::kRxjMinus)) return;
  if (lives_without(*ncp)) return;
  if (cause == Event::kRtr) {
    ncp->acknowledge_terminate(run.context);
    terminate(EndReason::peer_disconnected, run);
  } else {
    terminate(end_reason_without(*ncp, ncp->rejected_reason()), run);
  }
}

void Link::lcp_down(Event cause, Run& run) {
  const bool peer_ends = cause == Event::kRtr || cause == Event::kRxjMinus;
  if (peer_ends && end_reason_ == EndReason::kNone)
    end_reason_ = cause == Event::kRxjMinus ? EndReason::code_rejected
                  : phase_ == LinkPhase::kAuthenticate && denied_ != EndReason::kNone
                      ? denied_  // it was refused, and does not want the other try
                      : EndReason::peer_disconnected;
  set_phase(end_reason_ == EndReason::kNone ? LinkPhase::kEstablish : LinkPhase::kTerminate, run);
  echo_at_.reset();
  leave_network(run);
  run.add(model::ConfigureLink{.open = false});
  run.context.peer_mru = MruOption::kDefault;
}

void Link::ccp_down(Event cause, Run& run) {
  encryption_ = Encryption::kPending;
  settle_networks(run);
  disarm(run);
  if (cause == Event::kRtr) ccp_.acknowledge_terminate(run.context);
  if (cause == Event::kRtr || cause == Event::kRxjMinus)
    terminate(EndReason::mppe_closed, run);
  else if (!keys_)
    renegotiate(run);
}

void Link::layer_finished(PppProtocol layer, EndReason reason, Run& run) {
  if (layer == PppProtocol::kLcp) return end_now(reason, run);
  if (layer == PppProtocol::kCcp) {
    if (encryption_ == Encryption::kPending)
      encryption_refused(reason == EndReason::ccp_timeout ? reason : EndReason::mppe_refused, run);
    return;
  }
  const NetworkProtocol* const ncp = offered(layer);
  if (ncp != nullptr && !lives_without(*ncp))
    terminate(end_reason_without(*ncp, reason), run);
  else
    settle_networks(run);
}

void Link::layer_failed(PppProtocol layer, EndReason reason, Run& run) {
  if (layer == PppProtocol::kCcp) return encryption_refused(reason, run);
  NetworkProtocol* const ncp = offered(layer);
  if (ncp == nullptr || ncp->need() != NetworkProtocol::Need::kOptional)
    return terminate(reason, run);
  ncp->close(run.context);
  if (!ended_ && end_reason_ == EndReason::kNone && !lives_without(*ncp))
    return terminate(end_reason_without(*ncp, reason), run);
  settle_networks(run);
}

void Link::before_ccp_ack(const CompressionAgreement& agreed, Run& run) {
  if (armed_ == agreed) return;  // a repeated request: what is armed is what the peer means
  std::visit(
      [&](const MppeAgreement& mppe) {
        run.add(model::ArmMppe{.keys = keys_->for_strength(mppe.key_bits),
                               .key_bits = mppe.key_bits,
                               .stateless = mppe.stateless});
      },
      agreed.method());
  armed_ = agreed;
}

void Link::credentials(model::AuthRequest request, Run& run) {
  request.peer = peer_;
  denied_ = EndReason::kNone;
  answer_by_ = run.context.now + settings_.auth_decision_timeout;
  if (question_open_) {
    held_question_ = std::make_unique<model::AuthRequest>(std::move(request));
    return;
  }
  question_open_ = true;
  run.add(model::Authenticate{std::move(request)});
}

bool Link::take_answer(Run& run) {
  if (ended_ || !question_open_) return false;
  question_open_ = false;
  if (question_stale_) {
    question_stale_ = false;
    if (held_question_) {
      question_open_ = true;
      run.add(model::Authenticate{std::move(*held_question_)});
      held_question_.reset();
    }
    return false;
  }
  answer_by_.reset();
  return phase_ == LinkPhase::kAuthenticate && auth_ != nullptr;
}

// ---- Steps

void Link::set_phase(LinkPhase phase, Run& run) {
  if (phase_ == phase) return;
  phase_ = phase;
  run.add(model::PhaseChanged{phase});
}

void Link::deny(model::AuthDenial denial, Run& run) {
  if (denial.reason == EndReason::kNone) denial.reason = EndReason::auth_failed;
  denied_ = denial.reason;
  // A router that is told of a wrong password may stop dialling.
  if (!denial.is_verdict) return terminate(denial.reason, run);
  auth_->deny(denial, run.context);
}

void Link::start_authentication(Run& run) {
  auth_ = settings_.make_authenticator(lcp_.auth_method(), settings_);
  challenges_ = 0;
  denied_ = EndReason::kNone;
  if (!auth_) {
    terminate(EndReason::auth_no_common_method, run);
    return;
  }
  set_phase(LinkPhase::kAuthenticate, run);
  auth_->start(run.context);
}

// Whether the grant has keys for a strength that the configuration permits.
bool Link::gives_usable_keys(const model::AuthGrant& grant) const noexcept {
  if (!grant.mppe) return false;
  return settings_.mppe_strengths.bits128 || grant.mppe->weak != model::MppeKeys::Weak::kNone;
}

// The network phase begins before Success leaves: whatever the peer sends upon it is heard.
void Link::before_auth_success(Run& run) {
  user_ = granted_->grant.user;
  auth_method_ = auth_->method();
  keys_ = granted_->grant.mppe;
  offer_networks(granted_->network);
  const bool encrypt = settings_.mppe != MppePolicy::kOff && gives_usable_keys(granted_->grant);
  encryption_ = encrypt ? Encryption::kPending : Encryption::kOff;
  granted_.reset();
  set_phase(LinkPhase::kNetwork, run);
}

// The peer knows; now ours.
void Link::authenticated(Run& run) {
  if (encryption_ == Encryption::kPending) {
    MppeStrengths strengths = settings_.mppe_strengths;
    if (keys_->weak == model::MppeKeys::Weak::kNone) strengths.bits40 = strengths.bits56 = false;
    ccp_.set_strengths(strengths);
    ccp_.open(run.context);
    ccp_.up(run.context);
  } else if (was_encrypted_) {
    terminate(EndReason::mppe_closed, run);
  } else {
    start_ncps(run);
  }
}

void Link::settle_authentication() {
  if (!auth_) return;
  if (auto verdict = auth_->settled())
    auth_ = std::make_unique<VerdictRepeater>(std::move(*verdict));
}

// Everything above LCP goes back to where it was before authentication.
void Link::leave_network(Run& run) {
  auth_.reset();
  granted_.reset();
  question_stale_ = question_open_;
  held_question_.reset();
  answer_by_.reset();
  ccp_.reset();
  for (const auto& ncp : networks_) ncp->reset();
  encryption_ = Encryption::kPending;
  rearmed_ = false;
  settle_networks(run);
  disarm(run);
  for (const auto& ncp : networks_) {
    ncp->held_request = {};
    ncp->offered = false;
    ncp->rejected = false;
  }
  keys_.reset();
  networks_offered_ = false;
  user_.clear();
  auth_method_ = model::AuthMethod::kNone;
}

bool Link::lives_without(const NetworkProtocol& ncp) const noexcept {
  using Need = NetworkProtocol::Need;
  const auto others = [&](auto condition) {
    return std::ranges::any_of(networks_, [&](const auto& other) {
      return other.get() != &ncp && other->offered && condition(*other);
    });
  };
  const auto may_open = [](const NetworkProtocol& other) { return other.may_open(); };
  switch (ncp.need()) {
    case Need::kRequired:
      return false;
    case Need::kPrimary:
      return ncp.rejected && others(may_open);
    case Need::kOptional:
      break;
  }
  return others(may_open) || !others([](const NetworkProtocol& other) { return other.rejected; });
}

EndReason Link::end_reason_without(const NetworkProtocol& ncp, EndReason reason) const noexcept {
  using Need = NetworkProtocol::Need;
  if (ncp.need() != Need::kOptional) return reason;
  for (const auto& other : networks_)
    if (other->need() == Need::kPrimary && other->rejected) return other->rejected_reason();
  return reason;
}

bool Link::knows(std::uint16_t control) const noexcept {
  return std::ranges::any_of(settings_.network_protocols,
                             [control](const auto& kind) { return is(control, kind.control); });
}

NetworkProtocol* Link::offered(PppProtocol control) noexcept {
  for (const auto& ncp : networks_)
    if (ncp->offered && ncp->protocol() == control) return ncp.get();
  return nullptr;
}

NetworkProtocol* Link::offered_for_data(std::uint16_t data) noexcept {
  for (const NetworkProtocolKind& kind : settings_.network_protocols)
    if (is(data, kind.data)) return offered(kind.control);
  return nullptr;
}

void Link::offer_networks(const model::NetworkParameters& network) {
  networks_offered_ = true;
  for (const NetworkProtocolKind& kind : settings_.network_protocols) {
    if (!kind.offered(network)) continue;
    auto found =
        std::ranges::find(networks_, kind.control, [](const auto& ncp) { return ncp->protocol(); });
    if (found == networks_.end()) {
      networks_.push_back(kind.make(settings_));
      found = std::prev(networks_.end());
    }
    (*found)->offered = true;
    (*found)->set_network(network);
  }
}

void Link::start_ncps(Run& run) {
  for (const auto& ncp : networks_)
    if (ncp->offered) start(*ncp, run);  // none is any more once the link ends
  settle_networks(run);
}

void Link::start(NetworkProtocol& ncp, Run& run) {
  if (ncp.state() == State::kInitial) {
    ncp.open(run.context);
    ncp.up(run.context);
  }
  if (ncp.held_request.empty()) return;
  const std::vector<std::byte> held = std::exchange(ncp.held_request, {});
  if (const auto packet = wire::parse_control_packet(held)) ncp.on_packet(*packet, run.context);
}

bool Link::network_possible() const noexcept {
  return encryption_ != Encryption::kPending && networks_offered_ && !ended_ &&
         phase_ != LinkPhase::kTerminate;
}

// The link is open while every required protocol is. The optional ones have a part in its phase
// only where the peer has rejected the primary one: then one of them must be open.
void Link::settle_networks(Run& run) {
  using Need = NetworkProtocol::Need;
  const bool possible = network_possible();
  bool open = possible;
  bool rejected = false;
  bool other_open = false;
  for (const auto& ncp : networks_) {
    if (ncp->need() == Need::kOptional) {
      other_open |= ncp->offered && ncp->is_open();
      continue;
    }
    ncp->settle(possible, inner_mtu(), run.context);
    established_ |= ncp->flows();
    rejected |= ncp->rejected;
    open &= ncp->is_open() || ncp->rejected;
  }
  open &= !rejected || other_open;
  if (open) {
    set_phase(LinkPhase::kOpen, run);
    settle_authentication();
  } else if (phase_ == LinkPhase::kOpen)
    set_phase(LinkPhase::kNetwork, run);
  for (const auto& ncp : networks_) {
    if (ncp->need() != Need::kOptional) continue;
    ncp->settle(possible, inner_mtu(), run.context);
    established_ |= rejected && ncp->flows();
  }
}

std::uint16_t Link::inner_mtu() const noexcept {
  return static_cast<std::uint16_t>(
      std::min(settings_.mru, lcp_.agreement().peer_mru) -
      (encryption_ == Encryption::kOn && armed_ ? armed_->overhead() : 0));
}

void Link::disarm(Run& run) {
  if (!armed_) return;
  armed_.reset();
  run.add(model::DisarmMppe{});
}

void Link::encryption_refused(EndReason reason, Run& run) {
  // The armed method was acknowledged: the peer may be open and encrypt, and would not be
  // understood.
  if (settings_.mppe == MppePolicy::kRequire || was_encrypted_ || armed_) {
    terminate(reason, run);
    return;
  }
  disarm(run);
  encryption_ = Encryption::kOff;
  ccp_.close(run.context);
  start_ncps(run);
}

// Back to the beginning, as a Configure-Request of ours on an open link makes it (RFC 1661 §4.1).
void Link::renegotiate(Run& run) {
  if (ended_ || end_reason_ != EndReason::kNone) return;
  lcp_.down(run.context);
  lcp_.up(run.context);
}

void Link::terminate(EndReason reason, Run& run) {
  if (ended_ || end_reason_ != EndReason::kNone) return;
  end_reason_ = reason;
  set_phase(LinkPhase::kTerminate, run);
  const State lcp = lcp_.state();
  if (lcp < State::kReqSent) {
    end_now(reason, run);
    return;
  }
  lcp_.close(run.context);  // open: layer_down() clears what stands above
  if (lcp != State::kOpened) leave_network(run);
}

void Link::end_now(EndReason reason, Run& run) {
  if (ended_) return;
  if (end_reason_ == EndReason::kNone) end_reason_ = reason;
  leave_network(run);
  lcp_.reset();
  echo_at_.reset();
  set_phase(LinkPhase::kDead, run);
  run.add(model::LinkEnded{end_reason_});
  ended_ = true;
}

void Link::schedule_echo(TimePoint first) {
  echoes_unanswered_ = 0;
  echo_at_.reset();
  if (settings_.lcp_echo_interval > Duration::zero()) echo_at_ = first;
}

// Half an interval to a whole one, at random. Links that resume together would otherwise ask
// together for ever, and their replies exceed the dataplane's burst.
Duration Link::spread_interval() {
  const double share = random_.next_u32() / double{std::numeric_limits<std::uint32_t>::max()};
  const Duration half = settings_.lcp_echo_interval / 2;
  return settings_.lcp_echo_interval - half +
         Duration(static_cast<Duration::rep>(share * static_cast<double>(half.count())));
}

void Link::on_echo_timer(Run& run) {
  const TimePoint due = *echo_at_;
  echo_at_.reset();
  if (!lcp_.is_open() || !lcp_.echo_works()) return;
  if (echoes_unanswered_ >= settings_.lcp_echo_failures) {
    // Said once, in case only the way back is broken; a dead peer is not waited for.
    terminate(EndReason::lcp_echo_timeout, run);
    end_now(EndReason::lcp_echo_timeout, run);
    return;
  }
  lcp_.send_echo_request(++echo_identifier_, run.context);
  ++echoes_unanswered_;
  // A process that stood still does not draw its links' echoes together.
  const auto missed = (run.context.now - due) / settings_.lcp_echo_interval;
  echo_at_ = due + (missed + 1) * settings_.lcp_echo_interval;
}

}  // namespace pns::ppp
