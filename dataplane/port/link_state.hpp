// SPDX-License-Identifier: BSD-3-Clause
//
// LinkState: whether the device of a port has a link. DeviceFaults: devices that ask for a reset,
// or are gone. A virtual function asks when its physical function has been reset; it carries
// nothing until it is opened again. Main thread; the events come on a thread of DPDK.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

struct Port;

class LinkState {
 public:
  // A TAP of a lab has no device and tells nothing.
  explicit LinkState(const Port& port);

  // Asks the device, or the kernel for an interface of its own: DPDK's drivers for those do not
  // look. Empty: as before, or unknown.
  [[nodiscard]] std::optional<bool> poll();

  [[nodiscard]] contract::PortRole role() const noexcept { return role_; }

 private:
  [[nodiscard]] std::optional<bool> ask() const;

  contract::PortRole role_;
  std::uint16_t ethdev_id_;
  std::string shared_interface_;
  std::optional<bool> up_;
};

class DeviceFaults {
 public:
  enum class Kind : std::uint32_t { kNone, kReset, kRemoved };
  struct Fault {
    std::uint16_t ethdev_id = 0;
    Kind kind = Kind::kNone;
  };

  DeviceFaults() = default;
  DeviceFaults(const DeviceFaults&) = delete;
  DeviceFaults& operator=(const DeviceFaults&) = delete;
  ~DeviceFaults();

  // Before ports are started. False: DPDK has no memory.
  [[nodiscard]] bool watch() noexcept;
  // The first fault; kNone: there was none. Main thread.
  [[nodiscard]] Fault first() const noexcept;
  // Any thread.
  void note(std::uint16_t ethdev_id, Kind kind) noexcept;

 private:
  bool watching_ = false;
  std::atomic<std::uint64_t> first_{0};  // kind << 16 | id
};

}  // namespace pns::dataplane
