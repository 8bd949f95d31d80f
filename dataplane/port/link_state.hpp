// SPDX-License-Identifier: BSD-3-Clause
//
// LinkState: whether the device of a port has a link. LinkWatch: asks all of them once a second,
// and the members of bonds every 50 ms, on a thread of its own, because some drivers wait for the
// hardware (ixgbe without a time limit). DeviceFaults: devices that ask for a reset, or are gone. A
// virtual function asks when its physical function has been reset; it carries nothing until it is
// opened again. The events come on a thread of DPDK.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

struct Port;

class LinkState {
 public:
  // A TAP of a lab has no device and tells nothing.
  explicit LinkState(const Port& port);

  // Asks the device, or the kernel for an interface of its own: DPDK's drivers for those do not
  // look. A bond has a link when a member has. Empty: as before, or unknown.
  [[nodiscard]] std::optional<bool> poll();

  [[nodiscard]] contract::PortRole role() const noexcept { return role_; }

 private:
  [[nodiscard]] std::optional<bool> ask() const;

  contract::PortRole role_;
  std::vector<std::uint16_t> ethdev_ids_;  // the device, or the members of a bond
  std::string shared_interface_;
  std::optional<bool> up_;
};

class LinkWatch {
 public:
  struct MemberLink {
    contract::PortRole role{};
    std::string name;
    bool up = false;
  };

  LinkWatch() = default;
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;
  ~LinkWatch();  // stops the thread

  // Before start().
  void add(const Port& port);
  void start();
  // Empty: as it was told before, or unknown. Main thread.
  [[nodiscard]] std::optional<bool> changed(contract::PortRole role) noexcept;
  // The next member of a bond that lost its link or got it back. Main thread.
  [[nodiscard]] std::optional<MemberLink> member_changed();

 private:
  void run();

  struct WatchedMember {
    MemberLink told;  // what was told last
    std::uint16_t ethdev_id = 0;
    unsigned polls_down = 0;  // that have found no link, one after the other
  };
  struct WatchedBond {
    std::uint16_t ethdev_id = 0;
    bool active_backup = false;
    std::vector<WatchedMember> members;
  };
  void poll_bond(WatchedBond& bond);

  std::vector<LinkState> links_;
  std::vector<WatchedBond> bonds_;
  std::deque<MemberLink> members_changed_;  // under mutex_; at most kMaxWaiting
  std::array<std::atomic<contract::PortLink>, contract::kPorts> seen_{};  // by PortRole
  std::array<contract::PortLink, contract::kPorts> told_{};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
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
  // That fault is of another device than ours: the next one counts.
  void ignore_first() noexcept { first_.store(0); }
  // Any thread.
  void note(std::uint16_t ethdev_id, Kind kind) noexcept;

 private:
  bool watching_ = false;
  std::atomic<std::uint64_t> first_{0};  // kind << 16 | id
};

}  // namespace pns::dataplane
