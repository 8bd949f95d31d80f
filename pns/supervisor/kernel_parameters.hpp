// SPDX-License-Identifier: BSD-3-Clause
//
// Parameters of the kernel that the interfaces of this server need, below /proc/sys, in this
// process's network namespace. The supervisor sets them, and `pns doctor` compares. A write that
// fails is a log line and no failed start: in a container /proc/sys may be read-only, and its
// owner sets them from outside.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "pns/config/config.hpp"

namespace pns::supervisor {

struct KernelParameter {
  std::string path;              // below /proc/sys
  std::string_view value;        // one word
  std::string_view otherwise{};  // consequence of any other value
};
using KernelParameters = std::vector<KernelParameter>;

// IPv6 packets pass the interface, whatever the host's default is.
[[nodiscard]] KernelParameters ipv6_taken(const std::string& interface);
// The kernel gives an interface no IPv6 addresses, and so sends no router solicitations and no
// multicast reports of its own accord.
[[nodiscard]] KernelParameters ipv6_quiet(const std::string& interface);
// For an interface that has IPv6 addresses: a link-local one of the kernel's beside them, and the
// routes and addresses that pns gives it alone.
[[nodiscard]] KernelParameters ipv6_allowed(const std::string& interface);
// For an interface without neighbours: IPv6, with addresses that are of use at once.
[[nodiscard]] KernelParameters ipv6_enabled(const std::string& interface);
// Packets may come from an address of this host: the dataplane's own ICMP errors do.
[[nodiscard]] KernelParameters own_addresses_accepted(const std::string& interface);
// The host takes no packet that arrives on an interface: it forwards none and has no IPv6 there. An
// address it must not have.
[[nodiscard]] KernelParameters host_kept_off(const std::string& interface);

// All of them, of the interfaces that pns makes for this configuration.
[[nodiscard]] KernelParameters parameters_of(const config::Config& config);

// Sets them in this order. Each that cannot be set is a log line.
void set_parameters(const KernelParameters& parameters);

// Writes one, unless it has the value already. Error text; empty: it has it. An IPv6 parameter that
// is not there needs none: the host has no IPv6. `root`: where /proc/sys is.
[[nodiscard]] std::string set_parameter(const std::filesystem::path& root,
                                        const KernelParameter& parameter);

}  // namespace pns::supervisor
