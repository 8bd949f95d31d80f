// SPDX-License-Identifier: BSD-3-Clause
//
// The meaning of a CoA-Request or a Disconnect-Request (RFC 5176 §2.1, §2.2, §3): which sessions it
// names and what it changes. Its sender is known and its authenticators are right. No I/O and no
// clock; any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/aaa/attribute_meanings.hpp"
#include "controlplane/model/authorization_counts.hpp"
#include "controlplane/model/service_terms.hpp"
#include "controlplane/model/session_identification.hpp"
#include "pns/base/ip_endpoint.hpp"
#include "pns/radius/attributes.hpp"
#include "pns/radius/packet.hpp"
#include "pns/radius/packet_builder.hpp"

namespace pns::aaa {

// The names by which a request may call this server. Each NAS attribute that it has must be one.
struct AuthorizationNas {
  std::string identifier;
  std::vector<IpAddress> addresses;
};

struct AuthorizationRequest {
  bool is_disconnect = false;
  model::SessionIdentification sessions;
  // A Disconnect-Request has Class alone, for the accounting Stop (RFC 5176 §3.6).
  model::ServiceChange change;
};

struct RequestRefusal {
  model::AuthorizationRefusal reason{};
  std::optional<radius::AttributeId> attribute{};  // the one that is to blame, if it is there
};

[[nodiscard]] std::expected<AuthorizationRequest, RequestRefusal> read_authorization_request(
    const radius::PacketView& packet, const AuthorizationNas& nas,
    const AttributeMeanings& meanings);

// Copies State and each Proxy-State, unchanged and in order (RFC 5176 §3.1, §3.3).
void add_echoes(radius::PacketBuilder& answer, Bytes request_attributes) noexcept;

}  // namespace pns::aaa
