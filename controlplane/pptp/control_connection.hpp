// SPDX-License-Identifier: BSD-3-Clause
//
// ControlConnection: one PPTP control connection (RFC 2637 §3.1), accepted or originated by us: its
// start and stop, its echoes, and the messages, of which Calls gets those that concern calls. A
// sans-I/O machine driven by the tables of machines.hpp: every call returns the actions its caller
// (subscriber::CallControl) must perform, in order. One thread (the event loop); memory is bounded
// by maximum_calls.
//
// A message, a deadline and take_changes() look at the calls that they concern, however many calls
// the connection has: CallTable finds them.
//
// Not here: framing (StreamFramer), Call ID choice (CallIdAllocator), the PPP inside
// (controlplane/ppp), who wins when both sides start (§3.1.3: subscriber::CallControl, which sees
// both connections).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/model/connection_actions.hpp"
#include "controlplane/pptp/call.hpp"
#include "controlplane/pptp/calls.hpp"
#include "controlplane/pptp/connection_settings.hpp"
#include "controlplane/pptp/machines.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"
#include "pns/base/token_bucket.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::pptp {

// An established connection as it must be known again after a restart. Plain data.
struct ConnectionSnapshot {
  std::string peer_host_name{};  // octets of the peer, unescaped, at most 64
  std::string peer_vendor_name{};
  std::uint16_t peer_firmware_revision = 0;
  // Echo-Requests alone do not make a change that must be stored: a successor may use an identifier
  // again. Any message answers an echo, so nothing depends on it.
  std::uint32_t next_echo_identifier = 1;
  bool originated = false;         // we opened it
  std::vector<KnownCall> calls{};  // by number
  friend bool operator==(const ConnectionSnapshot&, const ConnectionSnapshot&) = default;
};

// Changes that must be stored before the actions that came with them are performed.
struct ConnectionChanges {
  bool established = false;  // the connection itself must be stored, for the first time
  std::vector<Calls::Change> calls{};
  [[nodiscard]] bool empty() const noexcept { return !established && calls.empty(); }
};

// Counted by the machine, read by its caller.
struct ConnectionCounters : CallCounters {
  std::uint64_t messages_received = 0;
  std::uint64_t calls_visited = 0;  // to find those that a message, a deadline or a change means
};

class ControlConnection {
 public:
  using State = ConnectionState;

  // A connection that TCP has just accepted (§3.1.2, receiver).
  ControlConnection(SharedSettings settings, TimePoint now);
  // An established connection taken over after a restart of this process.
  ControlConnection(SharedSettings settings, const ConnectionSnapshot& snapshot, TimePoint now);
  // A connection whose TCP we have just opened (§3.1.1, originator). Call open() next.
  [[nodiscard]] static ControlConnection originate(SharedSettings settings, TimePoint now);

  // From now on the silence before each Echo-Request is another one, between three quarters of
  // echo_interval and the whole of it. Without this call it is the whole. `seed`: random, another
  // one for each connection.
  void spread_echoes(std::uint32_t seed) noexcept;

  // Start-Control-Connection-Request. Once, and only on a connection of originate().
  [[nodiscard]] model::ConnectionActions open(TimePoint now);

  // ---- What came from the peer.
  [[nodiscard]] model::ConnectionActions on_message(const wire::pptp::Message& message,
                                                    TimePoint now);
  // The stream is no longer PPTP: ends every call and closes.
  [[nodiscard]] model::ConnectionActions on_frame_error(wire::pptp::FrameError error,
                                                        TimePoint now);
  // TCP is gone, for this reason (peer_closed_tcp, peer_reset_tcp, connection_write_stalled, …):
  // ends every call. No CloseConnection follows.
  [[nodiscard]] model::ConnectionActions on_tcp_closed(EndReason reason, TimePoint now);
  // Both sides start at once (§3.1.3). An originator that is not established yet closes without a
  // word: the peer wins. A receiver stays silent: the peer, who has lost, will close.
  [[nodiscard]] model::ConnectionActions on_collision(TimePoint now);

  // Its calls: answers to OfferCall, and the end of a call.
  [[nodiscard]] Calls& our_calls() noexcept { return calls_; }

  // ---- What our side wants.
  // Asks for a call under this Call ID of ours, as PNS or as PAC. ConnectCall or EndCall follows,
  // EndCall at once when the connection is not established (internal_error) or full
  // (too_many_calls).
  [[nodiscard]] model::ConnectionActions place_call(OurCallId our_call_id, const OutgoingCall& call,
                                                    TimePoint now);
  [[nodiscard]] model::ConnectionActions announce_call(OurCallId our_call_id,
                                                       const IncomingCall& call, TimePoint now);
  // An Echo-Request now, whenever the next one is due: whether the peer is there must be known
  // soon. Nothing unless the connection is established.
  [[nodiscard]] model::ConnectionActions ask_for_echo(TimePoint now);
  // Ends every call and the connection: notifies, Stop-Control-Connection-Request, then waits for
  // its reply for stop_timeout. Closes at once when the connection was never established.
  [[nodiscard]] model::ConnectionActions stop(EndReason reason, TimePoint now);

  // ---- Time. The earliest moment at which on_deadline must be called; empty when there is none.
  [[nodiscard]] std::optional<TimePoint> deadline() const;
  [[nodiscard]] model::ConnectionActions on_deadline(TimePoint now);

  // ---- What is known.
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] bool originated() const noexcept { return machine_ == &kOriginator; }
  // In no order.
  [[nodiscard]] const std::vector<Call>& calls() const noexcept { return calls_.table().calls(); }
  [[nodiscard]] ConnectionCounters counters() const noexcept;
  // Octets from the peer: escape them before printing.
  [[nodiscard]] std::string_view peer_host_name() const noexcept { return peer_host_name_; }
  [[nodiscard]] std::string_view peer_vendor_name() const noexcept { return peer_vendor_name_; }
  // Empty unless established. Costs what all calls cost: for tests, an audit, and a store that must
  // be written anew.
  [[nodiscard]] std::optional<ConnectionSnapshot> snapshot() const;
  // The changes since this was called last, each call once, as it is now; nothing of calls
  // that came and went in between. Empty unless established: a connection that is being stopped
  // stays in the store as it was until it is closed.
  [[nodiscard]] ConnectionChanges take_changes();

 private:
  using Actions = model::ConnectionActions;
  // One event of the connection's machine.
  void step(ConnectionEvent event, const Cause& cause, Actions& out);
  void perform(ConnectionAction action, const Cause& cause, Actions& out);
  [[nodiscard]] ConnectionEvent event_of(const wire::pptp::Message& message) const noexcept;
  [[nodiscard]] EndReason reason_of(ConnectionEvent event) const noexcept;
  [[nodiscard]] bool take_token(TimePoint now) noexcept;
  void draw_silence() noexcept;

  SharedSettings settings_;
  const ConnectionMachine* machine_ = &kReceiver;
  State state_ = State::kIdle;
  TimePoint last_received_{};
  TimePoint state_deadline_{};          // of every state but kEstablished
  std::optional<TimePoint> echo_sent_;  // an Echo-Request is out and nothing came since
  Duration silence_;                    // before our next Echo-Request
  std::uint32_t echo_random_ = 0;       // 0: the silence is always the same
  std::uint32_t next_echo_identifier_ = 1;
  EndReason stop_reason_ = EndReason::kNone;

  Calls calls_;
  bool established_ = false;  // since take_changes() was called last

  TokenBucket messages_;  // of the peer, whatever their type

  std::string peer_host_name_;
  std::string peer_vendor_name_;
  std::uint16_t peer_firmware_revision_ = 0;
  std::uint64_t messages_received_ = 0;
  std::uint64_t messages_ignored_ = 0;
};

}  // namespace pns::pptp
