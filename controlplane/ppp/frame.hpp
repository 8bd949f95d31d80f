// SPDX-License-Identifier: BSD-3-Clause
//
// The PPP frames that this server sends: FF 03 and a two-octet Protocol field (RFC 1661 §2) in
// front of the information. Links that compress the fields take it too (§6.5, §6.6).
#pragma once

#include <cstddef>
#include <vector>

#include "pns/base/bytes.hpp"
#include "pns/wire/ppp_control.hpp"
#include "pns/wire/ppp_protocol.hpp"

namespace pns::ppp {

// A frame with its header written, and `room` octets of zeros for the information.
[[nodiscard]] std::vector<std::byte> make_frame(wire::PppProtocol protocol, std::size_t room);

[[nodiscard]] inline MutableBytes information_of(std::vector<std::byte>& frame) noexcept {
  return MutableBytes(frame).subspan(wire::kPppFrameHeaderLength);
}

}  // namespace pns::ppp
