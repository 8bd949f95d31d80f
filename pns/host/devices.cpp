// SPDX-License-Identifier: BSD-3-Clause
#include "pns/host/devices.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <system_error>

namespace pns::host {

using std::filesystem::path;

bool has_interface(const std::string& name, const path& sys) {
  std::error_code error;
  return std::filesystem::exists(sys / "class/net" / name, error);
}

std::size_t rx_queues(const std::string& interface, const path& sys) {
  std::size_t count = 0;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(sys / "class/net" / interface / "queues", error))
    count += entry.path().filename().string().starts_with("rx-") ? 1 : 0;
  return std::max<std::size_t>(count, 1);
}

std::optional<std::uint32_t> mtu(const std::string& interface, const path& sys) {
  if (interface.empty()) return std::nullopt;
  std::ifstream file(sys / "class/net" / interface / "mtu");
  std::uint32_t octets = 0;
  return file >> octets ? std::optional(octets) : std::nullopt;
}

std::optional<bool> has_carrier(const std::string& interface, const path& sys) {
  std::ifstream file(sys / "class/net" / interface / "carrier");
  if (!file) return std::nullopt;
  int carrier = 0;
  return file >> carrier && carrier != 0;  // the kernel has no answer for one that is down
}

std::string interface_of_vdev(std::string_view device) {
  constexpr std::string_view kKey = ",iface=";
  const auto at = device.find(kKey);
  if (at == std::string_view::npos) return {};
  const auto from = at + kKey.size();
  return std::string(device.substr(from, device.find(',', from) - from));
}

std::optional<std::string> pci_driver(const std::string& address, const path& sys) {
  std::error_code error;
  const path device = sys / "bus/pci/devices" / address;
  if (!std::filesystem::exists(device, error)) return std::nullopt;
  return std::filesystem::read_symlink(device / "driver", error).filename().string();
}

bool is_usable_by_dpdk(std::string_view driver) noexcept {
  constexpr std::array<std::string_view, 6> kUsable = {
      "vfio-pci", "uio_pci_generic", "igb_uio", "mlx5_core", "mlx4_core", "uio_hv_generic"};
  return std::ranges::find(kUsable, driver) != kUsable.end();
}

}  // namespace pns::host
