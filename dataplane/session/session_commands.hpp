// SPDX-License-Identifier: BSD-3-Clause
//
// Commands of the control process that change the record of an installed session. SessionTable
// (main) has the commands that change an index: install, bind, remove. The worker that owns the
// session calls these, between bursts. RFC 1661 (link), RFC 3078 (MPPE), RFC 1332, RFC 5072
// (networks).
#pragma once

#include "pns/contract/messages.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

void configure_link(contract::SessionRecord& session, const contract::ConfigureLink& link) noexcept;

// Both directions, or neither when the strength is none of MPPE's.
void arm_mppe(contract::SessionRecord& session, const contract::ArmMppe& arm) noexcept;
// Overwrites the keys.
void disarm_mppe(contract::SessionRecord& session) noexcept;

void open_ipv4(contract::SessionRecord& session, const contract::OpenIpv4& open) noexcept;
void close_ipv4(contract::SessionRecord& session) noexcept;

void open_ipv6(contract::SessionRecord& session, const contract::OpenIpv6& open) noexcept;
void close_ipv6(contract::SessionRecord& session) noexcept;

// Whether networks are behind the subscriber.
void set_networks(contract::SessionRecord& session, const contract::SetNetworks& networks) noexcept;

// Rates and filters from now on.
void set_service(contract::SessionRecord& session,
                 const contract::SessionService& service) noexcept;
// A session whose rate an older dataplane has set: one for both directions.
void adopt_rates(contract::SessionRecord& session) noexcept;

}  // namespace pns::dataplane
