// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/doctor.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "pns/base/escape.hpp"
#include "pns/cli/management_client.hpp"
#include "pns/cli/render.hpp"
#include "pns/config/config.hpp"
#include "pns/doctor/doctor.hpp"
#include "pns/doctor/read_host.hpp"

namespace pns::cli {
namespace {

using doctor::Finding;
using doctor::Findings;
using doctor::Verdict;

std::string to_json(const Findings& findings, std::ptrdiff_t errors, std::ptrdiff_t warnings) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const Finding& finding : findings) {
    Json remedy = Json::object();
    if (!finding.remedy.run.empty()) remedy["run"] = finding.remedy.run;
    if (!finding.remedy.configure.empty()) remedy["configure"] = finding.remedy.configure;
    if (!finding.remedy.advice.empty()) remedy["advice"] = finding.remedy.advice;
    list.push_back({{"check", finding.check},
                    {"verdict", doctor::name_of(finding.verdict)},
                    {"finding", finding.text},
                    {"remedy", std::move(remedy)}});
  }
  const Json out = {{"errors", errors}, {"warnings", warnings}, {"findings", std::move(list)}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

int run_doctor(const ClientOptions& options, const DoctorOptions& asked) {
  const auto config = config::load(asked.config_file);
  if (!config) {
    for (const auto& error : config.error()) fmt::print(stderr, "{}\n", error.to_string());
    return kUsageError;
  }
  doctor::Host host = doctor::read_host(config->file, options.run_dir);
  if (host.server.runs()) {
    const bool configured = !options.socket && !config->management.socket.empty();
    const std::filesystem::path socket =
        configured ? std::filesystem::path(config->management.socket) : socket_of(options);
    const auto answer = doctor::within(
        doctor::kCheckLimit, [socket] { return request(socket, Method::kGet, "/v1/stats"); });
    const auto response =
        answer.value_or(std::unexpected(std::string("no answer of the management socket in time")));
    if (!response)
      host.server.stats = std::unexpected(response.error());
    else if (response->status != 200)
      host.server.stats = std::unexpected(error_text(response->body));
    else
      host.server.stats = response->body;
  }
  const Findings findings = doctor::examine(*config, host);
  const auto errors = std::ranges::count(findings, Verdict::kError, &Finding::verdict);
  const auto warnings = std::ranges::count(findings, Verdict::kWarning, &Finding::verdict);
  if (options.json) {
    const auto text = indent(to_json(findings, errors, warnings));
    if (!text) return complain(text.error(), kUsageError);
    fmt::print("{}", *text);
  } else {
    for (const Finding& finding : findings) {
      const std::string remedy = finding.remedy.to_string();
      fmt::print("{:<8} {:<13} {}{}{}\n", doctor::name_of(finding.verdict), finding.check,
                 escaped(finding.text), remedy.empty() ? "" : "; ", escaped(remedy));
    }
    fmt::print("{}: {} error{}, {} warning{}\n", asked.config_file.string(), errors,
               errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
  }
  const int status = errors == 0 ? kDone : kRefused;
  if (doctor::functions_left != 0) {
    std::fflush(stdout);
    ::_exit(status);
  }
  return status;
}

}  // namespace pns::cli
