// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/drain.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "pns/cli/management_client.hpp"
#include "pns/cli/render.hpp"
#include "pns/config/values.hpp"

namespace pns::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;
using Json = nlohmann::json;

constexpr const char* kPath = "/v1/drain";
constexpr auto kLongestDeadline = std::chrono::hours(30 * 24);
// A control process that dies is back within a moment: so long no answer is no end.
constexpr auto kPatience = seconds(15);

std::string progress(const Json& state) {
  std::string line =
      fmt::format("draining: {} of {} calls left, {} connections", state.value("calls_left", 0),
                  state.value("calls_at_start", 0), state.value("connections", 0));
  if (state.contains("deadline_s") && state["deadline_s"].is_number_unsigned()) {
    const auto left = state["deadline_s"].get<std::uint64_t>();
    line += left == 0 ? ", past the deadline" : ", deadline in " + human_duration(left);
  }
  return line;
}

// SIGINT and SIGTERM, taken in wait() while it lives.
class Signals {
 public:
  Signals() {
    ::sigemptyset(&set_);
    ::sigaddset(&set_, SIGINT);
    ::sigaddset(&set_, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &set_, &before_);
  }
  ~Signals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  // True: one came within this time.
  [[nodiscard]] bool wait(seconds time) {
    const timespec limit{time.count(), 0};
    return ::sigtimedwait(&set_, nullptr, &limit) > 0;
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

// Until no call is left. `state`: the newest answer.
int wait_drained(const ClientOptions& options, Json& state) {
  Signals signals;
  const auto every = ::isatty(STDOUT_FILENO) != 0 ? seconds(1) : seconds(10);
  auto next_line = Clock::now();
  auto heard = Clock::now();
  for (;;) {
    if (!state.value("draining", false)) return complain("the drain was cancelled", kRefused);
    if (state.value("calls_left", 1) == 0) return kDone;
    if (!options.json && Clock::now() >= next_line) {
      fmt::print("{}\n", progress(state));
      std::fflush(stdout);
      next_line = Clock::now() + every;
    }
    if (signals.wait(seconds(1)))
      return complain("the drain goes on; `pns drain --cancel` ends it", kRefused);
    const auto answer = request(socket_of(options), Method::kGet, kPath);
    Json newest = answer && answer->status == 200 ? Json::parse(answer->body, nullptr, false)
                                                  : Json(Json::value_t::discarded);
    if (newest.is_object()) {
      state = std::move(newest);
      heard = Clock::now();
    } else if (Clock::now() - heard > kPatience) {
      return complain(answer ? error_text(answer->body) : answer.error(), kNotRunning);
    }
  }
}

}  // namespace

int run_drain(const ClientOptions& options, const DrainOptions& drain) {
  Json body = {{"deadline_s", nullptr}};
  if (drain.deadline) {
    const auto deadline = config::parse_duration(*drain.deadline, seconds(0), kLongestDeadline);
    if (!deadline) return complain("--deadline: " + deadline.error(), kRefused);
    body["deadline_s"] = std::chrono::ceil<seconds>(*deadline).count();
  }
  const Method method = drain.cancel ? Method::kDelete : drain.status ? Method::kGet : Method::kPut;
  const auto response = request(socket_of(options), method, kPath, body.dump());
  if (!response) return complain(response.error(), kNotRunning);
  if (response->status != 200) return complain(error_text(response->body), kRefused);
  Json state = Json::parse(response->body, nullptr, false);
  if (!state.is_object()) return complain("the server's answer is not JSON", kRefused);
  int status = kDone;
  if (method == Method::kPut && drain.wait) status = wait_drained(options, state);
  if (options.json)
    fmt::print("{}\n", state.dump(2, ' ', false, Json::error_handler_t::replace));
  else if (!state.value("draining", false))
    fmt::print("not draining: {} calls\n", state.value("calls_left", 0));
  else if (status == kDone && method == Method::kPut && drain.wait)
    fmt::print("drained: no call is left\n");
  else if (status == kDone)
    fmt::print("{}\n", progress(state));
  return status;
}

}  // namespace pns::cli
