// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/start_check.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "controlplane/process/users_loader.hpp"
#include "pns/netlink/tcp_address.hpp"
#include "tests/support/scratch_directory.hpp"

using namespace pns;
using namespace pns::control;
using contract::CheckMode;

namespace {

class Files {
 public:
  explicit Files(const std::string& users, const std::string& more = "") {
    std::ofstream(directory_ / "users.yaml") << users;
    std::ofstream(directory_ / "pns.yaml")
        << "ports: {access: {device: 'xdp:a'}, core: {device: 'xdp:c'}}\n"
        << "pools: {default: {ranges: [10.64.0.2], gateway: 10.64.0.1}}\n"
        << "aaa: {local: {users_file: users.yaml}}\n"
        << more;
  }
  [[nodiscard]] config::Findings check() const {
    return check_start(config::take_source(directory_ / "pns.yaml"), directory_ / "run",
                       CheckMode::kConfiguration);
  }
  [[nodiscard]] const std::filesystem::path& directory() const { return directory_; }

 private:
  test::ScratchDirectory scratch_;
  std::filesystem::path directory_ = scratch_.path;
};

}  // namespace

TEST_CASE("control check: every mistake of the users file, with its line", "[control]") {
  const Files files("alice: {password: \"p\xe4ss\"}\nbob: {password: \"\xe9t\xe9\"}\n");
  const auto found = files.check();
  REQUIRE(found.errors.size() == 2);
  const std::string users = (files.directory() / "users.yaml").string();
  CHECK_THAT(found.errors[0], Catch::StartsWith(users + ":1: alice.password: is not UTF-8"));
  CHECK_THAT(found.errors[1], Catch::StartsWith(users + ":2: bob.password: is not UTF-8"));
}

TEST_CASE("control check: what the loader of the start refuses, the check refuses", "[control]") {
  const Files files("alice: {password: x, pool: none}\n");
  const auto found = files.check();
  REQUIRE(found.errors.size() == 1);
  const auto config = config::load(files.directory() / "pns.yaml");
  REQUIRE(config);
  auto source = config::take_source(files.directory() / "pns.yaml");
  const auto users = config::open_users(source, *config);
  REQUIRE(users);
  const auto read = read_users(*config, *users);
  REQUIRE_FALSE(read);
  CHECK(read.error() == found.errors);
}

TEST_CASE("control check: a users file that is not there, or that others may read", "[control]") {
  const Files files("alice: {password: x}\n");
  CHECK(files.check().errors.empty());
  std::filesystem::permissions(files.directory() / "users.yaml",
                               std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  CHECK_THAT(files.check().warnings.at(0), Catch::Contains("others may read it"));
  std::filesystem::remove(files.directory() / "users.yaml");
  CHECK_THAT(files.check().errors.at(0),
             Catch::EndsWith("users.yaml: cannot open: No such file or directory"));
}

TEST_CASE("control check: an address of metrics that is taken, is nobody's, or is our own",
          "[control]") {
  constexpr Ipv4Address kLoopback(0x7f000001);
  auto bound = netlink::bind_tcp(kLoopback, 0, false);  // a port that no other test has
  REQUIRE(bound);
  sockaddr_in name{};
  socklen_t length = sizeof(name);
  REQUIRE(::getsockname(bound->get(), reinterpret_cast<sockaddr*>(&name), &length) == 0);
  const std::uint16_t port = ntohs(name.sin_port);
  CHECK(metrics_objection({kLoopback, port}, std::nullopt).empty());
  REQUIRE(::listen(bound->get(), 1) == 0);
  CHECK_THAT(metrics_objection({kLoopback, port}, std::nullopt),
             Catch::Contains("Address already in use (another program listens there"));
  CHECK_THAT(metrics_objection({kLoopback, port}, ::geteuid() + 1), Catch::Contains("in use"));
  CHECK(metrics_objection({kLoopback, port}, ::geteuid()).empty());
  CHECK_THAT(metrics_objection({Ipv4Address(0xc0000201), port}, std::nullopt),
             Catch::Contains("(no interface has the address)"));
}
