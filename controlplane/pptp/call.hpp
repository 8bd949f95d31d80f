// SPDX-License-Identifier: BSD-3-Clause
//
// Call: one call of a control connection, from the PAC's side of an outgoing call (RFC 2637
// §3.2.4.1: the subscriber dials, and so acts as PNS). A state holds only what is valid in it. A
// value; no I/O.
//
//   idle ─ Outgoing-Call-Request ─► WaitCsAnswer ─ accepted / OCRP result 1 ─► Established
//                                       │                                        │
//            refused / OCRP; Call-Clear / CDN             Call-Clear / CDN; local end / CDN
//                                       ▼                                        ▼
//                                     gone                                     gone
#pragma once

#include <cstdint>
#include <variant>

#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"

namespace pns::pptp {

class Call {
 public:
  // The request was handed to our caller, whose answer is awaited (RFC: wait_cs_ans).
  struct WaitCsAnswer {
    std::uint32_t offer = 0;
    std::uint32_t maximum_bps = 0;  // OCRP's Connect Speed must not exceed it
    TimePoint answer_by{};
  };
  struct Established {
    OurCallId our_call_id;
  };
  using State = std::variant<WaitCsAnswer, Established>;

  Call(PeerCallId peer_call_id, std::uint16_t serial_number, State state) noexcept
      : peer_call_id_(peer_call_id), serial_number_(serial_number), state_(state) {}

  [[nodiscard]] PeerCallId peer_call_id() const noexcept { return peer_call_id_; }
  [[nodiscard]] std::uint16_t serial_number() const noexcept { return serial_number_; }

  // Null when the call is in another state.
  [[nodiscard]] const WaitCsAnswer* waiting() const noexcept {
    return std::get_if<WaitCsAnswer>(&state_);
  }
  [[nodiscard]] const Established* established() const noexcept {
    return std::get_if<Established>(&state_);
  }

  // WaitCsAnswer → Established.
  void accept(OurCallId our_call_id) noexcept { state_ = Established{our_call_id}; }

 private:
  PeerCallId peer_call_id_;
  std::uint16_t serial_number_;
  State state_;
};

}  // namespace pns::pptp
