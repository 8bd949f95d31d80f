// SPDX-License-Identifier: BSD-3-Clause
//
// HandOver: what a supervisor leaves to the program that takes its place by execv(2), which keeps
// the process, its children and its descriptors, and nothing else. A plain value: text in a sealed
// memfd whose number is on the new command line (--resume-fd). Reading trusts nothing of it.
// Numbers of descriptors here own nothing.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"
#include "pns/supervisor/plane.hpp"

namespace pns::supervisor {

struct HandOver {
  struct Port {
    int wire = -1;  // -1: none
    int twin = -1;
    bool twin_configured = false;
    std::string device;     // as in the configuration that was in effect
    std::string twin_name;  // likewise
    bool operator==(const Port&) const = default;
  };
  struct Listener {
    int fd = -1;
    Ipv4Address local;
    bool operator==(const Listener&) const = default;
  };
  struct Connection {
    int fd = -1;
    ConnectionId id;
    Ipv4Address local;
    Ipv4Address peer;
    std::uint16_t tcp_port = 0;
    bool operator==(const Connection&) const = default;
  };
  struct Configuration {  // of a Snapshot
    int config = -1;
    int users = -1;  // -1: none
    bool operator==(const Configuration&) const = default;
  };
  struct Plane {
    pid_t pid = -1;  // -1: none
    int socket = -1;
    PlaneState state = PlaneState::kDown;
    bool was_ready = false;
    Clock::time_point started{};
    Clock::time_point ready_at{};
    std::chrono::milliseconds backoff{0};
    std::optional<Clock::time_point> kill_at;
    std::optional<Clock::time_point> restart_at;
    std::vector<contract::SupervisorMessage> waiting;  // to be sent
    int configuration = -1;                            // that it runs with: index; -1: not known
  };

  std::filesystem::path program;  // the path that was started, and that is executed again
  int run_dir_lock = -1;
  int session_memory = -1;
  int gre_guard = -1;
  struct Services {
    int fd = -1;       // -1: none
    std::string name;  // as in the configuration that was in effect
    bool operator==(const Services&) const = default;
  } services;
  std::array<Port, contract::kPorts> ports;
  std::vector<Listener> listeners;
  std::vector<Connection> connections;
  std::vector<Configuration> configurations;
  int configuration = -1;  // of the new supervisor: index; -1: it reads the file
  Plane control;
  Plane dataplane;
  std::uint32_t request = 0;  // of kRequestRestart: the new supervisor answers it
  Clock::time_point asked{};

  // Every descriptor that is handed over.
  [[nodiscard]] std::vector<int> descriptors() const;
};

[[nodiscard]] std::string encode(const HandOver& state);
// Error: one line. Checks versions, ranges, and that no descriptor has two uses.
[[nodiscard]] std::expected<HandOver, std::string> decode(std::string_view text);

// A memfd that holds the text and can change no more. Error: one line.
[[nodiscard]] std::expected<UniqueFd, std::string> seal(std::string_view text);
// The text of one. Error: one line; also when it is none that seal() made.
[[nodiscard]] std::expected<std::string, std::string> read_sealed(int fd);

// Whether execv(2) leaves these open. False: one is not open at all.
[[nodiscard]] bool set_inherited(std::span<const int> descriptors, bool inherited) noexcept;

}  // namespace pns::supervisor
