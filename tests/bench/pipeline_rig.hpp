// SPDX-License-Identifier: BSD-3-Clause
//
// Rig: one real worker between two ring ports over session memory of the asked size, and the
// hands that play both networks. Several can share the memory, as the workers of one dataplane do.
// Packets are made before anything is timed; all buffers of a batch are in flight at once. cool()
// says where a poll finds the frames. Every packet is accounted for when a batch ends. Needs EAL;
// one thread each.
//
// Session n: local address 198.51.100.(n / 65,535), Call ID n % 65,535 + 1, inner address
// 10.0.0.0 + n, /64 2001:db8:1000:: + n. Its peer is anywhere in the Internet, and so are the hosts
// behind the core port.
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "dataplane/gre/reorder.hpp"
#include "dataplane/routing/next_hops.hpp"
#include "dataplane/session/session_table.hpp"
#include "dataplane/worker/worker.hpp"
#include "dataplane/worker/worker_command.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/mppe/state.hpp"
#include "tests/bench/frame_state.hpp"
#include "tests/bench/internet.hpp"

namespace pns::bench {

enum class Direction : std::uint8_t { kUp, kDown, kBoth };

// The hosts that subscribers talk to.
enum class Hosts : std::uint8_t {
  kAll,  // anywhere in the Internet: each packet reads another line of the routing table
  kFew,  // 4,096 neighbours of each other, which share a few lines of it
};

inline constexpr std::uint32_t kMaxBenchSessions = 16 * 65'535;

// Pool, rings, ports and routes: made once, used by every Rig of one worker number.
class Wires {
 public:
  static constexpr unsigned kBatch = 8'192;  // packets of both directions together

  // Makes the pool, large enough for `sets` Wires. Throws std::runtime_error.
  explicit Wires(unsigned sets = 1);
  // Shares the pool and the routes of another; `number` is this one's, from 1 on.
  Wires(const Wires& with, unsigned number);
  Wires(const Wires&) = delete;
  Wires& operator=(const Wires&) = delete;

  [[nodiscard]] rte_mempool* pool() const { return pool_; }
  [[nodiscard]] rte_ring* commands() const { return commands_; }
  [[nodiscard]] std::uint16_t port(contract::PortRole role) const { return ids_[index(role)]; }
  [[nodiscard]] dataplane::RoutingTables routing() const { return {*outer_, *inner_}; }
  [[nodiscard]] const Internet& internet() const { return *internet_; }

  // A ring as big as a port's.
  [[nodiscard]] static rte_ring* make_ring(const std::string& name);

  void receive(contract::PortRole role, rte_mbuf* packet);
  // Empties and frees what the port has sent. Result: packets.
  [[nodiscard]] std::uint64_t drain(contract::PortRole role);
  // Packets of a batch that are not for a worker, to the access port: Ethernet and IP of `size`.
  void receive_plain(std::size_t size, unsigned count, FrameState state);
  // One burst in and out of the access port, whose frames nobody reads: what the ports themselves
  // cost. Result: packets.
  unsigned echo();

 private:
  [[nodiscard]] static std::size_t index(contract::PortRole role) {
    return static_cast<std::size_t>(role);
  }
  void open_ports(unsigned number);

  rte_mempool* pool_ = nullptr;
  rte_ring* commands_ = nullptr;
  std::array<rte_ring*, contract::kPorts> rx_{}, tx_{};
  std::array<std::uint16_t, contract::kPorts> ids_{};
  Cooler cooler_;
  std::shared_ptr<const Internet> internet_;
  std::shared_ptr<dataplane::NextHops> outer_;
  std::shared_ptr<dataplane::NextHops> inner_;
};

// Session memory and the index over it, for so many workers; buckets go to them in turn.
struct Ground {
  Ground(std::uint32_t sessions, std::uint16_t workers, bool huge_pages);

  UniqueFd fd;
  contract::SessionMemory memory;
  std::unique_ptr<dataplane::SessionTable> table;
  std::uint16_t workers;
  std::uint64_t record_octets = 0, table_octets = 0;  // made resident
};

struct RigSettings {
  std::shared_ptr<Ground> ground;
  WorkerId worker{0};
  dataplane::Reorder::Settings reorder{};
  std::uint32_t key_change_ns = 1'000;
  // By the other worker's number.
  std::array<rte_ring*, contract::kMaxWorkers> handover_in{}, handover_out{};
  const dataplane::FilterSet* filters = nullptr;
  const dataplane::RateGroups* rate_groups = nullptr;
  bool shapes = false;  // packets over a rate wait; no packet of the bench is over one
};

// Packets of somebody who knows the peer's address and our Call ID.
struct Forgery {
  // How far its GRE number is ahead of the peer's last. Further than the window trusts: a number
  // that nobody has sent before.
  std::uint32_t ahead = 0;
  unsigned jump = 0;  // how far its coherency count is ahead of the one expected
  bool flushed = true;
  bool all_sessions = true;  // else one
  unsigned one_in = 2;       // forged, of so many packets
  bool stranger = false;  // from another address than the peer's: nothing but received and dropped
};

// Packets that go up.
struct Mixture {
  std::vector<std::size_t> sizes{};  // octets of inner IP, each as often
  unsigned lost_one_in = 0;          // made, and lost on the way; 0: none
  const Forgery* forgery = nullptr;
  unsigned packets = Wires::kBatch;
  bool in_turn = false;  // of each session, else of any
};

class Rig {
 public:
  // Installs and opens the sessions. Throws std::runtime_error.
  Rig(Wires& wires, std::uint32_t sessions, bool huge_pages);
  // Those of this worker.
  Rig(Wires& wires, const RigSettings& settings);
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  // MPPE, 128 bit, both ways, for all sessions from now on.
  void arm(mppe::Mode mode = mppe::Mode::kStateless);
  [[nodiscard]] bool armed() const { return !peers_.empty(); }

  // Makes a batch of inner packets of `size` octets for random sessions. kBoth: half of it goes
  // down, to the sessions that the half before went up from.
  void build(Direction direction, std::size_t size, Hosts hosts = Hosts::kAll);
  // Rates and filters of all sessions from now on.
  void set_service(const contract::SessionService& service);
  // Brings what is left of the batch into a state. By the thread that made it.
  void cool(FrameState state);
  // The packets of the batch that go up, until they are fed.
  [[nodiscard]] std::span<rte_mbuf* const> upstream_batch() const { return up_; }
  // Makes such a batch. Result: packets that nobody forged and that were not lost.
  std::uint64_t build_mixture(const Mixture& mixture);
  // Hands the next packets of the batch to the ports, up to `most` a port. Result: how many.
  unsigned feed(unsigned most);
  // The same of all at once, but those of `percent` of the sessions go to the ports of another
  // worker. Result: how many those are.
  unsigned feed_all(Wires& other, unsigned percent);
  // Takes the next packet of the batch that goes down; null: there is none any more. The caller
  // hands it to a core port.
  [[nodiscard]] rte_mbuf* take_down() {
    return down_at_ == down_.size() ? nullptr : down_[down_at_++];
  }
  // One turn of the worker. Result: packets that it took.
  unsigned poll() { return poll_at(now_ns()); }
  unsigned poll_at(std::uint64_t now_ns) {
    return worker_->poll_once(Tsc{now_tsc()}, now_ns).packets;
  }
  [[nodiscard]] std::uint64_t now_ns() const;
  // Something waits in the rings of the worker, those of its ports aside.
  [[nodiscard]] bool has_pending() const { return worker_->has_pending(); }
  // The counters of the worker.
  [[nodiscard]] const contract::WorkerCounters& counters() const {
    return ground_->memory.workers()[worker_->id().value];
  }
  // Frees what the ports have sent; no questions asked.
  void discard();
  // The batch is through: everything must have come out, once. Throws, naming what did not.
  void settle();

  [[nodiscard]] std::uint64_t carried() const { return carried_; }  // packets, settled
  [[nodiscard]] std::uint64_t acks() const { return acks_; }        // stand-alone, made meanwhile

  // The resident memory that their set-up took, in octets a session.
  struct Resident {
    double records = 0, table = 0, worker = 0;  // session memory, SessionTable, Worker
    bool huge_pages = false;                    // under the records
  };
  [[nodiscard]] const Resident& resident() const { return resident_; }

 private:
  struct Books {
    std::uint64_t up = 0, down = 0, to_core = 0, to_access = 0, acks = 0;
    std::array<std::uint64_t, kDropReasonCount> drops{};
  };
  [[nodiscard]] Books books() const;
  [[nodiscard]] static std::uint64_t now_tsc();
  void install(std::uint32_t n);
  void command(std::uint32_t n, dataplane::WorkerCommandType type,
               const dataplane::WorkerCommand::Body& body);
  void run_commands();
  void clear_batch();
  // `at`: which of mine_.
  [[nodiscard]] rte_mbuf* make_up(std::uint32_t at, std::size_t size, bool with_ack);
  [[nodiscard]] rte_mbuf* make_down(std::uint32_t at, std::size_t size);
  [[nodiscard]] rte_mbuf* make_forged(std::uint32_t at, const Forgery& forgery);
  [[nodiscard]] Ipv4Address any_host();

  Wires& wires_;
  double ns_per_cycle_;
  Resident resident_;
  std::shared_ptr<Ground> ground_;
  std::unique_ptr<dataplane::Worker> worker_;
  std::vector<std::uint32_t> mine_;  // sessions of the worker
  // The other ends of the sessions.
  std::vector<std::uint32_t> sent_up_, sent_down_;
  std::vector<mppe::DirectionState> peers_;
  // The batch.
  std::mt19937 random_{1};
  Hosts hosts_ = Hosts::kAll;
  Cooler cooler_;
  std::vector<rte_mbuf*> up_, down_;
  std::size_t up_at_ = 0, down_at_ = 0;
  std::vector<std::uint32_t> up_sessions_, down_sessions_;  // of the last batch
  Books before_;
  std::uint64_t carried_ = 0;
  std::uint64_t acks_ = 0;
};

}  // namespace pns::bench
