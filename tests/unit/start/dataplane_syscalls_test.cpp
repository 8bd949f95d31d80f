// SPDX-License-Identifier: BSD-3-Clause
//
// The calls that drivers make while the dataplane serves, each in a child that has the filter.
#include "dataplane/start/confine.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <thread>

#include "pns/privilege/syscall_filter.hpp"

using namespace pns;

namespace {

// waitpid(2)'s word of a child that runs `work` under the filter.
template <class Work>
int status_of(Work work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        !privilege::install(dataplane::dataplane_syscalls(), privilege::FilterMode::kKill))
      ::_exit(100);
    ::_exit(work());
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

bool ended_well(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

bool skipped() {
  if (privilege::filter_mode() == privilege::FilterMode::kKill) return false;
  WARN("a build with sanitizers: nothing is tested");
  return true;
}

}  // namespace

TEST_CASE("dataplane syscalls: mlx5 asks for the name of its interface", "[privilege]") {
  if (skipped()) return;
  CHECK(ended_well(status_of([] {
    std::array<char, IF_NAMESIZE> name{};
    return ::if_indextoname(1, name.data()) != nullptr ? 0 : 1;
  })));
}

TEST_CASE("dataplane syscalls: ixgbe makes a thread, names it and places it", "[privilege]") {
  if (skipped()) return;
  CHECK(ended_well(status_of([] {
    std::atomic<bool> named{false};
    std::thread thread([&] {
      while (!named) std::this_thread::yield();
      cpu_set_t cpus;
      (void)::sched_getaffinity(0, sizeof(cpus), &cpus);
      (void)::sched_setaffinity(0, sizeof(cpus), &cpus);
    });
    const int error = ::pthread_setname_np(thread.native_handle(), "link");
    named = true;
    thread.join();
    return error == 0 || error == EACCES ? 0 : 1;
  })));
}

TEST_CASE("dataplane syscalls: no file is opened for writing", "[privilege]") {
  if (skipped()) return;
  CHECK(ended_well(
      status_of([] { return ::open("/dev/null", O_RDWR) == -1 && errno == EACCES ? 0 : 1; })));
  const int status = status_of([] { return ::open("/dev/null", O_WRONLY); });
  CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS));
}
