// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/probe.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "pns/supervisor/child.hpp"

namespace pns::supervisor {
namespace {

// Runs in the child between fork and exec: system calls only.
[[noreturn]] void become(const char* program, char* const* arguments, ChildEnvironment& environment,
                         int output, bool with_errors, pid_t parent) {
  if (!begin_child(parent)) ::_exit(kCannotExecute);
  const int nothing = ::open("/dev/null", O_RDWR);
  if (nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 ||
      ::dup2(with_errors ? output : nothing, STDERR_FILENO) < 0)
    ::_exit(kCannotExecute);
  if (nothing > STDERR_FILENO) ::close(nothing);
  environment.keep_descriptors();
  ::execve(program, arguments, environment.words());
  ::_exit(kCannotExecute);
}

}  // namespace

std::expected<Probe, std::string> Probe::start(std::vector<std::string> words,
                                               Clock::time_point deadline, Output wanted,
                                               const ChildWords& environment) {
  const auto failed = [&](const char* what) {
    return std::unexpected(fmt::format("{}: {}: {}", words[0], what, std::strerror(errno)));
  };
  if (::access(words[0].c_str(), X_OK) != 0) return failed("cannot be executed");
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return failed("pipe2");
  Probe probe;
  probe.pipe_.reset(pipe[0]);
  const UniqueFd theirs(pipe[1]);
  if (::fcntl(probe.pipe_.get(), F_SETFL, O_NONBLOCK) != 0) return failed("fcntl");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  ChildEnvironment inherited(environment);
  const pid_t parent = ::getpid();
  probe.pid_ = ::fork();
  if (probe.pid_ < 0) return failed("fork");
  if (probe.pid_ == 0)
    become(arguments[0], arguments.data(), inherited, theirs.get(), wanted == Output::kWithErrors,
           parent);
  probe.deadline_ = deadline;
  return probe;
}

Probe::Probe(Probe&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pipe_(std::move(other.pipe_)),
      deadline_(other.deadline_),
      status_(other.status_),
      output_(std::move(other.output_)) {}

Probe& Probe::operator=(Probe&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pipe_, other.pipe_);
  std::swap(deadline_, other.deadline_);
  std::swap(status_, other.status_);
  std::swap(output_, other.output_);
  return *this;
}

Probe::~Probe() {
  if (pid_ <= 0) return;
  (void)::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Probe::read() {
  std::array<char, 4096> chunk{};
  while (pipe_) {
    const ssize_t got = ::read(pipe_.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return pipe_.reset();
    const std::size_t room = kMostOutput - output_.size();
    output_.append(chunk.data(), std::min(room, static_cast<std::size_t>(got)));
  }
}

bool Probe::has_ended() {
  if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) {
    pid_ = -1;
    read();  // what it left in the pipe
  }
  return pid_ <= 0;
}

bool Probe::wait() {
  constexpr int kPollMs = 10;
  while (!has_ended()) {
    if (Clock::now() >= deadline_) return false;
    pollfd readable{pipe_.get(), POLLIN, 0};
    (void)::poll(&readable, 1, kPollMs);
    read();
  }
  return true;
}

}  // namespace pns::supervisor
