// SPDX-License-Identifier: BSD-3-Clause
//
// A subscriber's login in RADIUS: the attributes of its Access-Request, and the meaning of the
// answers. No I/O and no clock; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "controlplane/aaa/radius_authorization.hpp"
#include "controlplane/aaa/radius_call.hpp"
#include "controlplane/aaa/radius_request.hpp"
#include "controlplane/model/auth.hpp"
#include "pns/radius/packet_builder.hpp"

namespace pns::aaa {

// The State of a conversation as it goes through the link: the index of the server that gave it,
// then its octets, which may be none.
[[nodiscard]] std::vector<std::byte> pack_state(std::size_t server, Bytes state);
struct RelayedState {
  std::size_t server = 0;
  Bytes state;
};
// Empty: the conversation begins.
[[nodiscard]] std::optional<RelayedState> unpack_state(Bytes packed) noexcept;

// Whether a packet can hold the credentials: User-Password has at most 128 octets (RFC 2865 §5.2).
[[nodiscard]] bool fits_request(const model::AuthRequest& request) noexcept;
// Everything but Message-Authenticator. User-Name is the account's name where the server can judge
// the credentials under it, else the name as the peer sent it.
void add_login(radius::PacketBuilder& packet, const RadiusAttempt& attempt,
               const model::AuthRequest& request, const RadiusNas& nas);

// An Access-Accept, Access-Reject or Access-Challenge to that request. `now`: wall clock. `ignored`
// gets the attributes of an Access-Accept that had no effect.
[[nodiscard]] model::AuthResult read_answer(const RadiusAnswer& answer,
                                            const model::AuthRequest& request,
                                            std::chrono::sys_seconds now,
                                            const AttributeMeanings& meanings,
                                            IgnoredAttributes& ignored);

}  // namespace pns::aaa
