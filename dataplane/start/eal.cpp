// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/start/eal.hpp"

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace pns::dataplane {
namespace {

constexpr std::uint64_t kHugePageMegabytes = 2;

void add_device(std::vector<std::string>& arguments, const config::Port& port) {
  if (port.device.kind == config::DeviceKind::kPci) {
    arguments.emplace_back("-a");
    arguments.push_back(port.device.text);
  }
}

}  // namespace

bool uses_xdp(const config::Config& config) noexcept {
  return config.ports.access.device.kind == config::DeviceKind::kXdp ||
         config.ports.core.device.kind == config::DeviceKind::kXdp;
}

HostFacts read_host_facts() {
  HostFacts facts;
  facts.online_cpus = static_cast<unsigned>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  std::uint64_t pages = 0;
  if (file >> pages) facts.free_huge_megabytes = pages * kHugePageMegabytes;
  return facts;
}

std::expected<EalPlan, std::string> plan_eal(const config::Config& config, const HostFacts& host) {
  const auto& memory = config.dataplane.memory;
  EalPlan plan;
  const bool enough = host.free_huge_megabytes >= memory.megabytes;
  switch (memory.hugepages) {
    case config::HugePages::kAuto:
      plan.huge_pages = enough;
      break;
    case config::HugePages::kOn:
      if (!enough)
        return std::unexpected(
            fmt::format("dataplane.memory: {} MiB of huge pages wanted, {} MiB are free",
                        memory.megabytes, host.free_huge_megabytes));
      plan.huge_pages = true;
      break;
    case config::HugePages::kOff:
      plan.huge_pages = false;
      break;
  }
  if (uses_xdp(config) && !plan.huge_pages)
    return std::unexpected(fmt::format(
        "xdp: ports need huge pages: {} MiB wanted, {} MiB free (reserve them: "
        "echo {} > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages; or use tap: ports)",
        memory.megabytes, host.free_huge_megabytes, memory.megabytes / kHugePageMegabytes));

  // --lcores gives every lcore its CPU; a worker number beyond the online CPUs is refused here,
  // because EAL would only say "invalid lcores".
  std::string lcores = std::to_string(config.dataplane.cores.main);
  unsigned highest = config.dataplane.cores.main;
  for (const auto worker : config.dataplane.cores.workers) {
    lcores += "," + std::to_string(worker);
    highest = std::max<unsigned>(highest, worker);
  }
  if (highest >= host.online_cpus)
    return std::unexpected(fmt::format("dataplane.cores: core {} is not there, this host has {}",
                                       highest, host.online_cpus));

  auto& a = plan.arguments;
  a = {"-l",
       lcores,
       "--main-lcore",
       std::to_string(config.dataplane.cores.main),
       "--no-telemetry",
       "--log-level=4",
       "-m",
       std::to_string(memory.megabytes)};
  const bool any_pci = config.ports.access.device.kind == config::DeviceKind::kPci ||
                       config.ports.core.device.kind == config::DeviceKind::kPci;
  // Without --no-pci EAL would probe (and could take over) the host's own interface.
  if (!any_pci) a.emplace_back("--no-pci");
  add_device(a, config.ports.access);
  add_device(a, config.ports.core);
  if (plan.huge_pages) {
    a.emplace_back("--in-memory");
    if (!any_pci) a.emplace_back("--iova-mode=va");
  } else {
    a.insert(a.end(), {"--no-huge", "--no-shconf", "--iova-mode=va"});
  }
  return plan;
}

std::expected<void, std::string> start_eal(const EalPlan& plan) {
  std::vector<std::string> words = {"pns-dataplane"};
  words.insert(words.end(), plan.arguments.begin(), plan.arguments.end());
  std::vector<char*> argv;
  std::transform(words.begin(), words.end(), std::back_inserter(argv),
                 [](std::string& word) { return word.data(); });
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
    return std::unexpected(fmt::format("EAL: {}", rte_strerror(rte_errno)));
  return {};
}

config::IdleMode resolve_idle_mode(const config::Config& config, const HostFacts& host) noexcept {
  const auto mode = config.dataplane.idle.mode;
  if (mode != config::IdleMode::kAuto) return mode;
  const std::size_t lcores = 1 + config.dataplane.cores.workers.size();
  return lcores >= host.online_cpus ? config::IdleMode::kWait : config::IdleMode::kSpin;
}

}  // namespace pns::dataplane
