// SPDX-License-Identifier: BSD-3-Clause
//
// From the configuration's words to the machines' settings. Pure functions.
#pragma once

#include <vector>

#include "controlplane/aaa/local_authenticator.hpp"
#include "controlplane/pools/pool_set.hpp"
#include "controlplane/ppp/settings.hpp"
#include "controlplane/pptp/control_connection.hpp"
#include "controlplane/subscriber/admission.hpp"
#include "pns/config/config.hpp"

namespace pns::subscriber {

// `peer` is left to be set for each session.
[[nodiscard]] ppp::LinkSettings make_link_settings(const config::Config& config);
[[nodiscard]] pptp::ConnectionSettings make_connection_settings(const config::Config& config);
[[nodiscard]] Admission::Settings make_admission_settings(const config::Config& config);
[[nodiscard]] std::vector<pools::PoolConfig> make_pools(const config::Config& config);
// Hashes passwords. The result holds clear text, or LM hashes, only when a method that `ppp`
// permits needs them. Throws std::runtime_error for a password that is not UTF-8.
[[nodiscard]] std::vector<aaa::LocalUser> make_users(const std::vector<config::LocalUser>& users,
                                                     const config::Ppp& ppp);

}  // namespace pns::subscriber
