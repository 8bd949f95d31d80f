// SPDX-License-Identifier: BSD-3-Clause
//
// PortLossBook: turns what the sources of a port say now into totals that never go back, in session
// memory. Knows no device: tests give it numbers. Main thread.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pns/base/port_loss.hpp"
#include "pns/contract/port_losses.hpp"

namespace pns::dataplane {

// PortReading: the numbers of all sources of a port at one moment. A source that did not answer, or
// a queue that is not there, is left out: its total stays.
struct PortReading {
  static constexpr std::uint16_t kWholePort = UINT16_MAX;
  // How long a number lives. kProcess: it began at zero when this process opened the port. kHost:
  // it belongs to the kernel or the interface, was there before us and goes on after us.
  enum class Since : std::uint8_t { kProcess, kHost };

  struct Loss {
    std::uint16_t queue = kWholePort;
    PortLoss loss{};
    std::uint64_t value = 0;
    Since since = Since::kProcess;
  };
  struct Device {
    std::string name;
    std::uint64_t value = 0;
    Since since = Since::kProcess;
  };
  std::vector<Loss> losses;
  std::vector<Device> device;
};

// How much a source counted between two readings. A smaller number than before is a 32-bit register
// that went round, where both numbers lie near its ends, and else a source that began again at
// zero.
[[nodiscard]] std::uint64_t counted_between(std::uint64_t before, std::uint64_t now) noexcept;

class PortLossBook {
 public:
  // A process begins. `device`: as configured; where the last process had another one, the
  // numbers of a kHost source before the first reading are not ours.
  PortLossBook(contract::PortLosses& shared, std::string_view device);

  void take(const PortReading& reading);

 private:
  using Since = PortReading::Since;
  void take(contract::PortLosses::Count& count, bool first, bool known, std::uint64_t value,
            Since since) const;

  static constexpr std::size_t kPlaces = contract::PortLosses::kQueues + 1;
  contract::PortLosses& shared_;
  bool same_device_ = false;
  bool read_before_ = false;
  std::bitset<kPlaces * kPortLossCount> losses_read_;  // by this process
  std::bitset<contract::PortLosses::kDeviceCounters> device_read_;
};

}  // namespace pns::dataplane
