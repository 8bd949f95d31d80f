// SPDX-License-Identifier: BSD-3-Clause
//
// The sessions as dynamic authorization (RFC 5176) sees them. AuthorizedSessions finds and ends
// them; ServiceChanger changes what they were granted. Event-loop thread only.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "controlplane/model/authorization_counts.hpp"
#include "controlplane/model/service_terms.hpp"
#include "controlplane/model/session_identification.hpp"
#include "pns/base/ids.hpp"

namespace pns::aaa {

class AuthorizedSessions {
 public:
  using Classes = std::vector<std::vector<std::byte>>;
  // False: the session is as it was.
  using Done = std::move_only_function<void(bool)>;

  AuthorizedSessions() = default;
  AuthorizedSessions(const AuthorizedSessions&) = delete;
  AuthorizedSessions& operator=(const AuthorizedSessions&) = delete;
  virtual ~AuthorizedSessions() = default;

  // The logged-in sessions that match. Empty optional: more than `most`.
  [[nodiscard]] virtual std::optional<std::vector<SessionId>> find(
      const model::SessionIdentification& wanted, std::size_t most) const = 0;
  // Ends the call. `classes`: Class of its Accounting-Request Stop; empty: as granted. `done` comes
  // once, when the call is over and a successor process would not resume it.
  virtual void disconnect(SessionId session, const Classes& classes, Done done) = 0;
};

class ServiceChanger {
 public:
  using Done = AuthorizedSessions::Done;

  ServiceChanger() = default;
  ServiceChanger(const ServiceChanger&) = delete;
  ServiceChanger& operator=(const ServiceChanger&) = delete;
  virtual ~ServiceChanger() = default;

  // Why apply() cannot succeed, such as a filter that is not configured. It is asked for all
  // sessions of a request before the first one changes (RFC 5176 §3: all of them, or none).
  [[nodiscard]] virtual std::optional<model::AuthorizationRefusal> objection(
      SessionId session, const model::ServiceChange& change) const = 0;
  // `done` comes once, perhaps before this returns, when the change is in force and a successor
  // process would keep it.
  virtual void apply(SessionId session, const model::ServiceChange& change, Done done) = 0;
};

}  // namespace pns::aaa
