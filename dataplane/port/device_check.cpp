// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/device_check.hpp"

#include <fmt/format.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <system_error>

#include "pns/host/devices.hpp"

namespace pns::dataplane {
namespace {

using std::filesystem::path;

std::string no_interface(const std::string& name) {
  return fmt::format("no such interface: {} (ip link shows those of this host)", name);
}

// AF_XDP's buffers are locked memory, which the kernel counts unless CAP_IPC_LOCK is there.
bool may_lock_memory() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return true;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  return ::syscall(SYS_capget, &header, data.data()) != 0 ||
         (data[0].effective >> CAP_IPC_LOCK & 1) != 0;
}

// Whatever the interface.
std::string af_xdp_objection(contract::PortRole role, const config::Ports& ports) {
  std::error_code error;
  if (const path program = xdp_program(role, ports); !std::filesystem::exists(program, error))
    return fmt::format("{} is not beside the executable", program.filename().string());
  if (!may_lock_memory())
    return "RLIMIT_MEMLOCK bounds the memory of AF_XDP (LimitMEMLOCK=infinity of the unit, ulimit "
           "-l "
           "unlimited)";
  return {};
}

std::string xdp_objection(contract::PortRole role, const config::Ports& ports, const path& sys) {
  const config::Port& port = role == contract::PortRole::kAccess ? ports.access : ports.core;
  const std::string& interface = port.device.interface;
  if (!port.vlan.empty() && !host::has_interface(interface, sys))
    return fmt::format("no VLAN interface {}: ip link add link {} name {} type vlan id {}, and up",
                       interface, interface.substr(0, interface.rfind('.')), interface,
                       port.vlan.back());
  if (!host::has_interface(interface, sys)) return no_interface(interface);
  if (const std::size_t queues = host::rx_queues(interface, sys); queues > host::kMaxXdpQueues)
    return fmt::format(
        "the interface has {} receive queues and at most {} can be served: ethtool -L {} combined "
        "{}",
        queues, host::kMaxXdpQueues, interface, host::kMaxXdpQueues);
  return af_xdp_objection(role, ports);
}

// A PCI device is DPDK's when a driver for user space has it; one of Mellanox stays with its own.
std::string pci_objection(const std::string& address, const path& sys) {
  const auto driver = host::pci_driver(address, sys);
  if (!driver) return "no such PCI device (lspci -D shows those of this host)";
  if (host::is_usable_by_dpdk(*driver)) return {};
  return fmt::format("its driver is {}, which DPDK cannot use (prepare-nic bind {})",
                     driver->empty() ? "none" : *driver, address);
}

std::string vdev_objection(const std::string& text, const path& sys) {
  const std::string interface = host::interface_of_vdev(text);
  return interface.empty() || host::has_interface(interface, sys) ? std::string()
                                                                  : no_interface(interface);
}

}  // namespace

std::string role_name(contract::PortRole role) {
  return role == contract::PortRole::kAccess ? "access" : "core";
}

path xdp_program(contract::PortRole role, const config::Ports& ports) {
  const config::Port& port = role == contract::PortRole::kAccess ? ports.access : ports.core;
  const std::string name = port.leads_to_host() ? "kernel"
                           : ports.one_link()   ? "link"
                                                : role_name(role);
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / ("pns-xdp-" + name + ".o");
}

std::string device_objection(contract::PortRole role, const config::Config& config,
                             const path& sys) {
  const config::Port& port =
      role == contract::PortRole::kAccess ? config.ports.access : config.ports.core;
  std::string why;
  switch (port.device.kind) {
    case config::DeviceKind::kXdp:
      why = xdp_objection(role, config.ports, sys);
      break;
    case config::DeviceKind::kKernel:
      why = af_xdp_objection(role, config.ports);  // the supervisor makes the interface
      break;
    case config::DeviceKind::kPci:
      why = pci_objection(port.device.text, sys);
      break;
    case config::DeviceKind::kVdev:
      why = vdev_objection(port.device.text, sys);
      break;
    case config::DeviceKind::kBond:
      for (const std::string& member : port.device.members)
        if (why.empty() && !member.starts_with("net_"))
          if (why = pci_objection(member, sys); !why.empty()) why = member + ": " + why;
      break;
    case config::DeviceKind::kTap:
      break;
  }
  if (why.empty()) return {};
  return fmt::format("ports.{}.device: {}: {}", role_name(role), port.device.text, why);
}

}  // namespace pns::dataplane
