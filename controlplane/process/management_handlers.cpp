// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/management_handlers.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "controlplane/management/render.hpp"

namespace pns::control {
namespace {

constexpr std::size_t kTopSources = 50;

using management::Server;
using Answered = std::pair<int, std::string>;

Answered refusal(int status, std::string_view why) {
  return {status, management::render_error(why)};
}

Answered no_session(std::string_view selector) {
  const bool bare = selector.find('=') == std::string_view::npos;
  return refusal(404, fmt::format("no session of {}{}", selector,
                                  bare ? " (a bare word is a user's name; id=, address= and peer= "
                                         "select by other things)"
                                       : ""));
}

Answered show_sessions(const subscriber::Service& service, std::string_view word) {
  const auto selector = subscriber::parse_selector(word);
  if (!selector) return refusal(400, selector.error());
  const auto views = service.sessions(*selector);
  if (views.empty()) return no_session(word);
  return {200, management::render_sessions(views)};
}

Answered clear_sessions(subscriber::Service& service, std::string_view word) {
  const auto selector = subscriber::parse_selector(word);
  if (!selector) return refusal(400, selector.error());
  const std::size_t cleared = service.clear(*selector);
  if (cleared == 0) return no_session(word);
  return {200, fmt::format(R"({{"cleared":{}}})", cleared)};
}

void place_call(subscriber::Service& service, std::string_view body, const Server::Answer& answer) {
  const auto request = management::read_place_request(body);
  if (!request) return answer(400, management::render_error(request.error()));
  service.place_call(*request, [answer](const subscriber::PlacedCall& call) {
    answer(call.failure == EndReason::kNone ? 200 : 502, management::render_placed(call));
  });
}

void restart(SupervisorLink& supervisor, std::string_view body, const Server::Answer& answer) {
  const auto process = management::read_restart_request(body);
  if (!process) return answer(400, management::render_error(process.error()));
  supervisor.request_restart(*process, [answer](const std::optional<std::string>& refused) {
    if (refused) return answer(409, management::render_error(*refused));
    answer(202, R"({"restarting":true})");
  });
}

Answered start_drain(subscriber::Drain& drain, std::string_view body) {
  const auto deadline = management::read_drain_request(body);
  if (!deadline) return refusal(400, deadline.error());
  drain.start(*deadline);
  return {200, management::render_drain(drain.view())};
}

}  // namespace

Server::Handlers make_management_handlers(const ManagedParts& parts) {
  return {
      .sessions = [&s = parts.service] { return management::render_sessions(s.sessions()); },
      .session =
          [&s = parts.service](std::string_view selector) { return show_sessions(s, selector); },
      .clear =
          [&s = parts.service](std::string_view selector) { return clear_sessions(s, selector); },
      .place = [&s = parts.service](std::string_view body,
                                    const Server::Answer& answer) { place_call(s, body, answer); },
      .restart = [&s = parts.supervisor](
                     std::string_view body,
                     const Server::Answer& answer) { restart(s, body, answer); },
      .drain = [&d = parts.service.drain()](std::string_view body) { return start_drain(d, body); },
      .drain_status = [&d = parts.service.drain()] { return management::render_drain(d.view()); },
      .cancel_drain =
          [&d = parts.service.drain()] {
            d.cancel();
            return management::render_drain(d.view());
          },
      .connections =
          [&s = parts.service] { return management::render_connections(s.connections()); },
      .sources =
          [&s = parts.service] {
            return management::render_sources(s.source_limits().top(kTopSources));
          },
      .pools = [&p = parts.pools] { return management::render_pools(p.status()); },
      .ports = [&m = parts.memory] { return management::render_ports(m); },
      .workers = [&m = parts.memory] { return management::render_workers(m); },
      .stats =
          [parts] {
            return management::render_stats(parts.statistics, parts.memory,
                                            parts.service.last_ends());
          },
      .config = [&c = parts.config] { return config::dump_json(c); },
      .audit = [&s = parts.service] { return management::render_audit(s.audit()); }};
}

}  // namespace pns::control
