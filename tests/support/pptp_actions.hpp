// SPDX-License-Identifier: BSD-3-Clause
//
// Helpers to drive a pptp::ControlConnection and to look into what it asks for.
#pragma once

#include <optional>

#include "controlplane/pptp/control_connection.hpp"
#include "tests/support/fake_clock.hpp"

namespace pns::test {

// The message that an action sends, if it is of this type.
template <class M>
const M* message(const model::ConnectionAction& action) {
  const auto* send = std::get_if<model::SendMessage>(&action);
  return send == nullptr ? nullptr : std::get_if<M>(&send->message);
}

// The single action there is, if it is of this type. A copy, so that temporaries may be passed.
template <class Action>
const Action* only(const model::ConnectionActions& actions) {
  static thread_local Action copy;
  if (actions.size() != 1 || !std::holds_alternative<Action>(actions[0])) return nullptr;
  copy = std::get<Action>(actions[0]);
  return &copy;
}

// Why the actions refuse a call, if they do: after the Reply that says so.
inline std::optional<EndReason> refused(const model::ConnectionActions& actions) {
  if (actions.size() != 2) return std::nullopt;
  const auto* refusal = std::get_if<model::RefuseCall>(&actions[1]);
  return refusal == nullptr ? std::nullopt : std::optional(refusal->reason);
}

// The single message there is, if it is of this type; a refusal may follow it. A copy as well.
template <class M>
const M* only_message(const model::ConnectionActions& actions) {
  static thread_local M copy;
  const bool single = actions.size() == 1 || refused(actions).has_value();
  const M* const found = single ? message<M>(actions[0]) : nullptr;
  if (found == nullptr) return nullptr;
  copy = *found;
  return &copy;
}

// The Reply that refuses a call, if the last two actions are that and its RefuseCall. A copy.
inline const wire::pptp::OutgoingCallReply* refusal(const model::ConnectionActions& actions,
                                                    EndReason reason) {
  static thread_local wire::pptp::OutgoingCallReply copy;
  if (actions.size() < 2) return nullptr;
  const auto* reply = message<wire::pptp::OutgoingCallReply>(actions[actions.size() - 2]);
  const auto* refused = std::get_if<model::RefuseCall>(&actions.back());
  if (reply == nullptr || refused == nullptr || refused->reason != reason) return nullptr;
  copy = *reply;
  return &copy;
}

inline std::optional<EndReason> ended(const model::ConnectionActions& actions, OurCallId id) {
  for (const auto& action : actions)
    if (const auto* end = std::get_if<model::EndCall>(&action))
      if (end->our_call_id == id) return end->reason;
  return std::nullopt;
}

// The reason of the CloseConnection that ends the actions, if one does.
inline std::optional<EndReason> closes_with(const model::ConnectionActions& actions) {
  if (actions.empty()) return std::nullopt;
  const auto* close = std::get_if<model::CloseConnection>(&actions.back());
  return close == nullptr ? std::nullopt : std::optional(close->reason);
}

inline pptp::ControlConnection established_connection(
    const FakeClock& clock, const pptp::ConnectionSettings& settings = {}) {
  pptp::ControlConnection connection(settings, clock.now());
  (void)connection.on_message(
      wire::pptp::StartControlConnectionRequest{.host_name = wire::pptp::to_text<64>("client"),
                                                .vendor_name = wire::pptp::to_text<64>("vendor")},
      clock.now());
  return connection;
}

// Dials and accepts. True when the call is up.
inline bool open_call(pptp::ControlConnection& connection, const FakeClock& clock,
                      std::uint16_t peer_call_id, OurCallId our_call_id) {
  const auto offered = connection.on_message(
      wire::pptp::OutgoingCallRequest{.call_id = peer_call_id, .maximum_bps = 100'000'000},
      clock.now());
  const auto* offer = only<model::OfferCall>(offered);
  if (offer == nullptr) return false;
  const auto accepted = connection.our_calls().accept(offer->offer, our_call_id, clock.now());
  const auto* reply = only_message<wire::pptp::OutgoingCallReply>(accepted);
  return reply != nullptr && reply->result_code == 1 && reply->call_id == our_call_id.value &&
         reply->peers_call_id == peer_call_id;
}

}  // namespace pns::test
