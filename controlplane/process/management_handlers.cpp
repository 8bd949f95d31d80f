// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/management_handlers.hpp"

#include <fmt/format.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/management/render.hpp"

namespace pns::control {
namespace {

constexpr std::size_t kTopSources = 50;

using management::Server;
using Job = Server::Job;
using Answered = Server::Answered;

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

class Refused final : public Job {
 public:
  explicit Refused(Answered answer) : answer_(std::move(answer)) {}
  bool turn() override { return false; }
  Answered answer() override { return std::move(answer_); }

 private:
  Answered answer_;
};

// A list, a page a turn: take() on the event loop, render() of the page on the request's thread.
template <class View>
class ListJob final : public Job {
 public:
  using Take = std::function<std::vector<View>(subscriber::PagePlace&)>;
  using Render = std::string (*)(const std::vector<View>&);
  // `if_empty`: the answer where the list has nothing.
  ListJob(Take take, Render render, Answered if_empty = {200, "[]"})
      : take_(std::move(take)), render_(render), if_empty_(std::move(if_empty)) {}
  bool turn() override {
    page_ = take_(place_);
    return !place_.at_end;
  }
  void after_turn() override {
    if (!page_.empty()) list_.append(render_(page_));
  }
  Answered answer() override {
    return list_.empty() ? std::move(if_empty_) : Answered{200, list_.take()};
  }

 private:
  Take take_;
  Render render_;
  Answered if_empty_;
  subscriber::PagePlace place_;
  std::vector<View> page_;
  management::JsonArray list_;
};

// Something else: `turn` on the event loop, until it returns false; `render` on the request's
// thread, after that.
class PlainJob final : public Job {
 public:
  PlainJob(std::function<bool()> turn, std::function<Answered()> render)
      : turn_(std::move(turn)), render_(std::move(render)) {}
  bool turn() override { return turn_(); }
  Answered answer() override { return render_(); }

 private:
  std::function<bool()> turn_;
  std::function<Answered()> render_;
};

std::unique_ptr<Job> list_sessions(const subscriber::Service& service) {
  return std::make_unique<ListJob<subscriber::SessionView>>(
      [&service](subscriber::PagePlace& place) { return service.listing().session_page(place); },
      management::render_sessions);
}

std::unique_ptr<Job> list_connections(const subscriber::Service& service) {
  return std::make_unique<ListJob<subscriber::ConnectionView>>(
      [&service](subscriber::PagePlace& place) { return service.listing().connection_page(place); },
      management::render_connections);
}

std::unique_ptr<Job> show_sessions(const subscriber::Service& service, std::string_view word) {
  const auto selector = subscriber::parse_selector(word);
  if (!selector) return std::make_unique<Refused>(refusal(400, selector.error()));
  return std::make_unique<ListJob<subscriber::SessionView>>(
      [&service, selector = *selector](subscriber::PagePlace& place) {
        return service.listing().session_page(selector, place);
      },
      management::render_sessions, no_session(word));
}

std::unique_ptr<Job> clear_sessions(subscriber::Service& service, std::string_view word) {
  const auto selector = subscriber::parse_selector(word);
  if (!selector) return std::make_unique<Refused>(refusal(400, selector.error()));
  struct Progress {
    subscriber::PagePlace place;
    std::size_t cleared = 0;
  };
  const auto progress = std::make_shared<Progress>();
  return std::make_unique<PlainJob>(
      [&service, selector = *selector, progress] {
        progress->cleared += service.clear(selector, progress->place);
        return !progress->place.at_end;
      },
      [progress, word = std::string(word)]() -> Answered {
        if (progress->cleared == 0) return no_session(word);
        return {200, fmt::format(R"({{"cleared":{}}})", progress->cleared)};
      });
}

std::unique_ptr<Job> show_sources(const subscriber::SourceLimits& limits) {
  const auto top = std::make_shared<subscriber::SourceLimits::Top>(limits, kTopSources);
  return std::make_unique<PlainJob>(
      [top] { return top->turn(); },
      [top] {
        return Answered{200, management::render_sources(top->views())};
      });
}

std::unique_ptr<Job> show_stats(const ManagedParts& parts) {
  const auto ends = std::make_shared<std::vector<subscriber::EndView>>();
  return std::make_unique<PlainJob>(
      [&service = parts.service, ends] {
        *ends = service.last_ends();
        return false;
      },
      [&statistics = parts.statistics, &memory = parts.memory, ends] {
        return Answered{200, management::render_stats(statistics, memory, *ends)};
      });
}

std::unique_ptr<Job> show_audit(const subscriber::Service& service) {
  const auto audit = std::make_shared<subscriber::Audit>(service.begin_audit());
  return std::make_unique<PlainJob>([audit] { return audit->turn(); },
                                    [audit] {
                                      return Answered{200, management::render_audit(audit->view())};
                                    });
}

void place_call(subscriber::Service& service, std::string_view body, const Server::Answer& answer) {
  const auto request = management::read_place_request(body);
  if (!request) return answer(400, management::render_error(request.error()));
  service.place_call(*request, [answer](const subscriber::PlacedCall& call) {
    answer(call.failure == EndReason::kNone ? 200 : 502, management::render_placed(call));
  });
}

void restart(SupervisorLink& supervisor, std::string_view body, const Server::Answer& answer) {
  const auto request = management::read_restart_request(body);
  if (!request) return answer(400, management::render_error(request.error()));
  supervisor.request_restart({request->process, request->within, request->confirm_within},
                             [answer](const std::optional<std::string>& refused) {
                               if (refused) return answer(409, management::render_error(*refused));
                               answer(202, R"({"restarting":true})");
                             });
}

void confirm(SupervisorLink& supervisor, const Server::Answer& answer) {
  supervisor.confirm([answer](const std::optional<std::string>& refused) {
    if (refused) return answer(409, management::render_error(*refused));
    answer(200, R"({"confirmed":true})");
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
      .sessions = [&s = parts.service](std::string_view) { return list_sessions(s); },
      .session =
          [&s = parts.service](std::string_view selector) { return show_sessions(s, selector); },
      .clear =
          [&s = parts.service](std::string_view selector) { return clear_sessions(s, selector); },
      .place = [&s = parts.service](std::string_view body,
                                    const Server::Answer& answer) { place_call(s, body, answer); },
      .restart = [&s = parts.supervisor](
                     std::string_view body,
                     const Server::Answer& answer) { restart(s, body, answer); },
      .confirm = [&s = parts.supervisor](std::string_view,
                                         const Server::Answer& answer) { confirm(s, answer); },
      .drain = [&d = parts.service.drain()](std::string_view body) { return start_drain(d, body); },
      .drain_status = [&d = parts.service.drain()] { return management::render_drain(d.view()); },
      .cancel_drain =
          [&d = parts.service.drain()] {
            d.cancel();
            return management::render_drain(d.view());
          },
      .connections = [&s = parts.service](std::string_view) { return list_connections(s); },
      .sources = [&l = parts.service.source_limits()](std::string_view) { return show_sources(l); },
      .pools = [&p = parts.pools] { return management::render_pools(p.status()); },
      .ports = [&m = parts.memory] { return management::render_ports(m); },
      .workers = [&m = parts.memory] { return management::render_workers(m); },
      .stats = [parts](std::string_view) { return show_stats(parts); },
      .config = [&c = parts.config] { return config::dump_json(c); },
      .audit = [&s = parts.service](std::string_view) { return show_audit(s); }};
}

}  // namespace pns::control
