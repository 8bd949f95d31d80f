// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/password_changes.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <iterator>
#include <mutex>

#include "controlplane/aaa/password_saver.hpp"
#include "pns/crypto/mschap.hpp"
#include "pns/privilege/confinement.hpp"
#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::aaa;

namespace {

struct Directory : test::ScratchDirectory {
  [[nodiscard]] std::filesystem::path file() const { return path / "changes"; }
  [[nodiscard]] std::string text() const {
    std::ifstream in(file());
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& content, mode_t mode = 0600) const {
    std::ofstream(file()) << content;
    REQUIRE(::chmod(file().c_str(), mode) == 0);
  }
};

Secret<16> hash_of(std::string_view password) { return crypto::nt_password_hash(password).value(); }

std::vector<LocalUser> users(std::string_view password = "old") {
  std::vector<LocalUser> out(2);
  out[0].name = "alice";
  out[0].nt_hash = hash_of(password);
  out[0].password = SecretText(password);
  out[0].password_expired = true;
  out[1].name = "odd 100% name\n";
  out[1].nt_hash = hash_of("other");
  return out;
}

}  // namespace

TEST_CASE("password changes: what was kept is found after a restart", "[aaa][rfc2759-7]") {
  const Directory directory;
  {
    auto changes = PasswordChanges::open(directory.file());
    REQUIRE(changes);
    auto accounts = users();
    changes->apply(accounts);
    CHECK(accounts[0].nt_hash == hash_of("old"));
    CHECK(accounts[0].password_expired);
    REQUIRE(changes->save("alice", hash_of("new")));
    REQUIRE(changes->save("odd 100% name\n", hash_of("newer")));
    CHECK_FALSE(changes->save("nobody", hash_of("x")));
  }
  struct stat status {};
  REQUIRE(::stat(directory.file().c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  CHECK_FALSE(std::filesystem::exists(directory.file().string() + ".new"));
  CHECK(directory.text().find("old") == std::string::npos);

  auto changes = PasswordChanges::open(directory.file());
  REQUIRE(changes);
  CHECK(changes->size() == 2);
  auto accounts = users();
  changes->apply(accounts);
  CHECK(accounts[0].nt_hash == hash_of("new"));
  CHECK(accounts[0].password.empty());
  CHECK_FALSE(accounts[0].password_expired);
  CHECK(accounts[1].nt_hash == hash_of("newer"));
  // A second change of the same account still refers to users.yaml.
  REQUIRE(changes->save("alice", hash_of("newest")));
  auto again = PasswordChanges::open(directory.file());
  accounts = users();
  again->apply(accounts);
  CHECK(accounts[0].nt_hash == hash_of("newest"));
}

TEST_CASE("password changes: a new password in users.yaml has the last word", "[aaa]") {
  const Directory directory;
  auto changes = PasswordChanges::open(directory.file());
  auto accounts = users();
  changes->apply(accounts);
  REQUIRE(changes->save("alice", hash_of("new")));
  changes = PasswordChanges::open(directory.file());
  accounts = users("written by the operator");
  changes->apply(accounts);
  CHECK(accounts[0].nt_hash == hash_of("written by the operator"));
  CHECK(accounts[0].password_expired);
  CHECK(changes->size() == 0);
}

TEST_CASE("password changes: a file that cannot be trusted is refused", "[aaa]") {
  const Directory directory;
  const auto error = [&] {
    const auto changes = PasswordChanges::open(directory.file());
    return changes ? std::string("none") : changes.error();
  };
  CHECK(error() == "none");
  SECTION("others may read it") {
    directory.write("", 0640);
    CHECK_THAT(error(), Catch::Contains("chmod 600"));
  }
  SECTION("it is a link") {
    std::filesystem::create_symlink("/etc/passwd", directory.file());
    CHECK(error() != "none");
  }
  SECTION("others may write to its directory") {
    REQUIRE(::chmod(directory.path.c_str(), 0777) == 0);
    CHECK_THAT(error(), Catch::Contains("directory"));
  }
  SECTION("there is no directory") {
    std::filesystem::remove_all(directory.path);
    CHECK_THAT(error(), Catch::Contains("directory"));
  }
  SECTION("it is damaged") {
    const std::string good = "8846f7eaee8fb117ad06bdd830b7586c 0123456789abcdef alice\n";
    directory.write("# comment\n\n" + good);
    CHECK(error() == "none");
    for (std::size_t length = 1; length <= 50; ++length) {
      directory.write("# comment\n" + good.substr(0, length) + "\n");
      CHECK(error() == "line 2 is damaged");
    }
    directory.write(good.substr(0, 50) + "%4\n");
    CHECK(error() == "line 1 is damaged");
    directory.write("x" + good);
    CHECK(error() == "line 1 is damaged");
  }
}

TEST_CASE("password changes: one that cannot be written changes nothing", "[aaa]") {
  const Directory directory;
  auto changes = PasswordChanges::open(directory.file());
  auto accounts = users();
  changes->apply(accounts);
  REQUIRE(changes->save("alice", hash_of("new")));
  const std::string before = directory.text();
  // A directory in the way of the temporary file: neither unlink nor create can succeed.
  REQUIRE(std::filesystem::create_directory(directory.file().string() + ".new"));
  CHECK_FALSE(changes->save("alice", hash_of("newer")));
  CHECK(directory.text() == before);
  std::filesystem::remove(directory.file().string() + ".new");
  CHECK(changes->save("alice", hash_of("newer")));
}

// pns-control finds the directory as root. It reads and writes the file as another user.
TEST_CASE("password changes: a process without privileges still writes them", "[aaa]") {
  if (::geteuid() != 0) return;
  const privilege::Identity nobody{.user = "nobody"};
  const Directory outer;
  const auto path = outer.path / "changes.d";  // below a directory that nobody else may enter
  REQUIRE(std::filesystem::create_directory(path));
  REQUIRE(::chmod(path.c_str(), 0700) == 0);
  const auto in_child = [&](auto work) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const auto directory = PasswordChanges::find_directory(path / "changes");
      if (!directory || !privilege::become(nobody, {}, ::getppid())) ::_exit(99);
      ::_exit(work(PasswordChanges::open(*directory, "changes")));
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  };
  const auto change = [](auto changes) {
    if (!changes)
      return changes.error().find(
                 "must belong to the user of pns-control (uid 65534; "
                 "it belongs to uid 0)") == 14
                 ? 7
                 : 8;
    auto accounts = users();
    changes->apply(accounts);
    return changes->save("alice", hash_of("new")) ? 0 : 1;
  };
  CHECK(in_child(change) == 7);
  REQUIRE(::chown(path.c_str(), nobody.uid, nobody.gid) == 0);
  CHECK(in_child(change) == 0);
  CHECK(in_child([](auto changes) { return changes ? static_cast<int>(changes->size()) : 9; }) ==
        1);
}

TEST_CASE("password saver: answers on the loop once the change is on disk", "[aaa][rfc2759-7]") {
  const Directory directory;
  auto changes = PasswordChanges::open(directory.file());
  auto accounts = users();
  changes->apply(accounts);
  std::mutex mutex;
  std::condition_variable posted;
  std::deque<std::move_only_function<void()>> loop;
  const auto run_one = [&] {
    std::unique_lock lock(mutex);
    REQUIRE(posted.wait_for(lock, std::chrono::seconds(10), [&] { return !loop.empty(); }));
    auto work = std::move(loop.front());
    loop.pop_front();
    lock.unlock();
    work();
  };
  PasswordSaver saver(std::move(*changes), [&](std::move_only_function<void()> work) {
    const std::scoped_lock lock(mutex);
    loop.push_back(std::move(work));
    posted.notify_one();
  });
  std::vector<int> errors;
  saver.save("alice", hash_of("new"), [&](int error) {
    CHECK(PasswordChanges::open(directory.file())->size() == 1);
    errors.push_back(error);
  });
  CHECK(errors.empty());
  run_one();
  CHECK(errors == std::vector<int>{0});

  // A directory in the way of the temporary file.
  REQUIRE(std::filesystem::create_directory(directory.file().string() + ".new"));
  saver.save("alice", hash_of("newer"), [&](int error) { errors.push_back(error); });
  run_one();
  REQUIRE(errors.size() == 2);
  CHECK(errors[1] != 0);
}
