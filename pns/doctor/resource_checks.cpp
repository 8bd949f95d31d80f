// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <sstream>
#include <vector>

#include "pns/base/cpu_list.hpp"
#include "pns/doctor/checks.hpp"
#include "pns/privilege/identity.hpp"
#include "pns/supervisor/host_check.hpp"
#include "pns/supervisor/kernel_net.hpp"

namespace pns::doctor {
namespace {

bool any_pci(const config::Config& config) {
  return config::has_pci(config.ports.access.device) || config::has_pci(config.ports.core.device);
}

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

// The hard limit of /proc/PID/limits by its name. Empty: it is not there.
std::optional<std::uint64_t> hard_limit(const std::string& limits, std::string_view name) {
  std::istringstream lines(limits);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name)) continue;
    std::istringstream words(line.substr(name.size()));
    std::string soft;
    std::string hard;
    if (!(words >> soft >> hard)) return std::nullopt;
    if (hard == "unlimited") return kNoLimit;
    std::uint64_t value = 0;
    if (std::from_chars(hard.data(), hard.data() + hard.size(), value).ec != std::errc{})
      return std::nullopt;
    return value;
  }
  return std::nullopt;
}

std::filesystem::path cpu_file(unsigned cpu, const char* name) {
  return std::filesystem::path("sys/devices/system/cpu") / fmt::format("cpu{}", cpu) / name;
}

bool contains(const std::vector<unsigned>& list, unsigned value) {
  return std::ranges::find(list, value) != list.end();
}

}  // namespace

Findings check_huge_pages(const config::Config& config, const Host& host) {
  const auto& memory = config.dataplane.memory;
  const bool is_xdp = config.ports.use_xdp();
  if (memory.hugepages == config::HugePages::kOff) {
    if (!is_xdp) return {{Verdict::kOk, "not used: dataplane.memory.hugepages is off"}};
    return {{Verdict::kError, "dataplane.memory.hugepages is off, and xdp: ports need huge pages",
             Remedy{.configure = "dataplane.memory.hugepages: auto"}}};
  }
  if (host.server.runs()) return {{Verdict::kSkipped, "the server runs, and has its pages"}};
  const auto need = supervisor::huge_page_need(config.dataplane);
  const auto pages = [&host](const char* size, const char* name) {
    return host.read_number(std::filesystem::path("sys/kernel/mm/hugepages") / size / name)
        .value_or(0);
  };
  // Packet buffers take the larger pages too, session memory does not.
  constexpr std::uint64_t kPagesOfLarge = 512;
  const std::uint64_t large = pages("hugepages-1048576kB", "free_hugepages");
  const std::uint64_t free = supervisor::free_huge_pages(host.sys());
  const std::uint64_t all = free + large * kPagesOfLarge;
  const std::string values = fmt::format(
      "{} pages of 2 MiB and {} of 1 GiB are free; {} of 2 MiB are needed: {} for {} MiB of "
      "packets, {} for {} sessions",
      free, large, need.total(), need.buffers, memory.megabytes, need.sessions,
      config.dataplane.max_sessions);
  if (free >= need.sessions && all >= need.total()) return {{Verdict::kOk, values}};
  const std::uint64_t lacking = std::max(need.total() - std::min(all, need.total()),
                                         need.sessions - std::min(free, need.sessions));
  const std::uint64_t wanted = pages("hugepages-2048kB", "nr_hugepages") + lacking;
  const Remedy remedy{
      .run = {fmt::format("sysctl -w vm.nr_hugepages={}", wanted)},
      .advice = fmt::format("at each boot: hugepages={} on the kernel's command line", wanted)};
  const bool buffers_need_them = is_xdp || any_pci(config);
  if (memory.hugepages == config::HugePages::kOn || (buffers_need_them && all < need.buffers))
    return {{Verdict::kError, values, remedy}};
  return {{Verdict::kWarning, values + "; ordinary memory is used, and is slower", remedy}};
}

Findings check_cpus(const config::Config& config, const Host& host) {
  Findings out;
  const auto& cores = config.dataplane.cores;
  const auto list = [&host](const char* name) {
    return parse_cpu_list(
        host.read(std::filesystem::path("sys/devices/system/cpu") / name).value_or(""));
  };
  const auto online = list("online");
  const auto isolated = list("isolated");
  std::vector<unsigned> workers(cores.workers.begin(), cores.workers.end());
  std::vector<unsigned> all = workers;
  all.push_back(cores.main);
  std::vector<unsigned> shared;
  std::vector<unsigned> slow;
  std::vector<std::string> siblings;
  for (const unsigned core : all)
    if (!online.empty() && !contains(online, core))
      out.push_back(
          {Verdict::kError, fmt::format("core {} is not online", core),
           Remedy{.run = {fmt::format("echo 1 > /sys/devices/system/cpu/cpu{}/online", core)},
                  .advice = "or choose others: dataplane.cores"}});
  for (const unsigned core : workers) {
    if (!contains(isolated, core)) shared.push_back(core);
    const auto governor = host.read(cpu_file(core, "cpufreq/scaling_governor"));
    if (governor && *governor != "performance") slow.push_back(core);
    for (const unsigned other :
         parse_cpu_list(host.read(cpu_file(core, "topology/thread_siblings_list")).value_or("")))
      if (other > core && contains(workers, other))
        siblings.push_back(fmt::format("{} and {}", core, other));
  }
  if (!siblings.empty())
    out.push_back({Verdict::kWarning,
                   fmt::format("workers share a physical core: {}", fmt::join(siblings, ", ")),
                   Remedy{.configure = "dataplane.cores.workers: one hyper-thread of each core"}});
  if (contains(isolated, cores.main))
    out.push_back(
        {Verdict::kWarning,
         fmt::format("core {} of the main thread is isolated: it is for the kernel's scheduler",
                     cores.main),
         Remedy{.configure = "dataplane.cores.main: a core that is not isolated"}});
  if (!slow.empty()) {
    Remedy remedy;
    for (const unsigned core : slow)
      remedy.run.push_back(fmt::format(
          "echo performance > /sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor", core));
    out.push_back(
        {Verdict::kWarning,
         fmt::format("the frequency of cores {} is not at its maximum", fmt::join(slow, ",")),
         remedy});
  }
  // A port of a lab has no load that this matters for.
  if (!shared.empty() && (config.ports.use_xdp() || any_pci(config)))
    out.push_back(
        {Verdict::kWarning,
         fmt::format("other programs may run on the workers' cores {}", fmt::join(shared, ",")),
         Remedy{.run = {fmt::format("deploy/prepare-nic cores {}", fmt::join(shared, ","))},
                .advice = "it prints the kernel's parameters that isolate them"}});
  if (out.empty())
    out.push_back({Verdict::kOk, fmt::format("main thread on core {}, workers on {}", cores.main,
                                             fmt::join(workers, ","))});
  return out;
}

Findings check_limits(const config::Config& config, const Host& host) {
  Findings out;
  const bool runs = host.server.runs();
  const std::string whose = runs ? "the server" : "this shell";
  const auto limits =
      host.read(std::filesystem::path("proc") /
                (runs ? fmt::format("{}", host.server.supervisor) : "self") / "limits");
  const std::uint64_t wanted = supervisor::wanted_descriptors(config.pptp.max_connections);
  const auto files = hard_limit(limits.value_or(""), "Max open files");
  // Root raises its own limit up to this.
  const auto bound = host.read_number("proc/sys/fs/nr_open").value_or(kNoLimit);
  if (files && *files < wanted && (runs || !host.is_root || bound < wanted))
    out.push_back(
        {Verdict::kWarning,
         fmt::format("{} may have {} descriptors, pptp.max_connections needs {}: fewer connections "
                     "are kept",
                     whose, *files, wanted),
         Remedy{.configure = fmt::format(
                    "LimitNOFILE={} in the unit, or a lower pptp.max_connections", wanted)}});
  const auto locked = hard_limit(limits.value_or(""), "Max locked memory");
  if (locked && *locked != kNoLimit && config.ports.use_xdp() && (runs || !host.is_root))
    out.push_back(
        {Verdict::kError,
         fmt::format("{} may lock {} octets of memory: AF_XDP needs more", whose, *locked),
         Remedy{.configure = "LimitMEMLOCK=infinity in the unit"}});
  for (const auto& [file, key] :
       {std::pair{"proc/sys/net/core/somaxconn", "net.core.somaxconn"},
        {"proc/sys/net/ipv4/tcp_max_syn_backlog", "net.ipv4.tcp_max_syn_backlog"}})
    if (const auto value = host.read_number(file);
        value && *value < static_cast<std::uint64_t>(supervisor::kListenBacklog))
      out.push_back(
          {Verdict::kWarning,
           fmt::format("{} is {}: the kernel drops callers when more dial at once", key, *value),
           Remedy{.run = {fmt::format("sysctl -w {}={}", key, supervisor::kListenBacklog)}}});
  if (out.empty())
    out.push_back(
        {Verdict::kOk, fmt::format("{} descriptors are needed, {} may have them", wanted, whose)});
  return out;
}

Findings check_users(const config::Config&, const Host& host) {
  std::vector<std::string> missing;
  if (!host.has_control_user) missing.emplace_back(privilege::kControlUser);
  if (!host.has_dataplane_user) missing.emplace_back(privilege::kDataplaneUser);
  if (missing.empty())
    return {{Verdict::kOk, fmt::format("users {} and {} exist", privilege::kControlUser,
                                       privilege::kDataplaneUser)}};
  return {{Verdict::kWarning,
           fmt::format("no user {}: the process runs as uid {}, which other services may use too",
                       fmt::join(missing, ", "), privilege::kNobody),
           Remedy{.run = {"systemd-sysusers deploy/pns.sysusers.conf"}}}};
}

Findings check_clock(const config::Config&, const Host& host) {
  if (host.clock.now < host.clock.executable_from)
    return {{Verdict::kError,
             fmt::format("the clock is {} s before the date of the executable: log, session ids "
                         "and accounting are wrong",
                         host.clock.executable_from - host.clock.now),
             Remedy{.run = {"timedatectl set-ntp true"}}}};
  if (!host.clock.synchronized)
    return {{Verdict::kWarning,
             "no time server disciplines the clock: times in log and accounting drift",
             Remedy{.run = {"timedatectl set-ntp true"}, .advice = "or start chrony, ntpd"}}};
  return {{Verdict::kOk, "synchronized"}};
}

}  // namespace pns::doctor
