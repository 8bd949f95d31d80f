// SPDX-License-Identifier: BSD-3-Clause
#include "pns/doctor/doctor.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "pns/doctor/checks.hpp"

namespace pns::doctor {
namespace {

struct Facts {
  config::Config config;
  Host host;
};

struct Check {
  std::string_view name;
  Findings (*check)(const config::Config& config, const Host& host);
  std::vector<Part> needs{};
};

const std::array kChecks = {
    Check{"privileges", check_privileges},
    Check{"start", check_start, {Part::kStart}},
    Check{"huge-pages", check_huge_pages, {Part::kProcesses}},
    Check{"devices", check_devices, {Part::kNetwork}},
    Check{"cpus", check_cpus},
    Check{"limits", check_limits, {Part::kProcesses}},
    Check{"users", check_users, {Part::kUsers}},
    Check{"clock", check_clock, {Part::kClock}},
    Check{"listener", check_listener, {Part::kNetwork, Part::kProcesses}},
    Check{"other-servers", check_other_servers, {Part::kNetwork, Part::kProcesses}},
    Check{"firewall", check_firewall, {Part::kNetwork}},
    Check{"gre", check_gre, {Part::kNetwork}},
    Check{"conntrack", check_conntrack},
    Check{"rp-filter", check_rp_filter, {Part::kNetwork}},
    Check{"forwarding", check_forwarding, {Part::kNetwork}},
    Check{"parameters", check_parameters},
    Check{"mtu", check_mtu, {Part::kNetwork}},
    Check{"routes", check_routes, {Part::kNetwork}},
    Check{"proxy-arp", check_proxy_arp, {Part::kNetwork}},
    Check{"server", check_server, {Part::kProcesses}},
};

std::string_view words_of(Part part) noexcept {
  switch (part) {
    case Part::kNetwork:
      return "the kernel's interfaces, addresses and routes";
    case Part::kStart:
      return "pns check";
    case Part::kUsers:
      return "the host's users";
    case Part::kClock:
      return "the clock";
    case Part::kProcesses:
      return "the processes of the run directory";
  }
  return "the host";
}

// Nothing is said about what was not seen.
Finding unanswered(std::string_view what, std::chrono::milliseconds limit) {
  return {
      Verdict::kWarning,
      fmt::format("no answer within {} s: {}", std::chrono::duration<double>(limit).count(), what),
      Remedy{.run = {"ps -eo stat,pid,wchan:32,comm | grep ^D"},
             .advice = "a process in state D waits for a device or the kernel; the kernel's "
                       "log may say for which"}};
}

Findings findings_of(const Check& check, const std::shared_ptr<const Facts>& facts,
                     std::chrono::milliseconds limit) {
  for (const Part part : check.needs)
    if (facts->host.unread.contains(part))
      return {unanswered(words_of(part), part == Part::kStart ? kStartLimit : limit)};
  auto found =
      within(limit, [facts, look = check.check] { return look(facts->config, facts->host); });
  return found ? std::move(*found) : Findings{unanswered("the files that it reads", limit)};
}

}  // namespace

Findings examine(const config::Config& config, const Host& host, std::chrono::milliseconds limit) {
  // A check that is given up goes on reading them.
  const auto facts = std::make_shared<const Facts>(Facts{config, host});
  Findings all;
  for (const Check& check : kChecks)
    for (Finding& finding : findings_of(check, facts, limit)) {
      finding.check = check.name;
      all.push_back(std::move(finding));
    }
  return all;
}

}  // namespace pns::doctor
