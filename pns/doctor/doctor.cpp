// SPDX-License-Identifier: BSD-3-Clause
#include "pns/doctor/doctor.hpp"

#include <array>
#include <string_view>
#include <utility>

#include "pns/doctor/checks.hpp"

namespace pns::doctor {
namespace {

struct Check {
  std::string_view name;
  Findings (*check)(const config::Config& config, const Host& host);
};

constexpr std::array kChecks = {
    Check{"privileges", check_privileges},
    Check{"start", check_start},
    Check{"huge-pages", check_huge_pages},
    Check{"devices", check_devices},
    Check{"cpus", check_cpus},
    Check{"limits", check_limits},
    Check{"users", check_users},
    Check{"clock", check_clock},
    Check{"listener", check_listener},
    Check{"other-servers", check_other_servers},
    Check{"firewall", check_firewall},
    Check{"gre", check_gre},
    Check{"conntrack", check_conntrack},
    Check{"rp-filter", check_rp_filter},
    Check{"forwarding", check_forwarding},
    Check{"parameters", check_parameters},
    Check{"mtu", check_mtu},
    Check{"routes", check_routes},
    Check{"proxy-arp", check_proxy_arp},
    Check{"server", check_server},
};

}  // namespace

Findings examine(const config::Config& config, const Host& host) {
  Findings all;
  for (const auto& [name, check] : kChecks)
    for (Finding& finding : check(config, host)) {
      finding.check = name;
      all.push_back(std::move(finding));
    }
  return all;
}

}  // namespace pns::doctor
