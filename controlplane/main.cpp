// SPDX-License-Identifier: BSD-3-Clause
//
// pns-control: the event-loop process. Started by the supervisor, which grants it session memory,
// the TCP 1723 listeners and the connections of an earlier control process. Reads top to bottom as
// the start-up order:
//   arguments → configuration → users → grants → session memory → parts → store → registry →
//   privileges → management → metrics → the rest of them → listeners → dataplane → ready → the
//   loop.

#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "controlplane/aaa/guess_limiter.hpp"
#include "controlplane/aaa/local_authenticator.hpp"
#include "controlplane/aaa/password_changes.hpp"
#include "controlplane/dataplane_link/dataplane_link.hpp"
#include "controlplane/management/render.hpp"
#include "controlplane/management/server.hpp"
#include "controlplane/metrics/collector.hpp"
#include "controlplane/model/statistics.hpp"
#include "controlplane/pools/pool_set.hpp"
#include "controlplane/resume/journal.hpp"
#include "controlplane/runtime/listener.hpp"
#include "controlplane/runtime/memory_watch.hpp"
#include "controlplane/runtime/supervisor_link.hpp"
#include "controlplane/subscriber/registry.hpp"
#include "controlplane/subscriber/settings.hpp"
#include "pns/base/privileges.hpp"
#include "pns/base/random.hpp"
#include "pns/base/stopwatch.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/build_contract.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"
#include "pns/log/log.hpp"

namespace pns::control {
namespace {

constexpr int kGrantTimeoutMs = 10'000;
constexpr auto kFlushTime = std::chrono::milliseconds(300);  // of a planned restart
constexpr auto kFlushLook = std::chrono::milliseconds(5);

template <class T>
T need(std::expected<T, std::string> value) {
  if (!value) throw std::runtime_error(value.error());
  return std::move(*value);
}

template <class T>
T need(std::expected<T, std::vector<config::ConfigError>> value) {
  if (!value) throw std::runtime_error(value.error().front().to_string());
  return std::move(*value);
}

void give_up_root(std::initializer_list<unsigned> kept) {
  if (!drop_privileges(kept))
    log::warn("privileges not dropped", {{"error", std::strerror(errno)}});
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

// Pool figures for the scrape thread, refreshed on the event loop.
class PoolFigures {
 public:
  void refresh(const std::vector<pools::PoolStatus>& status) {
    std::vector<metrics::Collector::PoolUse> next;
    next.reserve(status.size());
    for (const auto& pool : status)
      next.push_back({std::string(pool.name), pool.size, pool.in_use});
    const std::scoped_lock lock(mutex_);
    figures_ = std::move(next);
  }
  [[nodiscard]] std::vector<metrics::Collector::PoolUse> get() const {
    const std::scoped_lock lock(mutex_);
    return figures_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<metrics::Collector::PoolUse> figures_;
};

int run(const std::filesystem::path& config_file, const std::filesystem::path& run_dir,
        UniqueFd supervisor_socket) {
  Stopwatch watch;
  const config::Config config = need(config::load(config_file));
  log::start(static_cast<log::Level>(config.log.level), static_cast<log::Format>(config.log.format),
             "control");
  auto users = subscriber::make_users(need(config::load_users(config)), config.ppp);
  // Opened while this process may still do everything; written to as an ordinary user.
  std::optional<aaa::PasswordChanges> password_changes;
  if (const auto& file = config.aaa.local.password_changes_file; !file.empty()) {
    auto changes = aaa::PasswordChanges::open(file);
    if (!changes) throw std::runtime_error(file.string() + ": " + changes.error());
    password_changes = std::move(*changes);
    password_changes->apply(users);
  }

  auto grants = need(contract::receive_grants(supervisor_socket.get(), kGrantTimeoutMs));
  auto memory = need(contract::SessionMemory::attach(grants.session_memory.get()));
  raise_descriptor_limit();

  asio::io_context loop(1);
  SystemRandom random;
  model::Statistics statistics;
  const auto end_of = [&](model::StartPhase phase) {
    statistics.start_ms[static_cast<std::size_t>(phase)].set(watch.lap_ms());
  };
  end_of(model::StartPhase::kConfig);
  pools::PoolSet pools(subscriber::make_pools(config));
  aaa::LocalAuthenticator authenticator(std::move(users), random);
  if (password_changes)
    authenticator.allow_password_changes([&](const std::string& name, const Secret<16>& nt_hash) {
      const bool kept = password_changes->save(name, nt_hash);
      if (kept)
        log::info("password changed", {{"user", name}});
      else
        log::error("changed password not kept", {{"user", name}, {"error", std::strerror(errno)}});
      return kept;
    });
  asio::steady_timer guess_timer(loop);
  aaa::GuessLimiter* limiter = nullptr;
  aaa::GuessLimiter guess_limiter(
      authenticator, statistics, [] { return std::chrono::steady_clock::now(); },
      [&](TimePoint at) {
        guess_timer.expires_at(at);
        guess_timer.async_wait([&](const asio::error_code& error) {
          if (!error) limiter->on_deadline();
        });
      });
  limiter = &guess_limiter;
  const auto journal = need(resume::Journal::open(
      run_dir / "store", memory.header().max_sessions, resume::boot_id(),
      [&loop](resume::Journal::Action action) { asio::post(loop, std::move(action)); }));

  // The registry and what it talks to know each other; the events are wired before anything runs.
  std::vector<Ipv4Address> listen;
  for (const auto& granted : grants.listeners) listen.push_back(granted.local);
  subscriber::Registry* registry = nullptr;
  std::vector<std::unique_ptr<Listener>> listeners;
  const auto stop = [&](Milliseconds within) {
    for (auto& listener : listeners) listener->stop();
    registry->shut_down(within, [&loop] { loop.stop(); });
  };
  // A successor takes over: no message to a peer may be cut in the middle, and no one is told.
  asio::steady_timer leave_timer(loop);
  std::function<void(TimePoint)> leave_when_flushed;
  const auto leave = [&](Milliseconds) {
    log::info("leaving to a successor");
    for (auto& listener : listeners) listener->stop();
    registry->stop_reading();
    leave_when_flushed(std::chrono::steady_clock::now() + kFlushTime);
  };
  SupervisorLink supervisor(loop, std::move(supervisor_socket),
                            {.stop = stop,
                             .leave = leave,
                             .lost = [&loop] { loop.stop(); },
                             .not_kept = [&](ConnectionId id) { registry->on_not_kept(id); }});
  leave_when_flushed = [&](TimePoint until) {
    if ((registry->is_flushed() && supervisor.backlog() == 0) ||
        std::chrono::steady_clock::now() >= until)
      return loop.stop();
    leave_timer.expires_after(kFlushLook);
    leave_timer.async_wait([&, until](const asio::error_code& error) {
      if (!error) leave_when_flushed(until);
    });
  };
  DataplaneLink dataplane(
      loop, run_dir / "dataplane.sock",
      {.attached = [&] { registry->on_dataplane_attached(); },
       .detached = [&] { registry->on_dataplane_detached(); },
       .punted = [&](SessionHandle handle, Bytes frame) { registry->on_punted(handle, frame); },
       .path_dead = [&](SessionHandle handle,
                        bool opened) { registry->on_path_dead(handle, opened); }});
  subscriber::Registry the_registry({.context = loop,
                                     .config = config,
                                     .memory = memory,
                                     .statistics = statistics,
                                     .supervisor = supervisor,
                                     .dataplane = dataplane,
                                     .authenticator = guess_limiter,
                                     .pools = pools,
                                     .journal = *journal,
                                     .random = random,
                                     .listen = std::move(listen)});
  registry = &the_registry;
  MemoryWatch memory_watch(
      loop, std::uint64_t{config.control.memory_megabytes} << 20,
      {.measured =
           [&](std::uint64_t octets) {
             statistics.memory_octets.set(static_cast<std::int64_t>(octets));
           },
       .changed =
           [&](bool over) {
             registry->set_short_of(over ? EndReason::memory_limit : EndReason::kNone);
             const auto megabytes = statistics.memory_octets.get() >> 20;
             if (over)
               log::error("no new calls: too much memory", {{"megabytes", megabytes}});
             else
               log::info("new calls again: memory is there", {{"megabytes", megabytes}});
           }});

  end_of(model::StartPhase::kStore);
  const auto matching = [&](std::string_view id_or_user) {
    auto views = registry->sessions();
    std::erase_if(views, [&](const subscriber::SessionView& view) {
      return view.user != id_or_user && std::to_string(view.id) != id_or_user;
    });
    return management::render_sessions(views);
  };
  // The sockets are granted, the files are read. What is left is for metrics.listen below port
  // 1024.
  give_up_root({CAP_NET_BIND_SERVICE});
  const auto socket =
      config.management.socket.empty() ? run_dir / "control.sock" : config.management.socket;
  auto management = std::make_unique<management::Server>(
      loop, socket,
      management::Server::Handlers{
          .sessions = [&] { return management::render_sessions(registry->sessions()); },
          .session = matching,
          .clear = [&](std::string_view id_or_user) { return registry->clear(id_or_user); },
          .place =
              [&](std::string_view body, const management::Server::Answer& answer) {
                const auto request = management::read_place_request(body);
                if (!request) return answer(400, management::render_error(request.error()));
                registry->place_call(*request, [answer](const subscriber::PlacedCall& call) {
                  answer(call.failure == EndReason::kNone ? 200 : 502,
                         management::render_placed(call));
                });
              },
          .restart =
              [&](std::string_view body, const management::Server::Answer& answer) {
                const auto process = management::read_restart_request(body);
                if (!process) return answer(400, management::render_error(process.error()));
                supervisor.request_restart(
                    *process, [answer](const std::optional<std::string>& refusal) {
                      if (refusal) return answer(409, management::render_error(*refusal));
                      answer(202, R"({"restarting":true})");
                    });
              },
          .drain = [&](std::string_view body) -> std::pair<int, std::string> {
            const auto deadline = management::read_drain_request(body);
            if (!deadline) return {400, management::render_error(deadline.error())};
            registry->drain(*deadline);
            return {200, management::render_drain(registry->drain_view())};
          },
          .drain_status = [&] { return management::render_drain(registry->drain_view()); },
          .cancel_drain =
              [&] {
                registry->cancel_drain();
                return management::render_drain(registry->drain_view());
              },
          .connections = [&] { return management::render_connections(registry->connections()); },
          .pools = [&] { return management::render_pools(pools.status()); },
          .ports = [&] { return management::render_ports(memory); },
          .workers = [&] { return management::render_workers(memory); },
          .stats =
              [&] { return management::render_stats(statistics, memory, registry->last_ends()); },
          .config = [&] { return config::dump_json(config); },
          .audit = [&] { return management::render_audit(registry->audit()); }});

  PoolFigures pool_figures;
  std::uint64_t frames_lost = memory.header().channel_events_dropped.get();
  asio::steady_timer second(loop);
  const std::function<void()> every_second = [&] {
    pool_figures.refresh(pools.status());
    // What the dataplane could not tell because this process did not listen.
    const std::uint64_t lost = memory.header().channel_events_dropped.get();
    if (lost > frames_lost)
      log::warn("control frames lost: the ring from the dataplane was full",
                {{"frames", lost - frames_lost}});
    frames_lost = lost;
    second.expires_after(std::chrono::seconds(1));
    second.async_wait([&](const asio::error_code& error) {
      if (!error) every_second();
    });
  };
  every_second();
  std::unique_ptr<metrics::Endpoint> metrics_endpoint;
  if (config.metrics.listen)
    metrics_endpoint = std::make_unique<metrics::Endpoint>(
        config.metrics.listen->address, config.metrics.listen->port,
        std::make_shared<metrics::Collector>(memory, statistics,
                                             [&] { return pool_figures.get(); }));
  give_up_root({});

  for (auto& granted : grants.listeners) {
    listeners.push_back(std::make_unique<Listener>(
        loop, std::move(granted.fd),
        [&](UniqueFd fd, Ipv4Address local, Ipv4Address peer, std::uint16_t port) {
          registry->accept(std::move(fd), local, peer, port);
        },
        [&] {
          statistics.connections_accepted.add();
          statistics.connection_ends[static_cast<std::size_t>(EndReason::descriptor_limit)].add();
        }));
    log::info("listening", {{"address", granted.local}, {"port", granted.tcp_port}});
  }
  const std::size_t connections = grants.connections.size();
  registry->take_over(std::move(grants.connections));
  end_of(model::StartPhase::kTakeOver);

  asio::signal_set signals(loop, SIGTERM, SIGINT);
  signals.async_wait([&](const asio::error_code& error, int) {
    if (!error) stop(std::chrono::seconds(5));
  });
  supervisor.start();
  dataplane.start();
  memory_watch.start();
  // Ready, and accepting, once the first dataplane is there: no caller is refused for being early.
  registry->when_attached([&] {
    for (auto& listener : listeners) listener->start();
    supervisor.ready();
    end_of(model::StartPhase::kAttach);
    const auto took_ms = [&](model::StartPhase phase) {
      return statistics.start_ms[static_cast<std::size_t>(phase)].get();
    };
    log::info("control serves", {{"users", authenticator.user_count()},
                                 {"listeners", listeners.size()},
                                 {"connections", connections},
                                 {"config_ms", took_ms(model::StartPhase::kConfig)},
                                 {"store_ms", took_ms(model::StartPhase::kStore)},
                                 {"take_over_ms", took_ms(model::StartPhase::kTakeOver)},
                                 {"attach_ms", took_ms(model::StartPhase::kAttach)},
                                 {"took_ms", watch.total_ms()}});
  });
  loop.run();
  management.reset();
  log::info("control stopped");
  // Not by return: the scrape threads read what lies on this stack, and to end them takes two
  // seconds.
  std::fflush(nullptr);
  ::_exit(0);
}

}  // namespace
}  // namespace pns::control

int main(int argc, char** argv) {
  CLI::App app("PPTP control process; started by `pns run`, not by hand", "pns-control");
  std::string config_file;
  std::string run_dir = "/run/pns";
  int supervisor_fd = -1;
  app.add_option("--config", config_file, "configuration file")->required();
  app.add_option("--run-dir", run_dir, "directory of sockets");
  app.add_option("--supervisor-fd", supervisor_fd, "socket to the supervisor")->required();
  app.add_flag_callback(
      "--contract",
      [] {
        throw CLI::CallForVersion(
            pns::contract::to_json(pns::contract::build_contract(), "pns-control"), 0);
      },
      "print what this program was built to share with the others");
  CLI11_PARSE(app, argc, argv);
  pns::log::start(pns::log::Level::kInfo, pns::log::Format::kText, "control");
  try {
    return pns::control::run(config_file, run_dir, pns::UniqueFd(supervisor_fd));
  } catch (const std::exception& error) {
    pns::log::error("control cannot go on", {{"reason", error.what()}});
    return 1;
  }
}
