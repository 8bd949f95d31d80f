// SPDX-License-Identifier: BSD-3-Clause
#include "pns/command/supervisor.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <thread>
#include <vector>

#include "pns/base/time.hpp"
#include "pns/command/kernel_net.hpp"
#include "pns/command/plane.hpp"
#include "pns/command/run_directory.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"
#include "pns/log/log.hpp"

namespace pns::command {
namespace {

using contract::PortRole;
using contract::SupervisorMessage;
using contract::SupervisorMessageType;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Result = std::expected<void, std::string>;

constexpr std::uint16_t kPptpPort = 1723;  // RFC 2637 §1.4
constexpr auto kSilence = seconds(30);     // a plane that says nothing for so long is stuck
constexpr auto kPoliteControl = milliseconds(5000);  // to tell the peers
constexpr auto kPoliteDataplane = milliseconds(2000);
constexpr auto kGrace = milliseconds(1000);       // beyond what a plane was given
constexpr std::size_t kMostMessagesAtOnce = 256;  // of one plane before the other has its turn

enum class Phase { kStarting, kServing, kStoppingControl, kStoppingDataplane };

// A connection of the control process, kept so that its successor can go on with it.
struct StoredConnection {
  UniqueFd fd;
  Ipv4Address local;
  Ipv4Address peer;
  std::uint16_t tcp_port = 0;
};

struct Listener {
  UniqueFd fd;
  Ipv4Address local;
};

std::uint64_t free_huge_pages() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  std::uint64_t count = 0;
  return file >> count ? count : 0;
}

bool is_on_huge_pages(int fd) noexcept {
  struct statfs status {};
  return ::fstatfs(fd, &status) == 0 && status.f_type == HUGETLBFS_MAGIC;
}

// Room for every connection twice over (a store and a hand-over) and the rest. The planes inherit
// it. A process that may not raise its hard limit gets what it may.
void raise_descriptor_limit(std::uint32_t max_connections) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = rlim_t{max_connections} * 2 + 4096;
  rlimit raised{wanted, std::max(wanted, limit.rlim_max)};
  if (limit.rlim_cur >= wanted || ::setrlimit(RLIMIT_NOFILE, &raised) == 0) return;
  raised = {limit.rlim_max, limit.rlim_max};
  (void)::setrlimit(RLIMIT_NOFILE, &raised);
  if (limit.rlim_max < wanted)
    log::warn("few descriptors", {{"limit", limit.rlim_max}, {"wanted", wanted}});
}

class Supervisor {
 public:
  Supervisor(config::Config config, RunDirectory run_dir)
      : config_(std::move(config)), run_dir_(std::move(run_dir)) {
    control_.name = "control";
    dataplane_.name = "dataplane";
  }

  // Everything that can fail before a process is started.
  [[nodiscard]] Result prepare();
  // Starts the planes and serves until told to stop. Returns the exit status.
  [[nodiscard]] int serve();

 private:
  [[nodiscard]] Result catch_signals();
  [[nodiscard]] Result find_programs();
  [[nodiscard]] Result make_session_memory();
  [[nodiscard]] Result open_taps();
  [[nodiscard]] Result open_listeners();

  void start(Plane& plane);
  void grant(Plane& plane);
  void send(Plane& plane, const SupervisorMessage& message);
  [[nodiscard]] int fd_for(const SupervisorMessage& message) const;
  void receive(Plane& plane, std::size_t limit);
  void on_message(Plane& plane, contract::ReceivedSupervisorMessage received);
  void on_ready(Plane& plane);
  void on_set_twin(const SupervisorMessage& message);
  void on_store(contract::ReceivedSupervisorMessage received);
  void on_end(Plane& plane, int status);
  void tell_plane_state();

  void read_signals();
  void reap();
  void run_timers(Clock::time_point now);
  [[nodiscard]] int poll_timeout(Clock::time_point now) const;
  void fail(const std::string& reason);
  void begin_stop();
  void continue_stop();
  void hasten();
  void kill_now(Plane& plane, int signal) noexcept;
  [[nodiscard]] bool is_stopping() const noexcept {
    return phase_ == Phase::kStoppingControl || phase_ == Phase::kStoppingDataplane;
  }
  [[nodiscard]] const config::Port& port(std::uint32_t role) const noexcept {
    return role == static_cast<std::uint32_t>(PortRole::kAccess) ? config_.ports.access
                                                                 : config_.ports.core;
  }
  [[nodiscard]] Outbox& outbox_of(const Plane& plane) noexcept {
    return &plane == &control_ ? control_outbox_ : dataplane_outbox_;
  }

  config::Config config_;
  RunDirectory run_dir_;
  UniqueFd signals_;
  UniqueFd session_memory_fd_;
  contract::SessionMemory session_memory_;
  std::array<UniqueFd, contract::kPorts> wires_;
  std::array<UniqueFd, contract::kPorts> twins_;
  std::array<bool, contract::kPorts> twin_configured_{};
  UniqueFd gre_guard_;
  std::vector<Listener> listeners_;
  std::map<ConnectionId, StoredConnection> connections_;
  Plane control_;
  Plane dataplane_;
  Outbox control_outbox_{[this](const SupervisorMessage& message) { return fd_for(message); }};
  Outbox dataplane_outbox_{[this](const SupervisorMessage& message) { return fd_for(message); }};
  Phase phase_ = Phase::kStarting;
  int exit_status_ = 0;
  bool hastened_ = false;
  std::optional<Clock::duration> systemd_interval_;  // WATCHDOG=1 that often
  Clock::time_point systemd_next_{};
};

Result Supervisor::prepare() {
  if (auto done = find_programs(); !done) return done;
  if (auto done = catch_signals(); !done) return done;
  raise_descriptor_limit(config_.pptp.max_connections);
  if (auto done = make_session_memory(); !done) return done;
  if (auto done = open_taps(); !done) return done;
  auto guard = open_gre_guard();
  if (!guard) return std::unexpected(guard.error());
  gre_guard_ = std::move(*guard);
  if (auto done = open_listeners(); !done) return done;
  run_dir_.remove_sockets();  // of a run that was killed
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) > 0)
    systemd_interval_ = std::chrono::microseconds(microseconds / 2);
  return run_dir_.write_pid("supervisor", ::getpid());
}

// SIGTERM, SIGINT and SIGCHLD become readable; SIGPIPE and SIGHUP are nothing to us.
Result Supervisor::catch_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0)
    return std::unexpected(fmt::format("sigprocmask: {}", std::strerror(errno)));
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  signals_.reset(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals_) return std::unexpected(fmt::format("signalfd: {}", std::strerror(errno)));
  return {};
}

// The planes lie beside this executable.
Result Supervisor::find_programs() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return std::unexpected("/proc/self/exe: " + error.message());
  for (Plane* plane : {&control_, &dataplane_}) {
    plane->program = self.parent_path() / ("pns-" + plane->name);
    if (::access(plane->program.c_str(), X_OK) != 0)
      return std::unexpected(fmt::format("{}: {}", plane->program.string(), std::strerror(errno)));
  }
  return {};
}

Result Supervisor::make_session_memory() {
  const config::Memory& memory = config_.dataplane.memory;
  // With auto the sessions take huge pages only where enough are left for packet buffers.
  constexpr std::uint64_t kHugeMegabytes = 2;
  const std::uint64_t for_sessions =
      (config_.dataplane.max_sessions * sizeof(contract::SessionRecord) >> 21) + 2;
  const bool enough = free_huge_pages() >= for_sessions + (memory.megabytes + 1) / kHugeMegabytes;
  const bool huge = memory.hugepages == config::HugePages::kOn ||
                    (memory.hugepages == config::HugePages::kAuto && enough);
  auto fd = contract::SessionMemory::create(config_.dataplane.max_sessions, huge,
                                            monotonic_ns(Clock::now()));
  if (!fd) return std::unexpected(fd.error());
  if (memory.hugepages == config::HugePages::kOn && !is_on_huge_pages(fd->get()))
    return std::unexpected(
        fmt::format("dataplane.memory.hugepages is on, but there are not enough free huge pages "
                    "for {} sessions "
                    "({} free)",
                    config_.dataplane.max_sessions, free_huge_pages()));
  auto attached = contract::SessionMemory::attach(fd->get());
  if (!attached) return std::unexpected(attached.error());
  session_memory_fd_ = std::move(*fd);
  session_memory_ = std::move(*attached);
  return {};
}

Result Supervisor::open_taps() {
  for (std::uint32_t role = 0; role < contract::kPorts; ++role) {
    const config::Port& settings = port(role);
    if (settings.device.kind == config::DeviceKind::kTap) {
      auto wire = open_tap(settings.device.interface);
      if (!wire) return std::unexpected(wire.error());
      wires_[role] = std::move(*wire);
    }
    if (settings.has_twin()) {
      auto twin = open_tap(settings.twin);
      if (!twin) return std::unexpected(twin.error());
      quiet_ipv6(settings.twin);
      twins_[role] = std::move(*twin);
    }
  }
  return {};
}

Result Supervisor::open_listeners() {
  std::vector<Ipv4Address> addresses = config_.pptp.listen;
  const config::Port& access = config_.ports.access;
  if (addresses.empty()) {
    if (access.has_twin())
      for (const Ipv4Prefix& own : access.addresses) addresses.push_back(own.address);
    else
      addresses = interface_addresses(access.device.interface);
  }
  if (addresses.empty())
    return std::unexpected(
        fmt::format("no address to listen on: {} has no IPv4 address and "
                    "pptp.listen names none",
                    access.device.text));
  if (const auto largest = largest_backlog(); largest && *largest < kListenBacklog)
    log::warn("net.core.somaxconn is low: many callers at once are not answered",
              {{"somaxconn", *largest}, {"wanted", kListenBacklog}});
  for (const Ipv4Address address : addresses) {
    auto fd = listen_on(address, kPptpPort);
    // The planes of a supervisor that was killed die with it, but not in the same instant.
    for (int tries = 0; !fd && fd.error().number == EADDRINUSE && tries < 20; ++tries) {
      std::this_thread::sleep_for(milliseconds(50));
      fd = listen_on(address, kPptpPort);
    }
    if (!fd) return std::unexpected(fd.error().reason);
    listeners_.push_back({std::move(*fd), address});
  }
  return {};
}

// --- planes ---

void Supervisor::start(Plane& plane) {
  const auto now = Clock::now();
  SpawnOptions options{config_.file, run_dir_.path(), std::nullopt};
  if (&plane == &control_) {
    // Keep the event loop off the cores that poll, when that leaves any.
    cpu_set_t cpus;
    if (::sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
      for (const std::uint16_t worker : config_.dataplane.cores.workers) CPU_CLR(worker, &cpus);
      if (CPU_COUNT(&cpus) > 0) options.cpus = cpus;
    }
  }
  auto& starts = &plane == &control_ ? session_memory_.header().control_starts
                                     : session_memory_.header().dataplane_starts;
  starts.fetch_add(1, std::memory_order_relaxed);
  if (auto done = spawn(plane, options, now); !done) {
    plane.pid = -1;
    if (!plane.was_ready) return fail(done.error());
    log::error("cannot start", {{"plane", plane.name}, {"reason", done.error()}});
    plane.restart_at = now + plane.backoff.on_end(milliseconds(0)) + RestartBackoff::kFirst;
    return;
  }
  if (auto done = run_dir_.write_pid(plane.name, plane.pid); !done)
    log::error("no pid file", {{"plane", plane.name}, {"reason", done.error()}});
  log::info("started", {{"plane", plane.name}, {"pid", plane.pid}});
  outbox_of(plane).clear();
  grant(plane);
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
      if (wires_[role]) {
        auto message = make(SupervisorMessageType::kGrantWire);
        message.port = role;
        send(plane, message);
      }
      if (twins_[role]) {
        auto message = make(SupervisorMessageType::kGrantTwin);
        message.port = role;
        port(role).twin.copy(message.text.data(), message.text.size() - 1);
        send(plane, message);
      }
    }
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
    case SupervisorMessageType::kGrantWire:
      return wires_.at(message.port).get();
    case SupervisorMessageType::kGrantTwin:
      return twins_.at(message.port).get();
    case SupervisorMessageType::kGrantListener:
      for (const Listener& listener : listeners_)
        if (listener.local == message.local) return listener.fd.get();
      return -1;
    case SupervisorMessageType::kGrantConnection: {
      const auto found = connections_.find(message.connection);
      return found == connections_.end() ? -1 : found->second.fd.get();
    }
    default:
      return -1;
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
    case SupervisorMessageType::kSetTwin:
      if (!is_control) return on_set_twin(received.message);
      break;
    case SupervisorMessageType::kStoreConnection:
      if (is_control) return on_store(std::move(received));
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
  const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - plane.started);
  log::info("ready", {{"plane", plane.name}, {"pid", plane.pid}, {"start_ms", took.count()}});
  if (&plane == &dataplane_) tell_plane_state();
  if (phase_ != Phase::kStarting || control_.state != PlaneState::kReady ||
      dataplane_.state != PlaneState::kReady)
    return;
  phase_ = Phase::kServing;
  std::fputs("ready\n", stdout);
  std::fflush(stdout);
  (void)::sd_notify(0, "READY=1\nSTATUS=serving");
}

void Supervisor::on_set_twin(const SupervisorMessage& message) {
  if (message.port >= contract::kPorts || !twins_[message.port]) {
    log::error("no such twin", {{"port", message.port}});
    return;
  }
  const bool before = twin_configured_[message.port];
  auto done = configure_twin(port(message.port), message.mac, message.value, before);
  if (!done) {
    if (!before) return fail(done.error());
    log::error("twin", {{"reason", done.error()}});
  }
  twin_configured_[message.port] = true;
  SupervisorMessage answer;
  answer.type = SupervisorMessageType::kTwinReady;
  answer.port = message.port;
  send(dataplane_, answer);
}

void Supervisor::on_store(contract::ReceivedSupervisorMessage received) {
  const SupervisorMessage& message = received.message;
  if (!received.fd) {
    log::error("connection without descriptor", {{"connection", message.connection.value}});
    return;
  }
  if (connections_.size() >= config_.pptp.max_connections &&
      !connections_.contains(message.connection)) {
    log::error("too many connections to store",
               {{"connection", message.connection.value}, {"limit", config_.pptp.max_connections}});
    return;
  }
  connections_.insert_or_assign(
      message.connection,
      StoredConnection{std::move(received.fd), message.local, message.peer, message.tcp_port});
}

void Supervisor::tell_plane_state() {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kPlaneState;
  message.value = dataplane_.state == PlaneState::kReady ? 1 : 0;
  if (control_.runs()) send(control_, message);
}

// The process is gone, by whatever cause. What it had sent before is taken first: a connection that
// it stored in its last moment must reach its successor.
void Supervisor::on_end(Plane& plane, int status) {
  receive(plane, std::numeric_limits<std::size_t>::max());
  plane.socket.reset();
  outbox_of(plane).clear();
  const PlaneState before = plane.state;
  const auto now = Clock::now();
  const auto lived = std::chrono::duration_cast<milliseconds>(now - plane.started);
  const pid_t pid = std::exchange(plane.pid, -1);
  plane.state = PlaneState::kDown;
  plane.kill_at.reset();
  run_dir_.remove_pid(plane.name);
  if (&plane == &dataplane_ && before == PlaneState::kReady) tell_plane_state();
  const std::string how = describe_wait_status(status);
  if (is_stopping()) {
    log::info("ended", {{"plane", plane.name}, {"pid", pid}, {"how", how}});
    return continue_stop();
  }
  if (!plane.was_ready)
    return fail(fmt::format("pns-{} ended before it was ready: {}; its own messages are above",
                            plane.name, how));
  const auto wait = plane.backoff.on_end(lived);
  plane.restart_at = now + wait;
  log::error("ended unexpectedly", {{"plane", plane.name},
                                    {"pid", pid},
                                    {"how", how},
                                    {"lived_ms", lived.count()},
                                    {"restart_in_ms", wait.count()}});
}

// --- the loop ---

int Supervisor::serve() {
  start(dataplane_);
  if (!is_stopping()) start(control_);
  while (control_.runs() || dataplane_.runs() || !is_stopping()) {
    const auto interest = [&](const Plane& plane) {
      const short out = outbox_of(plane).empty() ? short{0} : short{POLLOUT};
      return pollfd{plane.socket ? plane.socket.get() : -1, static_cast<short>(POLLIN | out), 0};
    };
    std::array<pollfd, 3> wait = {pollfd{signals_.get(), POLLIN, 0}, interest(control_),
                                  interest(dataplane_)};
    if (::poll(wait.data(), wait.size(), poll_timeout(Clock::now())) < 0 && errno != EINTR) {
      log::error("poll", {{"reason", std::strerror(errno)}});
      return 1;
    }
    for (const auto& [index, plane] : {std::pair{1, &control_}, std::pair{2, &dataplane_}}) {
      const short events = wait[static_cast<std::size_t>(index)].revents;
      if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) receive(*plane, kMostMessagesAtOnce);
      if ((events & POLLOUT) != 0 && plane->socket)
        (void)outbox_of(*plane).flush(plane->socket.get());
    }
    if ((wait[0].revents & POLLIN) != 0) read_signals();
    run_timers(Clock::now());
  }
  run_dir_.remove_sockets();
  run_dir_.remove_pid("supervisor");
  log::info("stopped", {{"status", exit_status_}});
  return exit_status_;
}

void Supervisor::read_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    if (info.ssi_signo == SIGCHLD) continue;
    log::info("signal", {{"signal", info.ssi_signo}, {"from", info.ssi_pid}});
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
  for (Plane* plane : {&control_, &dataplane_}) {
    if (plane->restart_at && now >= *plane->restart_at && !is_stopping()) {
      plane->restart_at.reset();
      start(*plane);
    }
    if (!plane->runs()) continue;
    if (plane->kill_at && now >= *plane->kill_at) {
      kill_now(*plane, SIGKILL);
      plane->kill_at.reset();
    } else if (!plane->kill_at && !is_stopping() && now - plane->last_heard >= kSilence) {
      log::error("silent", {{"plane", plane->name}, {"pid", plane->pid}});
      kill_now(*plane, SIGABRT);
      plane->kill_at = now + kGrace;
    }
  }
}

// Milliseconds until run_timers has something to do; rounded up, so that it then does.
int Supervisor::poll_timeout(Clock::time_point now) const {
  auto next = now + seconds(60);
  if (systemd_interval_) next = std::min(next, systemd_next_);
  for (const Plane* plane : {&control_, &dataplane_}) {
    if (plane->restart_at) next = std::min(next, *plane->restart_at);
    if (!plane->runs()) continue;
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
  log::error("cannot start", {{"reason", reason}});
  exit_status_ = 1;
  if (!is_stopping()) begin_stop();
}

// First control, which tells the peers; the dataplane carries that to them.
void Supervisor::begin_stop() {
  (void)::sd_notify(0, "STOPPING=1\nSTATUS=ending calls");
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
  log::warn("second signal: ending at once");
  for (Plane* plane : {&control_, &dataplane_}) {
    kill_now(*plane, SIGKILL);
    plane->kill_at.reset();
  }
}

void Supervisor::kill_now(Plane& plane, int signal) noexcept {
  if (plane.runs()) (void)::kill(plane.pid, signal);
}

log::Level log_level(config::LogLevel level) noexcept {
  switch (level) {
    case config::LogLevel::kTrace:
      return log::Level::kTrace;
    case config::LogLevel::kDebug:
      return log::Level::kDebug;
    case config::LogLevel::kInfo:
      return log::Level::kInfo;
    case config::LogLevel::kWarn:
      return log::Level::kWarn;
    case config::LogLevel::kError:
      return log::Level::kError;
  }
  return log::Level::kInfo;
}

// Prints each and says whether there was any.
void print(const std::vector<config::ConfigError>& errors) {
  for (const auto& error : errors) fmt::print(stderr, "{}\n", error.to_string());
}

}  // namespace

int run_supervisor(const SupervisorOptions& options) {
  auto config = config::load(options.config_file);
  if (!config) {
    print(config.error());
    return 1;
  }
  std::vector<config::ConfigError> warnings;
  if (const auto users = config::load_users(*config, &warnings); !users) {
    print(users.error());
    return 1;
  }
  log::start(
      log_level(config->log.level),
      config->log.format == config::LogFormat::kJson ? log::Format::kJson : log::Format::kText,
      "supervisor");
  for (const auto& warning : warnings) log::warn("users file", {{"reason", warning.to_string()}});
  auto run_dir = RunDirectory::open(options.run_dir);
  if (!run_dir) {
    log::error("cannot start", {{"reason", run_dir.error()}});
    return 1;
  }
  Supervisor supervisor(std::move(*config), std::move(*run_dir));
  if (auto prepared = supervisor.prepare(); !prepared) {
    log::error("cannot start", {{"reason", prepared.error()}});
    return 1;
  }
  return supervisor.serve();
}

}  // namespace pns::command
