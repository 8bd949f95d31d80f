// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "pns/doctor/checks.hpp"

namespace pns::doctor {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kFewCalls = 3;

std::uint64_t count_of(const Json& stats, const char* object, const char* name) {
  const auto at = stats.find(object);
  if (at == stats.end() || !at->is_object()) return 0;
  const auto found = at->find(name);
  return found != at->end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

bool is_true(const Json& stats, const char* name) {
  const auto at = stats.find(name);
  return at != stats.end() && at->is_boolean() && at->get<bool>();
}

// The network namespace of a process. Empty text: not known.
std::string network_of(const Host& host, const std::string& process) {
  std::error_code error;
  return std::filesystem::read_symlink(host.root / "proc" / process / "ns/net", error).string();
}

}  // namespace

Findings check_privileges(const config::Config&, const Host& host) {
  if (host.is_root) return {{Verdict::kOk, "root"}};
  return {{Verdict::kError,
           "not root: firewall, gre and start are skipped; conntrack sees no rules, listener and "
           "other-servers do not "
           "see whose a socket is",
           Remedy{.run = {"sudo pns doctor"}, .advice = "with the same options"}}};
}

Findings check_start(const config::Config& config, const Host& host) {
  const Remedy remedy{.run = {fmt::format("pns check --config {} --run-dir {}",
                                          config.file.string(), host.run_dir.string())},
                      .advice = "it prints all of them"};
  if (!host.is_root)
    return {{Verdict::kSkipped, "only root can carry out the steps of a start", remedy}};
  const auto& errors = host.start.errors;
  if (!errors.empty())
    return {{Verdict::kError,
             fmt::format("the server does not start, for {} {}: {}", errors.size(),
                         errors.size() == 1 ? "reason" : "reasons, first", errors.front()),
             remedy}};
  const auto& warnings = host.start.warnings;
  if (!warnings.empty())
    return {{Verdict::kWarning, fmt::format("pns check warns: {}", warnings.front()), remedy}};
  return {{Verdict::kOk, "pns check finds nothing that keeps the server from starting"}};
}

Findings check_server(const config::Config& config, const Host& host) {
  if (!host.server.runs()) return {{Verdict::kSkipped, "no server runs"}};
  const std::string own = network_of(host, "self");
  const std::string theirs = network_of(host, fmt::format("{}", host.server.supervisor));
  if (!own.empty() && !theirs.empty() && own != theirs)
    return {{Verdict::kError,
             "the server runs in another network namespace: the findings of the network are not "
             "those of the server",
             Remedy{.run = {fmt::format("nsenter -t {} -n pns doctor --config {}",
                                        host.server.supervisor, config.file.string())}}}};
  if (!host.server.stats)
    return {{Verdict::kError,
             fmt::format("the server does not answer: {}", host.server.stats.error()),
             Remedy{.run = {"pns show stats"}, .advice = "and look at the log"}}};
  const Json stats = Json::parse(*host.server.stats, nullptr, false);
  if (!stats.is_object())
    return {{Verdict::kError, "the answer of the management socket is no JSON object",
             Remedy{.run = {"pns show stats"}}}};
  Findings out;
  if (!is_true(stats, "dataplane_attached"))
    out.push_back({Verdict::kError, "the dataplane does not serve: no call can be set up",
                   Remedy{.run = {"pns restart dataplane"},
                          .advice = "and look at the log for `plane ended unexpectedly`"}});
  if (is_true(stats, "draining"))
    out.push_back({Verdict::kWarning, "the server drains: it takes no calls",
                   Remedy{.run = {"pns drain --cancel"}}});
  // Calls that the dataplane has, and whose clients' LCP never came: TCP passes, GRE does not.
  const auto installed = count_of(stats, "setups", "installed");
  const auto opened = count_of(stats, "setups", "lcp_open");
  const auto timed_out = count_of(stats, "call_ends", "lcp_timeout");
  const Remedy gre{.advice =
                       "pass IP protocol 47 both ways in every firewall of the path, and use the "
                       "PPTP helper of a "
                       "NAT before the clients"};
  if (timed_out >= kFewCalls && opened == 0)
    out.push_back(
        {Verdict::kError,
         fmt::format(
             "{} calls were set up, and none had an answer to LCP: GRE does not come through",
             installed),
         gre});
  else if (timed_out >= kFewCalls && timed_out > opened)
    out.push_back(
        {Verdict::kWarning,
         fmt::format(
             "{} calls had no answer to LCP, {} had: GRE of some clients does not come through",
             timed_out, opened),
         gre});
  if (out.empty())
    out.push_back({Verdict::kOk, fmt::format("it serves; {} of {} calls had an answer to LCP",
                                             opened, installed)});
  return out;
}

}  // namespace pns::doctor
