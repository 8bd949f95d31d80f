// SPDX-License-Identifier: BSD-3-Clause
#include "pns/command/client.hpp"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string_view>

#include "pns/command/management_client.hpp"
#include "pns/command/render.hpp"

namespace pns::command {
namespace {

// Fields of a session that fit on a line; `show session ID` prints all.
constexpr auto kSessionColumns = std::to_array<std::string_view>(
    {"id", "user", "peer", "address", "state", "auth", "mppe", "worker", "uptime_s", "rx_packets",
     "rx_bytes", "tx_packets", "tx_bytes"});

std::filesystem::path socket_of(const ClientOptions& options) {
  return options.socket.value_or(options.run_dir / "control.sock");
}

int complain(const std::string& reason, int status) {
  fmt::print(stderr, "pns: {}\n", reason);
  return status;
}

}  // namespace

int run_show(const ClientOptions& options, const std::string& what, const std::string& name) {
  const std::string path =
      what == "session" ? "/v1/sessions/" + percent_encode(name) : "/v1/" + what;
  const auto response = request(socket_of(options), Method::kGet, path);
  if (!response) return complain(response.error(), kNotRunning);
  if (response->status != 200) return complain(error_text(response->body), kRefused);
  const std::span<const std::string_view> columns =
      what == "sessions" ? std::span<const std::string_view>(kSessionColumns)
                         : std::span<const std::string_view>();
  const auto text = options.json ? indent(response->body) : render(response->body, columns);
  if (!text) return complain(text.error(), kRefused);
  fmt::print("{}", *text);
  return kDone;
}

int run_call_clear(const ClientOptions& options, const std::string& name) {
  const auto response =
      request(socket_of(options), Method::kDelete, "/v1/sessions/" + percent_encode(name));
  if (!response) return complain(response.error(), kNotRunning);
  if (response->status < 200 || response->status > 299)
    return complain(error_text(response->body), kRefused);
  fmt::print("{}: cleared\n", name);
  return kDone;
}

}  // namespace pns::command
