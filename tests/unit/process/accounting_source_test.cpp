// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/accounting_source.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <string>

#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::control;

namespace {

const privilege::Identity kNobody{.user = "nobody", .uid = 65534, .gid = 65534, .exists = true};

config::RadiusAccounting config_at(const std::filesystem::path& directory) {
  config::RadiusAccounting config;
  config.spool_directory = directory;
  config.spool_megabytes = 8;
  return config;
}

uid_t owner_of(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status.st_uid;
}

// The result of `work` in a process of its own; 99: it has thrown.
int in_child(const std::function<int()>& work) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    try {
      ::_exit(work());
    } catch (...) {
      ::_exit(99);
    }
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

// As under systemd, where root may not enter the directories of others.
bool forget_other_owners() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return false;
  for (const unsigned one : {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH}) {
    data[0].effective &= ~(1U << one);
    data[0].permitted &= ~(1U << one);
  }
  return ::syscall(SYS_capset, &header, data.data()) == 0;
}

bool may_change_owners() { return ::geteuid() == 0; }

}  // namespace

TEST_CASE("accounting source: root makes the spool for control, which opens it as itself",
          "[accounting]") {
  if (!may_change_owners()) return;
  test::ScratchDirectory scratch;  // 0700: nobody may not pass through it
  const auto config = config_at(scratch.path / "spool");
  for (int run = 0; run < 2; ++run) {
    const SpoolDirectory found = find_spool_directory(config, kNobody);
    CHECK(owner_of(config.spool_directory) == kNobody.uid);
    CHECK(in_child([&] {
            if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0)
              return 1;
            auto store = open_spool(found, config);
            return store.record_count() == 0 ? 0 : 2;
          }) == 0);
    CHECK(owner_of(config.spool_directory / "data.mdb") == kNobody.uid);
  }
}

TEST_CASE("accounting source: control makes the spool where root may not enter", "[accounting]") {
  if (!may_change_owners()) return;
  test::ScratchDirectory scratch;
  std::filesystem::permissions(scratch.path, std::filesystem::perms(0711));
  const auto home = scratch.path / "home";
  std::filesystem::create_directory(home);
  std::filesystem::permissions(home, std::filesystem::perms(0700));
  REQUIRE(::chown(home.c_str(), kNobody.uid, kNobody.gid) == 0);
  const auto config = config_at(home / "spool");
  for (int run = 0; run < 2; ++run)
    CHECK(in_child([&] {
            if (!forget_other_owners()) return 1;
            check_spool_directory(config);
            const SpoolDirectory found = find_spool_directory(config, kNobody);
            if (found.itself) return 2;
            if (::setresgid(65534, 65534, 65534) != 0 || ::setresuid(65534, 65534, 65534) != 0)
              return 3;
            return open_spool(found, config).record_count() == 0 ? 0 : 4;
          }) == 0);
  CHECK(owner_of(config.spool_directory) == kNobody.uid);
}

TEST_CASE("accounting source: a place that cannot be the spool is named", "[accounting]") {
  test::ScratchDirectory scratch;
  const auto reason = [](const config::RadiusAccounting& config) -> std::string {
    try {
      check_spool_directory(config);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  };
  CHECK(reason(config_at(scratch.path / "spool")).empty());
  CHECK_FALSE(std::filesystem::exists(scratch.path / "spool"));
  CHECK(reason(config_at(scratch.path / "no" / "spool")).find("spool_directory") !=
        std::string::npos);
  CHECK_THROWS(find_spool_directory(config_at(scratch.path / "no" / "spool"), kNobody));
  const auto file = scratch.path / "file";
  REQUIRE(::close(::creat(file.c_str(), 0600)) == 0);
  CHECK(reason(config_at(file)).find("is no directory") != std::string::npos);
  CHECK_THROWS(find_spool_directory(config_at(file), kNobody));
  if (!may_change_owners()) return;
  const auto foreign = scratch.path / "foreign";
  std::filesystem::create_directory(foreign);
  REQUIRE(::chown(foreign.c_str(), 12345, 12345) == 0);
  CHECK_THROWS_WITH(find_spool_directory(config_at(foreign), kNobody),
                    Catch::Contains("belongs to uid 12345"));
}
