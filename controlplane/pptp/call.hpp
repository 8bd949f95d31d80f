// SPDX-License-Identifier: BSD-3-Clause
//
// Call: what a control connection knows of one of its calls, of whichever kind (RFC 2637 §3.2.3,
// §3.2.4). The tables of machines.hpp say what happens to it. Plain data.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "controlplane/model/call_kind.hpp"
#include "controlplane/pptp/machines.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"

namespace pns::pptp {

// Set-Link-Info (§2.15): what the PNS negotiated for asynchronous framing. Kept, without effect.
struct LinkInfo {
  std::uint32_t send_accm = 0xffffffff;
  std::uint32_t receive_accm = 0xffffffff;
  friend bool operator==(const LinkInfo&, const LinkInfo&) = default;
};

// WAN-Error-Notify (§2.14).
struct LineErrors {
  model::WanErrors received;  // as the PAC told us
  model::WanErrors sent;      // as we told the PNS
  std::optional<TimePoint> sent_at;
};

struct Call {
  std::uint32_t number = 0;  // on this connection, never used again; names an offer
  model::CallKind kind = model::CallKind::kSubscriber;
  CallState state = CallState::kIdle;
  std::optional<OurCallId> our_call_id;    // none while the call is an unanswered offer
  std::optional<PeerCallId> peer_call_id;  // none until the peer has answered our request
  std::uint16_t serial_number = 0;
  std::uint32_t maximum_bps = 0;       // of the request: Connect Speed must not exceed it
  std::uint16_t peer_window = 0;       // of the request: packets the peer can receive
  std::optional<TimePoint> answer_by;  // when this state has lasted too long
  LinkInfo link_info;
  std::unique_ptr<LineErrors> line_errors;  // null: nobody told of any
  bool changed = false;                     // since take_changes() was called last
  bool reported = false;                    // take_changes() has given it
};

// A call as the next process must know it: one that has a Call ID of ours, or a request of the peer
// that has no answer yet. Plain data.
struct KnownCall {
  std::uint32_t number = 0;                // Call::number, kept over a restart
  std::optional<OurCallId> our_call_id{};  // none: the peer's request has no answer yet
  std::optional<PeerCallId> peer_call_id{};
  std::uint16_t serial_number = 0;
  model::CallKind kind = model::CallKind::kSubscriber;
  CallState state = CallState::kEstablished;
  std::uint16_t peer_window = 0;  // of the request, in packets
  std::uint32_t maximum_bps = 0;  // of the request
  [[nodiscard]] bool is_offer() const noexcept { return !our_call_id; }
  friend bool operator==(const KnownCall&, const KnownCall&) = default;
};

}  // namespace pns::pptp
