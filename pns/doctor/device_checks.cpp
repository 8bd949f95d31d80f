// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <system_error>

#include "pns/doctor/checks.hpp"
#include "pns/host/devices.hpp"

namespace pns::doctor {
namespace {

using config::DeviceKind;

// Drivers of the kernel with XDP of their own; with another one XDP works on finished packets,
// slower. By the kernel's documentation, up to release 6.12.
constexpr std::array<std::string_view, 40> kNativeXdp = {
    "aquantia",      "atlantic",        "bnxt_en",    "cpsw",          "dpaa2-eth", "dpaa_eth",
    "ena",           "enetc",           "fec",        "fsl_dpaa2_eth", "fsl_enetc", "fun_eth",
    "gve",           "hv_netvsc",       "i40e",       "ice",           "idpf",      "igb",
    "igc",           "ixgbe",           "ixgbevf",    "mana",          "mlx4_en",   "mlx4_core",
    "mlx5_core",     "mtk_soc_eth",     "mvneta",     "mvpp2",         "netsec",    "nfp",
    "nicvf",         "octeontx2-nicpf", "qede",       "rvu_nicpf",     "sfc",       "stmmac",
    "thunder-nicvf", "tsnep",           "virtio_net", "vmxnet3"};
constexpr std::array<std::string_view, 4> kNativeKinds = {"veth", "bond", "tun", "netkit"};

template <class List>
bool is_one_of(const List& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

std::string link_target(const std::filesystem::path& link) {
  std::error_code error;
  return std::filesystem::read_symlink(link, error).filename().string();
}

// The kernel driver of an interface; of a virtual one its kind.
std::string driver_of(const Host& host, const Link& link) {
  if (!link.kind.empty()) return link.kind;
  return link_target(host.sys() / "class/net" / link.name / "device/driver");
}

void check_xdp(const std::string& key, const std::string& interface, std::size_t workers,
               const Host& host, Findings& out) {
  const Link* link = host.network.find(interface);
  if (link == nullptr) {
    out.push_back({Verdict::kError, fmt::format("{}: no interface {}", key, interface),
                   Remedy{.configure = key + ": one of those that `ip link` shows"}});
    return;
  }
  const std::size_t before = out.size();
  if (!link->up)
    out.push_back({Verdict::kError, fmt::format("{}: {} is down", key, interface),
                   Remedy{.run = {fmt::format("ip link set {} up", interface)}}});
  else if (!link->carrier)
    out.push_back({Verdict::kError, fmt::format("{}: {} has no carrier", key, interface),
                   Remedy{.advice = "look at the cable and at the other end"}});
  const std::size_t queues = host::rx_queues(interface, host.sys());
  if (queues > host::kMaxXdpQueues)
    out.push_back({Verdict::kError,
                   fmt::format("{}: {} has {} receive queues, and {} can be served", key, interface,
                               queues, host::kMaxXdpQueues),
                   Remedy{.run = {fmt::format("ethtool -L {} combined {}", interface, workers)}}});
  else if (queues % workers != 0)
    out.push_back(
        {Verdict::kWarning,
         fmt::format("{}: {} has {} receive queues for {} workers, which get unequal shares", key,
                     interface, queues, workers),
         Remedy{.run = {fmt::format("ethtool -L {} combined {}", interface, workers)},
                .configure = fmt::format("dataplane.cores.workers: {} cores", queues)}});
  const std::string driver = driver_of(host, *link);
  const bool native =
      link->kind.empty() ? is_one_of(kNativeXdp, driver) : is_one_of(kNativeKinds, driver);
  if (!native)
    out.push_back(
        {Verdict::kWarning,
         fmt::format("{}: {} has driver {}, which is not known to have XDP of its own: generic XDP "
                     "is slower",
                     key, interface, driver.empty() ? "none" : driver),
         Remedy{.advice =
                    "use the port by PCI address where DPDK has a driver (docs/real-nics.md)"}});
  if (out.size() == before)
    out.push_back(
        {Verdict::kOk, fmt::format("{}: {} is up, driver {} has XDP, {} receive queues, {} workers",
                                   key, interface, driver, queues, workers)});
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

void check_pci(const std::string& key, const std::string& written, const Host& host,
               Findings& out) {
  const std::string address = lower(written);
  const auto driver = host::pci_driver(address, host.sys());
  if (!driver) {
    out.push_back({Verdict::kError, fmt::format("{}: no PCI device {}", key, address),
                   Remedy{.configure = key + ": one of those that deploy/prepare-nic show lists"}});
    return;
  }
  const Remedy bind{.run = {"deploy/prepare-nic bind " + address}};
  if (!host::is_usable_by_dpdk(*driver)) {
    out.push_back({Verdict::kError,
                   fmt::format("{}: {} has driver {}, which DPDK cannot use", key, address,
                               driver->empty() ? "none" : *driver),
                   bind});
    return;
  }
  const auto device = host.sys() / "bus/pci/devices" / address;
  if (*driver == "mlx5_core" || *driver == "mlx4_core") {
    out.push_back({Verdict::kOk, fmt::format("{}: {} has driver {}, which DPDK works beside", key,
                                             address, *driver)});
    return;
  }
  const std::string group = link_target(device / "iommu_group");
  const bool no_iommu = host.read(std::filesystem::path("sys/bus/pci/devices") / address /
                                  "iommu_group/name") == "vfio-noiommu";
  const Remedy iommu{
      .run = bind.run,
      .advice =
          "after intel_iommu=on (amd_iommu=on) iommu=pt on the kernel's command line, VT-d or "
          "AMD-Vi in the BIOS, and a reboot"};
  if (*driver == "vfio-pci" && group.empty()) {
    out.push_back(
        {Verdict::kError,
         fmt::format(
             "{}: {} is in no IOMMU group, and Debian's kernels have no vfio without an IOMMU", key,
             address),
         iommu});
    return;
  }
  if (*driver != "vfio-pci" || no_iommu) {
    out.push_back(
        {Verdict::kWarning,
         fmt::format(
             "{}: {} ({}) is used without an IOMMU: the device can write to all of memory, and the "
             "unit must permit it (docs/security.md)",
             key, address, no_iommu ? "vfio without an IOMMU" : *driver),
         iommu});
    return;
  }
  // A group is given to user space as a whole.
  std::error_code error;
  for (const auto& other :
       std::filesystem::directory_iterator(device / "iommu_group/devices", error)) {
    const std::string name = other.path().filename().string();
    const std::string others = host::pci_driver(name, host.sys()).value_or("");
    const auto kind = host.read(std::filesystem::path("sys/bus/pci/devices") / name / "class");
    if (name == address || others.empty() || others == "vfio-pci" ||
        kind.value_or("").starts_with("0x06"))
      continue;
    out.push_back({Verdict::kError,
                   fmt::format("{}: {} shares IOMMU group {} with {}, which has driver {}", key,
                               address, group, name, others),
                   Remedy{.run = {"deploy/prepare-nic bind " + name},
                          .advice = "or put the card into another slot"}});
    return;
  }
  out.push_back({Verdict::kOk,
                 fmt::format("{}: {} has driver vfio-pci, IOMMU group {}", key, address, group)});
}

// pns makes the pair; nothing else may have its names.
void check_kernel(const std::string& key, const config::Device& device, const Host& host,
                  Findings& out) {
  for (const std::string& name : {device.interface, device.xdp_interface()})
    if (const Link* link = host.network.find(name); link != nullptr && link->kind != "veth") {
      out.push_back({Verdict::kError,
                     fmt::format("{}: {} is an interface of another kind already", key, name),
                     Remedy{.configure = key + ": kernel:NAME, a name that is free"}});
      return;
    }
  out.push_back(
      {Verdict::kOk, fmt::format("{}: {} is an interface that pns makes", key, device.interface)});
}

void check_vdev(const std::string& key, const std::string& text, const Host& host, Findings& out) {
  const std::string interface = host::interface_of_vdev(text);
  if (interface.empty()) {
    out.push_back({Verdict::kSkipped, fmt::format("{}: only DPDK knows what {} needs", key, text)});
    return;
  }
  const Link* link = host.network.find(interface);
  if (link == nullptr)
    out.push_back({Verdict::kError, fmt::format("{}: no interface {}", key, interface),
                   Remedy{.configure = key + ": iface= of those that `ip link` shows"}});
  else if (!link->up)
    out.push_back({Verdict::kError, fmt::format("{}: {} is down", key, interface),
                   Remedy{.run = {fmt::format("ip link set {} up", interface)}}});
  else
    out.push_back({Verdict::kOk, fmt::format("{}: {} is up", key, interface)});
}

}  // namespace

Findings check_devices(const config::Config& config, const Host& host) {
  Findings out;
  for (const auto& [key, port] : {std::pair{"ports.access.device", &config.ports.access},
                                  {"ports.core.device", &config.ports.core}}) {
    const config::Device& device = port->device;
    switch (device.kind) {
      case DeviceKind::kXdp:
        check_xdp(key, device.interface, config.dataplane.cores.workers.size(), host, out);
        break;
      case DeviceKind::kPci:
        check_pci(key, device.text, host, out);
        break;
      case DeviceKind::kVdev:
        check_vdev(key, device.text, host, out);
        break;
      case DeviceKind::kKernel:
        check_kernel(key, device, host, out);
        break;
      case DeviceKind::kBond:
        for (const std::string& member : device.members)
          if (member.starts_with("net_"))
            check_vdev(key, member, host, out);
          else
            check_pci(key, member, host, out);
        break;
      case DeviceKind::kTap:
        if (host.exists("dev/net/tun"))
          out.push_back({Verdict::kOk,
                         fmt::format("{}: {} is a lab port, which pns makes", key, device.text)});
        else
          out.push_back({Verdict::kError,
                         fmt::format("{}: {} needs /dev/net/tun", key, device.text),
                         Remedy{.run = {"modprobe tun"}}});
        break;
    }
  }
  return out;
}

}  // namespace pns::doctor
