// SPDX-License-Identifier: BSD-3-Clause
#include "pns/doctor/doctor.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include "pns/base/unique_fd.hpp"
#include "tests/unit/doctor/fake_host.hpp"

using namespace pns;
using namespace pns::doctor;
using namespace pns::test;

TEST_CASE("doctor: a sound host has a finding of each check, and no error", "[doctor]") {
  const FakeHost fake;
  const Findings findings = examine(fake.config, fake.host);
  std::set<std::string> names;
  for (const Finding& finding : findings) {
    INFO(finding.check << ": " << finding.text);
    CHECK((finding.verdict == Verdict::kOk ||
           (finding.check == "server" && finding.verdict == Verdict::kSkipped)));
    CHECK(finding.remedy.empty());
    names.insert(finding.check);
  }
  CHECK(names == std::set<std::string>{"privileges", "start",         "huge-pages", "devices",
                                       "cpus",       "limits",        "users",      "clock",
                                       "listener",   "other-servers", "firewall",   "gre",
                                       "conntrack",  "rp-filter",     "forwarding", "parameters",
                                       "mtu",        "routes",        "proxy-arp",  "server"});
}

TEST_CASE("doctor: an empty tree of files is no crash", "[doctor]") {
  FakeHost fake;
  fake.remove("proc");
  fake.remove("sys");
  fake.host.network = {};
  CHECK(std::ranges::count(examine(fake.config, fake.host), Verdict::kError, &Finding::verdict) >
        3);
}

namespace {

// A file that a check cannot finish reading until it is released.
struct SilentFile {
  explicit SilentFile(std::filesystem::path file) : path(std::move(file)) {
    std::filesystem::remove(path);
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  }
  // Whoever waits for a writer reads the end of the file.
  ~SilentFile() {
    while (functions_left != 0) {
      const UniqueFd writer(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
      std::this_thread::yield();
    }
  }
  SilentFile(const SilentFile&) = delete;
  SilentFile& operator=(const SilentFile&) = delete;
  std::filesystem::path path;
};

}  // namespace

TEST_CASE("doctor: a check that has no answer in time says so, and the others are made",
          "[doctor]") {
  const FakeHost fake;
  std::set<std::string> silent;
  std::set<std::string> all;
  {
    const SilentFile file(fake.host.root / "proc/sys/net/core/somaxconn");
    for (const Finding& finding : examine(fake.config, fake.host, std::chrono::milliseconds(100))) {
      all.insert(finding.check);
      if (finding.text.find("no answer within 0.1 s") == std::string::npos) continue;
      silent.insert(finding.check);
      CHECK(finding.verdict == Verdict::kWarning);
      CHECK_FALSE(finding.remedy.empty());
    }
  }
  CHECK(silent == std::set<std::string>{"limits"});
  CHECK(all.size() == 20);
}

TEST_CASE("doctor: nothing is said about a part of the host that gave no answer", "[doctor]") {
  FakeHost fake;
  fake.host.network = {};
  fake.host.unread = {Part::kNetwork, Part::kStart, Part::kUsers};
  fake.host.has_control_user = false;
  fake.host.start.errors = {"not seen"};
  unsigned unanswered = 0;
  for (const Finding& finding : examine(fake.config, fake.host)) {
    INFO(finding.check << ": " << finding.text);
    CHECK(finding.verdict != Verdict::kError);
    const bool is_one = finding.text.starts_with("no answer within ");
    unanswered += is_one ? 1 : 0;
    if (finding.check == "start") CHECK(finding.text == "no answer within 20 s: pns check");
    if (finding.check == "users") CHECK(is_one);
  }
  CHECK(unanswered == 12);
}

TEST_CASE("doctor: a function within its time has its result, one that throws has none",
          "[doctor]") {
  CHECK(within(kCheckLimit, [] { return 7; }) == 7);
  CHECK_FALSE(within(kCheckLimit, []() -> int { throw std::runtime_error("no"); }));
  std::promise<void> release;
  CHECK_FALSE(within(std::chrono::milliseconds(20), [done = release.get_future().share()] {
    done.wait();
    return 1;
  }));
  CHECK(functions_left == 1);
  release.set_value();
  while (functions_left != 0) std::this_thread::yield();
}

TEST_CASE("doctor: a remedy reads as commands, a configuration, and advice", "[doctor]") {
  CHECK(Remedy{}.to_string().empty());
  CHECK(Remedy{.run = {"a", "b c"}}.to_string() == "run: a && b c");
  CHECK(Remedy{.run = {"a"}, .configure = "x: 1", .advice = "look"}.to_string() ==
        "run: a; or configure: x: 1; look");
  CHECK(Remedy{.configure = "x: 1"}.to_string() == "configure: x: 1");
}
