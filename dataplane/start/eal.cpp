// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/start/eal.hpp"

#include <fmt/format.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "pns/base/cpu_list.hpp"
#include "pns/host/devices.hpp"

namespace pns::dataplane {
namespace {

constexpr std::uint64_t kHugePageMegabytes = 2;                     // the size that is advised
constexpr std::array<std::uint64_t, 2> kHugePageSizes = {2, 1024};  // MiB

bool is_online(const HostFacts& host, unsigned cpu) {
  return host.cpus.empty() ? cpu < host.online_cpus
                           : std::ranges::find(host.cpus, cpu) != host.cpus.end();
}

void add_device(std::vector<std::string>& arguments, const config::Port& port) {
  const auto add = [&arguments](const std::string& address) {
    arguments.emplace_back("-a");
    arguments.push_back(address);
  };
  if (port.device.kind == config::DeviceKind::kPci) add(port.device.text);
  for (const std::string& member : port.device.members)
    if (!member.starts_with("net_")) add(member);
}

bool any_pci(const config::Config& config) {
  return config::has_pci(config.ports.access.device) || config::has_pci(config.ports.core.device);
}

}  // namespace

unsigned further_xdp_queues(const config::Config& config, const std::filesystem::path& sys) {
  const std::size_t workers = config.dataplane.cores.workers.size();
  std::size_t further = 0;
  for (const config::Port* port : {&config.ports.access, &config.ports.core}) {
    if (port->device.kind != config::DeviceKind::kXdp) continue;
    const std::size_t queues = host::rx_queues(port->device.interface, sys);
    further += queues > workers ? queues - workers : 0;
  }
  return static_cast<unsigned>(further);
}

unsigned further_bond_queues(const config::Config& config) noexcept {
  std::size_t further = 0;
  for (const config::Port* port : {&config.ports.access, &config.ports.core})
    if (!port->device.members.empty())
      further += (port->device.members.size() - 1) * config.dataplane.cores.workers.size();
  return static_cast<unsigned>(further);
}

HostFacts read_host_facts(const std::filesystem::path& sys) {
  HostFacts facts;
  std::string list;
  if (std::ifstream file(sys / "devices/system/cpu/online"); file >> list)
    facts.cpus = parse_cpu_list(list);
  facts.online_cpus = facts.cpus.empty()
                          ? static_cast<unsigned>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)))
                          : static_cast<unsigned>(facts.cpus.size());
  for (const std::uint64_t megabytes : kHugePageSizes) {
    std::ifstream file(
        sys / fmt::format("kernel/mm/hugepages/hugepages-{}kB/free_hugepages", megabytes * 1024));
    std::uint64_t pages = 0;
    if (file >> pages) facts.free_huge_megabytes += pages * megabytes;
  }
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
  if (config.ports.use_xdp() && !plan.huge_pages)
    return std::unexpected(fmt::format(
        "xdp: ports need huge pages: {} MiB wanted, {} MiB free (reserve them: "
        "echo {} > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages; or use tap: ports)",
        memory.megabytes, host.free_huge_megabytes, memory.megabytes / kHugePageMegabytes));

  // A core that is not online is refused here, because EAL would only say "invalid lcores".
  std::vector<unsigned> cores = {config.dataplane.cores.main};
  cores.insert(cores.end(), config.dataplane.cores.workers.begin(),
               config.dataplane.cores.workers.end());
  for (const unsigned core : cores)
    if (!is_online(host, core))
      return std::unexpected(fmt::format("dataplane.cores: core {} is not online, this host has {}",
                                         core, host.online_cpus));
  const std::string lcores = fmt::format("{}", fmt::join(cores, ","));

  auto& a = plan.arguments;
  a = {"-l",
       lcores,
       "--main-lcore",
       std::to_string(config.dataplane.cores.main),
       "--no-telemetry",
       "--log-level=4",
       "-m",
       std::to_string(memory.megabytes)};
  const bool pci = any_pci(config);
  // Without --no-pci EAL would probe (and could take over) the host's own interface.
  if (!pci) a.emplace_back("--no-pci");
  add_device(a, config.ports.access);
  add_device(a, config.ports.core);
  if (plan.huge_pages) {
    a.emplace_back("--in-memory");
    if (!pci) a.emplace_back("--iova-mode=va");
  } else {
    a.insert(a.end(), {"--no-huge", "--no-shconf", "--iova-mode=va"});
  }
  return plan;
}

std::string cores_objection(const config::Cores& wanted) {
  cpu_set_t before;
  if (::sched_getaffinity(0, sizeof(before), &before) != 0) return {};
  std::vector<unsigned> cores(wanted.workers.begin(), wanted.workers.end());
  cores.push_back(wanted.main);
  std::string objection;
  for (const unsigned core : cores) {
    cpu_set_t alone;
    CPU_ZERO(&alone);
    CPU_SET(core, &alone);
    if (::sched_setaffinity(0, sizeof(alone), &alone) == 0) continue;
    objection = fmt::format(
        "dataplane.cores: this process may not run on core {} (AllowedCPUs= of the unit, a cpuset; "
        "see Cpus_allowed_list in /proc/self/status)",
        core);
    break;
  }
  (void)::sched_setaffinity(0, sizeof(before), &before);
  return objection;
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
  auto mode = config.dataplane.idle.mode;
  if (mode == config::IdleMode::kAuto) {
    const std::size_t lcores = 1 + config.dataplane.cores.workers.size();
    mode = lcores >= host.online_cpus ? config::IdleMode::kWait : config::IdleMode::kSpin;
  }
  // A PCI device has no descriptor for poll(2).
  return mode == config::IdleMode::kWait && any_pci(config) ? config::IdleMode::kSleep : mode;
}

}  // namespace pns::dataplane
