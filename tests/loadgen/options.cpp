// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

namespace pns::loadgen {
namespace {

constexpr std::uint16_t kProbeIdentifier = 0x504e;
constexpr std::uint16_t kTrafficIdentifier = 0x5054;

Duration seconds(double value) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

Ipv4Address address_of(const std::string& text, const char* option) {
  const auto address = Ipv4Address::parse(text);
  if (!address) throw CLI::ValidationError(option, "not an IPv4 address: " + text);
  return *address;
}

std::uint16_t port_of(std::string_view text, const char* option) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0)
    throw CLI::ValidationError(option, "not a port: " + std::string(text));
  return port;
}

// "10.0.0.53:7000"
std::pair<Ipv4Address, std::uint16_t> endpoint_of(const std::string& text, const char* option) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) throw CLI::ValidationError(option, "not ADDRESS:PORT: " + text);
  return {address_of(text.substr(0, colon), option),
          port_of(std::string_view(text).substr(colon + 1), option)};
}

// "1%" or "0.01"
double part_of(const std::string& text, const char* option) {
  double value = -1;
  std::istringstream in(text);
  std::string unit;
  in >> value >> unit;
  if (unit == "%") value /= 100;
  if (in.bad() || (!unit.empty() && unit != "%") || !(value >= 0 && value <= 1))
    throw CLI::ValidationError(option, "neither 0 to 1 nor 0% to 100%: " + text);
  return value;
}

// "connected", "busy,delay=2", …
Answer answer_of(const std::string& text) {
  using Result = wire::pptp::OutgoingCallResult;
  static const std::map<std::string, Result> kResults = {
      {"connected", Result::kConnected},      {"general-error", Result::kGeneralError},
      {"no-carrier", Result::kNoCarrier},     {"busy", Result::kBusy},
      {"no-dial-tone", Result::kNoDialTone},  {"time-out", Result::kTimeOut},
      {"do-not-accept", Result::kDoNotAccept}};
  Answer answer;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) {
    if (const auto found = kResults.find(word); found != kResults.end()) {
      answer.result = found->second;
    } else if (word == "none") {
      answer.silent = true;
    } else if (word.starts_with("delay=")) {
      std::istringstream number(word.substr(6));
      double delay = -1;
      if (!(number >> delay) || delay < 0)
        throw CLI::ValidationError("--answer", "not a number of seconds: " + word);
      answer.delay = seconds(delay);
    } else {
      throw CLI::ValidationError("--answer", "unknown: " + word);
    }
  }
  return answer;
}

double number_of(const std::string& text, const char* option) {
  std::istringstream in(text);
  double value = -1;
  if (!(in >> value) || !in.eof() || value < 0)
    throw CLI::ValidationError(option, "not a number: " + text);
  return value;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  return parts;
}

// "2:0.5", "2:0.5:upstream"
Disturbance outage_of(const std::string& text) {
  constexpr const char* kOption = "--outage";
  const auto parts = split(text, ':');
  if (parts.size() < 2 || parts.size() > 3)
    throw CLI::ValidationError(kOption, "not AT:SECONDS[:DIRECTION]: " + text);
  const std::string direction = parts.size() == 3 ? parts[2] : "both";
  if (direction != "both" && direction != "upstream" && direction != "downstream")
    throw CLI::ValidationError(kOption, "no direction: " + direction);
  const double at = number_of(parts[0], kOption);
  const double length = number_of(parts[1], kOption);
  if (length == 0) throw CLI::ValidationError(kOption, "an outage of no length: " + text);
  return {seconds(at), seconds(at + length), direction != "downstream", direction != "upstream", 0};
}

// "1,64,65": one each `every` seconds
void add_gaps(const std::string& text, double every, std::vector<Disturbance>& out) {
  constexpr double kMaximum = 1'000'000;  // packets
  double at = every;
  for (const std::string& word : split(text, ',')) {
    const double count = number_of(word, "--gap");
    if (count < 1 || count > kMaximum || count != static_cast<std::uint32_t>(count))
      throw CLI::ValidationError("--gap", "not 1 to 1,000,000 packets: " + word);
    out.push_back({seconds(at), seconds(at), true, false, static_cast<std::uint32_t>(count)});
    at += every;
  }
}

std::string profile_names() {
  std::string names;
  for (const Profile& profile : kProfiles) names += std::string(profile.name) + ", ";
  return names + "all";
}

// The words as they were typed.
struct Words {
  std::string role = "subscriber";
  std::string server;
  std::string source;
  std::string answer = "connected";
  std::string profile = "instant";
  std::string auth = "mschapv2";
  std::string mppe;
  std::string mppe_mode = "stateless";
  double restart = 0;
  std::string ping;
  std::string traffic = "none";
  std::string target;
  double duration = 5;
  std::string accept_loss = "0";
  std::string loss = "0";
  std::string duplicate = "0";
  std::string reorder = "0";
  double reorder_hold_ms = 20;
  std::string direction = "both";
  std::vector<std::string> outages;
  std::string gap;
  double gap_every = 1;
  std::string disturbed_share = "100%";
  double hold = 0;
  double time_limit = 120;
  double ramp = 0;
  double retry_wait = 1;
  std::string churn_share = "100%";
  std::string death;
  std::string death_share = "100%";
  double death_time = 30;
  double stray_time = 1;
  double timeline_step = 0.1;
  std::string listen;
};

void add_options(CLI::App& app, Words& words, Options& out) {
  auto* group = app.add_option_group("Who calls whom");
  group
      ->add_option("--role", words.role,
                   "subscriber: dials the server; pac: announces calls to it (Incoming-Call-"
                   "Request); listen: a PAC that waits for the server's calls on TCP 1723")
      ->check(CLI::IsMember({"subscriber", "pac", "listen"}))
      ->capture_default_str();
  group->add_option("--server", words.server, "address of the server");
  group->add_option("--source", words.source, "first source address, configured on this machine");
  group->add_option("--sources", out.sources, "how many consecutive source addresses")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group->add_option("--sessions", out.sessions, "sessions in all; with listen: calls to answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group->add_option("--concurrent", out.concurrent, "set-ups in flight at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group->add_option("--ramp", words.ramp, "seconds over which the first dials are spread evenly")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group->add_option("--calls-per-connection", out.calls_per_connection, "of role pac")
      ->check(CLI::Range(1U, 65'535U))
      ->capture_default_str();
  group
      ->add_option("--answer", words.answer,
                   "of role listen: connected, busy, no-carrier, no-dial-tone, time-out, "
                   "do-not-accept, general-error or none; and delay=SECONDS, after a comma")
      ->capture_default_str();
  group->add_flag("--idle-connections", out.idle_connections,
                  "connect and stay silent until the time limit");

  group = app.add_option_group("How they behave");
  group->add_option("--profile", words.profile, profile_names() + " (one after the other)")
      ->capture_default_str();
  group->add_flag("--call-id-from-port", out.call_id_from_port,
                  "Call ID = TCP source port, as the NAT helper of Linux rewrites it");
  group->add_option("--user", out.ppp.user, "user name; {n}: the session's number, from 0")
      ->default_str("loadgen");
  group->add_option("--password", out.ppp.password, "password; {n} as above");
  group->add_option("--auth", words.auth, "mschapv2, mschap, chap or pap; no other is taken")
      ->check(CLI::IsMember({"mschapv2", "mschap", "chap", "pap"}))
      ->capture_default_str();
  group
      ->add_option("--mppe", words.mppe,
                   "none, 40, 56 or 128; by default 128 with mschapv2 and mschap, else none")
      ->check(CLI::IsMember({"none", "40", "56", "128"}));
  group->add_option("--mppe-mode", words.mppe_mode, "stateless or stateful")
      ->check(CLI::IsMember({"stateless", "stateful"}))
      ->capture_default_str();
  group
      ->add_option("--restart", words.restart,
                   "seconds until PPP asks again; 0: as the profile does")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();

  group = app.add_option_group("Traffic");
  group->add_option("--ping", words.ping,
                    "host to ping through each tunnel; answered, the session counts as up");
  group->add_option("--pings", out.probes, "answers that it takes")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group->add_option("--traffic", words.traffic, "once all are up: none, ping or udp")
      ->check(CLI::IsMember({"none", "ping", "udp"}))
      ->capture_default_str();
  group->add_option("--target", words.target,
                    "host of the traffic: ADDRESS for ping (default: that of --ping), "
                    "ADDRESS:PORT of a `pns-loadgen echo` for udp");
  group->add_option("--rate", out.rate, "packets a second and session")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  group->add_option("--burst", out.burst, "packets sent at once; the rate stays")
      ->check(CLI::Range(1U, 64U))
      ->capture_default_str();
  group->add_option("--size", out.traffic.size, "octets of the IPv4 packet inside the tunnel")
      ->check(CLI::Range(Flow::kMinimumSize, Flow::kMaximumSize))
      ->capture_default_str();
  group->add_option("--duration", words.duration, "seconds of traffic")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group
      ->add_option("--accept-loss", words.accept_loss,
                   "part of the traffic that may be lost, as 0.01 or 1%")
      ->capture_default_str();

  group = app.add_option_group("Impairments of our own GRE");
  group->add_option("--loss", words.loss, "part of the packets, as 0.01 or 1%")
      ->capture_default_str();
  group->add_option("--duplicate", words.duplicate, "the same")->capture_default_str();
  group->add_option("--reorder", words.reorder, "the same; held until 1 to 3 others have passed")
      ->capture_default_str();
  group->add_option("--reorder-hold", words.reorder_hold_ms, "milliseconds it is held at most")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group->add_option("--impair", words.direction, "which direction: both, upstream or downstream")
      ->check(CLI::IsMember({"both", "upstream", "downstream"}))
      ->capture_default_str();
  group->add_option("--seed", out.seed, "of the impairments")->capture_default_str();
  group->add_option("--outage", words.outages,
                    "AT:SECONDS[:both|upstream|downstream]: every packet is lost for SECONDS, from "
                    "AT seconds of traffic on; may be given several times");
  group->add_option("--gap", words.gap,
                    "N[,N...]: N GRE numbers and N MPPE counts upstream are used and not sent, as "
                    "if N packets had been lost");
  group
      ->add_option("--gap-every", words.gap_every,
                   "seconds of traffic before the first gap and between gaps")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      ->add_option("--disturbed-share", words.disturbed_share,
                   "part of the sessions that --outage and --gap hit, the highest numbers")
      ->capture_default_str();

  group = app.add_option_group("Calls that fail, change and die (role subscriber)");
  group
      ->add_option("--retry", out.retries,
                   "how often a session whose set-up failed dials again before it counts as failed")
      ->capture_default_str();
  group
      ->add_option("--retry-wait", words.retry_wait,
                   "seconds before it does, on average: half to one and a half of it")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group->add_flag("--redial", out.redial, "dial again when a session that was up is lost");
  group
      ->add_option("--accept-lost-calls", out.accept_lost_calls,
                   "sessions that may be lost after they were up")
      ->capture_default_str();
  group
      ->add_option(
          "--churn", out.churn,
          "once all are up: sessions a second, chosen at random, that hang up politely and "
          "dial again")
      ->check(CLI::Range(0.0, 1e5))
      ->capture_default_str();
  group
      ->add_option("--churn-share", words.churn_share,
                   "part of the sessions that may be chosen, the highest numbers")
      ->capture_default_str();
  group
      ->add_option("--death", words.death,
                   "how sessions end instead of a farewell: reset (RST), close (FIN alone), silent "
                   "(TCP stays, nothing is answered), vanish (the same, and TCP is not read), "
                   "deaf-ppp or deaf-control (that alone answers nothing)")
      ->check(CLI::IsMember({"vanish", "reset", "close", "silent", "deaf-ppp", "deaf-control"}));
  group->add_option("--death-share", words.death_share, "part that dies, the highest numbers")
      ->capture_default_str();
  group
      ->add_option("--death-time", words.death_time,
                   "seconds until we close what the server has not closed")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group
      ->add_option("--stray-gre", out.death.stray_gre,
                   "data packets sent to each dead session's Call ID after its connection is gone")
      ->capture_default_str();
  group->add_option("--stray-time", words.stray_time, "seconds over which they are spread")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();

  group = app.add_option_group("Views of the run");
  group->add_option("--timeline", out.timeline, "file for a CSV with a row for each step");
  group->add_option("--timeline-step", words.timeline_step, "seconds of a step")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  group->add_option("--sessions-file", out.sessions_file,
                    "file for a JSON array of the sessions that are up or in set-up; written on "
                    "SIGUSR1 and before the end");

  group = app.add_option_group("Time");
  group->add_option("--hold", words.hold, "seconds to stay up once all are settled")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group->add_option("--time-limit", words.time_limit, "seconds after which to give up")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

// Checks the words together. Throws CLI::ValidationError.
void finish(const Words& words, Options& out) {
  out.role = words.role == "pac"      ? Role::kPac
             : words.role == "listen" ? Role::kListen
                                      : Role::kSubscriber;
  if (words.server.empty()) throw CLI::RequiredError("--server");
  if (words.source.empty()) throw CLI::RequiredError("--source");
  out.server = address_of(words.server, "--server");
  out.first_source = address_of(words.source, "--source");
  out.answer = answer_of(words.answer);
  out.profiles = profiles_named(words.profile);
  if (out.profiles.empty())
    throw CLI::ValidationError("--profile", "none of " + profile_names() + ": " + words.profile);

  static const std::map<std::string, AuthMethod> kMethods = {{"mschapv2", AuthMethod::kMsChapV2},
                                                             {"mschap", AuthMethod::kMsChapV1},
                                                             {"chap", AuthMethod::kChapMd5},
                                                             {"pap", AuthMethod::kPap}};
  out.ppp.auth = kMethods.at(words.auth);
  const bool gives_keys =
      out.ppp.auth == AuthMethod::kMsChapV2 || out.ppp.auth == AuthMethod::kMsChapV1;
  if (words.mppe.empty())
    out.ppp.mppe_bits = gives_keys ? 128 : 0;
  else
    out.ppp.mppe_bits = words.mppe == "none" ? 0 : static_cast<unsigned>(std::stoul(words.mppe));
  if (out.ppp.mppe_bits != 0 && !gives_keys)
    throw CLI::ValidationError("--mppe", "no keys come from --auth " + words.auth);
  out.ppp.mppe_mode =
      words.mppe_mode == "stateful" ? mppe::Mode::kStateful : mppe::Mode::kStateless;
  out.ppp.restart = seconds(words.restart);

  const std::size_t size = out.traffic.size;
  if (!words.ping.empty())
    out.probe = {Flow::Kind::kPing, address_of(words.ping, "--ping"), 0, kProbeIdentifier, 128};
  if (words.traffic == "ping") {
    const std::string& target = words.target.empty() ? words.ping : words.target;
    if (target.empty()) throw CLI::RequiredError("--target (or --ping)");
    out.traffic = {Flow::Kind::kPing, address_of(target, "--target"), 0, kTrafficIdentifier, size};
  } else if (words.traffic == "udp") {
    if (words.target.empty()) throw CLI::RequiredError("--target");
    const auto [address, port] = endpoint_of(words.target, "--target");
    out.traffic = {Flow::Kind::kUdp, address, port, kTrafficIdentifier, size};
  }
  out.duration = seconds(words.duration);
  out.accept_loss = part_of(words.accept_loss, "--accept-loss");

  const Impairments impairments{
      part_of(words.loss, "--loss"), part_of(words.duplicate, "--duplicate"),
      part_of(words.reorder, "--reorder"), seconds(words.reorder_hold_ms / 1000)};
  if (words.direction != "downstream") out.upstream = impairments;
  if (words.direction != "upstream") out.downstream = impairments;
  for (const std::string& outage : words.outages) out.disturbances.push_back(outage_of(outage));
  add_gaps(words.gap, words.gap_every, out.disturbances);
  std::ranges::sort(out.disturbances, {}, &Disturbance::begin);
  for (std::size_t i = 0; i < out.disturbances.size(); ++i) {
    const Disturbance& one = out.disturbances[i];
    if (i != 0 && one.begin < out.disturbances[i - 1].end)
      throw CLI::ValidationError("--outage", "begins within another");
    if (out.traffic.kind == Flow::Kind::kNone || one.end >= out.duration)
      throw CLI::ValidationError("--outage, --gap", "over only when --traffic is");
  }
  out.disturbed_share = part_of(words.disturbed_share, "--disturbed-share");
  out.ramp = seconds(words.ramp);
  out.retry_wait = seconds(words.retry_wait);
  out.churn_share = part_of(words.churn_share, "--churn-share");
  static const std::map<std::string, DeathKind> kDeaths = {
      {"vanish", DeathKind::kVanish},    {"reset", DeathKind::kReset},
      {"close", DeathKind::kClose},      {"silent", DeathKind::kSilent},
      {"deaf-ppp", DeathKind::kDeafPpp}, {"deaf-control", DeathKind::kDeafControl}};
  if (!words.death.empty()) out.death.kind = kDeaths.at(words.death);
  out.death.share = part_of(words.death_share, "--death-share");
  out.death.time = seconds(words.death_time);
  out.death.stray_time = seconds(words.stray_time);
  if (out.role != Role::kSubscriber &&
      (out.retries != 0 || out.redial || out.churn > 0 || out.death.kind))
    throw CLI::ValidationError("--role", "--retry, --redial, --churn and --death: subscriber only");
  if (out.death.stray_gre != 0 && !out.death.kind)
    throw CLI::ValidationError("--stray-gre", "nobody is dead without --death");
  out.timeline_step = seconds(words.timeline_step);
  out.hold = seconds(words.hold);
  out.time_limit = seconds(words.time_limit);
}

}  // namespace

std::string_view name_of(Role role) noexcept {
  constexpr std::array<std::string_view, 3> kNames = {"subscriber", "pac", "listen"};
  return kNames[static_cast<std::size_t>(role)];
}

std::string_view name_of(DeathKind kind) noexcept {
  constexpr std::array<std::string_view, 6> kNames = {"vanish", "reset",    "close",
                                                      "silent", "deaf-ppp", "deaf-control"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::optional<Command> parse_command_line(int argc, char** argv, int& exit_status) {
  CLI::App app(
      "Emulates PPTP subscribers and PACs against one server and prints JSON (docs/loadgen.md). "
      "Exit status 0: every session came up, the traffic passed and all ended politely; 1: not so; "
      "2: it could not be tried",
      "pns-loadgen");
  Command command;
  command.run.ppp.user = "loadgen";
  Words words;
  add_options(app, words, command.run);
  auto* echo =
      app.add_subcommand("echo", "Sends every UDP datagram back: the host of --traffic udp");
  echo->add_option("--listen", words.listen, "ADDRESS:PORT")->required();
  try {
    app.parse(argc, argv);
    if (echo->parsed()) {
      const auto [address, port] = endpoint_of(words.listen, "--listen");
      command.echo = EchoOptions{address, port};
    } else {
      finish(words, command.run);
    }
  } catch (const CLI::ParseError& error) {
    exit_status = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  return command;
}

}  // namespace pns::loadgen
