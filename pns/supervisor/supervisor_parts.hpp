// SPDX-License-Identifier: BSD-3-Clause
//
// The Supervisor itself, for the files that make it: supervisor.cpp (planes, messages, the loop and
// the end), supervisor_prepare.cpp (what it holds), supervisor_restart.cpp (planned restarts),
// supervisor_handover.cpp (its own). run.cpp makes one. One thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/process.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"
#include "pns/log/log.hpp"
#include "pns/privilege/identity.hpp"
#include "pns/supervisor/handover.hpp"
#include "pns/supervisor/host_network.hpp"
#include "pns/supervisor/plane.hpp"
#include "pns/supervisor/probe.hpp"
#include "pns/supervisor/run_directory.hpp"
#include "pns/supervisor/snapshot.hpp"

namespace pns::supervisor {

// Raises RLIMIT_NOFILE of this process and of the planes, which inherit it: room for every
// connection twice over (a store and a hand-over) and the rest. A process that may not raise its
// hard limit gets what it may.
void raise_descriptor_limit(std::uint32_t max_connections);

inline constexpr std::chrono::milliseconds kPoliteControl{5000};  // to tell the peers
inline constexpr std::chrono::milliseconds kPoliteDataplane{2000};
inline constexpr std::chrono::milliseconds kGrace{1000};  // beyond what a plane was given

enum class Phase { kStarting, kServing, kStoppingControl, kStoppingDataplane };

// A connection of the control process, kept so that its successor can go on with it.
struct StoredConnection {
  UniqueFd fd;
  Ipv4Address local;
  Ipv4Address peer;
  std::uint16_t tcp_port = 0;
};

struct Listener {
  UniqueFd fd;
  Ipv4Address local;
};

class Supervisor {
 public:
  // `configuration`: what `config` was read from, with the users. Null: resume() has it.
  Supervisor(config::Config config, RunDirectory run_dir, Snapshot::Pointer configuration = nullptr)
      : config_(std::move(config)), run_dir_(std::move(run_dir)) {
    control_.name = "control";
    dataplane_.name = "dataplane";
    if (configuration) dataplane_.configuration = configuration->without_users();
    control_.configuration = std::move(configuration);
  }

  // Everything that can fail before a process is started. When it fails it leaves nothing in the
  // kernel.
  [[nodiscard]] std::expected<void, std::string> prepare();
  // Instead of that: goes on with what another supervisor left. Error: one line; the descriptors
  // that were taken are closed with this object, and the planes are still there.
  [[nodiscard]] std::expected<void, std::string> resume(const HandOver& state);
  // After resume() has failed and the planes have ended: removes what the server has in the kernel.
  void abandon() { remove_what_is_left(); }
  // Starts the planes that do not run, and serves until told to stop. Returns the exit status.
  [[nodiscard]] int serve();

 private:
  [[nodiscard]] std::expected<void, std::string> prepare_parts();
  [[nodiscard]] std::expected<void, std::string> catch_signals();
  [[nodiscard]] std::expected<void, std::string> find_programs();
  [[nodiscard]] std::expected<void, std::string> make_session_memory();
  [[nodiscard]] std::expected<void, std::string> open_listeners();
  [[nodiscard]] std::expected<void, std::string> open_listener(Ipv4Address address);
  void find_systemd_watchdog();

  void start(Plane& plane);
  void follow_listeners(const Snapshot::Pointer& configuration);
  void grant(Plane& plane);
  void send(Plane& plane, const contract::SupervisorMessage& message);
  [[nodiscard]] int fd_for(const contract::SupervisorMessage& message) const;
  void receive(Plane& plane, std::size_t limit);
  void on_message(Plane& plane, contract::ReceivedSupervisorMessage received);
  void on_ready(Plane& plane);
  void on_set_twin(const contract::SupervisorMessage& message);
  void on_store(contract::ReceivedSupervisorMessage received);
  void refuse_to_keep(ConnectionId connection);
  void on_failed(Plane& plane, const contract::SupervisorMessage& message);
  void link_configuration();
  void write_configuration(std::string_view name, const Snapshot::Pointer& configuration);
  void follow_log(const Snapshot::Pointer& configuration);
  void on_end(Plane& plane, int status);
  void restart_later(Plane& plane, pid_t pid, const std::string& how,
                     std::chrono::milliseconds lived, std::chrono::milliseconds served);
  void restore_configuration(Plane& plane, const std::string& reason);
  void tell_plane_state();

  // A planned restart, from the request to the plane's new start or to our own.
  struct Restart {
    contract::Process what{};
    std::uint32_t request = 0;
    Clock::time_point asked{};
    Clock::time_point by{};  // the process must be ready then, or the one before it starts again
    std::chrono::seconds confirm_within{};  // 0: for good
    Snapshot::Pointer configuration;        // of the check and the start
    enum class Step { kContract, kConfig, kLeaving } step = Step::kContract;
    std::optional<Probe> probe{};  // while kContract, kConfig
  };
  // A configuration of control that stays only if it is confirmed.
  struct Unconfirmed {
    Snapshot::Pointer before;
    std::chrono::seconds within{};
    std::optional<Clock::time_point> until{};  // once control serves with the new one
  };
  void on_request_restart(const contract::SupervisorMessage& message);
  void reload();
  void on_confirm(const contract::SupervisorMessage& message);
  void return_unconfirmed(Clock::time_point now);
  [[nodiscard]] std::string busy(contract::Process what) const;
  void probe(std::vector<std::string> words, Clock::time_point by);
  void check_probe(Clock::time_point now);
  void on_probe_end();
  void answer(std::uint32_t request, contract::Process what, const std::string& refusal);
  void refuse_restart(const std::string& reason);
  void leave(Plane& plane);
  [[nodiscard]] std::string ports_objection() const;
  [[nodiscard]] std::filesystem::path program_of(contract::Process what) const;

  [[nodiscard]] HandOver describe() const;
  [[nodiscard]] HandOver::Plane describe(const Plane& plane, const Outbox& outbox,
                                         HandOver& whole) const;
  void take(Plane& plane, Outbox& outbox, const HandOver::Plane& state, Clock::time_point now);
  void take_configurations(const HandOver& state);
  // Executes the program anew. Returns only when that failed, with the reason.
  [[nodiscard]] std::string hand_over();
  void compare_configuration(const HandOver& state);

  void read_signals();
  void reap();
  void run_timers(Clock::time_point now);
  [[nodiscard]] int poll_timeout(Clock::time_point now) const;
  void fail(const std::string& reason);
  void begin_stop();
  void continue_stop();
  void hasten();
  void kill_now(Plane& plane, int signal) noexcept;
  void remove_what_is_left();
  [[nodiscard]] bool is_stopping() const noexcept {
    return phase_ == Phase::kStoppingControl || phase_ == Phase::kStoppingDataplane;
  }
  [[nodiscard]] const config::Port& port(std::uint32_t role) const noexcept {
    return role == static_cast<std::uint32_t>(contract::PortRole::kAccess) ? config_.ports.access
                                                                           : config_.ports.core;
  }
  [[nodiscard]] contract::ProcessInfo& info_of(const Plane& plane) const noexcept {
    return session_memory_.header().process(&plane == &control_ ? contract::Process::kControl
                                                                : contract::Process::kDataplane);
  }
  [[nodiscard]] Outbox& outbox_of(const Plane& plane) noexcept {
    return &plane == &control_ ? control_outbox_ : dataplane_outbox_;
  }

  config::Config config_;
  RunDirectory run_dir_;
  privilege::Identity control_user_ = privilege::find_identity(privilege::kControlUser);
  privilege::Identity dataplane_user_ = privilege::find_identity(privilege::kDataplaneUser);
  std::filesystem::path program_;  // this executable, as it was first started
  UniqueFd signals_;
  UniqueFd session_memory_fd_;
  contract::SessionMemory session_memory_;
  HostNetwork network_{config_};
  UniqueFd gre_guard_;
  std::vector<Listener> listeners_;
  std::map<ConnectionId, StoredConnection> connections_;
  Plane control_;
  Plane dataplane_;
  Outbox control_outbox_{
      [this](const contract::SupervisorMessage& message) { return fd_for(message); }};
  Outbox dataplane_outbox_{
      [this](const contract::SupervisorMessage& message) { return fd_for(message); }};
  std::optional<Restart> restart_;
  std::optional<Unconfirmed> unconfirmed_;
  // It failed, or nobody confirmed it: it is not tried again by itself while the files stay the
  // same.
  Snapshot::Pointer rejected_;
  Phase phase_ = Phase::kStarting;
  int exit_status_ = 0;
  bool stop_waits_ = false;  // for a successor of control
  bool hastened_ = false;
  log::RateLimit descriptor_log_{1, std::chrono::seconds(1)};
  std::optional<Clock::duration> systemd_interval_;  // WATCHDOG=1 that often
  Clock::time_point systemd_next_{};
};

}  // namespace pns::supervisor
