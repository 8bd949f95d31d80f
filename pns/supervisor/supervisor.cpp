// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/supervisor.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <sstream>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "pns/log/log.hpp"
#include "pns/privilege/confinement.hpp"
#include "pns/privilege/run_places.hpp"
#include "pns/supervisor/kernel_net.hpp"
#include "pns/supervisor/supervisor_parts.hpp"

namespace pns::supervisor {
namespace {

using contract::SupervisorMessage;
using contract::SupervisorMessageType;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kSilence = seconds(30);            // a plane that says nothing for so long is stuck
constexpr std::size_t kMostMessagesAtOnce = 256;  // of one plane before the other has its turn
constexpr auto kTrialPoll = milliseconds(100);
constexpr auto kTrialTime = seconds(24);  // of a start with another configuration, if nobody waits

}  // namespace

// --- planes ---

void Supervisor::start(Plane& plane) {
  const auto now = Clock::now();
  if (plane.candidate && !plane.ready_by) plane.ready_by = now + kTrialTime;
  const Snapshot* configuration =
      plane.candidate ? plane.candidate.get() : plane.configuration.get();
  SpawnOptions options{config_.file,
                       run_dir_.path(),
                       std::nullopt,
                       {.source = configuration == nullptr ? nullptr : &configuration->source(),
                        .with_users = &plane == &control_}};
  if (&plane == &control_) {
    // Keep the event loop off the cores that poll, when that leaves any.
    cpu_set_t cpus;
    if (::sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
      for (const std::uint16_t worker : config_.dataplane.cores.workers) CPU_CLR(worker, &cpus);
      if (CPU_COUNT(&cpus) > 0) options.cpus = cpus;
    }
  }
  if (&plane == &control_) {
    if (plane.candidate) follow_listeners(plane.candidate);
    if (auto given = privilege::give_run_places(run_dir_.path(), control_user_); !given)
      log::error("start failed", {{"plane", plane.name}, {"reason", given.error()}});
  }
  info_of(plane).starts.fetch_add(1, std::memory_order_relaxed);
  if (auto done = spawn(plane, options, now); !done) {
    plane.pid = -1;
    if (!plane.was_ready) return fail(done.error());
    log::error("start failed", {{"plane", plane.name}, {"reason", done.error()}});
    plane.restart_at = now + plane.backoff.on_end(milliseconds(0)) + RestartBackoff::kFirst;
    return;
  }
  if (auto done = run_dir_.write_pid(plane.name, plane.pid); !done)
    log::error("pid file not written", {{"plane", plane.name}, {"reason", done.error()}});
  info_of(plane).pid.store(plane.pid, std::memory_order_relaxed);
  log::info("plane started", {{"plane", plane.name}, {"pid", plane.pid}});
  outbox_of(plane).clear();
  if (&plane == &dataplane_) {
    network_.on_dataplane_start(plane.candidate ? plane.candidate : plane.configuration);
  }
  grant(plane);
}

// Listeners are those of the configuration that control starts with. Not earlier: callers would
// wait for an accept() that no plane makes. Calls that came by one that closes live on.
void Supervisor::follow_listeners(const Snapshot::Pointer& configuration) {
  if (!configuration) return;
  const auto theirs = config::load(configuration->source());
  if (!theirs) return;  // only a newer program can read it
  const auto wanted = listen_addresses(*theirs);
  if (!wanted) return log::warn("listen failed", {{"address", "-"}, {"reason", wanted.error()}});
  for (const Ipv4Address address : *wanted) {
    if (std::ranges::find(listeners_, address, &Listener::local) != listeners_.end()) continue;
    if (auto done = open_listener(address); !done)
      log::warn("listen failed", {{"address", address}, {"reason", done.error()}});
    else if (control_.was_ready)
      log::info("listener opened", {{"address", address}});
  }
  const auto is_wanted = [&wanted](const Listener& listener) {
    return std::ranges::find(*wanted, listener.local) != wanted->end();
  };
  if (std::ranges::none_of(listeners_, is_wanted)) return;  // better those than none
  std::erase_if(listeners_, [&is_wanted](const Listener& listener) {
    const bool closes = !is_wanted(listener);
    if (closes) log::info("listener closed", {{"address", listener.local}});
    return closes;
  });
}

// All that the plane needs, then kGrantsComplete. Descriptors are found when each message leaves.
void Supervisor::grant(Plane& plane) {
  const auto make = [](SupervisorMessageType type) {
    SupervisorMessage message;
    message.type = type;
    return message;
  };
  send(plane, make(SupervisorMessageType::kGrantSessionMemory));
  if (&plane == &dataplane_) {
    for (std::uint32_t role = 0; role < contract::kPorts; ++role) {
      if (network_.has_wire(role)) {
        auto message = make(SupervisorMessageType::kGrantWire);
        message.port = role;
        send(plane, message);
      }
      if (network_.has_twin(role)) {
        auto message = make(SupervisorMessageType::kGrantTwin);
        message.port = role;
        port(role).twin.copy(message.text.data(), message.text.size() - 1);
        send(plane, message);
      }
    }
    if (network_.has_services()) send(plane, make(SupervisorMessageType::kGrantServices));
  } else {
    for (const Listener& listener : listeners_) {
      auto message = make(SupervisorMessageType::kGrantListener);
      message.local = listener.local;
      message.tcp_port = kPptpPort;
      send(plane, message);
    }
    for (const auto& [id, stored] : connections_) {
      auto message = make(SupervisorMessageType::kGrantConnection);
      message.connection = id;
      message.local = stored.local;
      message.peer = stored.peer;
      message.tcp_port = stored.tcp_port;
      send(plane, message);
    }
    auto state = make(SupervisorMessageType::kPlaneState);
    state.value = dataplane_.state == PlaneState::kReady ? 1 : 0;
    send(plane, state);
  }
  send(plane, make(SupervisorMessageType::kGrantsComplete));
}

int Supervisor::fd_for(const SupervisorMessage& message) const {
  switch (message.type) {
    case SupervisorMessageType::kGrantSessionMemory:
      return session_memory_fd_.get();
    case SupervisorMessageType::kGrantListener:
      for (const Listener& listener : listeners_)
        if (listener.local == message.local) return listener.fd.get();
      return -1;
    case SupervisorMessageType::kGrantConnection: {
      const auto found = connections_.find(message.connection);
      return found == connections_.end() ? -1 : found->second.fd.get();
    }
    default:
      return network_.fd_for(message);
  }
}

void Supervisor::send(Plane& plane, const SupervisorMessage& message) {
  if (!plane.socket) return;
  Outbox& outbox = outbox_of(plane);
  outbox.push(message);
  (void)outbox.flush(plane.socket.get());  // a socket that is gone is found by receive()
}

// Takes at most `limit` of the messages that the plane has sent. poll(2) calls again for the rest.
void Supervisor::receive(Plane& plane, std::size_t limit) {
  for (std::size_t count = 0; plane.socket && count < limit; ++count) {
    auto received = contract::receive_supervisor_message(plane.socket.get());
    if (received) {
      plane.last_heard = Clock::now();
      on_message(plane, std::move(*received));
      continue;
    }
    if (received.error() == contract::ReceiveError::kWouldBlock) return;
    if (received.error() == contract::ReceiveError::kMalformed) {
      log::error("malformed message", {{"plane", plane.name}, {"pid", plane.pid}});
      kill_now(plane, SIGKILL);
      continue;
    }
    // Closed: the plane is ending. If it does not, it has lost its mind.
    plane.socket.reset();
    if (!plane.kill_at) plane.kill_at = Clock::now() + kGrace;
  }
}

void Supervisor::on_message(Plane& plane, contract::ReceivedSupervisorMessage received) {
  const bool is_control = &plane == &control_;
  switch (received.message.type) {
    case SupervisorMessageType::kWatchdog:
      return;  // last_heard is all it is for
    case SupervisorMessageType::kReady:
      return on_ready(plane);
    case SupervisorMessageType::kFailed:
      return on_failed(plane, received.message);
    case SupervisorMessageType::kSetTwin:
      if (!is_control) return on_set_twin(received.message);
      break;
    case SupervisorMessageType::kAskNeighbour:
      if (!is_control) return network_.ask_neighbour(received.message, Clock::now());
      break;
    case SupervisorMessageType::kSetRoute:
      if (is_control) return network_.set_session_route(received.message, Clock::now());
      break;
    case SupervisorMessageType::kSubscriberRoute:
      if (!is_control) return network_.set_way_back(received.message, Clock::now());
      break;
    case SupervisorMessageType::kStoreConnection:
      if (is_control) return on_store(std::move(received));
      break;
    case SupervisorMessageType::kRequestRestart:
      if (is_control) return on_request_restart(received.message);
      break;
    case SupervisorMessageType::kConfirm:
      if (is_control) return on_confirm(received.message);
      break;
    case SupervisorMessageType::kForgetConnection:
      if (is_control) {
        connections_.erase(received.message.connection);
        return;
      }
      break;
    default:
      break;
  }
  log::error("unexpected message",
             {{"plane", plane.name}, {"type", static_cast<std::uint32_t>(received.message.type)}});
}

void Supervisor::on_ready(Plane& plane) {
  if (plane.state == PlaneState::kReady) return;
  plane.state = PlaneState::kReady;
  plane.was_ready = true;
  plane.ready_at = Clock::now();
  plane.ready_by.reset();
  const bool is_new = plane.candidate != nullptr;
  if (is_new) plane.configuration = std::exchange(plane.candidate, nullptr);
  write_configuration(plane.name, plane.configuration);
  if (is_new && &plane == &control_) {
    if (unconfirmed_ && !unconfirmed_->until)
      unconfirmed_->until = plane.ready_at + unconfirmed_->within;
    follow_log(plane.configuration);
  }
  auto& info = info_of(plane);
  info.serves.store(info.starts.load(std::memory_order_relaxed), std::memory_order_release);
  const auto took = std::chrono::duration_cast<milliseconds>(plane.ready_at - plane.started);
  log::info("plane ready", {{"plane", plane.name}, {"pid", plane.pid}, {"start_ms", took.count()}});
  if (&plane == &dataplane_) {
    tell_plane_state();
    network_.on_dataplane_ready(plane.configuration);
  }
  if (&plane == &control_) network_.on_control_ready();
  if (phase_ != Phase::kStarting || control_.state != PlaneState::kReady ||
      dataplane_.state != PlaneState::kReady)
    return;
  phase_ = Phase::kServing;
  std::fputs("ready\n", stdout);
  std::fflush(stdout);
  (void)::sd_notify(0, "READY=1\nSTATUS=serving");
}

void Supervisor::link_configuration() {
  if (auto done = run_dir_.link_configuration(config_.file); !done)
    log::warn("configuration not shown", {{"reason", done.error()}});
}

// For `pns reload`, which compares it with the file.
void Supervisor::write_configuration(std::string_view name,
                                     const Snapshot::Pointer& configuration) {
  if (!configuration) return;
  if (auto done = run_dir_.write_configuration(name, configuration->descriptors().config); !done)
    log::warn("configuration not shown", {{"reason", done.error()}});
}

// The level of the log follows control's configuration in every process.
void Supervisor::follow_log(const Snapshot::Pointer& configuration) {
  const auto now = config::load(configuration->source());
  if (!now) return;  // only a newer program can read it
  log::set_level(static_cast<log::Level>(now->log.level));
  SupervisorMessage message;
  message.type = SupervisorMessageType::kSetLog;
  message.value = static_cast<std::uint32_t>(now->log.level);
  if (dataplane_.runs()) send(dataplane_, message);
}

void Supervisor::on_set_twin(const SupervisorMessage& message) {
  const auto done = network_.set_twin(message);
  if (!done) return fail(done.error());
  if (!*done) return;
  SupervisorMessage answer;
  answer.type = SupervisorMessageType::kTwinReady;
  answer.port = message.port;
  send(dataplane_, answer);
}

void Supervisor::on_store(contract::ReceivedSupervisorMessage received) {
  const SupervisorMessage& message = received.message;
  if (!received.fd) {
    if (descriptor_log_.allow(Clock::now()))
      log::error("connection refused: no descriptor came with it",
                 {{"connection", message.connection.value},
                  {"peer", message.peer},
                  {"suppressed", descriptor_log_.take_suppressed()}});
    return refuse_to_keep(message.connection);
  }
  if (connections_.size() >= config_.pptp.max_connections &&
      !connections_.contains(message.connection)) {
    log::error("too many connections to store",
               {{"connection", message.connection.value}, {"limit", config_.pptp.max_connections}});
    return refuse_to_keep(message.connection);
  }
  connections_.insert_or_assign(
      message.connection,
      StoredConnection{std::move(received.fd), message.local, message.peer, message.tcp_port});
}

// A call that would not outlive its control process is none to begin with: the peer dials again.
void Supervisor::refuse_to_keep(ConnectionId connection) {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kConnectionNotKept;
  message.connection = connection;
  send(control_, message);
}

void Supervisor::tell_plane_state() {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kPlaneState;
  message.value = dataplane_.state == PlaneState::kReady ? 1 : 0;
  if (control_.runs()) send(control_, message);
}

// The process is gone, by whatever cause. Its last messages are taken first: a connection that it
// stored in its last moment must reach its successor.
void Supervisor::on_end(Plane& plane, int status) {
  receive(plane, std::numeric_limits<std::size_t>::max());
  plane.socket.reset();
  outbox_of(plane).clear();
  const PlaneState before = plane.state;
  const auto now = Clock::now();
  const auto lived = std::chrono::duration_cast<milliseconds>(now - plane.started);
  const auto served = before == PlaneState::kReady
                          ? std::chrono::duration_cast<milliseconds>(now - plane.ready_at)
                          : milliseconds(0);
  const pid_t pid = std::exchange(plane.pid, -1);
  info_of(plane).pid.store(0, std::memory_order_relaxed);
  plane.state = PlaneState::kDown;
  plane.kill_at.reset();
  run_dir_.remove_pid(plane.name);
  if (&plane == &dataplane_ && before == PlaneState::kReady) tell_plane_state();
  if (&plane == &control_) network_.on_control_end();
  const std::string how = describe_wait_status(status);
  if (is_stopping()) {
    log::info("plane ended", {{"plane", plane.name}, {"pid", pid}, {"how", how}});
    return continue_stop();
  }
  if (std::exchange(plane.leaves, false)) {
    log::info("plane ended for its restart", {{"plane", plane.name}, {"pid", pid}, {"how", how}});
    restart_.reset();
    return start(plane);
  }
  const std::string reason = plane.reason.empty() ? how : plane.reason;
  if (!plane.was_ready)
    return fail(fmt::format("pns-{} ended before it was ready: {}{}; its own messages are above",
                            plane.name, how, plane.reason.empty() ? "" : ": " + plane.reason));
  if (plane.candidate) return restore_configuration(plane, reason);
  restart_later(plane, pid, how, lived, served);
}

// The plane has died by itself.
void Supervisor::restart_later(Plane& plane, pid_t pid, const std::string& how, milliseconds lived,
                               milliseconds served) {
  const auto wait = plane.backoff.on_end(served);
  plane.restart_at = Clock::now() + wait;
  // It dies again and again: an edit of the files may be the remedy, and nobody can ask for a
  // restart of a control process that does not answer.
  if (wait > milliseconds(0) && plane.configuration && !plane.configuration->is_current() &&
      !(rejected_ && rejected_->is_current()))
    if (auto taken = Snapshot::take(config_.file, &plane == &control_))
      plane.candidate = std::move(*taken);
  log::error("plane ended unexpectedly", {{"plane", plane.name},
                                          {"pid", pid},
                                          {"how", how},
                                          {"reason", plane.reason.empty() ? "-" : plane.reason},
                                          {"lived_ms", lived.count()},
                                          {"served_ms", served.count()},
                                          {"restart_in_ms", wait.count()}});
}

// It could not start with another configuration than it had. The one before serves again, at once.
void Supervisor::restore_configuration(Plane& plane, const std::string& reason) {
  log::error("previous configuration restored", {{"plane", plane.name}, {"reason", reason}});
  if (&plane == &control_) {
    if (unconfirmed_ && !unconfirmed_->until) unconfirmed_.reset();  // it was the one that failed
    follow_listeners(plane.configuration);
  }
  rejected_ = std::move(plane.candidate);
  plane.ready_by.reset();
  auto& failure = session_memory_.header().start_failure;
  const auto process =
      &plane == &control_ ? contract::Process::kControl : contract::Process::kDataplane;
  failure.process.store(static_cast<std::uint32_t>(process), std::memory_order_relaxed);
  failure.reason.fill('\0');
  reason.copy(failure.reason.data(), failure.reason.size() - 1);
  failure.count.fetch_add(1, std::memory_order_release);
  start(plane);
}

void Supervisor::on_failed(Plane& plane, const SupervisorMessage& message) {
  plane.reason = message.text.data();
  std::ranges::replace_if(
      plane.reason, [](unsigned char c) { return c < ' '; }, ' ');
}

// --- the loop ---

int Supervisor::serve() {
  // One that is down after a resume waits for its time; a first start begins with none.
  for (Plane* plane : {&dataplane_, &control_})
    if (!plane->runs() && !plane->restart_at && !is_stopping()) start(*plane);
  reap();  // who ended while one supervisor took the place of another
  while (control_.runs() || dataplane_.runs() || !is_stopping()) {
    const auto interest = [&](const Plane& plane) {
      const short out = outbox_of(plane).empty() ? short{0} : short{POLLOUT};
      return pollfd{plane.socket ? plane.socket.get() : -1, static_cast<short>(POLLIN | out), 0};
    };
    const int probe = restart_ && restart_->probe ? restart_->probe->fd() : -1;
    std::array<pollfd, 4> wait = {pollfd{signals_.get(), POLLIN, 0}, interest(control_),
                                  interest(dataplane_), pollfd{probe, POLLIN, 0}};
    if (::poll(wait.data(), wait.size(), poll_timeout(Clock::now())) < 0 && errno != EINTR) {
      log::error("poll failed", {{"reason", std::strerror(errno)}});
      return 1;
    }
    for (const auto& [index, plane] : {std::pair{1, &control_}, std::pair{2, &dataplane_}}) {
      const short events = wait[static_cast<std::size_t>(index)].revents;
      if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) receive(*plane, kMostMessagesAtOnce);
      if ((events & POLLOUT) != 0 && plane->socket)
        (void)outbox_of(*plane).flush(plane->socket.get());
    }
    if ((wait[0].revents & POLLIN) != 0) read_signals();
    check_probe(Clock::now());
    run_timers(Clock::now());
  }
  remove_what_is_left();
  log::info("server stopped", {{"status", exit_status_}});
  return exit_status_;
}

// The planes may remove nothing outside their own directories, and no XDP program.
void Supervisor::remove_what_is_left() {
  run_dir_.remove_sockets();
  if (const auto& socket = config_.management.socket; !socket.empty())
    (void)::unlink(socket.c_str());
  run_dir_.remove_pid("supervisor");
  run_dir_.remove_configurations();
  network_.remove();
  if (!dataplane_.was_ready) return;
  for (const config::Port* each : {&config_.ports.access, &config_.ports.core})
    if (each->device.kind == config::DeviceKind::kXdp) detach_xdp(each->device.interface);
}

void Supervisor::read_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    if (info.ssi_signo == SIGCHLD) continue;
    log::info("signal received", {{"signal", info.ssi_signo}, {"from", info.ssi_pid}});
    if (info.ssi_signo == SIGHUP) {
      reload();
      continue;
    }
    if (is_stopping())
      hasten();
    else
      begin_stop();
  }
  reap();
}

void Supervisor::reap() {
  for (Plane* plane : {&control_, &dataplane_}) {
    int status = 0;
    if (plane->runs() && ::waitpid(plane->pid, &status, WNOHANG) == plane->pid)
      on_end(*plane, status);
  }
}

void Supervisor::run_timers(Clock::time_point now) {
  if (systemd_interval_ && now >= systemd_next_) {
    (void)::sd_notify(0, "WATCHDOG=1");
    systemd_next_ = now + *systemd_interval_;
  }
  if (const auto due = network_.next_due(); due && now >= *due) network_.on_timer(now);
  return_unconfirmed(now);
  if (stop_waits_ && !is_stopping() && !control_.leaves &&
      (!control_.runs() || control_.state == PlaneState::kReady))
    begin_stop();
  for (Plane* plane : {&control_, &dataplane_}) {
    if (plane->restart_at && now >= *plane->restart_at && !is_stopping()) {
      plane->restart_at.reset();
      start(*plane);
    }
    if (!plane->runs()) continue;
    // Control waits for a dataplane: without one its time does not run.
    if (plane->ready_by && now >= *plane->ready_by &&
        (plane == &dataplane_ || dataplane_.state == PlaneState::kReady)) {
      plane->ready_by.reset();
      if (plane->reason.empty()) plane->reason = "it was not ready in time";
      kill_now(*plane, SIGKILL);
    } else if (plane->kill_at && now >= *plane->kill_at) {
      kill_now(*plane, SIGKILL);
      plane->kill_at.reset();
    } else if (!plane->kill_at && !is_stopping() && now - plane->last_heard >= kSilence) {
      log::error("plane not responding", {{"plane", plane->name}, {"pid", plane->pid}});
      kill_now(*plane, SIGABRT);
      plane->kill_at = now + kGrace;
    }
  }
}

// Milliseconds until run_timers has something to do; rounded up, so that it then does.
int Supervisor::poll_timeout(Clock::time_point now) const {
  auto next = now + seconds(60);
  if (systemd_interval_) next = std::min(next, systemd_next_);
  if (restart_ && restart_->probe) next = std::min(next, restart_->probe->deadline());
  if (unconfirmed_ && unconfirmed_->until)
    next = std::min(next, std::max(*unconfirmed_->until, now + kTrialPoll));
  if (const auto due = network_.next_due()) next = std::min<Clock::time_point>(next, *due);
  for (const Plane* plane : {&control_, &dataplane_}) {
    if (plane->restart_at) next = std::min(next, *plane->restart_at);
    if (!plane->runs()) continue;
    if (plane->ready_by) next = std::min(next, std::max(*plane->ready_by, now + kTrialPoll));
    if (plane->kill_at)
      next = std::min(next, *plane->kill_at);
    else if (!is_stopping())
      next = std::min<Clock::time_point>(next, plane->last_heard + kSilence);
  }
  return static_cast<int>(
      std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(next - now).count()));
}

// --- the end ---

void Supervisor::fail(const std::string& reason) {
  log::error("start failed", {{"reason", reason}});
  exit_status_ = 1;
  if (!is_stopping()) begin_stop();
}

// First control, which tells the peers; the dataplane carries that to them.
void Supervisor::begin_stop() {
  // A control process that leaves tells the peers nothing: its successor does, once it is ready.
  // See run_timers().
  if (control_.leaves && !std::exchange(stop_waits_, true)) return;
  (void)::sd_notify(0, "STOPPING=1\nSTATUS=ending calls");
  if (restart_) refuse_restart("the server is ending");
  phase_ = Phase::kStoppingControl;
  for (Plane* plane : {&control_, &dataplane_}) plane->restart_at.reset();
  if (control_.runs()) {
    SupervisorMessage message;
    message.type = SupervisorMessageType::kStop;
    message.value = static_cast<std::uint32_t>(kPoliteControl.count());
    send(control_, message);
    control_.kill_at = Clock::now() + kPoliteControl + kGrace;
  }
  continue_stop();
}

void Supervisor::continue_stop() {
  if (phase_ != Phase::kStoppingControl || control_.runs()) return;
  phase_ = Phase::kStoppingDataplane;
  if (!dataplane_.runs()) return;
  SupervisorMessage message;
  message.type = SupervisorMessageType::kStop;
  message.value = static_cast<std::uint32_t>(kPoliteDataplane.count());
  send(dataplane_, message);
  if (hastened_) return;
  dataplane_.kill_at = Clock::now() + kPoliteDataplane + kGrace;
}

void Supervisor::hasten() {
  if (std::exchange(hastened_, true)) return;
  log::warn("second signal received");
  for (Plane* plane : {&control_, &dataplane_}) {
    kill_now(*plane, SIGKILL);
    plane->kill_at.reset();
  }
}

void Supervisor::kill_now(Plane& plane, int signal) noexcept {
  if (plane.runs())
    (void)privilege::signal_process(plane.pid, signal,
                                    &plane == &control_ ? control_user_ : dataplane_user_);
}

}  // namespace pns::supervisor
