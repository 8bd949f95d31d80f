// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/restart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "pns/cli/management_client.hpp"
#include "pns/cli/render.hpp"

namespace pns::cli {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int kAnswerSeconds = 30;  // at least
constexpr auto kAskAgain = std::chrono::milliseconds(5);

// The process as `pns show stats` describes it.
struct View {
  std::uint64_t starts = 0;
  std::int64_t pid = 0;
  bool serves = false;
  std::uint64_t failures = 0;  // of starts, after which the configuration before serves again
  std::string failure;         // the last one's reason, when it was one of this process
};

std::optional<View> read_view(const std::string& body, const std::string& what) {
  const Json json = Json::parse(body, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  View view;
  try {
    view.starts = json.at(what + "_starts").get<std::uint64_t>();
    view.pid = json.at(what + "_pid").get<std::int64_t>();
    // A dataplane that is ready serves calls once control is attached to it.
    // A server of an earlier release does not count them.
    view.failures = json.value("start_failures", std::uint64_t{0});
    if (const auto last = json.find("start_failure"); last != json.end())
      if (last->at("process").get<std::string>() == what)
        view.failure = last->at("reason").get<std::string>();
    view.serves = json.at(what + "_ready").get<bool>() &&
                  (what != "dataplane" || json.at("dataplane_attached").get<bool>());
  } catch (const Json::exception&) {
    return std::nullopt;
  }
  return view;
}

}  // namespace

int run_restart(const ClientOptions& options, const RestartOptions& restart) {
  const auto socket = socket_of(options);
  const std::string& what = restart.what;
  const auto stats = request(socket, Method::kGet, "/v1/stats");
  if (!stats) return complain(stats.error(), kNotRunning);
  const auto before = read_view(stats->body, what);
  if (!before) return complain("the server does not tell how often it was started", kRefused);

  const auto asked = Clock::now();
  const auto deadline = asked + std::chrono::seconds(restart.timeout_s);
  Json body{{"process", what}};
  // A server of an earlier release does not know the key.
  if (restart.timeout_s != RestartOptions{}.timeout_s) body["timeout_s"] = restart.timeout_s;
  if (restart.confirm_within_s != 0) body["confirm_within_s"] = restart.confirm_within_s;
  const auto answer = request(socket, Method::kPost, "/v1/restart", body.dump(),
                              std::max(kAnswerSeconds, static_cast<int>(restart.timeout_s)));
  if (!answer) return complain(answer.error(), kRefused);
  if (answer->status != 202)
    return complain(fmt::format("{} is not restarted: {}", what, error_text(answer->body)),
                    kRefused);
  // Nobody answers while control itself is started.
  for (;;) {
    const auto now = request(socket, Method::kGet, "/v1/stats", {}, 1);
    const auto view = now ? read_view(now->body, what) : std::nullopt;
    const bool serves = view && view->starts > before->starts && view->serves;
    if (serves && view->failures > before->failures && !view->failure.empty())
      return complain(fmt::format("{} did not start with the new configuration: {}; the previous "
                                  "one serves again",
                                  what, view->failure),
                      kRefused);
    if (serves && restart.quiet) return kDone;
    if (serves) {
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - asked);
      fmt::print("{} restarted in {} ms (pid {})\n", what, took.count(),
                 view->pid == before->pid ? fmt::format("{} as before", view->pid)
                                          : fmt::format("{} → {}", before->pid, view->pid));
      return kDone;
    }
    if (Clock::now() >= deadline)
      return complain(fmt::format("{} does not serve again after {} s; the log says why", what,
                                  restart.timeout_s),
                      kRefused);
    std::this_thread::sleep_for(kAskAgain);
  }
}

}  // namespace pns::cli
