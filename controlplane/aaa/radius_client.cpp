// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_client.hpp"

#include <algorithm>
#include <utility>

namespace pns::aaa {

using model::RadiusDiscard;
using model::RadiusKind;
using model::RadiusState;

namespace {

constexpr std::size_t kTimersPerWake = 256;
// A request that failed over waits no longer for those servers alone that it has not tried.
constexpr Duration kMaxBound = Seconds(1);

constexpr std::size_t index_of(RadiusKind kind) noexcept { return static_cast<std::size_t>(kind); }

// The codec's error as a counter.
RadiusDiscard discard_of(radius::VerifyError error) noexcept {
  switch (error) {
    case radius::VerifyError::wrong_code:
      return RadiusDiscard::wrong_code;
    case radius::VerifyError::authenticator:
      return RadiusDiscard::wrong_authenticator;
    case radius::VerifyError::message_authenticator_missing:
      return RadiusDiscard::no_message_authenticator;
    default:
      return RadiusDiscard::wrong_message_authenticator;
  }
}

// A pair without a request: what it was used for last tells why.
RadiusDiscard discard_of(RadiusIdentifiers::Use use) noexcept {
  switch (use) {
    case RadiusIdentifiers::Use::kAnswered:
      return RadiusDiscard::duplicate;
    case RadiusIdentifiers::Use::kAbandoned:
      return RadiusDiscard::late;
    default:
      return RadiusDiscard::no_such_request;
  }
}

}  // namespace

RadiusClient::RadiusClient(RadiusClientSettings settings, RadiusTransport& transport,
                           RandomSource& random, Clock clock, Wake wake, Observer observer)
    : transport_(transport),
      random_(random),
      clock_(std::move(clock)),
      wake_(std::move(wake)),
      observer_(std::move(observer)),
      policy_(settings.policy),
      max_waiting_(settings.max_waiting),
      server_counts_(settings.servers.size()),
      servers_(std::move(settings.servers), transport.socket_count(false),
               transport.socket_count(true), random, server_counts_) {}

RadiusClient::~RadiusClient() = default;

// ---- Questions and answers

void RadiusClient::ask(RadiusQuestion question, RadiusDone done) {
  const TimePoint now = clock_();
  const std::size_t kind = index_of(question.kind);
  RadiusServerSet allowed = servers_.of_kind(question.kind);
  if (question.server)
    allowed &= *question.server < servers_.size() ? set_of(*question.server) : 0;
  else
    allowed &= question.among;
  if (allowed == 0) return done(std::unexpected(RadiusFailure::kNoServer));
  if (question.server && servers_.not_dead(allowed) == 0) {
    counts_.lost_state[kind].add();
    return done(std::unexpected(RadiusFailure::kServerDied));
  }
  if (table_.waiting_count(question.kind) >= max_waiting_) {
    counts_.refused[kind].add();
    return done(std::unexpected(RadiusFailure::kQueueFull));
  }
  RadiusRequest& request = table_.create_waiting(allowed, question.kind, now + question.patience);
  request.among = allowed;
  request.is_sticky = question.server.has_value();
  request.build = std::move(question.build);
  request.done = std::move(done);
  settle(now);
}

void RadiusClient::on_datagram(const IpEndpoint& source, std::uint16_t socket, Bytes datagram) {
  const auto index = servers_.find(source);
  if (!index) return counts_.unknown_source.add();
  RadiusServer& server = servers_[*index];
  const auto packet = radius::PacketView::parse(datagram);
  if (!packet) return discard(server, RadiusDiscard::malformed);
  const RadiusPair pair{socket, packet->identifier()};
  RadiusRequest* const request = server.identifiers().owner_of(pair);
  const auto* const abandoned = request == nullptr ? server.identifiers().abandoned(pair) : nullptr;
  if (request == nullptr && abandoned == nullptr)
    return discard(server, discard_of(server.identifiers().use_of(pair)));
  const auto verdict =
      radius::verify_response(*packet, request != nullptr ? sent_of(*request) : abandoned->request,
                              server.settings().secret.bytes(), policy_);
  if (!verdict) return discard(server, discard_of(verdict.error()));
  const TimePoint now = clock_();
  if (request != nullptr)
    on_answer(*request, *packet, now);
  else
    on_late_answer(server, pair, *abandoned, now);
  settle(now);
}

// Nobody waits for it any more, but the server lives.
void RadiusClient::on_late_answer(RadiusServer& server, RadiusPair pair,
                                  const RadiusIdentifiers::Abandoned& abandoned, TimePoint now) {
  discard(server, RadiusDiscard::late);
  const bool revived = server.on_late_answer(abandoned.sent, now);
  server.identifiers().on_late_answer(pair);
  if (revived) changed(server);
}

void RadiusClient::on_answer(RadiusRequest& request, const radius::PacketView& packet,
                             TimePoint now) {
  RadiusServer& server = servers_[request.server];
  const bool is_probe = request.stage == Stage::kProbe;
  bool revived = false;
  if (is_probe) {
    server.counts().probe_answers.add();
    revived = server.health().on_probe_answer(now);
    if (revived) server.restart_window();
  } else {
    revived = server.on_answer(request, now);
  }
  server.identifiers().release(request.pair, now);
  if (revived) changed(server);
  finish(request, RadiusAnswer{.packet = packet,
                               .secret = server.settings().secret.bytes(),
                               .authenticator = request.authenticator,
                               .server = request.server});
}

void RadiusClient::on_deadline() {
  const TimePoint now = clock_();
  wakes_at_.reset();
  for (std::size_t n = 0; n < kTimersPerWake; ++n) {
    RadiusRequest* const request = table_.due(now);
    if (request == nullptr) break;
    on_timer(*request, now);
  }
  settle(now);
}

// ---- Stages of a request

void RadiusClient::wait_for_server(RadiusRequest& request, RadiusServerSet allowed, TimePoint now) {
  table_.wait(request, allowed);
  table_.set_timer(request, now + kMaxBound);
}

// False: no Identifier is free at this server.
bool RadiusClient::begin_attempt(RadiusRequest& request, std::size_t index, TimePoint now) {
  RadiusServer& server = servers_[index];
  const auto pair = server.identifiers().take(request, now);
  if (!pair) return false;
  request.server = index;
  request.pair = *pair;
  request.timeouts = 0;
  table_.move(request, server.outstanding(), Stage::kOutstanding);
  if (!build(request, server, code_of(request))) {
    give_up_attempt(request, now);
    finish(request, std::unexpected(RadiusFailure::kTooLong));
    return true;
  }
  request.first_sent = now;
  server.counts().requests.add();
  transmit(request, now);
  return true;
}

bool RadiusClient::build(RadiusRequest& request, RadiusServer& server, radius::Code code) {
  using radius::PacketBuilder;
  const Bytes secret = server.settings().secret.bytes();
  // RFC 2866 §3: the Authenticator of an Accounting-Request is made by signing. RFC 2869 §5.19: it
  // has no Message-Authenticator.
  const bool accounting = code == radius::Code::kAccountingRequest;
  RadiusAttempt attempt{.server = request.server, .secret = secret};
  if (!accounting) attempt.authenticator = radius::random_authenticator(random_);
  PacketBuilder builder(code, request.pair.identifier, attempt.authenticator,
                        accounting ? PacketBuilder::MessageAuthenticator::kNone
                                   : PacketBuilder::MessageAuthenticator::kFirst);
  if (request.build) request.build(builder, attempt);
  const auto packet = radius::sign_request(builder, secret);
  if (!packet) return false;
  request.packet.assign(packet->begin(), packet->end());
  request.authenticator = builder.authenticator();
  return true;
}

void RadiusClient::transmit(RadiusRequest& request, TimePoint now) {
  RadiusServer& server = servers_[request.server];
  request.last_sent = now;
  if (request.stage == Stage::kDeferred)
    table_.move(request, server.outstanding(), Stage::kOutstanding);
  server.on_sent(now);
  if (!transport_.send(server.settings().endpoint, request.pair.socket, request.packet))
    server.counts().send_failures.add();
  table_.set_timer(request, now + server.wait(request.timeouts, random_));
}

void RadiusClient::give_up_attempt(RadiusRequest& request, TimePoint now) {
  servers_[request.server].identifiers().abandon(
      request.pair, {.request = sent_of(request), .sent = request.first_sent}, now);
  wipe(request.packet);
  request.packet.clear();
}

// Where a request may go instead of where it is; 0: nowhere. Those that it has not tried come
// first.
RadiusServerSet RadiusClient::other_servers(RadiusRequest& request) const {
  const RadiusServerSet here = set_of(request.server);
  const RadiusServerSet others = servers_.alive(request.among) & ~here;
  request.tried |= here;
  if ((others & ~request.tried) != 0) return others & ~request.tried;
  request.tried = here;
  return others;
}

void RadiusClient::finish(RadiusRequest& request,
                          std::expected<RadiusAnswer, RadiusFailure> answer) {
  const RadiusRequests removed = table_.remove(request);
  wipe(request.packet);
  if (request.done) request.done(std::move(answer));
}

// ---- Time

void RadiusClient::on_timer(RadiusRequest& request, TimePoint now) {
  if (request.stage == Stage::kProbe) {
    give_up_attempt(request, now);
    servers_[request.server].health().on_probe_lost(now);
    return finish(request, std::unexpected(RadiusFailure::kExpired));
  }
  if (now < request.deadline)
    return request.stage == Stage::kWaiting ? widen(request) : on_timeout(request, now);
  if (request.stage != Stage::kWaiting) give_up_attempt(request, now);
  counts_.expired[index_of(request.kind)].add();
  finish(request, std::unexpected(RadiusFailure::kExpired));
}

// Any server will do. It goes before those that came later.
void RadiusClient::widen(RadiusRequest& request) {
  table_.set_timer(request, request.deadline);
  request.tried = 0;
  if (request.allowed != request.among) table_.wait(request, request.among, true);
}

void RadiusClient::on_timeout(RadiusRequest& request, TimePoint now) {
  RadiusServer& server = servers_[request.server];
  const RadiusState before = server.state();
  if (request.stage == Stage::kOutstanding) server.on_timeout(request, now);
  if (server.state() != before) changed(server);
  ++request.timeouts;
  const bool enough =
      request.timeouts >= server.settings().tries || server.state() != RadiusState::kAlive;
  if (!request.is_sticky && enough) {
    if (const RadiusServerSet others = other_servers(request); others != 0) {
      server.counts().fail_overs.add();
      give_up_attempt(request, now);
      return wait_for_server(request, others, now);
    }
  }
  // The window decides when it is sent again.
  if (request.stage == Stage::kOutstanding)
    table_.move(request, server.deferred(), Stage::kDeferred);
  table_.set_timer(request, now + server.wait(request.timeouts, random_));
}

// ---- Servers

void RadiusClient::check_health(std::size_t index, TimePoint now) {
  using Todo = RadiusHealth::Todo;
  RadiusServer& server = servers_[index];
  for (;;) {
    switch (server.health().advance(now)) {
      case Todo::kNothing:
        return;
      case Todo::kProbe:
        send_probe(index, now);
        break;
      case Todo::kDied:
        on_died(index, now);
        break;
      case Todo::kRevived:
        server.restart_window();
        changed(server);
        break;
    }
  }
}

void RadiusClient::send_probe(std::size_t index, TimePoint now) {
  RadiusServer& server = servers_[index];
  RadiusRequest& probe = table_.create(server.probes(), Stage::kProbe, server.settings().kind,
                                       now + server.settings().health.probe_timeout);
  probe.server = index;
  probe.first_sent = probe.last_sent = now;
  const auto pair = server.identifiers().take(probe, now);
  if (!pair || !(probe.pair = *pair, build(probe, server, radius::Code::kStatusServer))) {
    // No Identifier is free: as good as lost.
    server.health().on_probe_lost(now);
    return finish(probe, std::unexpected(RadiusFailure::kExpired));
  }
  server.counts().probes.add();
  if (!transport_.send(server.settings().endpoint, probe.pair.socket, probe.packet))
    server.counts().send_failures.add();
}

// Its requests go to others; those that wait for it alone too, unless no other will do.
void RadiusClient::on_died(std::size_t index, TimePoint now) {
  RadiusServer& server = servers_[index];
  server.counts().deaths.add();
  server.restart_window();
  changed(server);
  std::vector<RadiusRequest*> homeless;
  for (RadiusRequests* const list : {&server.outstanding(), &server.deferred()})
    for (RadiusRequest& request : *list) {
      give_up_attempt(request, now);
      homeless.push_back(&request);
    }
  for (auto& [allowed, list] : table_.waiting())
    if (servers_.not_dead(allowed) == 0)
      for (RadiusRequest& request : list) homeless.push_back(&request);
  for (RadiusRequest* const request : homeless) {
    if (request->is_sticky) {
      counts_.lost_state[index_of(request->kind)].add();
      finish(*request, std::unexpected(RadiusFailure::kServerDied));
      continue;
    }
    if (request->stage != Stage::kWaiting) server.counts().fail_overs.add();
    request->tried = 0;
    wait_for_server(*request, request->among, now);
  }
}

void RadiusClient::changed(RadiusServer& server) {
  if (observer_.changed) observer_.changed(server.counts(), server.state());
}

void RadiusClient::discard(RadiusServer& server, RadiusDiscard reason) {
  server.counts().discards[static_cast<std::size_t>(reason)].add();
  if (observer_.discarded) observer_.discarded(server.counts(), reason);
}

void RadiusClient::pump(TimePoint now) {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    RadiusServer& server = servers_[i];
    while (!server.deferred().empty() && server.has_room()) {
      server.counts().retransmissions.add();
      transmit(server.deferred().front(), now);
    }
  }
  for (auto& [allowed, list] : table_.waiting())
    while (!list.empty()) {
      const auto server = servers_.choose(allowed, now);
      if (!server || !begin_attempt(list.front(), *server, now)) break;
    }
  table_.drop_empty_queues();
}

void RadiusClient::settle(TimePoint now) {
  if (settling_) {
    asked_meanwhile_ = true;
    return;
  }
  settling_ = true;
  do {
    asked_meanwhile_ = false;
    for (std::size_t i = 0; i < servers_.size(); ++i) check_health(i, now);
    pump(now);
  } while (asked_meanwhile_);
  settling_ = false;
  std::optional<TimePoint> next = table_.next();
  const auto consider = [&next](std::optional<TimePoint> at) {
    if (at) next = next ? std::min(*next, *at) : at;
  };
  const bool someone_waits = !table_.waiting().empty();
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    servers_[i].publish();
    consider(servers_[i].health().next());
    if (!servers_[i].identifiers().has_free(now) && someone_waits)
      consider(servers_[i].identifiers().next_free());
  }
  for (std::size_t k = 0; k < model::kRadiusKinds; ++k)
    counts_.waiting[k].set(
        static_cast<std::int64_t>(table_.waiting_count(static_cast<RadiusKind>(k))));
  if (next && next != wakes_at_) wake_(*next);
  wakes_at_ = next;
}

}  // namespace pns::aaa
