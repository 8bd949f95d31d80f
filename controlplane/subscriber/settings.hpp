// SPDX-License-Identifier: BSD-3-Clause
//
// From the configuration's words to the machines' settings. Pure functions.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "controlplane/aaa/guess_limiter.hpp"
#include "controlplane/aaa/local_authenticator.hpp"
#include "controlplane/aaa/realms.hpp"
#include "controlplane/model/lease.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/pools/pool_set.hpp"
#include "controlplane/ppp/settings.hpp"
#include "controlplane/pptp/control_connection.hpp"
#include "controlplane/subscriber/admission.hpp"
#include "controlplane/subscriber/source_limits.hpp"
#include "pns/config/config.hpp"

namespace pns::subscriber {

// `peer` is left to be set for each session. `machine_id`: a text that differs between hosts.
[[nodiscard]] ppp::LinkSettings make_link_settings(const config::Config& config,
                                                   std::string_view machine_id = {});
[[nodiscard]] pptp::ConnectionSettings make_connection_settings(const config::Config& config);
[[nodiscard]] SourceLimits::Settings make_source_limits(const config::Config& config);
[[nodiscard]] aaa::GuessLimits make_guess_limits(const config::Config& config);
[[nodiscard]] aaa::Realms make_realms(const config::Aaa& config);
[[nodiscard]] Admission::Settings make_admission_settings(const config::Config& config);
[[nodiscard]] std::vector<pools::PoolConfig> make_pools(const config::Config& config);

// The offer of the network phase to a subscriber with this lease. `peer_mru`: octets. The name
// servers of `terms` come before those of the configuration.
[[nodiscard]] model::NetworkParameters make_network_parameters(const model::Lease& lease,
                                                               const config::Ppp& ppp,
                                                               std::uint16_t peer_mru,
                                                               const model::LinkTerms& terms);

// Addresses that no subscriber may have.
struct OwnAddresses {
  std::vector<Ipv4Address> addresses;
  std::vector<Ipv6Prefix> prefixes;  // /64s
};
// Those of the configuration: of its ports and their networks, pptp.listen, gateways and next hops.
[[nodiscard]] OwnAddresses own_addresses(const config::Config& config);
// Adds an interface's address, and the network and broadcast address of its network, where that has
// any (RFC 3021).
void add_own(OwnAddresses& own, const Ipv4Prefix& interface);
// Adds the /64 of an interface's address.
void add_own(OwnAddresses& own, const Ipv6Prefix& interface);

// Hashes passwords. The result holds clear text, or LM hashes, only when a method that `ppp`
// permits needs them. Throws std::runtime_error for a password that is not UTF-8.
[[nodiscard]] std::vector<aaa::LocalUser> make_users(const std::vector<config::LocalUser>& users,
                                                     const config::Ppp& ppp);

}  // namespace pns::subscriber
