// SPDX-License-Identifier: BSD-3-Clause
//
// The devices of this host, as sysfs shows them. `sys`: where sysfs is mounted. Start-up only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace pns::host {

[[nodiscard]] bool has_interface(const std::string& name,
                                 const std::filesystem::path& sys = "/sys");

// An xdp: port serves at most so many receive queues of its interface.
inline constexpr std::size_t kMaxXdpQueues = 64;

// The receive queues of an interface; at least 1.
[[nodiscard]] std::size_t rx_queues(const std::string& interface,
                                    const std::filesystem::path& sys = "/sys");

// The MTU of an interface, octets of IP; empty: no such interface.
[[nodiscard]] std::optional<std::uint32_t> mtu(const std::string& interface,
                                               const std::filesystem::path& sys = "/sys");

// Whether an interface is up and has a carrier; empty: no such interface.
[[nodiscard]] std::optional<bool> has_carrier(const std::string& interface,
                                              const std::filesystem::path& sys = "/sys");

// The interface below a virtual device of DPDK: "eth1" of
// "net_af_packet0,iface=eth1,framecnt=4096". Empty text: it names none.
[[nodiscard]] std::string interface_of_vdev(std::string_view device);

// The driver of a PCI device, "0000:3b:00.1"; empty text: it has none. Empty: no such device.
[[nodiscard]] std::optional<std::string> pci_driver(const std::string& address,
                                                    const std::filesystem::path& sys = "/sys");

// Whether DPDK can use a PCI device that has this kernel driver: one for user space, or one of
// Mellanox, which DPDK works beside.
[[nodiscard]] bool is_usable_by_dpdk(std::string_view driver) noexcept;

}  // namespace pns::host
