// SPDX-License-Identifier: BSD-3-Clause
//
// Plane: one child process of the supervisor, its socket and what waits to be sent on it. Knows how
// to start and to talk to it; when to do so is the Supervisor's business. Supervisor thread only.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <chrono>
#include <deque>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "pns/base/unique_fd.hpp"
#include "pns/contract/supervisor_protocol.hpp"
#include "pns/supervisor/child.hpp"
#include "pns/supervisor/restart_backoff.hpp"
#include "pns/supervisor/snapshot.hpp"

namespace pns::supervisor {

using Clock = std::chrono::steady_clock;

enum class PlaneState { kDown, kStarting, kReady };

struct Plane {
  std::string name;  // control, dataplane: of the pid file and in the log
  std::filesystem::path program;

  PlaneState state = PlaneState::kDown;
  pid_t pid = -1;
  UniqueFd socket;  // ours; non-blocking
  Clock::time_point started{};
  Clock::time_point ready_at{};  // while kReady
  Clock::time_point last_heard{};
  bool was_ready = false;                       // at least once since the supervisor started
  std::optional<Clock::time_point> kill_at;     // SIGKILL then: it was told to end by other means
  std::optional<Clock::time_point> restart_at;  // while kDown
  bool leaves = false;                          // was told kLeave; is started again when it ends
  std::string reason;                           // why it cannot go on, as it has told
  // The configuration that it runs with, and is started with again. Null: the files, as they are.
  Snapshot::Pointer configuration;
  // The one that it was started with for a trial. It takes the place of the other once the plane is
  // ready; until then the other is kept.
  Snapshot::Pointer candidate;
  std::optional<Clock::time_point> ready_by;  // of a trial
  RestartBackoff backoff;

  [[nodiscard]] bool runs() const noexcept { return pid > 0; }
};

// Arguments and limits of a child, set at its start.
struct SpawnOptions {
  std::filesystem::path config_file;
  std::filesystem::path run_dir;
  std::optional<cpu_set_t> cpus;  // where it may run; empty: anywhere
  ChildWords words{};
};

// Starts the program with its end of a fresh socket; sets pid, socket, state and started. The child
// has its own process group (a terminal's Ctrl-C is ours alone), dies with this process, and has
// stderr as its stdout. Error: one line.
[[nodiscard]] std::expected<void, std::string> spawn(Plane& plane, const SpawnOptions& options,
                                                     Clock::time_point now);

// Messages to a plane, in order, as its socket has room. Descriptors belong to the caller and are
// looked up when the message leaves, so that one that was closed meanwhile is never sent.
class Outbox {
 public:
  using FindFd = std::function<int(const contract::SupervisorMessage&)>;  // -1: none to send
  explicit Outbox(FindFd find_fd) : find_fd_(std::move(find_fd)) {}

  void push(const contract::SupervisorMessage& message) { waiting_.push_back(message); }
  // Sends what fits. False: the socket is gone.
  [[nodiscard]] bool flush(int socket);
  [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }
  void clear() noexcept { waiting_.clear(); }
  [[nodiscard]] const std::deque<contract::SupervisorMessage>& waiting() const noexcept {
    return waiting_;
  }

 private:
  FindFd find_fd_;
  std::deque<contract::SupervisorMessage> waiting_;
};

// "exit status 1", "signal 9 (Killed)": from waitpid(2).
[[nodiscard]] std::string describe_wait_status(int status);

}  // namespace pns::supervisor
