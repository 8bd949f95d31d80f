// SPDX-License-Identifier: BSD-3-Clause
//
// The control messages about one call (RFC 2637 §2.7 to §2.14): what we send for it, and what a
// peer's message says of its side. Pure functions, any thread. Which message is due is in the
// tables of machines.hpp; the codes of a refusal or an end are in codes.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/model/connection_actions.hpp"
#include "controlplane/pptp/call.hpp"
#include "controlplane/pptp/connection_settings.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::pptp {

// The figures of a Call-Disconnect-Notify, as text (RFC 2637 §2.13). All zero: it has none.
struct CallStatistics {
  std::uint64_t rx_packets = 0;  // from the subscriber
  std::uint64_t rx_bytes = 0;
  std::uint64_t tx_packets = 0;  // to the subscriber
  std::uint64_t tx_bytes = 0;
  Seconds duration{0};
};

// Our request to a PAC (Outgoing-Call-Request, §2.7). Bearer and framing: any.
struct OutgoingCall {
  std::string phone_number{};  // at most 64 octets go out, so for the sub-address
  std::string subaddress{};
  std::uint32_t minimum_bps = 300;
  std::uint32_t maximum_bps = 1'000'000'000;
};

// A caller, for a PNS (Incoming-Call-Request, §2.9).
struct IncomingCall {
  std::string dialed_number{};  // at most 64 octets go out, so for the others
  std::string dialing_number{};
  std::string subaddress{};
};

// ---- We ask for a call.
[[nodiscard]] wire::pptp::Message request_of(const OutgoingCall& wanted, OurCallId our_call_id,
                                             std::uint16_t serial_number,
                                             const ConnectionSettings& settings);
[[nodiscard]] wire::pptp::Message request_of(const IncomingCall& caller, OurCallId our_call_id,
                                             std::uint16_t serial_number);

// ---- The peer has asked for `call`: Outgoing- or Incoming-Call-Reply.
[[nodiscard]] wire::pptp::Message accepting_reply(const Call& call,
                                                  const ConnectionSettings& settings);
[[nodiscard]] wire::pptp::Message refusing_reply(const Call& call, EndReason reason);
// For our caller, who answers.
[[nodiscard]] model::OfferCall offer_of(const Call& call) noexcept;

// ---- The call stands.
[[nodiscard]] wire::pptp::Message connected_message(const Call& call,
                                                    const ConnectionSettings& settings);
// `message`: the peer's Reply or Incoming-Call-Connected, which says that its side stands.
[[nodiscard]] model::ConnectCall connection_of(const Call& call,
                                               const wire::pptp::Message& message) noexcept;
// The Call ID that a Reply of the peer names; empty: the message is no Reply.
[[nodiscard]] std::optional<PeerCallId> peer_call_id_in(
    const wire::pptp::Message& message) noexcept;
// The totals of a line are 32 bits wide, in the order of §2.14.
[[nodiscard]] wire::pptp::Message wan_error_notify(const Call& call,
                                                   const model::WanErrors& totals);
[[nodiscard]] model::WanErrors totals_of(const wire::pptp::WanErrorNotify& notify) noexcept;

// ---- The call ends.
[[nodiscard]] wire::pptp::Message clear_request(const Call& call);
[[nodiscard]] wire::pptp::Message disconnect_notify(const Call& call, EndReason reason,
                                                    const CallStatistics& statistics);

}  // namespace pns::pptp
