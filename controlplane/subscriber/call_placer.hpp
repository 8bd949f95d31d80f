// SPDX-License-Identifier: BSD-3-Clause
//
// CallPlacer: the calls that an operator wants placed, until each is up or has failed, and the
// control connections that we open for them. A call goes over an established connection with its
// PAC, whoever opened it; else it waits for the one that we are opening. When both sides open one
// at once the higher address wins (RFC 2637 §3.1.3) and what waits goes over the winner's
// connection.
//
// It asks its owner, CallControl, for connections and sessions, and hears of sessions as a
// listener. Bounded: kMaxPlaced calls, kMaxAttempts connections being opened. Event-loop thread
// only.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/model/connection_actions.hpp"
#include "controlplane/pptp/control_connection.hpp"
#include "controlplane/runtime/connection_opener.hpp"
#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::subscriber {

struct PlaceRequest {
  Ipv4Address pac;
  pptp::OutgoingCall call;
  Milliseconds timeout{60'000};  // from the request to an open PPP link
};

// The result of a request.
struct PlacedCall {
  EndReason failure = EndReason::kNone;  // kNone: the link is open
  model::PeerCodes codes{};              // of the PAC, when it refused or ended the call
  SessionId session{};
  std::string user{};
  Ipv4Address address{};
  std::uint64_t took_ms = 0;
};
using PlacedDone = std::function<void(const PlacedCall&)>;

class CallPlacer final : public SessionListener {
 public:
  static constexpr std::size_t kMaxPlaced = 256;
  static constexpr std::size_t kMaxAttempts = 16;

  struct Hooks {
    // An established connection with this PAC; empty: there is none.
    std::function<std::optional<ConnectionId>(Ipv4Address pac)> established;
    // TCP is up: makes it a control connection and starts it. Empty: there are too many.
    std::function<std::optional<ConnectionId>(UniqueFd, Ipv4Address local, Ipv4Address pac)>
        originate;
    // Ends a connection of ours that is not established: the peer's is used.
    std::function<void(ConnectionId)> yield_collision;
    // Asks for the call; its session has this number as Call::placed.
    std::function<std::expected<SessionId, EndReason>(ConnectionId, std::uint64_t number,
                                                      const pptp::OutgoingCall&)>
        dial;
    // Ends the call of this session.
    std::function<void(SessionId, EndReason)> clear;
    // A call ended before it had a session.
    std::function<void(EndReason)> count_end;
  };

  // `locals`: our listening addresses; none: no call can be placed. `port`: of PACs.
  CallPlacer(control::EventLoop& loop, control::ConnectionOpener& opener,
             std::vector<Ipv4Address> locals, std::uint16_t port, Hooks hooks);

  // Calls `done` once, perhaps before it returns.
  void place(const PlaceRequest& request, PlacedDone done);

  // ---- What happens to connections.
  void on_established(ConnectionId id, Ipv4Address peer);
  void on_closed(ConnectionId id, Ipv4Address peer, EndReason reason);
  enum class Collision : std::uint8_t { kNone, kWeWin, kWeLose };
  // A Start-Control-Connection-Request came on a connection that the peer opened to `local`. When
  // we lose, ours is closed before this returns.
  [[nodiscard]] Collision on_start_request(Ipv4Address local, Ipv4Address peer);

  // ---- What happens to sessions. Those that nobody waits for are ignored.
  void on_opened(const Session& session) override;
  void on_ended(const Session& session, const SessionEnd& end) override;

  // Fails what has no call yet.
  void shut_down();

  [[nodiscard]] std::size_t pending() const noexcept { return placed_.size(); }

 private:
  struct Placed {
    Placed(control::EventLoop& loop, PlaceRequest the_request, PlacedDone the_done,
           std::move_only_function<void()> expired)
        : request(std::move(the_request)),
          done(std::move(the_done)),
          timer(loop.timers(), std::move(expired)),
          asked(loop.now()) {}
    PlaceRequest request;
    PlacedDone done;
    control::Timer timer;
    TimePoint asked;
    std::optional<SessionId> session{};  // none: waits for a connection
  };
  // A connection that we are opening.
  struct Attempt {
    Ipv4Address local;
    std::uint64_t connecting = 0;              // the Connector's number, while TCP is not up
    std::optional<ConnectionId> connection{};  // afterwards, until it is established
  };

  void on_timeout(std::uint64_t number);
  void open_connection(Ipv4Address pac);
  void dial(std::uint64_t number, ConnectionId connection);
  void fail_waiting(Ipv4Address pac, EndReason reason);
  void fail(std::uint64_t number, EndReason reason);
  void finish(std::uint64_t number, PlacedCall result);
  [[nodiscard]] std::vector<std::uint64_t> waiting_for(Ipv4Address pac) const;

  control::EventLoop& loop_;
  control::ConnectionOpener& opener_;
  std::vector<Ipv4Address> locals_;
  std::uint16_t port_;
  Hooks hooks_;
  std::map<std::uint64_t, std::unique_ptr<Placed>> placed_;  // by number: oldest first
  std::unordered_map<Ipv4Address, Attempt> attempts_;        // by PAC
  std::uint64_t next_ = 1;
};

}  // namespace pns::subscriber
