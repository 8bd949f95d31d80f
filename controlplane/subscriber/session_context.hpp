// SPDX-License-Identifier: BSD-3-Clause
//
// The parts that all sessions share, and the two that a session calls back: the owner of its call
// and the source of its lease. References only; the owner of the calls has them. Event-loop thread
// only.
#pragma once

#include <expected>
#include <functional>
#include <memory>

#include "controlplane/model/auth.hpp"
#include "controlplane/model/lease.hpp"
#include "controlplane/ppp/settings.hpp"
#include "controlplane/subscriber/call_ids.hpp"
#include "controlplane/subscriber/refusal_log.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/time.hpp"

namespace pns::subscriber {

class Session;

// The owner of the call, which outlives the session.
class SessionOwner {
 public:
  SessionOwner() = default;
  SessionOwner(const SessionOwner&) = delete;
  SessionOwner& operator=(const SessionOwner&) = delete;
  virtual ~SessionOwner() = default;
  // The link is over: the peer is told after this time, which leaves its PPP the time to read our
  // last frame.
  [[nodiscard]] virtual Duration farewell_time() const = 0;
  // That time has passed: the call must end with SessionLink::end_reason().
  virtual void on_farewell_over(Session& session) = 0;
};

// Gives accounts their addresses.
class SessionLeases {
 public:
  using Result = std::expected<model::Lease, EndReason>;
  using Done = std::function<void(Result)>;
  SessionLeases() = default;
  SessionLeases(const SessionLeases&) = delete;
  SessionLeases& operator=(const SessionLeases&) = delete;
  virtual ~SessionLeases() = default;
  // The account of `grant` has logged in on a session that has no lease. `done` is called once,
  // perhaps before this returns, and not after the session has ended. Error: why it gets none.
  virtual void ask(Session& session, const model::AuthGrant& grant, Done done) = 0;
};

struct SessionContext {
  Services& services;
  SessionOwner& owner;
  SessionLeases& leases;
  SessionEvents& events;
  CallIds& call_ids;
  RefusalLog& refusal_log;
  std::shared_ptr<const ppp::LinkSettings> link_settings;
};

}  // namespace pns::subscriber
