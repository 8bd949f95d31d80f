// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/vfs.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "pns/base/time.hpp"
#include "pns/log/log.hpp"
#include "pns/supervisor/host_check.hpp"
#include "pns/supervisor/kernel_net.hpp"
#include "pns/supervisor/supervisor_parts.hpp"

namespace pns::supervisor {
namespace {

using Result = std::expected<void, std::string>;

bool is_on_huge_pages(int fd) noexcept {
  struct statfs status {};
  return ::fstatfs(fd, &status) == 0 && status.f_type == HUGETLBFS_MAGIC;
}

}  // namespace

void raise_descriptor_limit(std::uint32_t max_connections) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = wanted_descriptors(max_connections);
  rlimit raised{wanted, std::max(wanted, limit.rlim_max)};
  if (limit.rlim_cur >= wanted || ::setrlimit(RLIMIT_NOFILE, &raised) == 0) return;
  raised = {limit.rlim_max, limit.rlim_max};
  (void)::setrlimit(RLIMIT_NOFILE, &raised);
  if (limit.rlim_max < wanted)
    log::warn("RLIMIT_NOFILE too low", {{"limit", limit.rlim_max}, {"wanted", wanted}});
}

Result Supervisor::prepare() {
  Result done = prepare_parts();
  if (done) return done;
  network_.remove();
  run_dir_.remove_configurations();
  return done;
}

Result Supervisor::prepare_parts() {
  if (auto done = find_programs(); !done) return done;
  if (auto done = catch_signals(); !done) return done;
  if (const auto wrong = host_objections(config_, run_dir_.path()); !wrong.empty())
    return std::unexpected(wrong.front());
  raise_descriptor_limit(config_.pptp.max_connections);
  if (auto done = make_session_memory(); !done) return done;
  if (auto done = network_.open(session_memory_.header().max_sessions); !done) return done;
  auto guard = open_gre_guard();
  if (!guard) return std::unexpected(guard.error());
  gre_guard_ = std::move(*guard);
  if (auto done = open_listeners(); !done) return done;
  run_dir_.remove_sockets();  // of a run that was killed
  find_systemd_watchdog();
  link_configuration();
  for (const char* const name : {"server", "supervisor"})
    write_configuration(name, control_.configuration);
  auto& self = session_memory_.header().process(contract::Process::kSupervisor);
  self.starts.store(1, std::memory_order_relaxed);
  self.serves.store(1, std::memory_order_relaxed);
  self.pid.store(::getpid(), std::memory_order_relaxed);
  return run_dir_.write_pid("supervisor", ::getpid());
}

void Supervisor::find_systemd_watchdog() {
  std::uint64_t microseconds = 0;
  if (::sd_watchdog_enabled(0, &microseconds) > 0)
    systemd_interval_ = std::chrono::microseconds(microseconds / 2);
}

// SIGTERM, SIGINT, SIGHUP and SIGCHLD become readable; SIGPIPE is nothing to us.
Result Supervisor::catch_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0)
    return std::unexpected(fmt::format("sigprocmask: {}", std::strerror(errno)));
  ::signal(SIGPIPE, SIG_IGN);
  signals_.reset(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals_) return std::unexpected(fmt::format("signalfd: {}", std::strerror(errno)));
  return {};
}

// The planes lie beside this executable. Its path is remembered: once another file lies there, the
// kernel calls the one that runs deleted.
Result Supervisor::find_programs() {
  std::error_code error;
  program_ = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return std::unexpected("/proc/self/exe: " + error.message());
  for (Plane* plane : {&control_, &dataplane_}) {
    plane->program = program_.parent_path() / ("pns-" + plane->name);
    if (::access(plane->program.c_str(), X_OK) != 0)
      return std::unexpected(fmt::format("{}: {}", plane->program.string(), std::strerror(errno)));
  }
  return {};
}

Result Supervisor::make_session_memory() {
  const config::Memory& memory = config_.dataplane.memory;
  const bool huge = sessions_on_huge_pages(config_.dataplane);
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

Result Supervisor::open_listeners() {
  const auto addresses = listen_addresses(config_);
  if (!addresses) return std::unexpected(addresses.error());
  if (const auto largest = largest_backlog(); largest && *largest < kListenBacklog)
    log::warn("net.core.somaxconn too low", {{"somaxconn", *largest}, {"wanted", kListenBacklog}});
  for (const Ipv4Address address : *addresses)
    if (auto done = open_listener(address); !done) return done;
  return {};
}

Result Supervisor::open_listener(Ipv4Address address) {
  auto fd = listen_on(address, kPptpPort);
  if (!fd) return std::unexpected(fd.error());
  listeners_.push_back({std::move(*fd), address});
  return {};
}

}  // namespace pns::supervisor
