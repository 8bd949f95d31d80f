// SPDX-License-Identifier: BSD-3-Clause
//
// PortSet: both ports of the dataplane and what is watched of them: links, faults of devices, and
// the packets that devices lose. Main thread only.
#pragma once

#include <rte_mempool.h>

#include <array>
#include <cstddef>
#include <expected>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/port/link_state.hpp"
#include "dataplane/port/port.hpp"
#include "dataplane/port/port_losses.hpp"
#include "dataplane/port/port_roles.hpp"
#include "dataplane/port/port_statistics.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

class PortSet {
 public:
  using Ports = std::array<Port, contract::kPorts>;
  struct LinkChange {
    contract::PortRole role{};
    bool up = false;
  };

  // Opens both ports, logs them, and begins to count losses. `wires`: by PortRole, of tap: ports;
  // they move into the ports. `header` must outlive this. Error: one line.
  [[nodiscard]] std::expected<void, std::string> open(const config::Config& config,
                                                      std::span<UniqueFd> wires, rte_mempool* pool,
                                                      contract::SessionMemoryHeader& header);
  // From now on links are looked at, on a thread.
  void start_links() { links_.start(); }

  [[nodiscard]] Port& operator[](contract::PortRole role) noexcept {
    return ports_[index_of(role)];
  }
  [[nodiscard]] const Port& operator[](contract::PortRole role) const noexcept {
    return ports_[index_of(role)];
  }
  [[nodiscard]] Ports::iterator begin() noexcept { return ports_.begin(); }
  [[nodiscard]] Ports::iterator end() noexcept { return ports_.end(); }
  [[nodiscard]] Ports::const_iterator begin() const noexcept { return ports_.begin(); }
  [[nodiscard]] Ports::const_iterator end() const noexcept { return ports_.end(); }

  // Losses of the devices until now, into session memory.
  void read_losses();
  // Links that were lost or came back since the last call; they are logged and stand in session
  // memory. A bond has a link as long as one of its members has.
  [[nodiscard]] std::vector<LinkChange> take_link_changes();
  // A device that must be opened again: one line. A fault of a device that is not ours is
  // forgotten.
  [[nodiscard]] std::optional<std::string> fault();

 private:
  // The device of a port counts losses by itself; the totals lie in session memory.
  struct LossWatch {
    LossWatch(const Port& port, contract::SessionMemoryHeader& header);

    PortStatistics statistics;
    PortLossBook book;
  };

  Ports ports_;
  contract::SessionMemoryHeader* header_ = nullptr;
  std::list<LossWatch> losses_;
  LinkWatch links_;
  DeviceFaults faults_;
};

}  // namespace pns::dataplane
