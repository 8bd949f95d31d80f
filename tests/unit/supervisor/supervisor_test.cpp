// SPDX-License-Identifier: BSD-3-Clause
//
// `pns run` as a process, with fake planes (fake_plane.cpp). Uses loopback addresses derived from
// the process id, so that several runs can live on one host.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "pns/base/unique_fd.hpp"
#include "tests/support/scratch_directory.hpp"

using namespace std::chrono_literals;
using pns::UniqueFd;

namespace {

constexpr auto kPatience = 10s;

// Asks again and again until it holds. False: not in time.
template <class Condition>
bool wait_until(Condition condition, std::chrono::milliseconds limit = kPatience) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::usleep(2000);
  }
  return true;
}

std::string contents_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

std::string loopback_address() {
  const int pid = ::getpid();
  return "127." + std::to_string(64 + pid % 64) + "." + std::to_string(pid / 64 % 250) + ".1";
}

// A scratch directory with a configuration, and the `pns run` processes started from it.
class Lab {
 public:
  Lab() {
    std::ofstream(directory_ / "users.yaml") << "alice: {password: x}\n";
    std::ofstream(directory_ / "pns.yaml")
        << "ports:\n  access: {device: 'xdp:lo'}\n"
        << "  core: {device: 'xdp:none', services: {enabled: false}}\n"
        << "pptp: {listen: [" << loopback_address() << "]}\n"
        << "pools: {default: {ranges: [10.64.0.2-10.64.0.9], gateway: 10.64.0.1}}\n"
        << "aaa: {local: {users_file: users.yaml}}\n"
        << "dataplane: {max_sessions: 16, memory: {hugepages: off}}\n";
    std::filesystem::create_directory(run_dir());
  }
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;
  ~Lab() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }

  [[nodiscard]] std::filesystem::path run_dir() const { return directory_ / "run"; }
  [[nodiscard]] std::string log() const { return contents_of(directory_ / "log"); }
  [[nodiscard]] std::string out() const { return contents_of(directory_ / "out"); }
  [[nodiscard]] pid_t pid() const { return pid_; }

  // How a fake plane behaves; see fake_plane.cpp.
  void behave(const std::string& plane, const std::string& mode) const {
    std::ofstream(run_dir() / ("fake-" + plane)) << mode;
  }

  // A copy of the programs for this lab alone, so that others can be put into their place.
  [[nodiscard]] std::filesystem::path own_programs() {
    const auto own = directory_ / "bin";
    if (programs_ == own) return own;
    std::filesystem::create_directory(own);
    for (const char* name : {"pns", "pns-control", "pns-dataplane"})
      std::filesystem::copy_file(programs_ / name, own / name);
    return programs_ = own;
  }
  // Puts a shell script into the place of a program.
  void replace(const std::string& name, const std::string& script) {
    const auto draft = directory_ / "draft";
    std::ofstream(draft) << "#!/bin/sh\n" << script << "\n";
    std::filesystem::permissions(draft, std::filesystem::perms::owner_all);
    std::filesystem::rename(draft, own_programs() / name);
  }
  // The answer of a fake plane to --check.
  void object(const std::string& plane, const std::string& said) const {
    std::ofstream(run_dir() / ("fake-" + plane + "-check")) << said;
  }
  // node.name, by which fake planes tell configurations apart.
  void name_node(const std::string& name) const {
    std::string text = contents_of(config_file());
    if (const auto at = text.find("node:"); at != std::string::npos) text.resize(at);
    std::ofstream(config_file()) << text << "node: {name: " << name << "}\n";
  }
  [[nodiscard]] std::filesystem::path config_file() const { return directory_ / "pns.yaml"; }

  // Starts `pns run`. Its stdout and stderr go to files.
  pid_t start(const std::string& suffix = "") {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string out = (directory_ / ("out" + suffix)).string();
    const std::string log = (directory_ / ("log" + suffix)).string();
    posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    std::string program = (programs_ / "pns").string();
    std::string run = "run";
    std::string config_option = "--config";
    std::string config = (directory_ / "pns.yaml").string();
    std::string run_dir_option = "--run-dir";
    std::string run_directory = run_dir().string();
    char* arguments[] = {program.data(),
                         run.data(),
                         config_option.data(),
                         config.data(),
                         run_dir_option.data(),
                         run_directory.data(),
                         nullptr};
    pid_t pid = -1;
    REQUIRE(::posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    if (suffix.empty()) pid_ = pid;
    return pid;
  }

  void start_and_wait() {
    start();
    const bool ready = wait_until([&] { return out() == "ready\n"; });
    INFO(log());
    REQUIRE(ready);
  }

  // The exit status of a `pns run`, when it ends in time.
  std::optional<int> wait_exit(pid_t pid, std::chrono::milliseconds limit = kPatience) {
    int status = 0;
    if (!wait_until([&] { return ::waitpid(pid, &status, WNOHANG) == pid; }, limit))
      return std::nullopt;
    if (pid == pid_) pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  // Pid of a plane from its pid file; 0 when there is none.
  [[nodiscard]] pid_t plane(const std::string& name) const {
    const std::string text = contents_of(run_dir() / (name + ".pid"));
    return text.empty() ? 0 : std::stoi(text);
  }

 private:
  pns::test::ScratchDirectory scratch_;
  std::filesystem::path directory_ = scratch_.path;
  std::filesystem::path programs_ = PNS_FAKES;
  pid_t pid_ = -1;
};

class Client {
 public:
  Client() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(1723);
    REQUIRE(::inet_pton(AF_INET, loopback_address().c_str(), &address.sin_addr) == 1);
    REQUIRE(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  }
  // Sends a word; returns the answer, empty when none comes or the connection is closed.
  std::string ask(const std::string& word) {
    REQUIRE(::send(fd_.get(), word.data(), word.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(word.size()));
    pollfd wait{fd_.get(), POLLIN, 0};
    if (::poll(&wait, 1, 10'000) != 1) return {};
    char text[1024];
    const ssize_t got = ::recv(fd_.get(), text, sizeof(text), 0);
    return got <= 0 ? std::string() : std::string(text, static_cast<std::size_t>(got));
  }

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }

 private:
  UniqueFd fd_;
};

}  // namespace

TEST_CASE("supervisor: prints ready once, and nothing else, on stdout", "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  CHECK(lab.plane("control") > 0);
  CHECK(lab.plane("dataplane") > 0);
  CHECK(lab.plane("supervisor") == lab.pid());
  struct stat status {};
  REQUIRE(::stat(lab.run_dir().c_str(), &status) == 0);
  // Control's group may pass, to its store and to the dataplane's socket.
  CHECK((status.st_mode & 0777) == (::geteuid() == 0 ? 0710 : 0700));

  // A plane that comes back must not make it ready a second time.
  const pid_t before = lab.plane("control");
  REQUIRE(::kill(before, SIGKILL) == 0);
  REQUIRE(wait_until([&] { return lab.plane("control") > 0 && lab.plane("control") != before; }));
  Client client;
  REQUIRE(client.ask("who") == std::to_string(lab.plane("control")));
  CHECK(lab.out() == "ready\n");
}

TEST_CASE("supervisor: a doubt of a plane's check is logged, and the server starts",
          "[supervisor]") {
  Lab lab;
  lab.object("control", "warning: users.yaml: others may read it\n");
  lab.start_and_wait();
  CHECK_THAT(lab.log(), Catch::Contains("event=\"configuration doubtful\"") &&
                            Catch::Contains("others may read it"));
}

TEST_CASE("supervisor: a request for a neighbour that cannot exist is refused", "[supervisor]") {
  Lab lab;
  lab.behave("dataplane", "asks");
  lab.start_and_wait();
  REQUIRE(wait_until(
      [&] { return lab.log().find("event=\"neighbour request refused\"") != std::string::npos; }));
  CHECK_THAT(lab.log(), Catch::Contains("reason=malformed"));
  CHECK(lab.plane("dataplane") > 0);
}

TEST_CASE("supervisor: SIGTERM ends both planes and exits 0, leaving no pid file", "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  const pid_t control = lab.plane("control");
  const pid_t dataplane = lab.plane("dataplane");
  REQUIRE(::kill(lab.pid(), SIGTERM) == 0);
  CHECK(lab.wait_exit(lab.pid()) == 0);
  CHECK(::kill(control, 0) != 0);
  CHECK(::kill(dataplane, 0) != 0);
  CHECK(lab.plane("control") == 0);
  CHECK(lab.plane("dataplane") == 0);
  CHECK(lab.plane("supervisor") == 0);
}

TEST_CASE("supervisor: a control process that is killed gets its connections back",
          "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  Client first;
  Client second;
  const std::string before = first.ask("who");
  REQUIRE(before == std::to_string(lab.plane("control")));
  REQUIRE(second.ask("who") == before);

  REQUIRE(::kill(std::stoi(before), SIGKILL) == 0);
  // The same TCP connections are answered, by another process.
  const std::string after = first.ask("who");
  CHECK(after != before);
  CHECK_FALSE(after.empty());
  CHECK(second.ask("who") == after);
  CHECK(first.ask("grants") == "connections 2 dataplane 1 starts 2/1/1");
}

TEST_CASE("supervisor: without descriptors it keeps no connection, and its planes live on",
          "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  const auto descriptors = [&] {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(lab.pid()) + "/fd");
    return std::distance(begin(all), end(all));
  };
  const auto without = descriptors();
  Client kept;
  const std::string control = kept.ask("who");
  REQUIRE(wait_until([&] { return descriptors() > without; }));
  rlimit before{};
  REQUIRE(::prlimit(lab.pid(), RLIMIT_NOFILE, nullptr, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 8;  // fewer than are open; and poll(2) wants to be allowed its four
  REQUIRE(::prlimit(lab.pid(), RLIMIT_NOFILE, &none, nullptr) == 0);
  {
    Client first;
    Client second;
    CHECK(first.ask("who") == control);
    CHECK(second.ask("who") == control);
    CHECK(wait_until(
        [&] { return lab.log().find("no descriptor came with it") != std::string::npos; }));
  }
  REQUIRE(::prlimit(lab.pid(), RLIMIT_NOFILE, &before, nullptr) == 0);
  Client later;
  CHECK(later.ask("who") == control);
  REQUIRE(::kill(std::stoi(control), SIGKILL) == 0);
  CHECK(kept.ask("who") != control);
  CHECK(later.ask("grants") == "connections 2 dataplane 1 starts 2/1/1");
}

TEST_CASE("supervisor: a forgotten connection is not handed over", "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  Client forgotten;
  Client kept;
  const std::string before = kept.ask("who");
  REQUIRE(forgotten.ask("forget") == "forgotten");
  REQUIRE(::kill(std::stoi(before), SIGKILL) == 0);
  REQUIRE(kept.ask("who") != before);
  CHECK(kept.ask("grants") == "connections 1 dataplane 1 starts 2/1/1");
  CHECK(forgotten.ask("who").empty());  // closed with the process that had it
}

TEST_CASE("supervisor: a dataplane that is killed is started again and control told",
          "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  Client client;
  const pid_t before = lab.plane("dataplane");
  REQUIRE(::kill(before, SIGKILL) == 0);
  REQUIRE(
      wait_until([&] { return client.ask("grants") == "connections 0 dataplane 1 starts 1/2/1"; }));
  CHECK(lab.plane("dataplane") != before);
}

TEST_CASE("supervisor: planes that die again and again are started again with pauses",
          "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  for (int death = 0; death < 3; ++death) {
    const pid_t before = lab.plane("control");
    REQUIRE(before > 0);
    REQUIRE(::kill(before, SIGKILL) == 0);
    REQUIRE(wait_until([&] { return lab.plane("control") > 0 && lab.plane("control") != before; }));
  }
  CHECK_THAT(lab.log(), Catch::Contains("restart_in_ms=0"));
  CHECK_THAT(lab.log(), Catch::Contains("restart_in_ms=100"));
  CHECK_THAT(lab.log(), Catch::Contains("restart_in_ms=200"));
}

TEST_CASE("supervisor: a plane that never gets ready is an error that says why", "[supervisor]") {
  for (const std::string plane : {"control", "dataplane"}) {
    Lab lab;
    lab.behave(plane, "never-ready");
    const pid_t pid = lab.start();
    CHECK(lab.wait_exit(pid) == 1);
    CHECK(lab.out().empty());
    CHECK_THAT(lab.log(),
               Catch::Contains("pns-" + plane + " ended before it was ready: exit status 3"));
  }
}

TEST_CASE("supervisor: a second instance is refused and the first goes on", "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  const pid_t control = lab.plane("control");
  const pid_t second = lab.start(".second");
  CHECK(lab.wait_exit(second) == 1);
  const std::string log = contents_of(lab.run_dir().parent_path() / "log.second");
  CHECK_THAT(log, Catch::Contains("another pns runs here (process " + std::to_string(lab.pid())));
  Client client;
  CHECK(client.ask("who") == std::to_string(control));
}

TEST_CASE("supervisor: a plane that ignores kStop is killed, at once by a second signal",
          "[supervisor]") {
  Lab lab;
  lab.behave("control", "stubborn");
  lab.start_and_wait();
  REQUIRE(::kill(lab.pid(), SIGTERM) == 0);
  REQUIRE(
      wait_until([&] { return lab.log().find("event=\"signal received\"") != std::string::npos; }));
  REQUIRE(::kill(lab.pid(), SIGTERM) == 0);
  CHECK(lab.wait_exit(lab.pid(), 3s) == 0);
}

TEST_CASE("supervisor: planes die with it", "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  const pid_t control = lab.plane("control");
  const pid_t dataplane = lab.plane("dataplane");
  REQUIRE(::kill(lab.pid(), SIGKILL) == 0);
  REQUIRE(lab.wait_exit(lab.pid()) == 1000 + SIGKILL);
  // They are orphans now: gone, or a zombie that nobody has waited for yet.
  const auto is_gone = [](pid_t pid) {
    const std::string status = contents_of("/proc/" + std::to_string(pid) + "/status");
    return status.empty() || status.find("State:\tZ") != std::string::npos;
  };
  CHECK(wait_until([&] { return is_gone(control) && is_gone(dataplane); }));
}

TEST_CASE("supervisor: a configuration that is wrong starts nothing", "[supervisor]") {
  Lab lab;
  std::ofstream(lab.run_dir().parent_path() / "pns.yaml", std::ios::app) << "log: {level: loud}\n";
  const pid_t pid = lab.start();
  CHECK(lab.wait_exit(pid) == 1);
  CHECK_THAT(lab.log(), Catch::Contains("pns.yaml:8: log.level: 'loud' is not one of"));
}

TEST_CASE("supervisor: a planned restart of control keeps its connections and is not waited for",
          "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  Client client;
  const pid_t dataplane = lab.plane("dataplane");
  for (int restarts = 1; restarts <= 4; ++restarts) {
    const std::string before = client.ask("who");
    REQUIRE(client.ask("restart control") == "accepted");
    REQUIRE(wait_until([&] {
      const std::string now = client.ask("who");
      return !now.empty() && now != before;
    }));
    CHECK(client.ask("grants") ==
          "connections 1 dataplane 1 starts " + std::to_string(restarts + 1) + "/1/1");
  }
  CHECK(lab.plane("dataplane") == dataplane);
  CHECK(lab.log().find("ended unexpectedly") == std::string::npos);
}

TEST_CASE("supervisor: a planned restart of the dataplane is told to control", "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  Client client;
  const std::string control = client.ask("who");
  const pid_t before = lab.plane("dataplane");
  REQUIRE(client.ask("restart dataplane") == "accepted");
  REQUIRE(
      wait_until([&] { return client.ask("grants") == "connections 0 dataplane 1 starts 1/2/1"; }));
  CHECK(lab.plane("dataplane") != before);
  CHECK(client.ask("who") == control);
  CHECK(lab.log().find("ended unexpectedly") == std::string::npos);
}

TEST_CASE("supervisor: a plane that does not leave is killed and started again", "[supervisor]") {
  Lab lab;
  lab.behave("dataplane", "stubborn");
  lab.start_and_wait();
  Client client;
  REQUIRE(client.ask("restart dataplane") == "accepted");
  REQUIRE(client.ask("restart control") == "another restart is under way");
  REQUIRE(wait_until([&] { return client.ask("grants").ends_with("dataplane 1 starts 1/2/1"); }));
  CHECK_THAT(lab.log(),
             Catch::Contains("plane ended for its restart") && Catch::Contains("signal 9"));
}

TEST_CASE("supervisor: SIGTERM while control leaves is obeyed by its successor", "[supervisor]") {
  Lab lab;
  lab.behave("control", "stubborn");
  lab.start_and_wait();
  Client client;
  REQUIRE(client.ask("restart control") == "accepted");
  lab.behave("control", "");  // the next one
  REQUIRE(::kill(lab.pid(), SIGTERM) == 0);
  CHECK(lab.wait_exit(lab.pid()) == 0);
  const std::string log = lab.log();
  const auto left = log.find("event=\"plane ended for its restart\" plane=control");
  const auto ready = log.find("event=\"plane ready\" plane=control", left);
  REQUIRE(ready != std::string::npos);
  CHECK(log.find("event=\"plane ended\" plane=control", ready) != std::string::npos);
  CHECK(log.find("how=\"exit status 0\"", ready) != std::string::npos);
}

TEST_CASE("supervisor: it restarts itself and goes on with everything it held", "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  Client client;
  const std::string control = client.ask("who");
  const pid_t dataplane = lab.plane("dataplane");
  const auto descriptors = [&] {
    const auto all =
        std::filesystem::directory_iterator("/proc/" + std::to_string(lab.pid()) + "/fd");
    return std::distance(begin(all), end(all));
  };
  std::optional<std::ptrdiff_t> before;
  for (int restarts = 1; restarts <= 5; ++restarts) {
    REQUIRE(client.ask("restart supervisor") == "accepted");
    if (!before) before = descriptors();  // by now the client's connection is stored
    CHECK(client.ask("grants") ==
          "connections 0 dataplane 1 starts 1/1/" + std::to_string(restarts + 1));
  }
  CHECK(descriptors() == *before);
  CHECK(client.ask("who") == control);
  CHECK(lab.plane("dataplane") == dataplane);
  CHECK(lab.plane("supervisor") == lab.pid());
  CHECK(lab.out() == "ready\n");
  // The run directory is still its own.
  CHECK(lab.wait_exit(lab.start(".second")) == 1);

  // Records from before and records from now both reach a successor of control.
  Client later;
  REQUIRE(later.ask("who") == control);
  REQUIRE(::kill(std::stoi(control), SIGKILL) == 0);
  REQUIRE(client.ask("who") == later.ask("who"));
  CHECK(client.ask("grants") == "connections 2 dataplane 1 starts 2/1/6");
  REQUIRE(::kill(dataplane, SIGKILL) == 0);
  REQUIRE(wait_until([&] { return client.ask("grants").ends_with("dataplane 1 starts 2/2/6"); }));

  REQUIRE(::kill(lab.pid(), SIGTERM) == 0);
  CHECK(lab.wait_exit(lab.pid()) == 0);
  CHECK(lab.plane("control") == 0);
  CHECK(lab.out() == "ready\n");
}

TEST_CASE(
    "supervisor: a plane that waits for its next start keeps waiting after a restart, and a "
    "planned one ends the wait",
    "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  Client client;
  lab.behave("dataplane", "never-ready");
  REQUIRE(::kill(lab.plane("dataplane"), SIGKILL) == 0);
  // Once the waits are long: 800 ms and more.
  REQUIRE(wait_until([&] { return lab.log().find("restart_in_ms=800") != std::string::npos; }));
  REQUIRE(client.ask("restart supervisor") == "accepted");
  REQUIRE(wait_until([&] { return lab.log().find("restart_in_ms=1600") != std::string::npos; }));
  CHECK(lab.plane("dataplane") == 0);
  std::filesystem::remove(lab.run_dir() / "fake-dataplane");
  REQUIRE(client.ask("restart dataplane") == "accepted");
  REQUIRE(wait_until([&] { return client.ask("grants").find("dataplane 1") != std::string::npos; },
                     1s));
}

TEST_CASE("supervisor: what does not fit is refused and everything stays as it is",
          "[supervisor]") {
  Lab lab;
  (void)lab.own_programs();
  lab.start_and_wait();
  Client client;
  const pid_t control = lab.plane("control");
  const pid_t dataplane = lab.plane("dataplane");
  CHECK(client.ask("restart nothing") == "there is no such process");

  lab.replace("pns-control", "echo '{\"program\":\"pns-control\",\"version\":\"9\"}'");
  CHECK_THAT(client.ask("restart control"),
             Catch::StartsWith("pns-control \"9\" does not fit the running server: "));
  lab.replace("pns-control", "exit 3");
  CHECK(client.ask("restart control") ==
        "pns-control --contract: exit status 3; see docs/upgrade.md");
  std::filesystem::permissions(lab.own_programs() / "pns-dataplane", std::filesystem::perms::none);
  std::filesystem::rename(lab.own_programs() / "pns-dataplane", lab.own_programs() / "kept");
  CHECK_THAT(client.ask("restart dataplane"),
             Catch::Contains("pns-dataplane: cannot be executed: No such file or directory"));

  // The supervisor's own: contract first, then the configuration by the new program.
  lab.replace("pns", "echo '{}'");
  CHECK(client.ask("restart supervisor") ==
        "pns --contract did not say what it was built with; see docs/upgrade.md");
  lab.replace("pns", "case $1 in --contract) exec '" PNS_FAKES
                     "/pns' --contract;; esac\n"
                     "echo \"$4: not by me\"; exit 1");
  CHECK_THAT(client.ask("restart supervisor"), Catch::Contains("not by me"));
  std::filesystem::copy_file(PNS_FAKES "/pns", lab.own_programs() / "new");
  std::filesystem::rename(lab.own_programs() / "new", lab.own_programs() / "pns");
  const std::string good = contents_of(lab.config_file());
  std::ofstream(lab.config_file(), std::ios::app) << "log: {level: loud}\n";
  CHECK_THAT(client.ask("restart supervisor"),
             Catch::Contains("pns.yaml:8: log.level: 'loud' is not one of"));
  std::ofstream(lab.config_file()) << good;

  CHECK(client.ask("who") == std::to_string(control));
  CHECK(lab.plane("dataplane") == dataplane);
  // The program on disk is another file by now, and the right one.
  CHECK(client.ask("restart supervisor") == "accepted");
  CHECK(client.ask("grants") == "connections 0 dataplane 1 starts 1/1/2");
}

TEST_CASE("supervisor: what calls hang on stays when the configuration changes", "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  Client client;
  std::string text = contents_of(lab.config_file());
  const auto replace = [&](const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
  };
  replace("max_sessions: 16", "max_sessions: 32");
  replace("xdp:none", "xdp:other");
  std::ofstream(lab.config_file()) << text;
  CHECK_THAT(client.ask("restart dataplane"),
             Catch::StartsWith("ports.core: xdp:none cannot become xdp:other while calls live"));
  REQUIRE(client.ask("restart supervisor") == "accepted");
  CHECK_THAT(lab.log(), Catch::Contains("key=dataplane.max_sessions kept=16") &&
                            Catch::Contains("key=ports.core kept=xdp:none"));
}

TEST_CASE("supervisor: a configuration that fails after its check leaves the one before",
          "[supervisor]") {
  const std::string plane = GENERATE("control", "dataplane");
  Lab lab;
  lab.name_node("first");
  lab.start_and_wait();
  Client client;
  REQUIRE(client.ask("name") == "first");
  const pid_t before = lab.plane(plane);

  lab.name_node("broken");
  REQUIRE(client.ask("restart " + plane) == "accepted");
  const std::string starts = plane == "control" ? "starts 3/1/1" : "starts 1/3/1";
  REQUIRE(wait_until([&] { return client.ask("grants").ends_with("dataplane 1 " + starts); }));
  CHECK(lab.plane(plane) != before);
  CHECK(client.ask("name") == "first");
  CHECK_THAT(lab.log(), Catch::Contains("event=\"previous configuration restored\" plane=" + plane +
                                        " reason=\"node.name: broken is no name for me\""));
  CHECK(lab.log().find("ended unexpectedly") == std::string::npos);

  // Nothing is left of it: the next one is tried like the first.
  lab.name_node("second");
  REQUIRE(wait_until([&] { return client.ask("restart " + plane) == "accepted"; }));
  const std::string more = plane == "control" ? "starts 4/1/1" : "starts 1/4/1";
  REQUIRE(wait_until([&] { return client.ask("grants").ends_with("dataplane 1 " + more); }));
  CHECK(client.ask("name") == (plane == "control" ? "second" : "first"));
}

TEST_CASE("supervisor: a plane that does not get ready in the asker's time is the one before again",
          "[supervisor]") {
  Lab lab;
  lab.name_node("first");
  lab.start_and_wait();
  Client client;
  lab.name_node("silent");
  REQUIRE(client.ask("restart control 2") == "accepted");
  REQUIRE(wait_until(
      [&] { return lab.log().find("reason=\"it was not ready in time\"") != std::string::npos; }));
  CHECK(client.ask("name") == "first");
  CHECK(client.ask("grants").ends_with("starts 3/1/1"));
}

TEST_CASE("supervisor: what a plane's check finds refuses the restart", "[supervisor]") {
  Lab lab;
  lab.start_and_wait();
  Client client;
  const std::string control = client.ask("who");
  lab.object("control", "error: this host: metrics.listen: taken\nerror: another\nwarning: w\n");
  CHECK(client.ask("restart control") ==
        "this host: metrics.listen: taken (and 1 more: pns check)");
  // It is no other process's business.
  CHECK(client.ask("who") == control);
  REQUIRE(client.ask("restart dataplane") == "accepted");
  CHECK(client.ask("who") == control);
}

TEST_CASE("supervisor: what a plane's check finds keeps the server from starting", "[supervisor]") {
  Lab lab;
  lab.object("dataplane", "error: this host: ports.core.device: no such interface\n");
  const pid_t pid = lab.start();
  CHECK(lab.wait_exit(pid) == 1);
  CHECK_THAT(lab.log(), Catch::EndsWith("this host: ports.core.device: no such interface\n"));
}

TEST_CASE("supervisor: an edit takes effect when it is asked for, and a crash does not ask",
          "[supervisor]") {
  Lab lab;
  lab.name_node("first");
  lab.start_and_wait();
  Client client;
  const std::string control = client.ask("who");
  lab.name_node("broken");
  REQUIRE(::kill(std::stoi(control), SIGKILL) == 0);
  CHECK(client.ask("name") == "first");
  // The next supervisor has it too.
  REQUIRE(client.ask("restart supervisor") == "accepted");
  REQUIRE(::kill(lab.plane("control"), SIGKILL) == 0);
  CHECK(client.ask("name") == "first");
}

TEST_CASE("supervisor: a plane that dies again and again is tried with the files as they are now",
          "[supervisor]") {
  Lab lab;
  lab.name_node("first");
  lab.start_and_wait();
  Client client;
  lab.name_node("second");
  for (int deaths = 0; deaths < 5 && client.ask("name") == "first"; ++deaths)
    REQUIRE(::kill(lab.plane("control"), SIGKILL) == 0);
  CHECK(client.ask("name") == "second");
}

TEST_CASE("supervisor: tells systemd of its restart, and goes on with the watchdog",
          "[supervisor]") {
  Lab lab;
  const auto path = lab.run_dir().parent_path() / "notify";
  const UniqueFd systemd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(::bind(systemd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  ::setenv("WATCHDOG_USEC", "100000", 1);
  lab.start_and_wait();
  ::unsetenv("NOTIFY_SOCKET");
  ::unsetenv("WATCHDOG_USEC");
  // The next thing that systemd hears and that is, or is not, a sign of life.
  const auto hear = [&](bool beat) {
    for (;;) {
      pollfd wait{systemd.get(), POLLIN, 0};
      if (::poll(&wait, 1, 10'000) != 1) return std::string();
      char text[512];
      const ssize_t got = ::recv(systemd.get(), text, sizeof(text), 0);
      const std::string said(text, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      if ((said == "WATCHDOG=1") == beat) return said;
    }
  };
  CHECK(hear(false) == "READY=1\nSTATUS=serving");
  Client client;
  REQUIRE(client.ask("restart supervisor") == "accepted");
  CHECK_THAT(hear(false), Catch::StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  CHECK(hear(false) == "READY=1\nSTATUS=serving");
  CHECK(hear(true) == "WATCHDOG=1");
  CHECK(hear(true) == "WATCHDOG=1");
  REQUIRE(::kill(lab.pid(), SIGTERM) == 0);
  CHECK(hear(false) == "STOPPING=1\nSTATUS=ending calls");
  CHECK(lab.wait_exit(lab.pid()) == 0);
}

TEST_CASE("supervisor: one that cannot go on ends the planes politely", "[supervisor]") {
  Lab lab;
  (void)lab.own_programs();
  lab.start_and_wait();
  Client client;
  const pid_t control = lab.plane("control");
  const pid_t dataplane = lab.plane("dataplane");
  // Passes for the right one, and hands on something that is no state.
  lab.replace("pns", "case $1 in run) exec '" PNS_FAKES
                     "/pns' \"$1\" \"$2\" \"$3\" \"$4\" \"$5\" --resume-fd 0;; esac\n"
                     "exec '" PNS_FAKES "/pns' \"$@\"");
  REQUIRE(::send(client.fd(), "restart supervisor", 18, MSG_NOSIGNAL) == 18);
  CHECK(lab.wait_exit(lab.pid()) == 1);
  CHECK_THAT(lab.log(), Catch::Contains("server failed"));
  CHECK(::kill(control, 0) != 0);
  CHECK(::kill(dataplane, 0) != 0);
}

// Takes 30 s: a ctest of its own.
TEST_CASE("supervisor: a plane that says nothing for 30 s is aborted and started again",
          "[supervisor][.slow]") {
  Lab lab;
  lab.start_and_wait();
  const pid_t before = lab.plane("dataplane");
  REQUIRE(::kill(before, SIGSTOP) == 0);  // alive, and silent
  Client client;
  REQUIRE(wait_until([&] { return client.ask("grants").ends_with("starts 1/2/1"); }, 40s));
  CHECK(lab.plane("dataplane") != before);
  CHECK_THAT(lab.log(), Catch::Contains("event=\"plane not responding\" plane=dataplane"));
}
