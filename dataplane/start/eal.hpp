// SPDX-License-Identifier: BSD-3-Clause
//
// The DPDK environment of this process: which arguments EAL gets, and its life. The dataplane is a
// primary process without shared configuration, so nothing is left behind by SIGKILL and several
// instances live on one host. Main thread only, at start.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "pns/config/config.hpp"

namespace pns::dataplane {

// The host's resources, measured by the caller so that argument building stays a pure function.
struct HostFacts {
  unsigned online_cpus = 1;
  std::uint64_t free_huge_megabytes = 0;  // pages of 2 MiB and of 1 GiB
  // Their numbers, in order, which may have gaps: siblings of SMT are taken offline one by one.
  // Empty: 0 to online_cpus - 1.
  std::vector<unsigned> cpus{};
};
// `sys`: where sysfs is mounted.
[[nodiscard]] HostFacts read_host_facts(const std::filesystem::path& sys = "/sys");

struct EalPlan {
  std::vector<std::string> arguments;  // argv[1…] for rte_eal_init
  bool huge_pages = false;
};

// Error: why the configuration cannot be run on this host (huge pages demanded but absent, an xdp:
// port without huge pages, a core that is not online).
[[nodiscard]] std::expected<EalPlan, std::string> plan_eal(const config::Config& config,
                                                           const HostFacts& host);

// Why a thread of this process cannot run on one of the cores: a set of CPUs that the service is
// bound to, as by AllowedCPUs=. Empty: it can.
[[nodiscard]] std::string cores_objection(const config::Cores& cores);

// rte_eal_init with the plan. Error: DPDK's reason.
[[nodiscard]] std::expected<void, std::string> start_eal(const EalPlan& plan);

// Receive queues of xdp: ports beyond one for each worker and port: each holds buffers of its own.
[[nodiscard]] unsigned further_xdp_queues(const config::Config& config,
                                          const std::filesystem::path& sys = "/sys");

// The same of bonds: each member has as many queues as the bond.
[[nodiscard]] unsigned further_bond_queues(const config::Config& config) noexcept;

// idle.mode as configured. auto: kWait when there are as many lcores as CPUs, or more, else kSpin.
// kSleep in place of kWait when a port is a PCI device.
[[nodiscard]] config::IdleMode resolve_idle_mode(const config::Config& config,
                                                 const HostFacts& host) noexcept;

}  // namespace pns::dataplane
