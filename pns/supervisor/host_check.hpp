// SPDX-License-Identifier: BSD-3-Clause
//
// The things that this host must have before the supervisor can start with a configuration. `pns
// check` and the start both ask here. Nothing on the host is changed. Objections are one line each:
// the key, what is missing, and the remedy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "pns/config/config.hpp"

namespace pns::supervisor {

// For a supervisor that starts.
[[nodiscard]] std::vector<std::string> host_objections(const config::Config& config,
                                                       const std::filesystem::path& run_dir);
// The run directory, which is made when it is not there.
[[nodiscard]] std::vector<std::string> run_directory_objections(
    const std::filesystem::path& run_dir);

// Descriptors for this many connections: room for each of them twice (a store and a hand-over) and
// for the rest.
[[nodiscard]] constexpr std::uint64_t wanted_descriptors(std::uint32_t max_connections) noexcept {
  return std::uint64_t{max_connections} * 2 + 4096;
}
// Empty: this process may have as many. Fewer mean fewer connections, and no failed start.
[[nodiscard]] std::string descriptor_warning(std::uint32_t max_connections);

// Empty: ppp.broadcast_relay is off, or can do its work. The server starts with a warning, too. The
// kernel's addresses count of an xdp: port.
[[nodiscard]] std::string broadcast_warning(const config::Config& config);

// Whether session memory lies on huge pages. With `auto` it does only where enough are left for the
// packet buffers.
[[nodiscard]] bool sessions_on_huge_pages(const config::Dataplane& dataplane);

// Pages of 2 MiB for a server whose memory lies on huge pages.
struct HugePageNeed {
  std::uint64_t sessions = 0;  // session memory
  std::uint64_t buffers = 0;   // dataplane.memory.megabytes; larger pages serve too

  [[nodiscard]] std::uint64_t total() const noexcept { return sessions + buffers; }
};
[[nodiscard]] HugePageNeed huge_page_need(const config::Dataplane& dataplane) noexcept;
// Free pages of 2 MiB. `sys`: where sysfs is mounted.
// Waits while fewer are free than are needed and the number still grows: the processes of a server
// that was killed a moment ago give theirs back one by one. Half a second when nothing changes.
void await_huge_pages(const config::Config& config);
[[nodiscard]] std::uint64_t free_huge_pages(const std::filesystem::path& sys = "/sys");

// Whether the supervisor of this run directory runs.
[[nodiscard]] bool is_serving(const std::filesystem::path& run_dir);

}  // namespace pns::supervisor
