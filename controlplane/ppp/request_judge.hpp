// SPDX-License-Identifier: BSD-3-Clause
//
// The answer to a Configure-Request of the peer (RFC 1661 §5.1 to §5.4): Ack, Nak or Reject, as its
// options and the number of Naks so far demand. Options judge; this puts their judgements together.
// A function without state. Memory is bounded by the length of a packet.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "controlplane/ppp/context.hpp"
#include "controlplane/ppp/option.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

// For sca and scn.
struct RequestAnswer {
  wire::LcpCode code = wire::LcpCode::kConfigureAck;
  std::uint8_t identifier = 0;
  std::vector<std::byte> options;
};

// Naks of one negotiation (RFC 1661 §4.6).
struct NakCount {
  unsigned sent = 0;
  unsigned max_failure = 0;
};

// `options`: those of the protocol. `own_request`: the options of our Configure-Request; a request
// that is the same is one of ours come back. Counts a Nak into `naks`. Error: negotiation cannot
// go on, for this reason.
[[nodiscard]] std::expected<RequestAnswer, EndReason> judge_request(
    const wire::ControlPacket& request, std::span<ConfigOption* const> options, Bytes own_request,
    NakCount& naks, Context& context);

// The reason of the first option that has failed; kNone: none has.
[[nodiscard]] EndReason failure_of(std::span<ConfigOption* const> options) noexcept;
// Null: the protocol has no such option.
[[nodiscard]] ConfigOption* find_option(std::span<ConfigOption* const> options,
                                        std::uint8_t type) noexcept;

}  // namespace pns::ppp
