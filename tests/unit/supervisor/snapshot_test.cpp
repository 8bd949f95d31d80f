// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/snapshot.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::supervisor;

namespace {

class Files {
 public:
  Files() {
    write_users("alice: {password: s3cret}\n");
    std::ofstream(config()) << "ports: {access: {device: 'xdp:a'}, core: {device: 'xdp:c'}}\n"
                            << "pools: {default: {ranges: [10.64.0.2], gateway: 10.64.0.1}}\n"
                            << "aaa: {local: {users_file: users.yaml}}\n";
  }
  [[nodiscard]] std::filesystem::path config() const { return directory_ / "pns.yaml"; }
  [[nodiscard]] std::filesystem::path users() const { return directory_ / "users.yaml"; }
  void write_users(const std::string& text) const { std::ofstream(users()) << text; }

 private:
  test::ScratchDirectory scratch_;
  std::filesystem::path directory_ = scratch_.path;
};

std::string text_of(int fd) {
  std::string text(4096, '\0');
  const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return text;
}

}  // namespace

TEST_CASE("snapshot: an edit of the files does not reach it", "[supervisor]") {
  const Files files;
  const auto taken = Snapshot::take(files.config(), true);
  REQUIRE(taken);
  const Snapshot& snapshot = **taken;
  CHECK(snapshot.is_current());
  files.write_users("alice: {password: another one}\n");
  CHECK_FALSE(snapshot.is_current());
  CHECK(text_of(snapshot.source().users.get()) == "alice: {password: s3cret}\n");
  CHECK(config::load(snapshot.source()));
  // A child could write to nothing that it gets.
  CHECK(::write(snapshot.source().users.get(), "x", 1) < 0);
  CHECK(::write(snapshot.source().config.get(), "x", 1) < 0);
}

TEST_CASE("snapshot: the users are overwritten in the end", "[supervisor]") {
  const Files files;
  UniqueFd kept;
  {
    const auto taken = Snapshot::take(files.config(), true);
    REQUIRE(taken);
    kept.reset(::fcntl((*taken)->source().users.get(), F_DUPFD_CLOEXEC, 0));
    REQUIRE(text_of(kept.get()).find("s3cret") != std::string::npos);
  }
  CHECK(text_of(kept.get()).find_first_not_of('\0') == std::string::npos);
}

TEST_CASE("snapshot: another supervisor takes it", "[supervisor]") {
  const Files files;
  const auto taken = Snapshot::take(files.config(), true);
  REQUIRE(taken);
  const auto [config, users] = (*taken)->descriptors();
  const auto adopted =
      Snapshot::adopt(files.config(), UniqueFd(::fcntl(config, F_DUPFD_CLOEXEC, 0)),
                      UniqueFd(::fcntl(users, F_DUPFD_CLOEXEC, 0)));
  REQUIRE(adopted);
  CHECK(text_of(adopted->source().users.get()) == "alice: {password: s3cret}\n");
  CHECK(adopted->is_current());
  CHECK(Snapshot::adopt(files.config(), UniqueFd(), UniqueFd()) == nullptr);
}

TEST_CASE("snapshot: one without users is the configuration alone", "[supervisor]") {
  const Files files;
  const auto taken = Snapshot::take(files.config(), true);
  REQUIRE(taken);
  const auto alone = (*taken)->without_users();
  REQUIRE(alone);
  CHECK_FALSE(alone->source().users);
  CHECK(text_of(alone->source().config.get()) == text_of((*taken)->source().config.get()));
  files.write_users("");
  CHECK(alone->is_current());
  CHECK_FALSE((*taken)->is_current());
  const auto never = Snapshot::take(files.config(), false);
  REQUIRE(never);
  CHECK_FALSE((*never)->source().users);
}

TEST_CASE("snapshot: files that cannot be copied", "[supervisor]") {
  const Files files;
  std::filesystem::remove(files.users());
  const auto without = Snapshot::take(files.config(), true);
  REQUIRE(without);
  CHECK_FALSE((*without)->source().users);  // control says that it is not there
  const auto none = Snapshot::take("/nowhere/pns.yaml", true);
  REQUIRE_FALSE(none);
  CHECK(none.error().to_string() == "/nowhere/pns.yaml: cannot open: No such file or directory");
  const auto directory = Snapshot::take(files.config().parent_path(), true);
  REQUIRE_FALSE(directory);
  CHECK_THAT(directory.error().to_string(), Catch::EndsWith("is no regular file"));
}
