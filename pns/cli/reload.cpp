// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/reload.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "pns/cli/check.hpp"
#include "pns/cli/management_client.hpp"
#include "pns/cli/render.hpp"
#include "pns/cli/restart.hpp"
#include "pns/config/difference.hpp"
#include "pns/config/source.hpp"
#include "pns/config/values.hpp"

namespace pns::cli {
namespace {

using config::Difference;
using config::Effect;
using Json = nlohmann::json;

constexpr std::chrono::hours kLongestConfirm{24};
constexpr std::size_t kMostListed = 20;  // sessions
constexpr std::size_t kWidestValue = 40;

// A copy of a configuration that a process runs with, and which of its keys count.
struct Running {
  std::string_view name;  // of RUN_DIR/NAME.yaml
  std::array<Effect, 2> effects;
};
constexpr std::array<Running, 4> kRunning = {{
    {"control", {Effect::kNow, Effect::kNewCalls}},
    {"dataplane", {Effect::kDataplane, Effect::kSupervisor}},
    {"supervisor", {Effect::kSupervisor, Effect::kSupervisor}},
    {"server", {Effect::kServer, Effect::kServer}},
}};

std::string_view words_of(Effect effect) noexcept {
  switch (effect) {
    case Effect::kNow:
      return "live now";
    case Effect::kNewCalls:
      return "new calls only";
    case Effect::kDataplane:
      return "needs pns restart dataplane";
    case Effect::kSupervisor:
      return "needs pns restart supervisor, then dataplane";
    case Effect::kServer:
      return "needs a stop and a start of the server";
  }
  return "";
}

// The file that the server was started with. Empty: it is of an earlier release, or does not run.
std::filesystem::path file_of(const ClientOptions& options) {
  std::error_code error;
  return std::filesystem::read_symlink(options.run_dir / "configuration", error);
}

struct Comparison {
  std::vector<Difference> differences;  // by key, each once
  std::vector<std::string> unknown;     // processes of which no copy can be read
};

Comparison compare(const std::filesystem::path& run_dir, const config::Config& wanted) {
  Comparison result;
  std::map<std::string, Difference> by_key;
  for (const Running& running : kRunning) {
    const std::filesystem::path copy = run_dir / fmt::format("{}.yaml", running.name);
    const config::Source source{wanted.file, UniqueFd(::open(copy.c_str(), O_RDONLY | O_CLOEXEC)),
                                UniqueFd()};
    const auto theirs =
        source.config ? config::load(source) : std::unexpected(std::vector<config::ConfigError>{});
    if (!theirs) {
      result.unknown.emplace_back(running.name);
      continue;
    }
    for (Difference& found : config::differences(*theirs, wanted))
      if (std::ranges::find(running.effects, found.effect) != running.effects.end())
        by_key.emplace(found.key, std::move(found));
  }
  for (auto& [key, difference] : by_key) result.differences.push_back(std::move(difference));
  return result;
}

std::string shown(const std::string& value) {
  if (value.empty()) return "-";
  return value.size() <= kWidestValue ? value : value.substr(0, kWidestValue - 3) + "...";
}

void print(const Comparison& comparison) {
  if (comparison.differences.empty()) fmt::print("The configuration has no changed key.\n");
  for (const Difference& each : comparison.differences)
    fmt::print("{}\n    {} -> {}\n    {}\n", each.key, shown(each.before), shown(each.after),
               words_of(each.effect));
  for (const std::string& name : comparison.unknown)
    fmt::print("{}: its configuration is not known; it is not compared\n", name);
}

Json to_json(const Comparison& comparison) {
  Json all = Json::array();
  for (const Difference& each : comparison.differences) {
    const auto value = [](const std::string& text) {
      return text.empty() ? Json(nullptr) : Json::parse(text);
    };
    all.push_back({{"key", each.key},
                   {"before", value(each.before)},
                   {"after", value(each.after)},
                   {"effect", config::name_of(each.effect)}});
  }
  return {{"differences", all}, {"unknown", comparison.unknown}};
}

bool is_pooled(const config::Config& config, Ipv4Address address) {
  return std::ranges::any_of(config.pools, [address](const auto& entry) {
    return std::ranges::any_of(
        entry.second.ranges, [address](const Ipv4Range& range) { return range.contains(address); });
  });
}

// Sessions whose address was in a pool and is in none any more. They keep it until they end.
std::vector<std::string> left_by_pools(const Json& sessions, const config::Config& before,
                                       const config::Config& after) {
  std::vector<std::string> left;
  for (const Json& session : sessions) {
    const auto address = Ipv4Address::parse(session.value("address", ""));
    if (address && is_pooled(before, *address) && !is_pooled(after, *address))
      left.push_back(fmt::format("{} {} {}", session.value("id", ""), session.value("user", ""),
                                 address->to_string()));
  }
  return left;
}

// Which sessions the changes touch, and how.
void print_touched(const ClientOptions& options, const Comparison& comparison,
                   const config::Config& wanted) {
  const auto has = [&](Effect effect) {
    return std::ranges::find(comparison.differences, effect, &Difference::effect) !=
           comparison.differences.end();
  };
  const auto answer = request(socket_of(options), Method::kGet, "/v1/sessions");
  if (!answer || answer->status != 200)
    return fmt::print("The sessions are not known: the server does not answer.\n");
  const Json sessions = Json::parse(answer->body, nullptr, false);
  if (!sessions.is_array()) return;
  if (has(Effect::kNewCalls))
    fmt::print("{} calls keep the values that they began with.\n", sessions.size());
  const std::filesystem::path copy = options.run_dir / "control.yaml";
  const config::Source source{wanted.file, UniqueFd(::open(copy.c_str(), O_RDONLY | O_CLOEXEC)),
                              UniqueFd()};
  const auto before =
      source.config ? config::load(source) : std::unexpected(std::vector<config::ConfigError>{});
  if (!before) return;
  const auto left = left_by_pools(sessions, *before, wanted);
  if (left.empty()) return;
  fmt::print("{} calls keep an address that leaves its pool, until they end:\n", left.size());
  for (std::size_t i = 0; i < std::min(left.size(), kMostListed); ++i)
    fmt::print("    {}\n", left[i]);
  if (left.size() > kMostListed) fmt::print("    and {} more\n", left.size() - kMostListed);
}

int confirm(const ClientOptions& options) {
  const auto answer = request(socket_of(options), Method::kPost, "/v1/confirm", "{}");
  if (!answer) return complain(answer.error(), kNotRunning);
  if (answer->status != 200) return complain(error_text(answer->body), kRefused);
  fmt::print("confirmed: the new configuration stays\n");
  return kDone;
}

}  // namespace

int run_reload(const ClientOptions& options, const ReloadOptions& reload) {
  if (reload.confirm) return confirm(options);
  const std::filesystem::path file = file_of(options);
  if (file.empty())
    return complain(fmt::format("no server of this release runs in {}", options.run_dir.string()),
                    kNotRunning);
  const auto wanted = config::load(file);
  if (!wanted) {
    for (const auto& error : wanted.error()) fmt::print(stderr, "{}\n", error.to_string());
    return complain("the configuration is wrong; nothing was changed", kRefused);
  }
  RestartOptions restart{.what = "control", .timeout_s = reload.timeout_s};
  if (reload.confirm_within) {
    const auto within =
        config::parse_duration(*reload.confirm_within, std::chrono::seconds(1), kLongestConfirm);
    if (!within) return complain("--confirm-within: " + within.error(), kRefused);
    restart.confirm_within_s =
        static_cast<unsigned>(std::chrono::ceil<std::chrono::seconds>(*within).count());
  }
  const Comparison comparison = compare(options.run_dir, *wanted);
  if (options.json)
    fmt::print("{}\n", to_json(comparison).dump(2));
  else {
    print(comparison);
    print_touched(options, comparison, *wanted);
  }
  std::fflush(stdout);
  if (reload.dry_run) {
    supervisor::PreflightOptions checking;
    checking.config_file = file;
    checking.run_dir = options.run_dir;
    checking.process = "control";
    return run_check(checking);
  }
  restart.quiet = options.json;
  if (const int status = run_restart(options, restart); status != kDone) return status;
  if (restart.confirm_within_s != 0 && !options.json)
    fmt::print(
        "Confirm within {}: pns reload --confirm. Otherwise the configuration before "
        "returns.\n",
        human_duration(restart.confirm_within_s));
  return kDone;
}

}  // namespace pns::cli
