// SPDX-License-Identifier: BSD-3-Clause
//
// Probe: one short run of another program, and what it printed. The supervisor asks an executable
// by it what it was built with, and whether a configuration is right, without waiting: the pipe and
// SIGCHLD tell when to look. The program dies with this process. Supervisor thread only.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "pns/base/unique_fd.hpp"
#include "pns/supervisor/child.hpp"

namespace pns::supervisor {

class Probe {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMostOutput = 16 * 1024;  // octets; what is beyond is thrown away

  enum class Output { kOnly, kWithErrors };  // stdout; stderr with it

  // Starts words[0] with the rest as arguments and no input. Unless it is asked for, stderr is
  // thrown away. `environment`: what the program finds in it of ours. Error: one line.
  [[nodiscard]] static std::expected<Probe, std::string> start(std::vector<std::string> words,
                                                               Clock::time_point deadline,
                                                               Output wanted = Output::kOnly,
                                                               const ChildWords& environment = {});
  Probe(Probe&& other) noexcept;
  Probe& operator=(Probe&& other) noexcept;
  ~Probe();  // kills it when it still runs

  [[nodiscard]] int fd() const noexcept { return pipe_.get(); }  // readable: call read()
  [[nodiscard]] Clock::time_point deadline() const noexcept { return deadline_; }
  void read();
  // Whether it has ended; waitpid(2)'s status then is status().
  [[nodiscard]] bool has_ended();
  // Blocks until it has ended. False: not before the deadline.
  [[nodiscard]] bool wait();
  [[nodiscard]] int status() const noexcept { return status_; }
  [[nodiscard]] const std::string& output() const noexcept { return output_; }

 private:
  Probe() noexcept = default;

  pid_t pid_ = -1;  // -1: none, or waited for
  UniqueFd pipe_;
  Clock::time_point deadline_{};
  int status_ = 0;
  std::string output_;
};

}  // namespace pns::supervisor
