// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/plane.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "pns/supervisor/child.hpp"

namespace pns::supervisor {
namespace {

// Runs in the child between fork and exec: system calls only.
[[noreturn]] void become(const char* program, char* const* arguments, ChildEnvironment& environment,
                         int socket, pid_t parent, const cpu_set_t* cpus, int error_pipe) {
  if (!begin_child(parent)) ::_exit(kCannotExecute);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  if (cpus != nullptr) ::sched_setaffinity(0, sizeof(*cpus), cpus);
  ::fcntl(socket, F_SETFD, 0);
  environment.keep_descriptors();
  ::execve(program, arguments, environment.words());
  const int error = errno;
  (void)!::write(error_pipe, &error, sizeof(error));
  ::_exit(kCannotExecute);
}

}  // namespace

std::expected<void, std::string> spawn(Plane& plane, const SpawnOptions& options,
                                       Clock::time_point now) {
  const auto failed = [&](const char* what, int error) {
    return std::unexpected(
        fmt::format("cannot start {}: {}: {}", plane.program.string(), what, std::strerror(error)));
  };
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return failed("socketpair", errno);
  UniqueFd ours(pair[0]);
  const UniqueFd theirs(pair[1]);
  if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0) return failed("fcntl", errno);
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return failed("pipe2", errno);
  const UniqueFd error_read(pipe[0]);
  UniqueFd error_write(pipe[1]);

  std::array<std::string, 7> words = {
      plane.program.string(),   "--config",        options.config_file.string(), "--run-dir",
      options.run_dir.string(), "--supervisor-fd", std::to_string(theirs.get())};
  std::array<char*, words.size() + 1> arguments{};
  for (std::size_t i = 0; i < words.size(); ++i) arguments[i] = words[i].data();

  ChildEnvironment inherited(options.words);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return failed("fork", errno);
  if (pid == 0)
    become(words[0].c_str(), arguments.data(), inherited, theirs.get(), parent,
           options.cpus ? &*options.cpus : nullptr, error_write.get());

  error_write.reset();
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(error_read.get(), &error, sizeof(error));  // ends at once: exec closes the pipe
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof(error))) {
    (void)::waitpid(pid, nullptr, 0);
    return failed("exec", error);
  }
  plane.pid = pid;
  plane.socket = std::move(ours);
  plane.state = PlaneState::kStarting;
  plane.started = now;
  plane.last_heard = now;
  plane.kill_at.reset();
  plane.restart_at.reset();
  plane.leaves = false;
  plane.reason.clear();
  return {};
}

bool Outbox::flush(int socket) {
  while (!waiting_.empty()) {
    const contract::SupervisorMessage& message = waiting_.front();
    const int fd = find_fd_(message);
    const bool connection_is_gone =
        message.type == contract::SupervisorMessageType::kGrantConnection && fd < 0;
    if (!connection_is_gone && !contract::send_supervisor_message(socket, message, fd))
      return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ETOOMANYREFS;
    waiting_.pop_front();
  }
  return true;
}

std::string describe_wait_status(int status) {
  if (WIFEXITED(status)) return fmt::format("exit status {}", WEXITSTATUS(status));
  if (WIFSIGNALED(status))
    return fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  return fmt::format("wait status {}", status);
}

}  // namespace pns::supervisor
