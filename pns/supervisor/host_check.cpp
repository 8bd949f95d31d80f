// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/host_check.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string_view>
#include <thread>
#include <utility>

#include "pns/base/unique_fd.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/supervisor/kernel_net.hpp"
#include "pns/supervisor/kernel_port.hpp"
#include "pns/supervisor/run_directory.hpp"
#include "pns/supervisor/services_interface.hpp"

namespace pns::supervisor {
namespace {

using Objections = std::vector<std::string>;

constexpr std::uint64_t kHugeMegabytes = 2;
constexpr unsigned kHugeKilobytes = 2048;
constexpr unsigned kGigabyteKilobytes = 1'048'576;
constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;
constexpr std::string_view kLongestSocket = "dataplane.sock";

std::uint64_t free_pages(unsigned kilobytes, const std::filesystem::path& sys = "/sys") {
  std::ifstream file(sys /
                     fmt::format("kernel/mm/hugepages/hugepages-{}kB/free_hugepages", kilobytes));
  std::uint64_t count = 0;
  return file >> count ? count : 0;
}

std::uint64_t session_octets(std::uint32_t sessions) noexcept {
  return sessions * (sizeof(contract::SessionRecord) + sizeof(contract::SessionExtension));
}

// Memory that programs can still get; the largest number when the kernel does not say.
std::uint64_t available_megabytes() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::uint64_t kilobytes = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %lu kB", &kilobytes) == 1) return kilobytes / 1024;
  }
  return UINT64_MAX;
}

void check_memory(const config::Dataplane& dataplane, Objections& out) {
  const auto& memory = dataplane.memory;
  const HugePageNeed need = huge_page_need(dataplane);
  const std::uint64_t for_sessions = need.sessions;
  if (memory.hugepages == config::HugePages::kOn) {
    // Sessions take pages of 2 MiB only, packet buffers the larger ones too.
    const std::uint64_t free = free_huge_pages();
    const std::uint64_t megabytes = free * kHugeMegabytes + free_pages(kGigabyteKilobytes) * 1024;
    const std::uint64_t wanted = for_sessions * kHugeMegabytes + memory.megabytes;
    if (free < for_sessions || megabytes < wanted)
      out.push_back(
          fmt::format("dataplane.memory.hugepages: on, but {} MiB of huge pages are free and {} "
                      "MiB are wanted, "
                      "{} of them in pages of 2 MiB (echo {} > "
                      "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages)",
                      megabytes, wanted, for_sessions * kHugeMegabytes, need.total()));
    return;
  }
  if (sessions_on_huge_pages(dataplane)) return;
  const std::uint64_t wanted = session_octets(dataplane.max_sessions) / kMegabyte;
  if (const std::uint64_t available = available_megabytes(); wanted > available)
    out.push_back(
        fmt::format("dataplane.max_sessions: {} sessions need {} MiB of memory, {} MiB are "
                    "available (lower it, or add memory)",
                    dataplane.max_sessions, wanted, available));
}

void check_tap(const std::string& key, const std::string& name, Objections& out) {
  if (::if_nametoindex(name.c_str()) == 0) return;
  if (::access(fmt::format("/sys/class/net/{}/tun_flags", name).c_str(), F_OK) != 0)
    out.push_back(fmt::format(
        "{}: {} is an interface of another kind, no TAP (choose another name)", key, name));
}

void check_taps(const config::Ports& ports, Objections& out) {
  bool any = false;
  for (const auto& [role, port] : {std::pair{"access", &ports.access}, {"core", &ports.core}}) {
    const bool is_tap = port->device.kind == config::DeviceKind::kTap;
    if (is_tap) check_tap(fmt::format("ports.{}.device", role), port->device.interface, out);
    if (port->has_twin()) check_tap(fmt::format("ports.{}.twin", role), port->twin, out);
    any = any || is_tap || port->has_twin();
  }
  if (const config::Services& services = ports.core.services; services.enabled) {
    check_tap("ports.core.services.interface", services.interface, out);
    any = true;
  }
  if (any && !UniqueFd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)))
    out.push_back(fmt::format(
        "ports: TAPs need /dev/net/tun: {} (load the module tun; allow the device to the service)",
        std::strerror(errno)));
}

void check_kernel_port(const config::Port& core, Objections& out) {
  if (!core.leads_to_host()) return;
  if (const std::string why = kernel_port_objection(core); !why.empty())
    out.push_back("ports.core.device: " + why);
}

// The kernel's addresses and next hops on an xdp: core interface, which a pool must not contain.
// With a twin the configuration has them.
void check_pools(const config::Config& config, Objections& out) {
  const config::Port& core = config.ports.core;
  if (!core.device.uses_xdp()) return;
  // Behind a kernel: port lie all networks of this host.
  const std::string& interface =
      core.leads_to_host() ? config.ports.access.device.interface : core.device.interface;
  const auto own = interface_addresses(interface);
  const auto hops = next_hops_of(core.leads_to_host() ? std::string() : interface);
  for (const auto& [name, pool] : config.pools)
    for (std::size_t i = 0; i < pool.ranges.size(); ++i) {
      const auto object = [&](Ipv4Address address, std::string_view what) {
        if (pool.ranges[i].contains(address))
          out.push_back(
              fmt::format("pools.{}.ranges.{}: contains {}, {} {} (take it out of the "
                          "range)",
                          name, i, address.to_string(), what, interface));
      };
      for (const Ipv4Address address : own) object(address, "an address of");
      for (const Ipv4Address hop : hops) object(hop, "a next hop of this host on");
    }
}

void check_listeners(const config::Config& config, Objections& out) {
  const auto addresses = listen_addresses(config);
  if (!addresses) return out.push_back("pptp.listen: " + addresses.error());
  for (const Ipv4Address address : *addresses)
    if (const auto bound = bind_patiently(address, kPptpPort); !bound)
      out.push_back(fmt::format("pptp.listen: {}{}", bound.error().reason,
                                bound.error().number == EADDRINUSE
                                    ? " (another program listens there; ss -ltnp names it)"
                                    : ""));
  if (const auto guard = open_gre_guard(); !guard)
    out.push_back(guard.error() + " (root, or CAP_NET_RAW, is needed)");
}

}  // namespace

HugePageNeed huge_page_need(const config::Dataplane& dataplane) noexcept {
  return {
      .sessions = contract::SessionMemory::size(dataplane.max_sessions) /
                  (std::uint64_t{kHugeKilobytes} * 1024),
      .buffers = (std::uint64_t{dataplane.memory.megabytes} + 1) / kHugeMegabytes,
  };
}

std::uint64_t free_huge_pages(const std::filesystem::path& sys) {
  return free_pages(kHugeKilobytes, sys);
}

void await_huge_pages(const config::Config& config) {
  using SteadyClock = std::chrono::steady_clock;
  constexpr auto kLongest = std::chrono::seconds(5);
  constexpr auto kQuiet = std::chrono::milliseconds(500);
  constexpr auto kInterval = std::chrono::milliseconds(20);
  const config::HugePages wanted = config.dataplane.memory.hugepages;
  const bool needed = wanted == config::HugePages::kOn || config.ports.use_xdp();
  if (!needed || wanted == config::HugePages::kOff) return;
  const std::uint64_t need = huge_page_need(config.dataplane).total();
  const auto begun = SteadyClock::now();
  auto grown = begun;
  for (std::uint64_t free = free_huge_pages(); free < need;) {
    if (SteadyClock::now() - begun > kLongest || SteadyClock::now() - grown > kQuiet) return;
    std::this_thread::sleep_for(kInterval);
    if (const std::uint64_t now = free_huge_pages(); now != free) {
      free = now;
      grown = SteadyClock::now();
    }
  }
}

bool sessions_on_huge_pages(const config::Dataplane& dataplane) {
  const auto& memory = dataplane.memory;
  if (memory.hugepages != config::HugePages::kAuto)
    return memory.hugepages == config::HugePages::kOn;
  return free_huge_pages() >= huge_page_need(dataplane).total();
}

std::string descriptor_warning(std::uint32_t max_connections) {
  rlimit limit{};
  const std::uint64_t wanted = wanted_descriptors(max_connections);
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max >= wanted) return {};
  const rlimit raised{limit.rlim_cur, wanted};
  if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) return {};  // as the supervisor will
  return fmt::format(
      "pptp.max_connections: {} connections need {} descriptors, this process may have {} "
      "(LimitNOFILE= of the unit, ulimit -n, fs.nr_open): fewer connections are kept",
      max_connections, wanted, limit.rlim_max);
}

std::string broadcast_warning(const config::Config& config) {
  const config::Port& core = config.ports.core;
  if (config.ppp.broadcast_relay == 0) return {};
  auto networks = core.has_twin() ? core.addresses : interface_networks(core.device.interface);
  std::erase_if(networks, [](const Ipv4Prefix& own) { return !own.has_broadcast(); });
  const std::string& interface = core.kernel_interface();
  if (networks.empty())
    return fmt::format(
        "ppp.broadcast_relay: {} has no IPv4 address in a network with broadcasts: none is relayed",
        interface);
  const auto is_inside = [&](const Ipv4Range& range) {
    return std::ranges::any_of(networks, [&](const Ipv4Prefix& own) {
      return range.first <= own.last() && range.last >= own.network();
    });
  };
  const auto has_one = [&](const auto& named) {
    return std::ranges::any_of(named.second.ranges, is_inside);
  };
  if (std::ranges::any_of(config.pools, has_one)) return {};
  return fmt::format(
      "ppp.broadcast_relay: no pool lies in a network of {} ({}): only sessions with fixed "
      "addresses there hear broadcasts",
      interface, networks.front().to_string());
}

std::vector<std::string> run_directory_objections(const std::filesystem::path& run_dir) {
  Objections out;
  std::error_code error;
  const auto path = std::filesystem::absolute(run_dir, error).lexically_normal();
  if ((path / kLongestSocket).string().size() >= sizeof(sockaddr_un::sun_path))
    out.push_back(
        fmt::format("run directory {}: the path of a socket in it is longer than {} octets",
                    path.string(), sizeof(sockaddr_un::sun_path) - 1));
  // The nearest that is there: what is missing is made.
  auto present = path;
  while (!std::filesystem::exists(std::filesystem::symlink_status(present, error)) &&
         present.has_relative_path())
    present = present.parent_path();
  if (!std::filesystem::is_directory(present, error))
    out.push_back(
        fmt::format("run directory {}: {} is no directory", path.string(), present.string()));
  else if (::access(present.c_str(), W_OK | X_OK) != 0)
    out.push_back(
        fmt::format("run directory {}: {}: {} (--run-dir, or RuntimeDirectory= of the unit)",
                    path.string(), present.string(), std::strerror(errno)));
  struct statvfs space {};
  if (::statvfs(present.c_str(), &space) == 0)
    if (const std::uint64_t free = std::uint64_t{space.f_bavail} * space.f_frsize; free < kMegabyte)
      out.push_back(fmt::format(
          "run directory {}: {} KiB are free on its file system: the store needs 1 MiB and more",
          path.string(), free / 1024));
  return out;
}

std::vector<std::string> host_objections(const config::Config& config,
                                         const std::filesystem::path& run_dir) {
  Objections out = run_directory_objections(run_dir);
  check_memory(config.dataplane, out);
  check_taps(config.ports, out);
  check_kernel_port(config.ports.core, out);
  check_pools(config, out);
  check_listeners(config, out);
  return out;
}

bool is_serving(const std::filesystem::path& run_dir) {
  const pid_t pid = RunDirectory::adopt(run_dir, UniqueFd()).read_pid("supervisor");
  return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM);
}

}  // namespace pns::supervisor
