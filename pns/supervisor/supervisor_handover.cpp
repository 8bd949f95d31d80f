// SPDX-License-Identifier: BSD-3-Clause
//
// The supervisor's own restart: it executes its program anew in the same process. Children, blocked
// signals, the lock and every descriptor that is handed over stay; the planes notice nothing.
#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "pns/base/time.hpp"
#include "pns/log/log.hpp"
#include "pns/supervisor/supervisor_parts.hpp"

namespace pns::supervisor {

using std::chrono::milliseconds;
using Result = std::expected<void, std::string>;

namespace {

// Where a configuration stands in the list; it is added when it is not there yet.
int index_in(std::vector<HandOver::Configuration>& all, const Snapshot* configuration) {
  if (configuration == nullptr) return -1;
  const auto [config, users] = configuration->descriptors();
  const HandOver::Configuration wanted{config, users};
  const auto found = std::ranges::find(all, wanted);
  const auto index = static_cast<int>(found - all.begin());
  if (found == all.end()) all.push_back(wanted);
  return index;
}

}  // namespace

HandOver::Plane Supervisor::describe(const Plane& plane, const Outbox& outbox,
                                     HandOver& whole) const {
  return {.pid = plane.pid,
          .socket = plane.socket.get(),
          .state = plane.state,
          .was_ready = plane.was_ready,
          .started = plane.started,
          .ready_at = plane.ready_at,
          .backoff = plane.backoff.next(),
          .kill_at = plane.kill_at,
          .restart_at = plane.restart_at,
          .waiting = {outbox.waiting().begin(), outbox.waiting().end()},
          .configuration = index_in(whole.configurations, plane.configuration.get())};
}

HandOver Supervisor::describe() const {
  HandOver state;
  state.program = program_;
  state.run_dir_lock = run_dir_.lock_fd();
  state.session_memory = session_memory_fd_.get();
  state.gre_guard = gre_guard_.get();
  network_.describe(state);
  for (const Listener& listener : listeners_)
    state.listeners.push_back({listener.fd.get(), listener.local});
  for (const auto& [id, stored] : connections_)
    state.connections.push_back({.fd = stored.fd.get(),
                                 .id = id,
                                 .local = stored.local,
                                 .peer = stored.peer,
                                 .tcp_port = stored.tcp_port});
  state.configuration = index_in(state.configurations, restart_->configuration.get());
  state.control = describe(control_, control_outbox_, state);
  state.dataplane = describe(dataplane_, dataplane_outbox_, state);
  state.request = restart_->request;
  state.asked = restart_->asked;
  return state;
}

std::string Supervisor::hand_over() {
  network_.flush(Clock::now());  // the program that comes finds those that the kernel has
  const HandOver state = describe();
  const auto sealed = seal(encode(state));
  if (!sealed) return sealed.error();
  auto inherited = state.descriptors();
  inherited.push_back(sealed->get());
  std::array<std::string, 8> words = {program_.string(), "run",
                                      "--config",        config_.file.string(),
                                      "--run-dir",       run_dir_.path().string(),
                                      "--resume-fd",     std::to_string(sealed->get())};
  std::array<char*, words.size() + 1> arguments{};
  for (std::size_t i = 0; i < words.size(); ++i) arguments[i] = words[i].data();
  log::info("hand-over started", {{"program", program_.string()},
                                  {"connections", connections_.size()},
                                  {"descriptors", inherited.size()}});
  (void)::sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                     static_cast<unsigned long long>(monotonic_ns(Clock::now()) / 1000));
  int error = EBADF;
  if (set_inherited(inherited, true)) {
    ::execv(arguments[0], arguments.data());
    error = errno;
  }
  (void)set_inherited(inherited, false);
  (void)::sd_notify(0, "READY=1\nSTATUS=serving");
  return fmt::format("cannot execute {}: {}", program_.string(), std::strerror(error));
}

void Supervisor::take(Plane& plane, Outbox& outbox, const HandOver::Plane& state,
                      Clock::time_point now) {
  plane.program = program_.parent_path() / ("pns-" + plane.name);
  plane.pid = state.pid;
  plane.socket.reset(state.socket);
  plane.state = state.state;
  plane.was_ready = state.was_ready;
  plane.started = state.started;
  plane.ready_at = state.ready_at;
  plane.last_heard = now;
  plane.backoff = RestartBackoff(state.backoff);
  plane.kill_at = state.kill_at;
  plane.restart_at = state.restart_at;
  for (const auto& message : state.waiting) outbox.push(message);
}

// Those that no plane runs with are closed: what this process was started with is read.
void Supervisor::take_configurations(const HandOver& state) {
  std::vector<Snapshot::Pointer> configurations;
  for (const auto& [config, users] : state.configurations)
    configurations.push_back(Snapshot::adopt(config_.file, UniqueFd(config), UniqueFd(users)));
  link_configuration();
  if (state.configuration >= 0)
    write_configuration("supervisor",
                        configurations[static_cast<std::size_t>(state.configuration)]);
  for (const auto& [plane, index] : {std::pair{&control_, state.control.configuration},
                                     std::pair{&dataplane_, state.dataplane.configuration}})
    if (index >= 0) {
      plane->configuration = configurations[static_cast<std::size_t>(index)];
    } else if (auto taken = Snapshot::take(config_.file, plane == &control_)) {
      // An earlier supervisor kept none. The files of now are the best that there is.
      plane->configuration = std::move(*taken);
    }
}

Result Supervisor::resume(const HandOver& state) {
  const auto now = Clock::now();
  program_ = state.program;
  // Everything has an owner before anything can fail.
  session_memory_fd_.reset(state.session_memory);
  gre_guard_.reset(state.gre_guard);
  network_.take(state);
  for (const auto& listener : state.listeners)
    listeners_.push_back({UniqueFd(listener.fd), listener.local});
  for (const auto& c : state.connections)
    connections_.insert_or_assign(c.id,
                                  StoredConnection{UniqueFd(c.fd), c.local, c.peer, c.tcp_port});
  take(control_, control_outbox_, state.control, now);
  take(dataplane_, dataplane_outbox_, state.dataplane, now);
  const bool open = set_inherited(state.descriptors(), false);
  take_configurations(state);
  if (!open) return std::unexpected("hand-over: a descriptor is not open");
  auto attached = contract::SessionMemory::attach(session_memory_fd_.get());
  if (!attached) return std::unexpected(attached.error());
  session_memory_ = std::move(*attached);
  // Signals since the old program last looked are still pending: they stayed blocked.
  if (auto done = catch_signals(); !done) return done;
  if (auto done = network_.reopen(control_.runs()); !done) return done;
  raise_descriptor_limit(config_.pptp.max_connections);
  compare_configuration(state);
  if (network_.has_services()) config_.ports.core.services.interface = state.services.name;
  network_.resume(dataplane_.configuration, session_memory_.header().max_sessions);
  find_systemd_watchdog();
  phase_ = Phase::kServing;
  auto& self = session_memory_.header().process(contract::Process::kSupervisor);
  const auto starts = self.starts.fetch_add(1, std::memory_order_relaxed) + 1;
  self.serves.store(starts, std::memory_order_release);
  (void)::sd_notify(0, "READY=1\nSTATUS=serving");
  const auto took = std::chrono::duration_cast<milliseconds>(now - state.asked);
  log::info("supervisor resumed", {{"connections", connections_.size()},
                                   {"listeners", listeners_.size()},
                                   {"starts", starts},
                                   {"after_ms", took.count()}});
  answer(state.request, contract::Process::kSupervisor, {});
  return {};
}

// A key on which calls depend keeps its value while they live, and the log says so.
void Supervisor::compare_configuration(const HandOver& state) {
  const auto kept = [](const char* key, std::string_view what) {
    log::warn("not changed while calls live", {{"key", key}, {"kept", what}});
  };
  std::optional<config::Config> theirs;
  if (dataplane_.configuration)
    if (auto loaded = config::load(dataplane_.configuration->source()); loaded)
      theirs = std::move(*loaded);
  const std::uint32_t sessions = session_memory_.header().max_sessions;
  if (config_.dataplane.max_sessions != sessions)
    kept("dataplane.max_sessions", std::to_string(sessions));
  for (const auto& [key, held, wanted] :
       {std::tuple{"ports.access", &state.ports[0], &config_.ports.access},
        std::tuple{"ports.core", &state.ports[1], &config_.ports.core}}) {
    if (held->device == wanted->device.text && held->twin_name == wanted->twin) continue;
    kept(key, held->device);
    // All of the port is what the dataplane runs with, or at least its name.
    const bool is_access = wanted == &config_.ports.access;
    if (theirs &&
        (is_access ? theirs->ports.access : theirs->ports.core).device.text == held->device)
      *wanted = is_access ? theirs->ports.access : theirs->ports.core;
    wanted->device.text = held->device;
    wanted->twin = held->twin_name;
  }
  if (const config::Services& services = config_.ports.core.services;
      state.services.fd >= 0 && services.enabled && services.interface != state.services.name)
    kept("ports.core.services.interface", state.services.name);
}

}  // namespace pns::supervisor
