// SPDX-License-Identifier: BSD-3-Clause
//
// TwinBridge: joins the ports to their TAP twins, where the kernel owns the addresses and so
// answers ARP, ICMP and TCP 1723. It also joins subscribers to programs of this host (Services in
// pns/config/config.hpp). One thread beside the workers, so that a storm of SYNs never
// stalls GRE. Frames come from each worker over a bounded ring and go back over another. The worker
// that meets a full ring counts the frame. Towards the workers nothing is lost here: while their
// ring is full, frames stay in the queue of the TAP.
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "dataplane/packet/doorbell.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

class TwinBridge {
 public:
  // By PortRole; then the TUN of the host's services, whose frames are packets of IP.
  static constexpr std::size_t kServices = contract::kPorts;
  static constexpr std::size_t kTwins = contract::kPorts + 1;
  struct Twin {
    UniqueFd fd;                          // TAP or TUN, one frame per read and write
    std::vector<rte_ring*> from_workers;  // SPSC, one per worker
    // SPSC, to the worker that sends for this port; null: the TAP is only written.
    rte_ring* to_worker = nullptr;
    Doorbell* worker_doorbell = nullptr;
  };

  TwinBridge(std::array<Twin, kTwins> twins, rte_mempool* pool,
             contract::SessionMemoryHeader& header);
  ~TwinBridge();  // stops the thread
  TwinBridge(const TwinBridge&) = delete;
  TwinBridge& operator=(const TwinBridge&) = delete;

  // Workers ring it after they have put something into a ring.
  [[nodiscard]] Doorbell& doorbell() noexcept { return doorbell_; }
  void start();
  // The carrier of a twin; nothing where there is none. Main thread.
  void set_carrier(contract::PortRole role, bool up) noexcept;

 private:
  void run();
  [[nodiscard]] unsigned from_kernel(Twin& twin) noexcept;
  [[nodiscard]] unsigned to_kernel(Twin& twin) noexcept;
  void wait() noexcept;

  std::array<Twin, kTwins> twins_;
  rte_mempool* pool_;
  contract::SessionMemoryHeader& header_;
  Doorbell doorbell_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace pns::dataplane
