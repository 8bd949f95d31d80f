// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/probe.hpp"

#include <poll.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>

#include "pns/contract/build_contract.hpp"
#include "pns/supervisor/contract_check.hpp"

using namespace pns::supervisor;
using namespace std::chrono_literals;

namespace {

// Runs a shell script to its end, as the supervisor's loop would.
Probe run(const std::string& script) {
  const auto deadline = Probe::Clock::now() + 10s;
  auto probe = Probe::start({"/bin/sh", "-c", script}, deadline);
  REQUIRE(probe);
  while (!probe->has_ended()) {
    REQUIRE(Probe::Clock::now() < deadline);
    pollfd wait{probe->fd(), POLLIN, 0};
    (void)::poll(&wait, 1, 5);
    probe->read();
  }
  return std::move(*probe);
}

std::string contract_of(const char* program) {
  return pns::contract::to_json(pns::contract::build_contract(), program);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("probe: tells what a program printed and how it ended", "[supervisor]") {
  const Probe probe = run("echo one; echo nobody hears this >&2; echo two; exit 3");
  CHECK(probe.output() == "one\ntwo\n");
  REQUIRE(WIFEXITED(probe.status()));
  CHECK(WEXITSTATUS(probe.status()) == 3);
}

TEST_CASE("probe: what is too long is cut, and the program still ends", "[supervisor]") {
  const Probe probe = run("head -c 1000000 /dev/zero");
  CHECK(probe.output().size() == Probe::kMostOutput);
  REQUIRE(WIFEXITED(probe.status()));
  CHECK(WEXITSTATUS(probe.status()) == 0);
}

TEST_CASE("probe: a program that cannot be executed is named", "[supervisor]") {
  const auto none = Probe::start({"/nonexistent/pns-control", "--contract"}, {});
  REQUIRE_FALSE(none);
  CHECK(none.error() == "/nonexistent/pns-control: cannot be executed: No such file or directory");
}

TEST_CASE("probe: a program that hangs ends with it", "[supervisor]") {
  pid_t pid = 0;
  {
    auto probe = Probe::start({"/bin/sh", "-c", "echo $$; exec sleep 1000"}, {});
    REQUIRE(probe);
    pollfd wait{probe->fd(), POLLIN, 0};
    REQUIRE(::poll(&wait, 1, 10'000) == 1);
    probe->read();
    CHECK_FALSE(probe->has_ended());
    pid = std::stoi(probe->output());
    REQUIRE(::kill(pid, 0) == 0);
  }
  CHECK(::kill(pid, 0) != 0);
}

TEST_CASE("contract: an executable of the same build may take over", "[supervisor]") {
  for (const char* program : {"pns", "pns-control", "pns-dataplane"})
    CHECK(contract_objection(program, contract_of(program), true).empty());
  // A plane never sees what one supervisor leaves to the next.
  const std::string other =
      replaced(contract_of("pns"), "\"handover_version\":1", "\"handover_version\":2");
  CHECK(contract_objection("pns", other, false).empty());
  CHECK_THAT(contract_objection("pns", other, true),
             Catch::Contains("handover_version is 2 there and 1 here"));
}

TEST_CASE("contract: each difference is named", "[supervisor]") {
  const std::string ours = contract_of("pns-control");
  for (const auto& [item, value] : pns::contract::build_contract().items) {
    const std::string entry = '"' + std::string(item) + "\":";
    const std::string other = replaced(ours, entry, entry + "9");
    CHECK_THAT(contract_objection("pns-control", other, true),
               Catch::Contains(std::string(item) + " is 9" + std::to_string(value) + " there and " +
                               std::to_string(value) + " here; see docs/upgrade.md"));
    const std::string without = replaced(ours, entry, "\"other\":");
    CHECK_THAT(
        contract_objection("pns-control", without, true),
        Catch::Contains(std::string(item) + " is missing there") &&
            Catch::Contains("other is " + std::to_string(value) + " there and unknown here"));
  }
  CHECK_THAT(contract_objection("pns-dataplane", ours, true),
             Catch::Contains("says that it is \"pns-control\""));
  for (const char* printed : {"", "usage: …", "[]", "{}", "{\"program\":\"pns-control\"}"})
    CHECK_THAT(contract_objection("pns-control", printed, true),
               Catch::Contains("did not say what it was built with"));
}
