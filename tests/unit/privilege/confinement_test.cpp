// SPDX-License-Identifier: BSD-3-Clause
//
// Each case confines a child process and looks at how it ends. Needs root.
#include "pns/privilege/confinement.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

using namespace pns::privilege;

namespace {

const Identity kNobodyIdentity{.user = "nobody"};

// Returns what waitpid(2) says of a child that runs `work`, whose result is its exit status.
template <class Work>
int status_of(Work work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(work());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

bool ended_with(int status, int exit_status) {
  return WIFEXITED(status) && WEXITSTATUS(status) == exit_status;
}

bool killed_by(int status, int signal) { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }

SyscallList minimal() {
  SyscallList list{.allowed = common_calls(), .failing = common_failing_calls()};
  list.failing.push_back({__NR_connect, EACCES});
  list.allowed.push_back({"the test", {{__NR_openat, {{2, O_ACCMODE, O_RDONLY}}}}});
  return list;
}

bool confine(const std::vector<unsigned>& kept = {}) {
  const pid_t parent = ::getppid();
  return begin_plane() && become(kNobodyIdentity, kept, parent) &&
         end(kNobodyIdentity, kept, minimal(), FilterMode::kKill);
}

std::string status_text(const std::string& task) {
  std::ostringstream text;
  text << std::ifstream("/proc/self/task/" + task + "/status").rdbuf();
  return text.str();
}

bool skipped() {
  if (::geteuid() == 0 && filter_mode() == FilterMode::kKill) return false;
  WARN("not root, or a build with sanitizers: nothing is tested");
  return true;
}

}  // namespace

TEST_CASE("confinement: a thread that ran before is confined as well", "[privilege]") {
  if (skipped()) return;
  const int status = status_of([] {
    std::atomic<bool> confined{false};
    std::atomic<pid_t> other{0};
    std::atomic<int> judged{-1};
    std::thread thread([&] {
      other = ::gettid();
      while (!confined) std::this_thread::yield();
      judged = ::getuid() == kNobody && ::prctl(PR_SET_NAME, "x") == 0 ? 0 : 1;
    });
    while (other == 0) std::this_thread::yield();
    if (!confine()) return 10;
    confined = true;
    thread.join();
    return judged.load();
  });
  CHECK(ended_with(status, 0));
}

TEST_CASE("confinement: a call outside the list kills, also from another thread", "[privilege]") {
  if (skipped()) return;
  const bool other_thread = GENERATE(false, true);
  const int status = status_of([&] {
    const auto attempt = [] { (void)::syscall(__NR_ptrace, 16, ::getppid(), 0, 0); };
    std::atomic<bool> confined{false};
    std::thread thread([&] {
      while (!confined) std::this_thread::yield();
      if (other_thread) attempt();
    });
    if (!confine()) return 10;
    confined = true;
    thread.join();
    attempt();
    return 0;
  });
  CHECK(killed_by(status, SIGSYS));
}

TEST_CASE("confinement: arguments count", "[privilege]") {
  if (skipped()) return;
  CHECK(ended_with(status_of([] {
                     if (!confine()) return 10;
                     const int fd = ::open("/etc/passwd", O_RDONLY);
                     return fd >= 0 ? 0 : 1;
                   }),
                   0));
  CHECK(killed_by(status_of([] {
                    if (!confine()) return 10;
                    return ::open("/tmp/pns-never", O_WRONLY | O_CREAT, 0600);
                  }),
                  SIGSYS));
  CHECK(killed_by(status_of([] {
                    if (!confine()) return 10;
                    return static_cast<int>(::fork());
                  }),
                  SIGSYS));
}

TEST_CASE("confinement: a call may fail in place of killing", "[privilege]") {
  if (skipped()) return;
  CHECK(ended_with(status_of([] {
                     if (!confine()) return 10;
                     return ::syscall(__NR_connect, 1, nullptr, 0) == -1 && errno == EACCES ? 0 : 1;
                   }),
                   0));
}

TEST_CASE("confinement: root's files are out of reach", "[privilege]") {
  if (skipped()) return;
  CHECK(ended_with(status_of([] {
                     if (!confine()) return 10;
                     return ::open("/etc/shadow", O_RDONLY) == -1 && errno == EACCES ? 0 : 1;
                   }),
                   0));
}

TEST_CASE("confinement: the calling thread keeps what is named, and nothing else", "[privilege]") {
  if (skipped()) return;
  CHECK(ended_with(status_of([] {
                     if (!confine({CAP_NET_ADMIN})) return 10;
                     const std::string status = status_text(std::to_string(::gettid()));
                     const bool kept =
                         status.find("CapEff:\t0000000000001000\n") != std::string::npos &&
                         status.find("CapPrm:\t0000000000001000\n") != std::string::npos &&
                         status.find("CapBnd:\t0000000000000000\n") != std::string::npos;
                     return kept ? 0 : 1;
                   }),
                   0));
}

TEST_CASE("confinement: a process that is not confined does not pass", "[privilege]") {
  if (skipped()) return;
  // Root, and filtered: the end finds it.
  CHECK(ended_with(status_of([] {
                     if (!begin_plane()) return 10;
                     const auto done = end(kNobodyIdentity, {}, minimal(), FilterMode::kKill);
                     return !done && done.error().find(" has Uid 0") != std::string::npos ? 0 : 1;
                   }),
                   0));
  // A capability more than is named.
  CHECK(ended_with(status_of([] {
                     const pid_t parent = ::getppid();
                     if (!begin_plane() || !become(kNobodyIdentity, {CAP_NET_ADMIN}, parent))
                       return 10;
                     const auto done = end(kNobodyIdentity, {}, minimal(), FilterMode::kKill);
                     return !done && done.error().find(" has CapPrm ") != std::string::npos ? 0 : 1;
                   }),
                   0));
  // Another user cannot become a third.
  CHECK(ended_with(status_of([] {
                     if (::setresuid(1234, 1234, 1234) != 0) return 10;
                     return become(kNobodyIdentity, {}, ::getppid()) ? 1 : 0;
                   }),
                   0));
}

TEST_CASE("confinement: the process ends with its parent", "[privilege]") {
  if (skipped()) return;
  CHECK(ended_with(status_of([] {
                     if (!begin_plane() || !become(kNobodyIdentity, {}, ::getppid())) return 10;
                     int signal = 0;
                     int dumpable = ::prctl(PR_GET_DUMPABLE);
                     return ::prctl(PR_GET_PDEATHSIG, &signal) == 0 && signal == SIGKILL &&
                                    dumpable == 0
                                ? 0
                                : 1;
                   }),
                   0));
  CHECK(ended_with(status_of([] {
                     if (!begin_plane()) return 10;
                     const auto done = become(kNobodyIdentity, {}, 1);  // not our parent
                     return done ? 1 : 0;
                   }),
                   0));
}

TEST_CASE("confinement: root without CAP_KILL signals a process of another user", "[privilege]") {
  if (skipped()) return;
  const int status = status_of([] {
    const pid_t victim = ::fork();
    if (victim == 0) {
      if (::setresuid(kNobody, kNobody, kNobody) != 0) ::_exit(1);
      for (;;) ::pause();
    }
    while (std::filesystem::exists("/proc/" + std::to_string(victim))) {  // until it has changed
      std::ostringstream text;
      text << std::ifstream("/proc/" + std::to_string(victim) + "/status").rdbuf();
      if (text.str().find("Uid:\t65534") != std::string::npos) break;
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    data[0].permitted = data[0].effective = 1U << CAP_SETUID;
    if (::syscall(SYS_capset, &header, data) != 0) return 10;
    if (::kill(victim, SIGTERM) == 0) return 11;
    if (!signal_process(victim, SIGKILL, kNobodyIdentity) || ::geteuid() != 0) return 12;
    int ended = 0;
    return ::waitpid(victim, &ended, 0) == victim && killed_by(ended, SIGKILL) ? 0 : 13;
  });
  CHECK(ended_with(status, 0));
}

TEST_CASE("confinement: root that cannot drop its privileges says so", "[privilege]") {
  if (skipped()) return;
  CHECK(drop_objection().empty());
  for (const unsigned missing : {CAP_CHOWN, CAP_SETGID, CAP_SETUID, CAP_SETPCAP})
    CHECK(ended_with(status_of([&] {
                       __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
                       __user_cap_data_struct data[2]{};
                       data[0].effective = data[0].permitted = ~(1U << missing);
                       __user_cap_data_struct now[2]{};
                       if (::syscall(SYS_capget, &header, now) != 0) return 10;
                       data[0].effective &= now[0].effective;
                       data[0].permitted &= now[0].permitted;
                       if (::syscall(SYS_capset, &header, data) != 0) return 11;
                       return drop_objection().empty() ? 1 : 0;
                     }),
                     0));
}

TEST_CASE("identity: a user that does not exist, or is root, is nobody", "[privilege]") {
  for (const char* user : {"pns-no-such-user", "root"}) {
    const Identity identity = find_identity(user);
    CHECK_FALSE(identity.exists);
    CHECK(identity.uid == 65534);
    CHECK(identity.gid == 65534);
  }
  const Identity daemon = find_identity("daemon");
  CHECK(daemon.exists);
  CHECK(daemon.uid == 1);
  CHECK(daemon.gid == 1);
}
