// SPDX-License-Identifier: BSD-3-Clause
//
// Service: the server's subscribers as one part, for the composition root, the management API and
// tests. It owns the tables and everything that works on them, and forwards each request to the
// class that does it:
//
//   CallControl      calls, connections, offers, installation, placed calls
//   SessionTable     sessions and their indexes
//   TakeOver         the state that an earlier process left
//   BulkTermination  the end of many calls: Drain, ShutDown
//   SessionEvents    listeners: statistics, log, store, and whoever else wants to know
//
// Event-loop thread only.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "controlplane/subscriber/audit.hpp"
#include "controlplane/subscriber/bulk_termination.hpp"
#include "controlplane/subscriber/call_control.hpp"
#include "controlplane/subscriber/call_gate.hpp"
#include "controlplane/subscriber/call_ids.hpp"
#include "controlplane/subscriber/counter_schedule.hpp"
#include "controlplane/subscriber/drain.hpp"
#include "controlplane/subscriber/dynamic_sessions.hpp"
#include "controlplane/subscriber/listeners.hpp"
#include "controlplane/subscriber/listing.hpp"
#include "controlplane/subscriber/selector.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "controlplane/subscriber/session_id.hpp"
#include "controlplane/subscriber/session_limits.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "controlplane/subscriber/settings.hpp"
#include "controlplane/subscriber/shut_down.hpp"
#include "controlplane/subscriber/source_limits.hpp"
#include "controlplane/subscriber/store_contents.hpp"
#include "controlplane/subscriber/store_health.hpp"
#include "controlplane/subscriber/subscriber_networks.hpp"
#include "controlplane/subscriber/take_over.hpp"
#include "controlplane/subscriber/views.hpp"

namespace pns::subscriber {

class Service {
 public:
  Service(const Services& services, CallControl::Network network, SessionIdSource session_ids);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // ---- The process.
  // Takes over what an earlier process left with the supervisor. Call once, before anything else.
  void take_over(std::vector<contract::Grants::Connection> granted);
  // Calls `ready` once: when the dataplane is attached and told what it has missed.
  void when_attached(std::function<void()> ready);
  // Ends every call and connection politely; `done` is called when all are gone or time is up.
  void shut_down(Milliseconds within, std::function<void()> done);
  // Before a successor takes over: reads nothing more from the peers, who are told nothing.
  void stop_reading();
  // Whether every message to a peer is with the kernel, so that none is cut in the middle.
  [[nodiscard]] bool is_flushed() const;
  // A resource of the process is short: new calls and connections are refused for this reason.
  // kNone: it no longer is.
  void set_shortage(EndReason reason) noexcept { gate_.set_shortage(reason); }

  // Addresses that are this server's from now on are leased no more; a session that has one ends.
  void set_own_addresses(const OwnAddresses& own);

  // ---- Peers.
  void accept(UniqueFd fd, Ipv4Address local, Ipv4Address peer, std::uint16_t peer_port);
  // The supervisor could not keep a connection for a successor: it is closed, the peer dials again.
  void on_not_kept(ConnectionId id);

  // ---- The dataplane's events.
  void on_dataplane_attached();
  void on_dataplane_detached();
  void on_punted(control::SessionHandle handle, Bytes frame);
  // No encrypted packet of the session opens.
  void on_path_dead(control::SessionHandle handle, bool opened);

  // ---- The operator.
  void place_call(const PlaceRequest& request, PlacedDone done);
  // Ends the sessions that are meant, those of the page at this place (see Listing), a slice at a
  // time. Result: how many.
  std::size_t clear(const Selector& selector, PagePlace& place);
  [[nodiscard]] Drain& drain() noexcept { return drain_; }
  [[nodiscard]] const Listing& listing() const noexcept { return listing_; }
  [[nodiscard]] std::vector<EndView> last_ends() const { return last_ends_.views(); }
  [[nodiscard]] Audit begin_audit() const;
  [[nodiscard]] const SourceLimits& source_limits() const noexcept { return limits_; }

  // ---- Listeners. Before take_over(), which tells them of the sessions that are open already.
  void add_listener(SessionListener& listener) { events_.add(listener); }
  // The sessions for dynamic authorization, kept up to date from now on. As add_listener().
  [[nodiscard]] DynamicSessions& authorize_dynamically();
  // Each open session reports its counters once in each interval; 0: none does.
  void set_counter_interval(Duration interval) noexcept { counters_.set_interval(interval); }

 private:
  void clear(const std::vector<Session*>& sessions, EndReason reason);
  void clear_slice();
  [[nodiscard]] Session* find(control::SessionHandle handle) const;

  Services services_;
  SessionIdSource session_ids_;
  SourceLimits limits_;
  SessionEvents events_;
  SessionTable sessions_;
  CallIds call_ids_;
  StoreHealth store_health_;
  CallGate gate_;
  StatisticsListener statistics_listener_;
  LogListener log_listener_;
  StoreListener store_listener_;
  LastEnds last_ends_;
  SubscriberNetworks networks_;
  CallControl calls_;
  CounterSchedule counters_;
  SessionLimits session_limits_;
  StoreContents contents_;
  BulkTermination termination_;
  Drain drain_;
  ShutDown shut_down_;
  TakeOver take_over_;
  Listing listing_;
  DynamicSessions dynamic_sessions_;
  struct ToClear {
    SessionId id;
    EndReason reason;
  };
  std::deque<ToClear> to_clear_;
  control::Timer clear_timer_;
  std::function<void()> when_attached_;
};

}  // namespace pns::subscriber
