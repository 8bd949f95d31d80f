// SPDX-License-Identifier: BSD-3-Clause
//
// Endpoint: the dataplane's end of the contract. Listens for the control process, gives each one a
// fresh channel, carries its commands to the session table and the owning workers, and brings back
// replies and punted PPP frames. A control process that dies takes nothing with it but its channel:
// sessions stay, and forwarding does not notice.
//
// Main thread only; workers are reached through their rings, in order, and woken once per turn.
#pragma once

#include <poll.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/packet/doorbell.hpp"
#include "dataplane/session/session_networks.hpp"
#include "dataplane/session/session_table.hpp"
#include "dataplane/worker/worker.hpp"
#include "dataplane/worker/worker_command.hpp"
#include "pns/base/random.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/contract/channel.hpp"

namespace pns::dataplane {

class Endpoint {
 public:
  struct WorkerLine {
    rte_ring* commands = nullptr;                 // main → worker
    std::array<rte_ring*, kMainRings> to_main{};  // worker → main, by MainRing; null: none
    Doorbell* doorbell = nullptr;
  };
  // A packet that needs its next hop (either family, mapped_address.hpp) resolved; the callee owns
  // it.
  using Resolve = std::function<void(contract::PortRole, const Ipv6Address& next_hop, rte_mbuf*)>;

  // `command_pool` must hold more buffers than all command rings together.
  // `random`: where the outer identification of a session's packets begins.
  Endpoint(SessionTable& sessions, SessionNetworks& networks, std::vector<WorkerLine> workers,
           rte_mempool* command_pool, RandomSource& random, Resolve resolve);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // `socket`: SEQPACKET, bound. Control is accepted from `control_uid` and from root.
  [[nodiscard]] std::expected<void, std::string> listen(UniqueFd socket, uid_t control_uid);

  // Adds the descriptors to poll for reading before the next turn().
  void add_poll_fds(std::vector<pollfd>& fds) const;
  // Milliseconds until turn() is wanted even if nothing becomes readable; -1: no limit.
  [[nodiscard]] int poll_timeout_ms() const noexcept;
  // Before polling. False: there is work, do not sleep.
  [[nodiscard]] bool prepare_sleep() noexcept;
  // Which descriptors are readable; by default nobody has asked.
  struct Readable {
    bool listener = true;
    bool control = true;
    bool commands = true;
  };
  // Reads what poll(2) said of the descriptors that add_poll_fds() appended.
  [[nodiscard]] static Readable readable(std::span<const pollfd> appended) noexcept;
  // After polling, and whenever there was work: does all that can be done now. No system call for a
  // descriptor that is not readable: while packets keep main awake, a turn costs none of its own.
  void turn(std::uint64_t now_ns, Readable readable = {true, true, true});

  // Sends a complete Ethernet frame out of a port, by way of the first worker. Takes the packet.
  void transmit(contract::PortRole port, rte_mbuf* packet);

  // True while a control process is attached; workers read it.
  [[nodiscard]] const std::atomic<bool>& control_attached() const noexcept {
    return control_attached_;
  }

 private:
  struct Removal {
    SlotId slot;
    std::uint32_t generation = 0;
    std::uint32_t request = 0;
    std::uint64_t token = 0;
  };

  void accept_control();
  void detach();
  void take_commands(std::uint64_t now_ns);
  void handle(const contract::ReceivedMessage& message, std::uint64_t now_ns);
  void forward(const contract::ReceivedMessage& message);
  [[nodiscard]] bool is_known(const contract::SessionService& service) const noexcept;
  [[nodiscard]] contract::ReplyResult set_networks(const contract::ReceivedMessage& message);
  void finish_removals();
  void take_from_workers();
  void take_from(rte_ring& ring);
  void punt(rte_mbuf* packet);
  void reply(const contract::MessageHeader& command, contract::ReplyResult result,
             std::uint32_t generation);
  void enqueue(std::size_t worker, rte_mbuf* command);
  void drain_backlog();
  [[nodiscard]] bool backlogged() const noexcept;

  SessionTable& sessions_;
  SessionNetworks& networks_;
  contract::SessionMemoryHeader& header_;
  std::vector<WorkerLine> workers_;
  std::vector<std::deque<rte_mbuf*>> backlog_;  // by worker: commands its ring had no room for
  std::vector<bool> ring_bell_;
  rte_mempool* command_pool_;
  RandomSource& random_;
  Resolve resolve_;
  UniqueFd listener_;
  uid_t control_uid_ = 0;
  UniqueFd control_;
  contract::Channel channel_;
  contract::RingConsumer commands_;
  contract::RingProducer events_;
  bool events_pending_ = false;
  std::vector<Removal> removals_;
  std::atomic<bool> control_attached_{false};
};

}  // namespace pns::dataplane
