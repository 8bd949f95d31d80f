// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/client.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "pns/cli/management_client.hpp"
#include "pns/cli/render.hpp"

namespace pns::cli {
namespace {

// Fields of a session that fit on a line; `show session` prints all.
constexpr auto kSessionColumns = std::to_array<std::string_view>(
    {"id", "user", "peer", "address", "state", "auth", "mppe", "worker", "uptime_s", "rx_packets",
     "rx_bytes", "tx_packets", "tx_bytes"});

}  // namespace

std::filesystem::path socket_of(const ClientOptions& options) {
  return options.socket.value_or(options.run_dir / "control.sock");
}

int complain(const std::string& reason, int status) {
  fmt::print(stderr, "pns: {}\n", reason);
  return status;
}

int run_show(const ClientOptions& options, const std::string& what, const std::string& name) {
  const std::string path =
      what == "session" ? "/v1/sessions/" + percent_encode(name) : "/v1/" + what;
  const auto response = request(socket_of(options), Method::kGet, path);
  if (!response) return complain(response.error(), kNotRunning);
  if (response->status != 200) return complain(error_text(response->body), kRefused);
  const std::span<const std::string_view> columns =
      what == "sessions" ? std::span<const std::string_view>(kSessionColumns)
                         : std::span<const std::string_view>();
  const auto text = options.json        ? indent(response->body)
                    : what == "session" ? render_records(response->body)
                                        : render(response->body, columns);
  if (!text) return complain(text.error(), kRefused);
  fmt::print("{}", *text);
  return kDone;
}

int run_audit(const ClientOptions& options) {
  using Json = nlohmann::json;
  const auto response = request(socket_of(options), Method::kGet, "/v1/audit");
  if (!response) return complain(response.error(), kNotRunning);
  if (response->status != 200) return complain(error_text(response->body), kRefused);
  const Json audit = Json::parse(response->body, nullptr, false);
  if (!audit.is_object() || !audit.contains("findings")) return complain("no audit", kRefused);
  const auto text = options.json ? indent(response->body) : render(response->body, {});
  if (!text) return complain(text.error(), kRefused);
  fmt::print("{}", *text);
  return audit["findings"].empty() ? kDone : kRefused;
}

int run_call_clear(const ClientOptions& options, const std::string& name) {
  const auto response =
      request(socket_of(options), Method::kDelete, "/v1/sessions/" + percent_encode(name));
  if (!response) return complain(response.error(), kNotRunning);
  if (response->status < 200 || response->status > 299)
    return complain(error_text(response->body), kRefused);
  const auto answer = nlohmann::json::parse(response->body, nullptr, false);
  const auto cleared = answer.is_object() ? answer.value("cleared", 0) : 0;
  fmt::print("{}: {} {} cleared\n", name, cleared, cleared == 1 ? "session" : "sessions");
  return kDone;
}

int run_call_place(const ClientOptions& options, const PlaceOptions& call) {
  using Json = nlohmann::json;
  const Json body = {{"pac", call.pac},
                     {"number", call.number},
                     {"subaddress", call.subaddress},
                     {"timeout_s", call.timeout_s}};
  if (!options.json) {
    fmt::print("calling {} by {}, for at most {} s\n", call.number.empty() ? "-" : call.number,
               call.pac, call.timeout_s);
    std::fflush(stdout);
  }
  const auto response = request(socket_of(options), Method::kPost, "/v1/calls",
                                body.dump(-1, ' ', false, Json::error_handler_t::replace),
                                static_cast<int>(call.timeout_s) + 10);
  if (!response) return complain(response.error(), kNotRunning);
  const bool up = response->status == 200;
  if (options.json) {
    const auto text = indent(response->body);
    if (!text) return complain(text.error(), kRefused);
    fmt::print("{}", *text);
    return up ? kDone : kRefused;
  }
  const Json answer = Json::parse(response->body, nullptr, false);
  if (!up)
    return complain(answer.is_object() && answer.contains("reason")
                        ? fmt::format("{} ({})", error_text(response->body),
                                      answer["reason"].get<std::string>())
                        : error_text(response->body),
                    kRefused);
  const auto text = render(response->body, {});
  if (!text) return complain(text.error(), kRefused);
  fmt::print("up\n{}", *text);
  return kDone;
}

}  // namespace pns::cli
