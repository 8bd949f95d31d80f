// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/start/eal.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

using namespace pns;
using namespace pns::dataplane;

namespace {

config::Config lab() {
  config::Config config;
  config.dataplane.cores = {.main = 0, .workers = {1, 2}};
  config.dataplane.memory.megabytes = 512;
  config.ports.access.device = {config::DeviceKind::kTap, "tap:a", "a"};
  config.ports.core.device = {config::DeviceKind::kTap, "tap:c", "c"};
  return config;
}

bool has(const EalPlan& plan, std::string_view argument) {
  return std::ranges::find(plan.arguments, argument) != plan.arguments.end();
}
std::string after(const EalPlan& plan, std::string_view argument) {
  const auto found = std::ranges::find(plan.arguments, argument);
  return found == plan.arguments.end() || found + 1 == plan.arguments.end() ? "" : *(found + 1);
}

}  // namespace

TEST_CASE("eal: auto takes huge pages exactly when enough are free", "[dataplane][eal]") {
  auto config = lab();
  const auto with = plan_eal(config, {.online_cpus = 4, .free_huge_megabytes = 512});
  REQUIRE(with);
  CHECK(with->huge_pages);
  CHECK(has(*with, "--in-memory"));
  CHECK_FALSE(has(*with, "--no-huge"));
  const auto without = plan_eal(config, {.online_cpus = 4, .free_huge_megabytes = 511});
  REQUIRE(without);
  CHECK_FALSE(without->huge_pages);
  CHECK(has(*without, "--no-huge"));
  CHECK(after(*without, "-m") == "512");
}

TEST_CASE("eal: cores are those that are online, whatever their numbers", "[dataplane][eal]") {
  auto config = lab();
  config.dataplane.cores = {.main = 0, .workers = {2, 6}};
  // SMT turned off by taking every second CPU offline: four CPUs, the highest is 6.
  const HostFacts host{.online_cpus = 4, .free_huge_megabytes = 512, .cpus = {0, 2, 4, 6}};
  const auto plan = plan_eal(config, host);
  REQUIRE(plan);
  CHECK(after(*plan, "-l") == "0,2,6");
  config.dataplane.cores.workers = {2, 3};
  const auto refused = plan_eal(config, host);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().find("core 3 is not online") != std::string::npos);
}

TEST_CASE("eal: pages of 2 MiB and of 1 GiB count", "[dataplane][eal]") {
  const auto sys =
      std::filesystem::temp_directory_path() / ("pns-eal-test-" + std::to_string(::getpid()));
  const auto write = [&](const std::string& name, const std::string& text) {
    std::filesystem::create_directories((sys / name).parent_path());
    std::ofstream(sys / name) << text << "\n";
  };
  write("devices/system/cpu/online", "0,2-3");
  write("kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "3");
  CHECK(read_host_facts(sys).free_huge_megabytes == 6);
  write("kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "2");
  const HostFacts facts = read_host_facts(sys);
  CHECK(facts.free_huge_megabytes == 6 + 2 * 1024);
  CHECK(facts.online_cpus == 3);
  CHECK(facts.cpus == std::vector<unsigned>{0, 2, 3});
  std::filesystem::remove_all(sys);
}

TEST_CASE("eal: huge pages that are demanded and missing are an error that says both numbers",
          "[dataplane][eal]") {
  auto config = lab();
  config.dataplane.memory.hugepages = config::HugePages::kOn;
  const auto plan = plan_eal(config, {.online_cpus = 4, .free_huge_megabytes = 100});
  REQUIRE_FALSE(plan);
  CHECK(plan.error().find("512") != std::string::npos);
  CHECK(plan.error().find("100") != std::string::npos);
  config.dataplane.memory.hugepages = config::HugePages::kOff;
  const auto off = plan_eal(config, {.online_cpus = 4, .free_huge_megabytes = 4096});
  REQUIRE(off);
  CHECK_FALSE(off->huge_pages);
}

TEST_CASE("eal: an xdp port without huge pages is refused", "[dataplane][eal]") {
  auto config = lab();
  CHECK_FALSE(config.ports.use_xdp());
  config.ports.core.device = {config::DeviceKind::kXdp, "xdp:eth0", "eth0"};
  CHECK(config.ports.use_xdp());
  CHECK_FALSE(plan_eal(config, {.online_cpus = 4, .free_huge_megabytes = 0}));
  CHECK(plan_eal(config, {.online_cpus = 4, .free_huge_megabytes = 512}));
}

TEST_CASE("eal: cores go in as configured, one that is not there is refused", "[dataplane][eal]") {
  auto config = lab();
  config.dataplane.cores = {.main = 3, .workers = {1, 2}};
  const auto plan = plan_eal(config, {.online_cpus = 4});
  REQUIRE(plan);
  CHECK(after(*plan, "-l") == "3,1,2");
  CHECK(after(*plan, "--main-lcore") == "3");
  CHECK_FALSE(plan_eal(config, {.online_cpus = 3}));
  config.dataplane.cores = {.main = 0, .workers = {4}};
  CHECK_FALSE(plan_eal(config, {.online_cpus = 4}));
}

TEST_CASE("eal: only PCI ports let EAL look at the bus, and only at them", "[dataplane][eal]") {
  auto config = lab();
  const auto none = plan_eal(config, {.online_cpus = 4});
  REQUIRE(none);
  CHECK(has(*none, "--no-pci"));
  config.ports.core.device = {config::DeviceKind::kPci, "0000:3b:00.1", ""};
  const auto one = plan_eal(config, {.online_cpus = 4, .free_huge_megabytes = 512});
  REQUIRE(one);
  CHECK_FALSE(has(*one, "--no-pci"));
  CHECK(after(*one, "-a") == "0000:3b:00.1");
  CHECK(std::ranges::count(one->arguments, "-a") == 1);
}

TEST_CASE("eal: auto waits when there are as many lcores as CPUs", "[dataplane][eal]") {
  auto config = lab();  // three lcores
  CHECK(resolve_idle_mode(config, {.online_cpus = 2}) == config::IdleMode::kWait);
  CHECK(resolve_idle_mode(config, {.online_cpus = 3}) == config::IdleMode::kWait);
  CHECK(resolve_idle_mode(config, {.online_cpus = 4}) == config::IdleMode::kSpin);
  config.dataplane.idle.mode = config::IdleMode::kSleep;
  CHECK(resolve_idle_mode(config, {.online_cpus = 1}) == config::IdleMode::kSleep);
}

TEST_CASE("eal: no worker waits for a PCI device, which has no descriptor", "[dataplane][eal]") {
  auto config = lab();
  config.ports.core.device.kind = config::DeviceKind::kPci;
  CHECK(resolve_idle_mode(config, {.online_cpus = 2}) == config::IdleMode::kSleep);
  CHECK(resolve_idle_mode(config, {.online_cpus = 4}) == config::IdleMode::kSpin);
  config.dataplane.idle.mode = config::IdleMode::kWait;
  CHECK(resolve_idle_mode(config, {.online_cpus = 4}) == config::IdleMode::kSleep);
}

TEST_CASE("eal: the members of a bond are devices of their own", "[dataplane][eal]") {
  auto config = lab();
  config.ports.core.device = {config::DeviceKind::kBond,
                              "bond:802.3ad",
                              "",
                              config::BondMode::kLacp,
                              {"0000:3b:00.0", "0000:3b:00.1", "net_tap0"}};
  const auto plan = plan_eal(config, {.online_cpus = 4});
  REQUIRE(plan);
  CHECK(std::ranges::count(plan->arguments, "-a") == 2);
  CHECK(std::ranges::count(plan->arguments, "0000:3b:00.1") == 1);
  CHECK(std::ranges::count(plan->arguments, "--no-pci") == 0);
  CHECK(further_bond_queues(config) == 2 * config.dataplane.cores.workers.size());
  config.ports.core.device.members = {"net_tap0", "net_tap1"};
  CHECK(std::ranges::count(plan_eal(config, {.online_cpus = 4})->arguments, "--no-pci") == 1);
}

TEST_CASE("eal: a core that this process may not use is named", "[dataplane][eal]") {
  cpu_set_t before;
  REQUIRE(::sched_getaffinity(0, sizeof(before), &before) == 0);
  std::uint16_t mine = 0;
  while (!CPU_ISSET(mine, &before)) ++mine;
  CHECK(cores_objection({.main = mine, .workers = {}}).empty());
  CHECK_THAT(cores_objection({.main = mine, .workers = {1023}}),
             Catch::StartsWith("dataplane.cores: this process may not run on core 1023 ("));
  cpu_set_t after;
  REQUIRE(::sched_getaffinity(0, sizeof(after), &after) == 0);
  CHECK(CPU_EQUAL(&before, &after));
}
