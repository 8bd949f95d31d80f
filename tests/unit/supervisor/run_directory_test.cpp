// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/run_directory.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::supervisor;

using Scratch = test::ScratchDirectory;

TEST_CASE("run directory: is made with its parents, private, and locked", "[supervisor]") {
  const Scratch scratch;
  const auto path = scratch.path / "a/b";
  const auto first = RunDirectory::open(path);
  REQUIRE(first);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  const auto second = RunDirectory::open(path);
  REQUIRE_FALSE(second);
  CHECK_THAT(second.error(),
             Catch::Contains("another pns runs here (process " + std::to_string(::getpid()) + ")"));
}

TEST_CASE("run directory: the lock goes with its owner", "[supervisor]") {
  const Scratch scratch;
  { REQUIRE(RunDirectory::open(scratch.path)); }
  CHECK(RunDirectory::open(scratch.path));
}

TEST_CASE("run directory: a file or a link in its place is refused", "[supervisor]") {
  const Scratch scratch;
  std::ofstream(scratch.path / "file") << "x";
  CHECK_FALSE(RunDirectory::open(scratch.path / "file"));
  std::filesystem::create_directory(scratch.path / "real");
  std::filesystem::create_directory_symlink(scratch.path / "real", scratch.path / "link");
  CHECK_FALSE(RunDirectory::open(scratch.path / "link"));
}

TEST_CASE("run directory: pid files are replaced, sockets removed, other files kept",
          "[supervisor]") {
  const Scratch scratch;
  const auto directory = RunDirectory::open(scratch.path);
  REQUIRE(directory);
  REQUIRE(directory->write_pid("control", 12));
  REQUIRE(directory->write_pid("control", 345));
  std::string text;
  std::getline(std::ifstream(scratch.path / "control.pid"), text);
  CHECK(text == "345");

  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (scratch.path / "control.sock").string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  std::ofstream(scratch.path / "store.mdb") << "x";
  directory->remove_sockets();
  directory->remove_pid("control");
  CHECK_FALSE(std::filesystem::exists(scratch.path / "control.sock"));
  CHECK_FALSE(std::filesystem::exists(scratch.path / "control.pid"));
  CHECK(std::filesystem::exists(scratch.path / "store.mdb"));
}
