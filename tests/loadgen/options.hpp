// SPDX-License-Identifier: BSD-3-Clause
//
// The command line as validated values. Made once, read only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/pptp.hpp"
#include "tests/loadgen/disturbance.hpp"
#include "tests/loadgen/impairment.hpp"
#include "tests/loadgen/ppp_client.hpp"
#include "tests/loadgen/profiles.hpp"
#include "tests/loadgen/traffic.hpp"

namespace pns::loadgen {

enum class Role : std::uint8_t {
  kSubscriber,  // one control connection and Outgoing-Call-Request for each session
  kPac,         // Incoming-Call-Requests on connections that we open
  kListen,      // a PAC that is called
};
[[nodiscard]] std::string_view name_of(Role role) noexcept;

// The answer of a listening PAC to an Outgoing-Call-Request.
struct Answer {
  wire::pptp::OutgoingCallResult result = wire::pptp::OutgoingCallResult::kConnected;
  bool silent = false;  // nothing, ever
  Duration delay{};
};

// The end of sessions without a farewell.
enum class DeathKind : std::uint8_t {
  kVanish,       // nothing is sent, nothing is read; TCP stays
  kReset,        // RST
  kClose,        // FIN
  kSilent,       // nothing is answered; TCP stays
  kDeafPpp,      // PPP and GRE alone are silent; the control connection answers
  kDeafControl,  // the control connection alone is silent; PPP answers
};
[[nodiscard]] std::string_view name_of(DeathKind kind) noexcept;

struct Death {
  std::optional<DeathKind> kind;
  double share = 1;             // of the sessions, the highest numbers
  Duration time = Seconds(30);  // after which a TCP connection that stands is closed
  unsigned stray_gre = 0;       // packets to each Call ID of the dead
  Duration stray_time = Seconds(1);
};

struct Options {
  Role role = Role::kSubscriber;
  Ipv4Address server;
  Ipv4Address first_source;
  unsigned sources = 1;
  unsigned sessions = 1;
  unsigned concurrent = 100;  // set-ups in flight
  Duration ramp{};            // over which the first dials are spread
  unsigned calls_per_connection = 64;
  bool idle_connections = false;
  bool call_id_from_port = false;  // as a NAT helper rewrites it
  Answer answer;

  std::span<const Profile> profiles = profiles_named("instant");
  PppSettings ppp;  // "{n}" in user and password stands for the session's number

  Flow::Settings probe;  // answered before a session counts as up
  unsigned probes = 1;

  Flow::Settings traffic;
  double rate = 1;     // packets a second and session
  unsigned burst = 1;  // packets sent at once
  Duration duration = Seconds(5);
  double accept_loss = 0;  // part of the traffic that may go unanswered

  Impairments upstream;
  Impairments downstream;
  std::uint64_t seed = 1;
  std::vector<Disturbance> disturbances;  // in the order of time, none begins within another
  double disturbed_share = 1;             // of the sessions, the highest numbers

  unsigned retries = 0;              // of a set-up that failed
  Duration retry_wait = Seconds(1);  // before each, on average
  bool redial = false;               // what was up and is lost
  std::uint64_t accept_lost_calls = 0;
  double churn = 0;  // sessions a second that hang up and dial again
  double churn_share = 1;
  Death death;

  std::string timeline;  // file; empty: none
  Duration timeline_step = Milliseconds(100);
  std::string sessions_file;  // empty: none

  Duration hold{};
  Duration time_limit = Seconds(120);
};

// `pns-loadgen echo`: the host that sends UDP back.
struct EchoOptions {
  Ipv4Address listen;
  std::uint16_t port = 0;
};

struct Command {
  std::optional<EchoOptions> echo;  // else: a run
  Options run;
};

// Empty when the line was no request for work: `exit_status` says how it ended (help, an error,
// which has been printed).
[[nodiscard]] std::optional<Command> parse_command_line(int argc, char** argv, int& exit_status);

}  // namespace pns::loadgen
