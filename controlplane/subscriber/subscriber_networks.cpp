// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/subscriber_networks.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_id.hpp"

namespace pns::subscriber {
namespace {

// A share of contract::kCommandCredits; the others are for installations, removals and addresses.
constexpr std::size_t kMaxInFlight = contract::kCommandCredits / 8;
constexpr auto kRetry = Milliseconds(50);

}  // namespace

SubscriberNetworks::SubscriberNetworks(Services& services, SessionTable& sessions)
    : services_(services),
      sessions_(sessions),
      retry_(services.loop.timers(), [this] { send_some(); }) {}

void SubscriberNetworks::on_attached() {
  sessions_.for_each([this](const Session& session) {
    const auto& lease = session.account().lease();
    if (lease && lease->may_have_networks()) enqueue(session.id());
  });
  send_some();
}

// One that was taken over: the kernel has its routes, and the supervisor must not take them for
// those of a session that is gone.
void SubscriberNetworks::on_created(const Session& session) {
  if (session.state() == Session::State::kUp)
    announce(session.id(), session.link().networks_in_force());
}

void SubscriberNetworks::on_changed(const Session& session, const SessionChange& change) {
  if (change.kind != SessionChange::Kind::kNetworks) return;
  enqueue(session.id());
  services_.journal.when_stored([this] { send_some(); });
}

void SubscriberNetworks::on_ended(const Session& session, const SessionEnd&) {
  announce(session.id(), {});
}

void SubscriberNetworks::enqueue(SessionId id) {
  if (is_queued_.insert(id).second) queue_.push_back(id);
}

void SubscriberNetworks::send_some() {
  while (!queue_.empty() && services_.dataplane.attached() && in_flight_ < kMaxInFlight) {
    const SessionId id = queue_.front();
    Session* const session = sessions_.find(id);
    if (session != nullptr && session->state() == Session::State::kUp && !send(*session)) {
      retry_.arm(services_.loop.now() + kRetry);
      return;
    }
    queue_.pop_front();
    is_queued_.erase(id);
  }
}

bool SubscriberNetworks::send(Session& session) {
  const auto networks = std::make_shared<const Networks>(session.link().networks_in_force());
  const auto sent = services_.dataplane.set_networks(
      session.dataplane().handle(), *networks,
      [this, id = session.id(), networks](const control::DataplaneCommands::Reply& reply) {
        --in_flight_;
        on_answer(id, *networks, reply);
        send_some();
      });
  if (sent) ++in_flight_;
  return sent.has_value();
}

void SubscriberNetworks::on_answer(SessionId id, const Networks& networks,
                                   const control::DataplaneCommands::Reply& reply) {
  using contract::ReplyResult;
  Session* const session = sessions_.find(id);
  // Without an answer the dataplane was lost: it is told again when it is back.
  if (session == nullptr || session->state() != Session::State::kUp || !reply) return;
  if (reply->result == ReplyResult::kDone) return announce(id, networks);
  if (refusal_log_.allow(services_.loop.now()))
    log::warn("dataplane refused networks", {{"session", to_text(id)},
                                             {"user", session->account().user()},
                                             {"result", contract::name_of(reply->result)},
                                             {"suppressed", refusal_log_.take_suppressed()}});
  announce(id, {});
  // A dataplane of an earlier release knows no such command: the call goes on without.
  if (reply->result == ReplyResult::kAddressInUse || reply->result == ReplyResult::kNoMemory)
    session->link().fail(EndReason::dataplane_refused);
}

void SubscriberNetworks::announce(SessionId id, const Networks& networks) {
  const auto known = announced_.find(id);
  const Networks before = known == announced_.end() ? Networks{} : known->second;
  const auto tell = [this](const auto& from, const auto& others, bool in_force) {
    for (const auto& network : from)
      if (std::ranges::find(others, network) == others.end())
        services_.keeper.set_route(network.to_string(), in_force);
  };
  tell(before.ipv4, networks.ipv4, false);
  tell(before.ipv6, networks.ipv6, false);
  tell(networks.ipv4, before.ipv4, true);
  tell(networks.ipv6, before.ipv6, true);
  if (networks.empty())
    announced_.erase(id);
  else
    announced_.insert_or_assign(id, networks);
}

}  // namespace pns::subscriber
