// SPDX-License-Identifier: BSD-3-Clause
//
// The terms of a subscriber's service in RADIUS: the attributes of an Access-Accept that say how he
// is served, and those of a CoA-Request that change it (RFC 5176 §3). Not here: credentials, keys
// and names (radius_messages.hpp), and which session a CoA-Request means. Pure functions, any
// thread.
//
// An attribute that must come once counts once: the first one. So does a term that several
// attributes may give. Rates of one direction: that of an attribute of the configuration, else that
// of Mikrotik-Rate-Limit, else that of a rate-limit of Cisco-AVPair, else that of
// WISPr-Bandwidth-Max-Up or -Down. A pool: Framed-Pool, else ip:addr-pool. Zero seconds, and zero
// octets of a quota, are no limit.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <vector>

#include "controlplane/aaa/attribute_meanings.hpp"
#include "controlplane/model/auth.hpp"
#include "controlplane/model/service_terms.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/radius/attributes.hpp"
#include "pns/radius/packet.hpp"

namespace pns::aaa {

// An attribute that had no effect.
struct IgnoredAttribute {
  enum class Reason : std::uint8_t {
    kUnreadable,   // its value is not of its form, or out of range
    kUnsupported,  // this server does nothing with it
  };
  radius::AttributeId id;
  Reason reason = Reason::kUnreadable;
  friend bool operator==(const IgnoredAttribute&, const IgnoredAttribute&) = default;
};
using IgnoredAttributes = std::vector<IgnoredAttribute>;

// The Class attributes, unchanged and in order; the first model::kMaximumClasses of them.
[[nodiscard]] std::vector<std::vector<std::byte>> read_classes(const radius::PacketView& packet);

// Fills in address, prefix, networks, pool, terms and limits of `grant`. `now`: wall clock, for
// WISPr-Session-Terminate-Time. Error: a network of the subscriber cannot be served, so the login
// must be refused.
[[nodiscard]] std::expected<void, EndReason> read_authorization(const radius::PacketView& packet,
                                                                std::chrono::sys_seconds now,
                                                                const AttributeMeanings& meanings,
                                                                model::AuthGrant& grant,
                                                                IgnoredAttributes& ignored);

// The change that a CoA-Request asks for. A quota or a time-out of 0 in it is no limit. `ignored`
// gets the attributes that change nothing: those that identify the session are among them.
[[nodiscard]] model::ServiceChange read_service_change(const radius::PacketView& packet,
                                                       const AttributeMeanings& meanings,
                                                       IgnoredAttributes& ignored);

}  // namespace pns::aaa
