// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <string_view>

#include "pns/supervisor/preflight.hpp"

namespace pns::supervisor {

bool begin_child(pid_t parent) noexcept {
  ::setpgid(0, 0);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) return false;
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGHUP, SIG_DFL);
  return true;
}

ChildEnvironment::ChildEnvironment(const ChildWords& ours) {
  const auto is_ours = [](std::string_view word) {
    for (const std::string_view name : {config::kConfigVariable, config::kUsersVariable,
                                        kCheckRunDirVariable, kCheckProcessVariable})
      if (word.starts_with(name) && word.substr(name.size()).starts_with('=')) return true;
    return false;
  };
  for (char* const* word = environ; *word != nullptr; ++word)
    if (!is_ours(*word)) words_.emplace_back(*word);
  const auto add = [this](const char* name, const std::string& value) {
    words_.push_back(fmt::format("{}={}", name, value));
  };
  if (ours.source != nullptr) {
    descriptors_ = {ours.source->config.get(), ours.with_users ? ours.source->users.get() : -1};
    if (descriptors_[0] >= 0) add(config::kConfigVariable, std::to_string(descriptors_[0]));
    if (descriptors_[1] >= 0) add(config::kUsersVariable, std::to_string(descriptors_[1]));
  }
  if (!ours.run_dir.empty()) add(kCheckRunDirVariable, ours.run_dir);
  if (!ours.process.empty()) add(kCheckProcessVariable, ours.process);
  for (std::string& word : words_) pointers_.push_back(word.data());
  pointers_.push_back(nullptr);
}

void ChildEnvironment::keep_descriptors() const noexcept {
  for (const int fd : descriptors_)
    if (fd >= 0) ::fcntl(fd, F_SETFD, 0);
}

}  // namespace pns::supervisor
