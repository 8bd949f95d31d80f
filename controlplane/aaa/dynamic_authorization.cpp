// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/dynamic_authorization.hpp"

#include <algorithm>
#include <utility>

#include "pns/radius/packet_builder.hpp"
#include "pns/radius/values.hpp"

namespace pns::aaa {

namespace attribute = radius::attribute;
using radius::Code;

namespace {

constexpr std::size_t index_of(model::AuthorizationRefusal refusal) noexcept {
  return static_cast<std::size_t>(refusal);
}

// Length of the network; empty: it does not hold the address.
std::optional<unsigned> holds(const std::variant<Ipv4Prefix, Ipv6Prefix>& network,
                              const IpAddress& address) {
  if (const auto* v4 = std::get_if<Ipv4Prefix>(&network)) {
    const auto* const source = std::get_if<Ipv4Address>(&address);
    return source != nullptr && v4->contains(*source) ? std::optional<unsigned>(v4->length)
                                                      : std::nullopt;
  }
  const auto& v6 = std::get<Ipv6Prefix>(network);
  const auto* const source = std::get_if<Ipv6Address>(&address);
  return source != nullptr && v6.contains(*source) ? std::optional<unsigned>(v6.length)
                                                   : std::nullopt;
}

// A single address without its length.
std::string name_of(const std::variant<Ipv4Prefix, Ipv6Prefix>& network) {
  if (const auto* v4 = std::get_if<Ipv4Prefix>(&network))
    return v4->length == 32 ? v4->address.to_string() : v4->to_string();
  const auto& v6 = std::get<Ipv6Prefix>(network);
  return v6.length == 128 ? v6.address.to_string() : v6.to_string();
}

model::AuthorizationRefusal refusal_of(radius::VerifyError error) noexcept {
  using radius::VerifyError;
  switch (error) {
    case VerifyError::message_authenticator_missing:
      return model::AuthorizationRefusal::no_message_authenticator;
    case VerifyError::message_authenticator_malformed:
    case VerifyError::message_authenticator_wrong:
      return model::AuthorizationRefusal::wrong_message_authenticator;
    case VerifyError::wrong_code:
      return model::AuthorizationRefusal::wrong_code;
    case VerifyError::authenticator:
    case VerifyError::kCount:
      break;
  }
  return model::AuthorizationRefusal::wrong_authenticator;
}

// All of an answer but its signature.
radius::PacketBuilder begin_answer(const DynamicAuthorization::Asked& asked,
                                   const RequestOutcome& outcome) {
  const bool disconnect = asked.code == Code::kDisconnectRequest;
  const Code ack = disconnect ? Code::kDisconnectAck : Code::kCoaAck;
  const Code nak = disconnect ? Code::kDisconnectNak : Code::kCoaNak;
  radius::PacketBuilder answer(outcome.refusal ? nak : ack, asked.identifier);
  if (outcome.refusal) answer.add_u32(attribute::kErrorCause, info_of(*outcome.refusal).cause);
  answer.add_u32(attribute::kEventTimestamp, outcome.time);
  add_echoes(answer, asked.attributes);
  return answer;
}

std::optional<std::uint32_t> timestamp_of(const radius::PacketView& packet) noexcept {
  const auto value = packet.find_first(attribute::kEventTimestamp);
  return value ? radius::read_u32(*value) : std::nullopt;
}

}  // namespace

DynamicAuthorization::DynamicAuthorization(AuthorizationSettings settings,
                                           AuthorizedSessions& sessions, ServiceChanger& changer,
                                           Hooks hooks)
    : settings_(std::move(settings)),
      sessions_(sessions),
      changer_(changer),
      hooks_(std::move(hooks)),
      remembered_of_client_(settings_.remembered /
                            std::max<std::size_t>(settings_.clients.size(), 1)),
      buckets_(settings_.clients.size()),
      memory_(settings_.remembered) {
  for (const AuthorizationClient& client : settings_.clients)
    client_counts_.emplace_back().name = name_of(client.network);
}

// ---- checks ---------------------------------------------------------------------------------

std::optional<std::size_t> DynamicAuthorization::find_client(const IpAddress& source) const {
  std::optional<std::size_t> found;
  unsigned longest = 0;
  for (std::size_t i = 0; i < settings_.clients.size(); ++i)
    if (const auto length = holds(settings_.clients[i].network, source);
        length && (!found || *length > longest)) {
      found = i;
      longest = *length;
    }
  return found;
}

void DynamicAuthorization::on_datagram(const IpEndpoint& source, std::uint16_t socket,
                                       Bytes datagram) {
  const auto client = find_client(source.address);
  if (!client) {
    counts_.unknown_client.add();
    return hooks_.refused(source, {.reason = Refusal::unknown_client});
  }
  const auto packet = radius::PacketView::parse(datagram);
  if (!packet) return discard(*client, source, Refusal::malformed);
  if (const auto refusal = judge(*packet, settings_.clients[*client]))
    return discard(*client, source, *refusal);
  const Bytes attributes = packet->attributes();
  on_request(*packet, {.client = *client,
                       .source = source,
                       .socket = socket,
                       .code = packet->code(),
                       .identifier = packet->identifier(),
                       .authenticator = packet->authenticator(),
                       .attributes = {attributes.begin(), attributes.end()}});
}

std::optional<model::AuthorizationRefusal> DynamicAuthorization::judge(
    const radius::PacketView& packet, const AuthorizationClient& client) const {
  if (packet.code() != Code::kCoaRequest && packet.code() != Code::kDisconnectRequest)
    return Refusal::wrong_code;
  const auto verified = radius::verify_request(packet, client.secret.bytes(), settings_.policy);
  if (!verified) return refusal_of(verified.error());
  return judge_time(packet);
}

std::optional<model::AuthorizationRefusal> DynamicAuthorization::judge_time(
    const radius::PacketView& packet) const {
  const auto sent = timestamp_of(packet);
  if (!sent)
    return settings_.requires_timestamp ? std::optional(Refusal::no_timestamp) : std::nullopt;
  const auto wall = static_cast<std::int64_t>(hooks_.wall());
  const std::int64_t off = wall > *sent ? wall - *sent : *sent - wall;
  return off > settings_.window.count() ? std::optional(Refusal::stale) : std::nullopt;
}

// From then on the packet is stale, so a replay needs no memory. One without a timestamp never is.
TimePoint DynamicAuthorization::forget_at(const radius::PacketView& packet) const {
  const auto wall = static_cast<std::int64_t>(hooks_.wall());
  const std::int64_t sent = timestamp_of(packet).value_or(static_cast<std::uint32_t>(wall));
  return hooks_.now() + settings_.window + Seconds(sent - wall + 1);
}

// ---- requests -------------------------------------------------------------------------------

void DynamicAuthorization::on_request(const radius::PacketView& packet, Asked asked) {
  const std::size_t client = asked.client;
  model::AuthorizationClientCounts& counts = counts_of(client);
  memory_.forget(hooks_.now(), [this](std::size_t of) { counts_of(of).remembered.add(-1); });
  if (const auto* const known = memory_.find(asked.authenticator)) return repeat(*known, asked);
  const auto& rate = settings_.clients[client].rate;
  if (!rate.is_off() && !buckets_[client].try_take(rate, hooks_.now()))
    return discard(client, asked.source, Refusal::rate);
  if (memory_.is_full() ||
      static_cast<std::size_t>(counts.remembered.get()) >= remembered_of_client_)
    return refuse(asked, {.reason = Refusal::too_many_remembered});
  // A NAK is the longest answer.
  if (!begin_answer(asked, {.refusal = Refusal::no_session}).ok())
    return discard(client, asked.source, Refusal::answer_too_long);
  memory_.add(asked.authenticator, asked.source, client, forget_at(packet));
  counts.remembered.add();
  if (in_flight_ >= settings_.in_flight ||
      static_cast<std::size_t>(counts.in_flight.get()) >= settings_.in_flight_of_client)
    return refuse(asked, {.reason = Refusal::too_many_in_flight});
  const auto request = read_authorization_request(packet, settings_.nas, settings_.meanings);
  if (!request) return refuse(asked, request.error());
  carry_out(std::move(asked), *request);
}

void DynamicAuthorization::repeat(const RequestMemory::Request& known, const Asked& asked) {
  if (known.source != asked.source) return discard(asked.client, asked.source, Refusal::replayed);
  if (!known.outcome) return discard(asked.client, asked.source, Refusal::in_progress);
  counts_of(asked.client).repeated.add();
  send_answer(asked, *known.outcome);
}

void DynamicAuthorization::carry_out(Asked asked, const AuthorizationRequest& request) {
  const auto found = sessions_.find(request.sessions, kMostSessions);
  if (!found) return refuse(asked, {.reason = Refusal::too_many_sessions});
  if (found->empty()) return refuse(asked, {.reason = Refusal::no_session});
  if (!request.is_disconnect)
    for (const SessionId session : *found)
      if (const auto objection = changer_.objection(session, request.change))
        return refuse(asked, {.reason = *objection});
  ++in_flight_;
  counts_of(asked.client).in_flight.add();
  const auto pending = std::make_shared<Pending>(
      Pending{.asked = std::move(asked), .sessions = found->size(), .left = found->size()});
  for (const SessionId session : *found) {
    auto done = [this, alive = std::weak_ptr(alive_), pending](bool is_done) {
      if (!alive.expired()) on_part_done(pending, is_done);
    };
    if (request.is_disconnect)
      sessions_.disconnect(session, request.change.classes.value_or(AuthorizedSessions::Classes{}),
                           std::move(done));
    else
      changer_.apply(session, request.change, std::move(done));
  }
}

void DynamicAuthorization::on_part_done(const std::shared_ptr<Pending>& pending, bool done) {
  pending->failed |= !done;
  if (--pending->left != 0) return;
  const Asked& asked = pending->asked;
  model::AuthorizationClientCounts& counts = counts_of(asked.client);
  --in_flight_;
  counts.in_flight.add(-1);
  if (pending->failed) return refuse(asked, {.reason = Refusal::change_failed});
  (asked.code == Code::kDisconnectRequest ? counts.disconnects : counts.changes).add();
  counts.sessions.add(static_cast<std::int64_t>(pending->sessions));
  finish(asked, std::nullopt);
}

// ---- answers --------------------------------------------------------------------------------

void DynamicAuthorization::discard(std::size_t client, const IpEndpoint& source, Refusal reason) {
  counts_of(client).refusals[index_of(reason)].add();
  hooks_.refused(source, {.reason = reason});
}

void DynamicAuthorization::refuse(const Asked& asked, const RequestRefusal& refusal) {
  counts_of(asked.client).refusals[index_of(refusal.reason)].add();
  hooks_.refused(asked.source, refusal);
  finish(asked, refusal.reason);
}

void DynamicAuthorization::finish(const Asked& asked, std::optional<Refusal> refusal) {
  const RequestOutcome outcome{.refusal = refusal,
                               .time = static_cast<std::uint32_t>(hooks_.wall())};
  memory_.finish(asked.authenticator, outcome);
  send_answer(asked, outcome);
}

void DynamicAuthorization::send_answer(const Asked& asked, const RequestOutcome& outcome) {
  auto answer = begin_answer(asked, outcome);
  const auto packet = radius::sign_response(answer, settings_.clients[asked.client].secret.bytes(),
                                            asked.authenticator);
  if (!packet || !hooks_.send(asked.source, asked.socket, *packet))
    counts_of(asked.client).send_failures.add();
}

}  // namespace pns::aaa
