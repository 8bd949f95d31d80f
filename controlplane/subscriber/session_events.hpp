// SPDX-License-Identifier: BSD-3-Clause
//
// SessionEvents: tells everybody who wants to know what happens to sessions. Statistics, the log,
// the journal, the indexes and the call placer are listeners; accounting, capture and a standby
// node can be others, without a change to the session code.
//
// Listeners are called on the event loop, in the order in which they were added. A listener must
// not add or remove listeners, and must not end a session, while it is called.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/model/connection_actions.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/model/statistics.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"

namespace pns::subscriber {

class Session;

// One change of a session, after it has happened. Only the fields of its kind hold a value.
struct SessionChange {
  enum class Kind : std::uint8_t {
    kInstalled,    // the dataplane serves the call
    kStage,        // the set-up has reached `stage` for the first time
    kPhase,        // the link's phase was `phase_before`
    kUser,         // the authenticated account was `user_before`
    kAddress,      // the leased IPv4 address was `address_before`; unspecified: there was none
    kResumption,   // the state from which a successor process resumes the link has changed
    kDestination,  // the peer's Call ID is known now
    kNetworks,     // the networks behind the subscriber that are in force
    kConditions,   // limits and reports of the session
  };
  Kind kind;
  model::SetupStage stage = model::SetupStage::kOffered;
  model::LinkPhase phase_before = model::LinkPhase::kDead;
  std::string_view user_before{};
  Ipv4Address address_before{};
};

struct SessionEnd {
  EndReason reason;
  model::PeerCodes codes{};  // of the peer, when it refused or ended the call
  Seconds duration{0};       // since the call was offered
};

class SessionListener {
 public:
  SessionListener() = default;
  SessionListener(const SessionListener&) = delete;
  SessionListener& operator=(const SessionListener&) = delete;
  virtual ~SessionListener() = default;

  // The session has a slot and a Call ID: a request of a peer was admitted, or a call is dialled,
  // or a session was taken over from an earlier process (then it is open already).
  virtual void on_created(const Session&) {}
  // The PPP link is open for the first time: data may flow.
  virtual void on_opened(const Session&) {}
  virtual void on_changed(const Session&, const SessionChange&) {}
  // An interim report of the session's counters is due; see CounterSchedule.
  virtual void on_counters_due(const Session&) {}
  // The call is over. Its counters can be read until this returns. Comes once for each session that
  // had a call, whether or not it was ever open.
  virtual void on_ended(const Session&, const SessionEnd&) {}
  // Nothing of the session is in use any more: slot, Call ID and lease are free.
  virtual void on_released(const Session&) {}
};

class SessionEvents {
 public:
  // `listener` must outlive this.
  void add(SessionListener& listener) { listeners_.push_back(&listener); }

  void created(const Session& session) const {
    for (SessionListener* listener : listeners_) listener->on_created(session);
  }
  void opened(const Session& session) const {
    for (SessionListener* listener : listeners_) listener->on_opened(session);
  }
  void changed(const Session& session, const SessionChange& change) const {
    for (SessionListener* listener : listeners_) listener->on_changed(session, change);
  }
  void counters_due(const Session& session) const {
    for (SessionListener* listener : listeners_) listener->on_counters_due(session);
  }
  void ended(const Session& session, const SessionEnd& end) const {
    for (SessionListener* listener : listeners_) listener->on_ended(session, end);
  }
  void released(const Session& session) const {
    for (SessionListener* listener : listeners_) listener->on_released(session);
  }

 private:
  std::vector<SessionListener*> listeners_;
};

}  // namespace pns::subscriber
