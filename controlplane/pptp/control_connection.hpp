// SPDX-License-Identifier: BSD-3-Clause
//
// ControlConnection: one PPTP control connection and its calls (RFC 2637 §3.1, §3.2), for the case
// in which the subscriber dials: it opens TCP, acts as PNS and sends Outgoing-Call-Requests; we act
// as PAC. A sans-I/O machine: every call returns the actions its caller (session::Registry) must
// perform, in order. One thread (the event loop); memory is bounded by maximum_calls.
//
// Not here: framing (StreamFramer), Call ID choice (CallIdAllocator), the PPP inside
// (controlplane/ppp). Not yet: calls that we place, and Incoming-Call-Request, which is answered
// "do not accept".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/model/connection_actions.hpp"
#include "controlplane/pptp/call.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::pptp {

struct ConnectionSettings {
  std::string host_name = "pns";    // at most 64 octets go out
  std::string vendor_name = "pns";  // at most 64 octets go out
  std::uint16_t firmware_revision = 1;
  std::uint16_t maximum_channels = 0;  // as advertised; 0: no claim
  std::uint32_t connect_speed =
      1'000'000'000;                      // OCRP: bits per second, never above the peer's maximum
  std::uint16_t receive_window = 64;      // OCRP: packets we can take unacknowledged
  Duration echo_interval = Seconds(60);   // silence before our Echo-Request
  Duration echo_timeout = Seconds(60);    // silence after it before the connection is closed
  Duration setup_timeout = Seconds(60);   // TCP accepted to Start-Control-Connection-Request
  Duration answer_timeout = Seconds(10);  // OfferCall to our caller's answer
  Duration stop_timeout = Seconds(5);     // our Stop-Request to its reply
  std::size_t maximum_calls = 1024;       // on this connection
  // Token bucket over all messages of the peer: a burst, then this many a second.
  std::uint32_t message_burst = 2000;
  std::uint32_t messages_per_second = 200;
};

// What a Call-Disconnect-Notify tells of a call, as text (RFC 2637 §2.13). All zero: nothing is
// told.
struct CallStatistics {
  std::uint64_t rx_packets = 0;  // from the subscriber
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;  // to the subscriber
  std::uint64_t tx_bytes = 0;
  Seconds duration{0};
};

// An established connection as it must be known again after a restart. Plain data.
struct ConnectionSnapshot {
  struct KnownCall {
    OurCallId our_call_id;
    PeerCallId peer_call_id;
    std::uint16_t serial_number = 0;
    friend bool operator==(const KnownCall&, const KnownCall&) = default;
  };
  std::string peer_host_name;  // octets of the peer, unescaped, at most 64
  std::string peer_vendor_name;
  std::uint16_t peer_firmware_revision = 0;
  std::uint32_t next_echo_identifier = 1;
  std::vector<KnownCall> calls;  // established ones
  friend bool operator==(const ConnectionSnapshot&, const ConnectionSnapshot&) = default;
};

// What this connection has seen. Counted by the machine, read by its caller.
struct ConnectionCounters {
  std::uint64_t messages_received = 0;
  std::uint64_t messages_ignored = 0;          // unasked replies, unknown calls, repeated answers
  std::uint64_t wan_error_notifies = 0;        // RFC 2637 §2.14
  std::uint64_t set_link_infos = 0;            // §2.15
  std::uint64_t calls_refused = 0;             // OCRP other than Connected
  std::uint64_t clear_with_wrong_call_id = 0;  // taken for the only call there is
};

class ControlConnection {
 public:
  enum class State : std::uint8_t { kWaitStart, kEstablished, kWaitStopReply, kClosed };

  // A connection that TCP has just accepted.
  ControlConnection(const ConnectionSettings& settings, TimePoint now);
  // An established connection taken over after a restart of this process.
  ControlConnection(const ConnectionSettings& settings, const ConnectionSnapshot& snapshot,
                    TimePoint now);

  // ---- What came from the peer.
  [[nodiscard]] model::ConnectionActions on_message(const wire::pptp::Message& message,
                                                    TimePoint now);
  // The stream is no longer PPTP: ends every call and closes.
  [[nodiscard]] model::ConnectionActions on_frame_error(wire::pptp::FrameError error,
                                                        TimePoint now);
  // TCP is gone, for this reason (peer_closed_tcp, peer_reset_tcp, connection_write_stalled, …):
  // ends every call. No CloseConnection follows.
  [[nodiscard]] model::ConnectionActions on_tcp_closed(EndReason reason, TimePoint now);

  // ---- Answers to OfferCall. An offer that was withdrawn meanwhile is no longer known: an
  // accepted one gives EndCall at once (so that nothing leaks), a refused one gives nothing.
  [[nodiscard]] model::ConnectionActions on_call_accepted(std::uint32_t offer,
                                                          OurCallId our_call_id, TimePoint now);
  [[nodiscard]] model::ConnectionActions on_call_refused(std::uint32_t offer,
                                                         wire::pptp::OutgoingCallResult result,
                                                         wire::pptp::GeneralError error,
                                                         EndReason reason, TimePoint now);

  // ---- What our side wants.
  // Ends an established call: Call-Disconnect-Notify with our Call ID, then EndCall.
  [[nodiscard]] model::ConnectionActions end_call(OurCallId our_call_id, EndReason reason,
                                                  const CallStatistics& statistics, TimePoint now);
  // Ends every call and the connection: notifies, Stop-Control-Connection-Request, then waits for
  // its reply for stop_timeout. Closes at once when the connection was never established.
  [[nodiscard]] model::ConnectionActions stop(EndReason reason, TimePoint now);

  // ---- Time. The earliest moment at which on_deadline must be called; empty when there is none.
  [[nodiscard]] std::optional<TimePoint> deadline() const;
  [[nodiscard]] model::ConnectionActions on_deadline(TimePoint now);

  // ---- What is known.
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] const std::vector<Call>& calls() const noexcept { return calls_; }
  [[nodiscard]] const ConnectionCounters& counters() const noexcept { return counters_; }
  // Octets from the peer: escape them before printing.
  [[nodiscard]] std::string_view peer_host_name() const noexcept { return peer_host_name_; }
  [[nodiscard]] std::string_view peer_vendor_name() const noexcept { return peer_vendor_name_; }
  // Empty unless established.
  [[nodiscard]] std::optional<ConnectionSnapshot> snapshot() const;

 private:
  using Actions = model::ConnectionActions;

  void on(const wire::pptp::StartControlConnectionRequest& request, TimePoint now, Actions& out);
  void on(const wire::pptp::StopControlConnectionRequest& request, TimePoint now, Actions& out);
  void on(const wire::pptp::StopControlConnectionReply& reply, TimePoint now, Actions& out);
  void on(const wire::pptp::EchoRequest& request, TimePoint now, Actions& out);
  void on(const wire::pptp::OutgoingCallRequest& request, TimePoint now, Actions& out);
  void on(const wire::pptp::IncomingCallRequest& request, TimePoint now, Actions& out);
  void on(const wire::pptp::CallClearRequest& request, TimePoint now, Actions& out);
  void on(const wire::pptp::CallDisconnectNotify& notify, TimePoint now, Actions& out);
  void on(const wire::pptp::WanErrorNotify& notify, TimePoint now, Actions& out);
  void on(const wire::pptp::SetLinkInfo& info, TimePoint now, Actions& out);
  void on(const wire::pptp::EchoReply& reply, TimePoint now, Actions& out);
  // Everything that answers a question we did not ask.
  template <class Unasked>
  void on(const Unasked& message, TimePoint now, Actions& out);

  [[nodiscard]] bool take_token(TimePoint now) noexcept;
  [[nodiscard]] std::vector<Call>::iterator find_offer(std::uint32_t offer) noexcept;
  // The call that a Call-Clear-Request or Call-Disconnect-Notify means.
  [[nodiscard]] std::vector<Call>::iterator find_by_peer(PeerCallId id) noexcept;
  [[nodiscard]] std::vector<Call>::iterator find_by_ours(OurCallId id) noexcept;
  void refuse(PeerCallId peer_call_id, wire::pptp::OutgoingCallResult result,
              wire::pptp::GeneralError error, EndReason reason, Actions& out);
  // Ends or withdraws every call, without a word to the peer.
  void drop_calls(EndReason reason, Actions& out);
  void close(EndReason reason, Actions& out);

  ConnectionSettings settings_;
  State state_ = State::kWaitStart;
  TimePoint last_received_{};
  TimePoint state_deadline_{};          // of kWaitStart and kWaitStopReply
  std::optional<TimePoint> echo_sent_;  // an Echo-Request is out and nothing came since
  std::uint32_t next_echo_identifier_ = 1;
  std::uint32_t next_offer_ = 1;
  EndReason stop_reason_ = EndReason::kNone;
  std::vector<Call> calls_;

  // Token bucket, counted in tokens × nanoseconds.
  std::uint64_t tokens_ = 0;
  TimePoint tokens_at_{};

  std::string peer_host_name_;
  std::string peer_vendor_name_;
  std::uint16_t peer_firmware_revision_ = 0;
  ConnectionCounters counters_;
};

}  // namespace pns::pptp
