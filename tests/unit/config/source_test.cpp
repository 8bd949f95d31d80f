// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/source.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "pns/config/findings.hpp"

using namespace pns;
using namespace pns::config;

namespace {

// A copy, and its number in the environment.
int pass(const char* variable, const std::string& text) {
  const int fd = ::memfd_create("test", 0);
  REQUIRE(fd > STDERR_FILENO);
  REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  ::setenv(variable, std::to_string(fd).c_str(), 1);
  return fd;
}

const std::string kText = R"(
ports: {access: {device: "xdp:a"}, core: {device: "xdp:c"}}
pools: {default: {ranges: [10.64.0.2-10.64.0.9], gateway: 10.64.0.1}}
aaa: {local: {users_file: users.yaml}}
)";

}  // namespace

TEST_CASE("source: the copies that the environment names are read, and the names are gone",
          "[config]") {
  const int fd = pass(kConfigVariable, kText);
  pass(kUsersVariable, "alice: {password: x}\n");
  Source source = take_source("/nowhere/pns.yaml");
  CHECK(::getenv(kConfigVariable) == nullptr);
  CHECK(::getenv(kUsersVariable) == nullptr);
  REQUIRE(source.config.get() == fd);
  CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);

  // As often as wanted: each reader begins at the beginning.
  for (int i = 0; i < 2; ++i) {
    const auto config = load(source);
    REQUIRE(config);
    CHECK(config->aaa.local.users_file == "/nowhere/users.yaml");
  }
  const auto config = load(source);
  const auto users = open_users(source, *config);
  REQUIRE(users);
  const auto read = load_users(*config, users->get());
  REQUIRE(read);
  CHECK(read->size() == 1);
}

TEST_CASE("source: without copies, the files; a name that is no descriptor is none", "[config]") {
  for (const char* number : {"", "x", "-1", "0", "2", "1000000"}) {
    ::setenv(kConfigVariable, number, 1);
    Source source = take_source("/nowhere/pns.yaml");
    CHECK_FALSE(source.config);
    const auto config = load(source);
    REQUIRE_FALSE(config);
    CHECK(config.error().front().to_string() ==
          "/nowhere/pns.yaml: cannot open: No such file or directory");
  }
}

TEST_CASE("findings: what one process writes, another reads", "[config]") {
  Findings found;
  found.add(std::vector<ConfigError>{{"f.yaml", 3, "a.b", "wrong"}});
  found.add_host({"metrics.listen: taken"});
  found.warnings.emplace_back("doubtful");
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* const out = ::open_memstream(&text, &size);
  found.write(out);
  std::fclose(out);
  Findings read = Findings::parse("noise\n" + std::string(text, size) + "error: cut");
  std::free(text);
  CHECK(read.errors == std::vector<std::string>{"f.yaml:3: a.b: wrong",
                                                "this host: metrics.listen: taken", "cut"});
  CHECK(read.warnings == std::vector<std::string>{"doubtful"});
}
