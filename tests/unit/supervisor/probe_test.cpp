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
  const auto ours = pns::contract::build_contract();
  for (const char* program : {"pns", "pns-control", "pns-dataplane"})
    CHECK(contract_objection(program, contract_of(program), ours, true).empty());
  // A plane never sees what one supervisor leaves to the next.
  const std::string other = replaced(contract_of("pns"), "\"handover_min_compatible\":2",
                                     "\"handover_min_compatible\":5");
  CHECK(contract_objection("pns", other, ours, false).empty());
  CHECK_THAT(
      contract_objection("pns", other, ours, true),
      Catch::Contains("handover_version is 4 (compatible from 5) there and 4 (compatible from 2)"));
}

TEST_CASE("contract: a format of another version is taken when it fits", "[supervisor]") {
  const auto ours = pns::contract::build_contract();
  const std::string printed = contract_of("pns-control");
  for (const auto& [name, version] : ours.formats) {
    const auto with = [&](std::uint32_t theirs, std::uint32_t from) {
      const std::string key = '"' + std::string(name);
      std::string text = replaced(printed, key + "_version\":" + std::to_string(version.version),
                                  key + "_version\":" + std::to_string(theirs));
      text = replaced(text, key + "_min_compatible\":" + std::to_string(version.min_compatible),
                      key + "_min_compatible\":" + std::to_string(from));
      return contract_objection("pns-control", text, ours, true);
    };
    CHECK(with(version.version + 1, version.min_compatible).empty());
    CHECK(with(version.version + 1, version.version).empty());
    CHECK_THAT(with(version.version + 1, version.version + 1),
               Catch::Contains(std::string(name) + "_version is " +
                               std::to_string(version.version + 1) + " (compatible from "));
    CHECK_THAT(with(version.min_compatible - 1, 0),
               Catch::Contains(std::string(name) + "_version is "));
    const std::string without =
        replaced(printed, '"' + std::string(name) + "_min_compatible", "\"other");
    CHECK_THAT(contract_objection("pns-control", without, ours, true),
               Catch::Contains(std::string(name) + "_version is missing there"));
  }
  // A newer program may share something of which we know nothing.
  CHECK(contract_objection("pns-control", replaced(printed, "{", "{\"new_version\":1,"), ours, true)
            .empty());
}

TEST_CASE("contract: what has been in session memory counts as well", "[supervisor]") {
  // A control process of a later version has written records that this program could read, and one
  // of its own version could not.
  auto in_use = pns::contract::build_contract();
  for (auto& [name, version] : in_use.formats)
    if (name == "store") version = together(version, {version.version + 1, version.version + 1});
  CHECK_THAT(contract_objection("pns-control", contract_of("pns-control"), in_use, false),
             Catch::Contains("store_version is "));
}

TEST_CASE("contract: each difference is named", "[supervisor]") {
  const auto contract = pns::contract::build_contract();
  const std::string ours = contract_of("pns-control");
  for (const auto& [item, value] : contract.sizes) {
    const std::string entry = '"' + std::string(item) + "\":";
    const std::string other = replaced(ours, entry, entry + "9");
    CHECK_THAT(contract_objection("pns-control", other, contract, true),
               Catch::Contains(std::string(item) + " is 9" + std::to_string(value) + " there and " +
                               std::to_string(value) + " here; see docs/upgrade.md"));
    const std::string without = replaced(ours, entry, "\"other\":");
    CHECK_THAT(contract_objection("pns-control", without, contract, true),
               Catch::Contains(std::string(item) + " is missing there"));
  }
  CHECK_THAT(contract_objection("pns-dataplane", ours, contract, true),
             Catch::Contains("says that it is \"pns-control\""));
  for (const char* printed : {"", "usage: …", "[]", "{}", "{\"program\":\"pns-control\"}"})
    CHECK_THAT(contract_objection("pns-control", printed, contract, true),
               Catch::Contains("did not say what it was built with"));
}
