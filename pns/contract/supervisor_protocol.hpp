// SPDX-License-Identifier: BSD-3-Clause
//
// The messages of the supervisor and a plane to each other over the SEQPACKET socket that the plane
// inherits (--supervisor-fd N). Fixed-size messages, at most one descriptor with each.
//
// Start: the supervisor sends every grant the plane needs, then kGrantsComplete. The plane answers
// kReady when it serves. After that either side sends what happens.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/contract/build_contract.hpp"

namespace pns::contract {

inline constexpr std::uint32_t kSupervisorMagic = 0x504e5355;  // "PNSU"

enum class SupervisorMessageType : std::uint32_t {
  // supervisor → plane
  kGrantSessionMemory = 1,  // fd: memfd                                   both planes
  kGrantWire = 2,           // fd: TAP that is the port's wire (tap:IFACE); port   dataplane
  kGrantTwin = 3,           // fd: TAP twin; port; name                            dataplane
  kGrantListener = 4,       // fd: listening TCP socket; local, tcp_port           control
  kGrantConnection = 5,     // fd: accepted TCP socket; connection, local, peer    control
  kGrantsComplete = 6,      //                                                     both
  kStop = 7,                // end politely within value ms, then exit 0           both
  kTwinReady = 8,           // the twin has its MAC, addresses and is up; port     dataplane
  kPlaneState = 9,          // value: 1 dataplane serves, 0 it does not            control
  kLeave = 10,              // end within value ms, exit 0; the calls stay         both
  kRestartAccepted = 11,    // answers kRequestRestart: request; value: Process    control
  kRestartRefused = 12,     // likewise; text: why                                 control
  kConnectionNotKept = 13,  // connection: would not outlive the process           control
  kGrantServices = 14,      // fd: TUN of the host's services (since version 6)    dataplane
  kSetLog = 15,             // value: level, as log::Level (since version 7)       dataplane
  // plane → supervisor
  kReady = 32,             // serves
  kSetTwin = 33,           // port; mac; value: MTU in octets                     dataplane
  kStoreConnection = 34,   // fd: accepted TCP socket; connection, local, peer    control
  kForgetConnection = 35,  // connection                                          control
  kWatchdog = 36,          // the plane's loop turns; at least every 2 s          both
  kRequestRestart = 37,    // request; value: Process; within_s; confirm_within_s control
  kAskNeighbour = 38,      // port; text: IPv4 or IPv6 address; value: 0 the      dataplane
                           // kernel is to find its MAC address, 1 to forget it (since version 4)
  kFailed = 39,            // text: why the plane ends (since version 5)          both
  kSetRoute = 40,          // text: a network behind a subscriber; value: 1 it is control
                           // in force, 0 no more (since version 6)
  kSubscriberRoute = 41,   // text: IPv4 address or IPv6 /64, outside the pools;  dataplane
                           // value: 0 a session has it, 1 no more (since version 6)
  kConfirm = 42,           // request: the configuration that waits to be         control
                           // confirmed stays; answered like kRequestRestart (since version 7)
};

struct SupervisorMessage {
  std::uint32_t magic = kSupervisorMagic;
  std::uint32_t version = kSupervisorVersion;
  std::uint32_t min_compatible = kSupervisorMinCompatible;
  SupervisorMessageType type{};
  std::uint32_t port = 0;  // PortRole
  ConnectionId connection;
  Ipv4Address local;
  Ipv4Address peer;
  std::uint16_t tcp_port = 0;  // the peer's for connections, ours for listeners
  MacAddress mac{};
  std::uint32_t value = 0;
  std::uint32_t request = 0;     // the asker's number for a request and its answer
  std::array<char, 512> text{};  // NUL-terminated
  std::uint32_t within_s = 0;    // how long the asker waits; 0: kRestartSeconds
  // When control restarts with another configuration, the one before returns after so many
  // seconds, unless kConfirm comes. 0: it does not return (since version 7).
  std::uint32_t confirm_within_s = 0;
  std::array<std::uint8_t, 56> reserved{};

  // It belongs to this protocol, and its version fits.
  [[nodiscard]] bool is_readable() const noexcept {
    return magic == kSupervisorMagic &&
           fit({version, min_compatible}, {kSupervisorVersion, kSupervisorMinCompatible});
  }
};
static_assert(std::is_trivially_copyable_v<SupervisorMessage>);

inline constexpr std::uint32_t kRestartSeconds = 30;  // of a request that does not say
inline constexpr std::uint32_t kMaxRestartSeconds = 600;
inline constexpr std::uint32_t kMaxConfirmSeconds = 86'400;

struct ReceivedSupervisorMessage {
  SupervisorMessage message;
  UniqueFd fd;  // empty when none came, or this process had no descriptor left for it
};

// Sends one message, with a descriptor when fd >= 0 (the caller keeps its own). Does not block.
// False: the socket is full (EAGAIN) or gone (errno tells).
[[nodiscard]] bool send_supervisor_message(int socket, const SupervisorMessage& message,
                                           int fd = -1) noexcept;

enum class ReceiveError : std::uint8_t { kWouldBlock, kClosed, kMalformed };

// Receives one message. Blocks only if the socket does. Checks size, magic and version.
[[nodiscard]] std::expected<ReceivedSupervisorMessage, ReceiveError> receive_supervisor_message(
    int socket) noexcept;

// The plane's start: everything granted until kGrantsComplete.
struct Grants {
  UniqueFd session_memory;
  std::array<UniqueFd, 2> wires;  // by PortRole
  std::array<UniqueFd, 2> twins;
  UniqueFd services;  // empty: they are off, or the supervisor is older
  struct Listener {
    UniqueFd fd;
    Ipv4Address local;
    std::uint16_t tcp_port = 0;
  };
  struct Connection {
    UniqueFd fd;
    ConnectionId id;
    Ipv4Address local;
    Ipv4Address peer;
    std::uint16_t tcp_port = 0;
  };
  std::vector<Listener> listeners;
  std::vector<Connection> connections;
  bool dataplane_serves = false;
  std::uint32_t supervisor_version = 0;  // of the supervisor's protocol
};
inline constexpr std::uint32_t kAskNeighbourSince = 4;     // the supervisor knows kAskNeighbour
inline constexpr std::uint32_t kSetRouteSince = 6;         // the supervisor knows kSetRoute
inline constexpr std::uint32_t kSubscriberRouteSince = 6;  // likewise kSubscriberRoute
inline constexpr std::uint32_t kConfirmSince = 7;          // likewise confirm_within_s, kConfirm
// Error: nothing came for timeout_ms, or something that is no grant. However many there are, each
// one has that time.
[[nodiscard]] std::expected<Grants, std::string> receive_grants(int socket, int timeout_ms);

// Tells the supervisor why the plane ends. Does not block; what finds the socket full is lost.
void tell_failure(int socket, std::string_view reason) noexcept;

}  // namespace pns::contract
