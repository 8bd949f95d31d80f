// SPDX-License-Identifier: BSD-3-Clause
//
// The checks of `pns doctor`, each a function of the configuration and of what is seen of the host.
// docs/doctor.md lists them in this order. None of them changes anything.
#pragma once

#include "pns/config/config.hpp"
#include "pns/doctor/finding.hpp"
#include "pns/doctor/host.hpp"

namespace pns::doctor {

// --- server_checks.cpp
Findings check_privileges(const config::Config& config, const Host& host);
Findings check_start(const config::Config& config, const Host& host);  // as `pns check`
Findings check_server(const config::Config& config, const Host& host);

// --- resource_checks.cpp
Findings check_huge_pages(const config::Config& config, const Host& host);
Findings check_cpus(const config::Config& config, const Host& host);
Findings check_limits(const config::Config& config, const Host& host);
Findings check_users(const config::Config& config, const Host& host);
Findings check_clock(const config::Config& config, const Host& host);

// --- device_checks.cpp
Findings check_devices(const config::Config& config, const Host& host);

// --- network_checks.cpp
Findings check_rp_filter(const config::Config& config, const Host& host);
Findings check_parameters(const config::Config& config, const Host& host);
Findings check_forwarding(const config::Config& config, const Host& host);
Findings check_mtu(const config::Config& config, const Host& host);
Findings check_routes(const config::Config& config, const Host& host);
Findings check_proxy_arp(const config::Config& config, const Host& host);

// --- firewall_checks.cpp
Findings check_firewall(const config::Config& config, const Host& host);  // TCP 1723
Findings check_gre(const config::Config& config, const Host& host);       // protocol 47
Findings check_conntrack(const config::Config& config, const Host& host);

// --- process_checks.cpp
Findings check_listener(const config::Config& config, const Host& host);
Findings check_other_servers(const config::Config& config, const Host& host);

}  // namespace pns::doctor
