// SPDX-License-Identifier: BSD-3-Clause
//
// What the command line says, as validated values. Made once, read only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/pptp.hpp"
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

// What a listening PAC says to an Outgoing-Call-Request.
struct Answer {
  wire::pptp::OutgoingCallResult result = wire::pptp::OutgoingCallResult::kConnected;
  bool silent = false;  // nothing, ever
  Duration delay{};
};

struct Options {
  Role role = Role::kSubscriber;
  Ipv4Address server;
  Ipv4Address first_source;
  unsigned sources = 1;
  unsigned sessions = 1;
  unsigned concurrent = 100;  // set-ups in flight
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
