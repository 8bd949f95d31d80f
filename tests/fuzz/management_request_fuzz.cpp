// SPDX-License-Identifier: BSD-3-Clause
//
// Requests of the management API: the body of POST /v1/calls, words that select sessions, and names
// that come back in answers. Accepted values are within their bounds; every answer is JSON,
// whatever was in the request.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "controlplane/management/render.hpp"
#include "controlplane/subscriber/selector.hpp"
#include "controlplane/subscriber/session_id.hpp"
#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pns;
  using nlohmann::json;
  const std::string_view body(reinterpret_cast<const char*>(data),
                              std::min<std::size_t>(size, 64 * 1024));
  const auto request = management::read_place_request(body);
  if (request) {
    PNS_CLAIM(!request->pac.is_unspecified() && !request->pac.is_multicast());
    PNS_CLAIM(request->call.phone_number.size() <= 64 && request->call.subaddress.size() <= 64);
    PNS_CLAIM(request->timeout >= Seconds(1) && request->timeout <= Seconds(600));
  } else {
    const json answer = json::parse(management::render_error(request.error()), nullptr, false);
    PNS_CLAIM(answer.is_object() && answer.at("error").is_string());
  }
  const auto selector = subscriber::parse_selector(body);
  PNS_CLAIM(selector || !selector.error().empty());
  if (selector && selector->kind == subscriber::Selector::Kind::kId)
    PNS_CLAIM(body == "id=" + subscriber::to_text(selector->id) || body.size() == 19);
  // Peers and users name themselves.
  subscriber::SessionView view;
  view.user = view.claimed_user = view.auth = body.substr(0, 256);
  PNS_CLAIM(json::parse(management::render_sessions({view}), nullptr, false).size() == 1);
  subscriber::ConnectionView connection;
  connection.host_name = connection.vendor = body.substr(0, 64);
  PNS_CLAIM(json::parse(management::render_connections({connection}), nullptr, false).size() == 1);
  return 0;
}
