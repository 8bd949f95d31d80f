// SPDX-License-Identifier: BSD-3-Clause
#include "pns/privilege/run_places.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/scratch_directory.hpp"

using namespace pns::privilege;

namespace {

const Identity kControl{.user = "pns", .uid = 4321, .gid = 4322};

struct Scratch : pns::test::ScratchDirectory {
  [[nodiscard]] struct stat status(const char* name) const {
    struct stat out {};
    REQUIRE(::lstat((path / name).c_str(), &out) == 0);
    return out;
  }
};

}  // namespace

TEST_CASE("run places: the directory is root's and the store is control's", "[privilege]") {
  if (::geteuid() != 0) return;
  const Scratch scratch;
  for (int again = 0; again < 2; ++again) {
    REQUIRE(give_run_places(scratch.path, kControl));
    const struct stat directory = scratch.status(".");
    CHECK((directory.st_mode & 07777) == 0710);
    CHECK(directory.st_uid == 0);
    CHECK(directory.st_gid == kControl.gid);
    const struct stat store = scratch.status("store");
    CHECK((store.st_mode & 07777) == 0700);
    CHECK(store.st_uid == kControl.uid);
    CHECK(store.st_gid == kControl.gid);
  }
}

TEST_CASE("run places: a store of root is given away with its files, and no other", "[privilege]") {
  if (::geteuid() != 0) return;
  const Scratch scratch;
  const auto store = scratch.path / "store";
  REQUIRE(std::filesystem::create_directory(store));
  std::ofstream(store / "data.mdb") << "calls";
  std::filesystem::create_symlink("/etc/passwd", store / "lock.mdb");
  REQUIRE(give_run_places(scratch.path, kControl));
  CHECK(scratch.status("store/data.mdb").st_uid == kControl.uid);
  struct stat passwd {};
  REQUIRE(::stat("/etc/passwd", &passwd) == 0);
  CHECK(passwd.st_uid == 0);

  // From now on it is control's: what lies in it is not looked at.
  std::ofstream(store / "lock.mdb.new") << "x";
  REQUIRE(give_run_places(scratch.path, kControl));
  CHECK(scratch.status("store/lock.mdb.new").st_uid == 0);
}

TEST_CASE("run places: a store of somebody else, or none, is refused", "[privilege]") {
  if (::geteuid() != 0) return;
  const Scratch scratch;
  SECTION("another user's") {
    REQUIRE(std::filesystem::create_directory(scratch.path / "store"));
    REQUIRE(::chown((scratch.path / "store").c_str(), 7, 7) == 0);
    const auto given = give_run_places(scratch.path, kControl);
    REQUIRE_FALSE(given);
    CHECK_THAT(given.error(), Catch::Contains("belongs to uid 7, not to pns (4321): remove it"));
  }
  SECTION("a link") {
    std::filesystem::create_directory_symlink("/etc", scratch.path / "store");
    CHECK_FALSE(give_run_places(scratch.path, kControl));
    struct stat etc {};
    REQUIRE(::stat("/etc", &etc) == 0);
    CHECK(etc.st_uid == 0);
  }
}

TEST_CASE("run places: a socket is its owner's alone", "[privilege]") {
  if (::geteuid() != 0) return;
  const Scratch scratch;
  for (int again = 0; again < 2; ++again) {  // also over what a killed process left
    const auto socket = bind_socket_for(scratch.path / "s", SOCK_SEQPACKET, kControl);
    REQUIRE(socket);
    const struct stat status = scratch.status("s");
    CHECK(S_ISSOCK(status.st_mode));
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(status.st_uid == kControl.uid);
  }
  CHECK_FALSE(bind_socket_for(scratch.path / "no" / "s", SOCK_SEQPACKET, kControl));
  CHECK_FALSE(bind_socket_for(scratch.path / std::string(200, 'x'), SOCK_SEQPACKET, kControl));
}
