// SPDX-License-Identifier: BSD-3-Clause
//
// Worker: one poll-mode worker. Owns its queues, the sessions whose bucket the steering table gives
// it, and its block of counters in session memory. poll_once() receives, carries every packet
// through the stages to exactly one fate, takes commands, and does its housekeeping. It reads no
// clock, does not log and allocates nothing after construction but packet buffers. Reception has
// the queues of its ports, Outputs carries out fates, packet_sources.hpp and command_execution.hpp
// prepare packets that come from elsewhere.
// One thread calls everything here, except where a ring's other end says otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "dataplane/mppe/mppe_engine.hpp"
#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/broadcast_relay.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "dataplane/session/session_table.hpp"
#include "dataplane/worker/outputs.hpp"
#include "dataplane/worker/reception.hpp"
#include "dataplane/worker/worker_config.hpp"
#include "pns/base/time.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

struct PollResult {
  std::uint32_t packets = 0;  // taken from queues and rings
  std::uint32_t commands = 0;
  std::uint32_t key_steps = 0;  // over gaps, between bursts
  std::uint32_t addresses = 0;  // looked at for broadcasts, between bursts
  [[nodiscard]] bool idle() const noexcept {
    return packets == 0 && commands == 0 && key_steps == 0 && addresses == 0;
  }
};

class Worker {
 public:
  // Registers with the table's quiescence variable. Sessions of this worker's buckets that owe an
  // acknowledgement are taken up where an earlier process left them.
  Worker(WorkerConfig config, SessionTable& sessions, RoutingTables routing);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // False: no memory for what the configuration asks of it (reassembly). Do not run it then.
  [[nodiscard]] bool complete() const noexcept { return !reassembly_.failed(); }

  // One turn. now_ns: CLOCK_MONOTONIC. Reports a quiescent state at its end.
  PollResult poll_once(Tsc now, std::uint64_t now_ns) noexcept;

  // An input ring holds something, or packets made in the last turn wait for the next.
  [[nodiscard]] bool has_pending() const noexcept;

  // Around a sleep: a sleeping worker must not hold up the removal of sessions.
  void before_sleep() noexcept;
  void after_sleep() noexcept;

  // Nanoseconds until something is due (a delayed acknowledgement, packets that wait for others or
  // for the peer's window), or UINT64_MAX: the longest sensible sleep.
  [[nodiscard]] std::uint64_t next_deadline_ns(std::uint64_t now_ns) const noexcept;

  // Packets that wait behind gaps or for rates; they go with the worker.
  [[nodiscard]] std::uint32_t packets_waiting() const noexcept {
    return gaps_.packets() + departures_.packets();
  }

  [[nodiscard]] WorkerId id() const noexcept { return config_.id; }
  [[nodiscard]] const WorkerConfig& config() const noexcept { return config_; }

 private:
  // Where a burst enters the list of stages.
  enum class Stage : std::uint8_t { kGreIn, kPppIn, kMppeOpen, kForward, kIpv4Out, kGreOut };
  // Carries a burst through `first` and all stages behind it, and finishes it.
  void run_from(Stage first, Burst& burst) noexcept;
  void finish(Burst& burst) noexcept { outputs_.finish(burst); }

  // --- inputs, each for at most one burst ---
  void receive(contract::PortRole role) noexcept;
  // Takes a burst of one port's frames through the stages.
  void enter(contract::PortRole role, Burst& burst) noexcept;
  void enter_sorted(contract::PortRole role, Burst& burst) noexcept;
  void take_commands() noexcept;
  void take_from_twins() noexcept;
  void take_from_services() noexcept;
  void take_handed_over() noexcept;
  void take_deferred() noexcept;
  void take_from_lan() noexcept;

  // --- packets that are made here, or that have waited ---
  void follow_up() noexcept;
  void follow_gaps() noexcept;
  void relay_broadcasts() noexcept;
  void send_due_acks() noexcept;
  void send_urgent_acks() noexcept;
  void release_held_packets() noexcept;
  void release_window_packets() noexcept;
  void release_shaped_packets() noexcept;
  void expire_fragments() noexcept;

  WorkerConfig config_;
  SessionTable& sessions_;
  contract::WorkerCounters& counters_;
  std::array<PortSettings, contract::kPorts> ports_;
  AckList acks_;
  Reassembly reassembly_;
  Reorder reorder_;
  GapQueue gaps_;
  SendWindow send_window_;
  DepartureWheel departures_;
  GroupShares groups_;
  std::optional<BroadcastRelay> broadcasts_;
  MppeEngine mppe_;
  Burst deferred_;
  StageContext stage_;
  Reception reception_;
  Outputs outputs_;
  std::uint64_t housekeeping_ns_ = 0;
  Tsc last_poll_;
  bool last_poll_busy_ = false;
  PollResult result_;
};

}  // namespace pns::dataplane
