// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/handover.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "pns/contract/build_contract.hpp"

namespace pns::supervisor {
namespace {

using Json = nlohmann::json;
using contract::FormatVersion;
using contract::SupervisorMessage;

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
constexpr off_t kMostOctets = off_t{256} << 20;

// Throws when it is no integer or does not fit.
template <class Number>
Number number_of(const Json& value) {
  if (!value.is_number_integer()) throw std::out_of_range("not an integer");
  const bool fits = value.is_number_unsigned() ? std::in_range<Number>(value.get<std::uint64_t>())
                                               : std::in_range<Number>(value.get<std::int64_t>());
  if (!fits) throw std::out_of_range("a number out of range");
  return value.get<Number>();
}

int fd_of(const Json& value, bool may_be_none = false) {
  const int fd = number_of<int>(value);
  if (fd == -1 && may_be_none) return fd;
  if (fd <= STDERR_FILENO) throw std::out_of_range("no descriptor");
  return fd;
}

const Json& list_of(const Json& value) {
  if (!value.is_array()) throw std::out_of_range("no list");
  return value;
}

Ipv4Address address_of(const Json& value) { return Ipv4Address(number_of<std::uint32_t>(value)); }

std::int64_t nanoseconds_of(Clock::time_point time) {
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}
Clock::time_point time_of(const Json& value) {
  const auto ns = number_of<std::int64_t>(value);
  if (ns < 0) throw std::out_of_range("a time before the start of the host");
  return Clock::time_point(std::chrono::nanoseconds(ns));
}
// The key "configuration"; -1 when it is not there.
int index_of(const Json& json, std::size_t count) {
  const auto found = json.find("configuration");
  if (found == json.end()) return -1;
  const int index = number_of<int>(*found);
  if (index < -1 || index >= static_cast<int>(count)) throw std::out_of_range("no configuration");
  return index;
}
Json optional_time(const std::optional<Clock::time_point>& time) {
  return time ? Json(nanoseconds_of(*time)) : Json(nullptr);
}
std::optional<Clock::time_point> optional_time_of(const Json& value) {
  if (value.is_null()) return std::nullopt;
  return time_of(value);
}

// Messages are plain octets whose layout the protocol's version stands for.
std::string hexadecimal(const SupervisorMessage& message) {
  std::array<unsigned char, sizeof(message)> octets{};
  std::memcpy(octets.data(), &message, sizeof(message));
  std::string text;
  text.reserve(octets.size() * 2);
  for (const unsigned char octet : octets) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += kDigits[octet >> 4];
    text += kDigits[octet & 15];
  }
  return text;
}
SupervisorMessage message_of(const Json& value) {
  const auto& text = value.get_ref<const std::string&>();
  std::array<unsigned char, sizeof(SupervisorMessage)> octets{};
  if (text.size() != octets.size() * 2) throw std::out_of_range("a message of another size");
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    throw std::out_of_range("a message that is not hexadecimal");
  };
  for (std::size_t i = 0; i < octets.size(); ++i)
    octets[i] = static_cast<unsigned char>(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
  SupervisorMessage message;
  std::memcpy(static_cast<void*>(&message), octets.data(), octets.size());
  if (!message.is_readable() || message.port >= contract::kPorts)
    throw std::out_of_range("a message that is none");
  return message;
}

Json to_json(const HandOver::Plane& plane) {
  Json waiting = Json::array();
  for (const auto& message : plane.waiting) waiting.push_back(hexadecimal(message));
  return {{"pid", plane.pid},
          {"socket", plane.socket},
          {"state", static_cast<int>(plane.state)},
          {"was_ready", plane.was_ready},
          {"started", nanoseconds_of(plane.started)},
          {"ready_at", nanoseconds_of(plane.ready_at)},
          {"backoff_ms", plane.backoff.count()},
          {"kill_at", optional_time(plane.kill_at)},
          {"restart_at", optional_time(plane.restart_at)},
          {"configuration", plane.configuration},
          {"waiting", std::move(waiting)}};
}

HandOver::Plane plane_from(const Json& json, std::size_t configurations) {
  HandOver::Plane plane;
  plane.pid = number_of<pid_t>(json.at("pid"));
  if (plane.pid != -1 && plane.pid <= 1) throw std::out_of_range("no process");
  plane.socket = fd_of(json.at("socket"), true);
  const int state = number_of<int>(json.at("state"));
  if (state < 0 || state > static_cast<int>(PlaneState::kReady))
    throw std::out_of_range("no state of a plane");
  plane.state = static_cast<PlaneState>(state);
  plane.was_ready = json.at("was_ready").get<bool>();
  plane.started = time_of(json.at("started"));
  plane.ready_at = time_of(json.at("ready_at"));
  plane.backoff = std::chrono::milliseconds(number_of<std::int64_t>(json.at("backoff_ms")));
  plane.kill_at = optional_time_of(json.at("kill_at"));
  plane.restart_at = optional_time_of(json.at("restart_at"));
  plane.configuration = index_of(json, configurations);
  for (const Json& message : list_of(json.at("waiting")))
    plane.waiting.push_back(message_of(message));
  if (plane.pid == -1 && (plane.socket != -1 || plane.state != PlaneState::kDown))
    throw std::out_of_range("a plane that is none has a state");
  return plane;
}

}  // namespace

std::vector<int> HandOver::descriptors() const {
  std::vector<int> all = {run_dir_lock,   session_memory,   gre_guard,
                          control.socket, dataplane.socket, services.fd};
  for (const Port& port : ports) all.insert(all.end(), {port.wire, port.twin});
  for (const Listener& listener : listeners) all.push_back(listener.fd);
  for (const Connection& connection : connections) all.push_back(connection.fd);
  for (const Configuration& each : configurations) all.insert(all.end(), {each.config, each.users});
  std::erase(all, -1);
  return all;
}

std::string encode(const HandOver& state) {
  Json ports = Json::array();
  for (const auto& port : state.ports)
    ports.push_back({{"wire", port.wire},
                     {"twin", port.twin},
                     {"twin_configured", port.twin_configured},
                     {"device", port.device},
                     {"twin_name", port.twin_name}});
  Json listeners = Json::array();
  for (const auto& listener : state.listeners)
    listeners.push_back({{"fd", listener.fd}, {"local", listener.local.value}});
  Json configurations = Json::array();
  for (const auto& configuration : state.configurations)
    configurations.push_back({{"config", configuration.config}, {"users", configuration.users}});
  Json connections = Json::array();  // many: without names
  for (const auto& c : state.connections)
    connections.push_back({c.fd, c.id.value, c.local.value, c.peer.value, c.tcp_port});
  const Json json = {{"version", contract::kHandOverVersion},
                     {"min_compatible", contract::kHandOverMinCompatible},
                     {"supervisor_protocol_version", contract::kSupervisorVersion},
                     {"supervisor_protocol_min_compatible", contract::kSupervisorMinCompatible},
                     {"program", state.program.string()},
                     {"run_dir_lock", state.run_dir_lock},
                     {"session_memory", state.session_memory},
                     {"gre_guard", state.gre_guard},
                     {"services", {{"fd", state.services.fd}, {"name", state.services.name}}},
                     {"ports", std::move(ports)},
                     {"listeners", std::move(listeners)},
                     {"connections", std::move(connections)},
                     {"configurations", std::move(configurations)},
                     {"configuration", state.configuration},
                     {"control", to_json(state.control)},
                     {"dataplane", to_json(state.dataplane)},
                     {"request", state.request},
                     {"asked", nanoseconds_of(state.asked)}};
  // A path may hold any octet; it is replaced rather than thrown at, and then not found.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::expected<HandOver, std::string> decode(std::string_view text) {
  const auto refused = [](const std::string& why) { return std::unexpected("hand-over: " + why); };
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return refused("no JSON object");
  try {
    for (const auto& [prefix, ours] :
         {std::pair{"",
                    FormatVersion{contract::kHandOverVersion, contract::kHandOverMinCompatible}},
          std::pair{"supervisor_protocol_", FormatVersion{contract::kSupervisorVersion,
                                                          contract::kSupervisorMinCompatible}}}) {
      const std::string item = prefix;
      const FormatVersion theirs{number_of<std::uint32_t>(json.at(item + "version")),
                                 number_of<std::uint32_t>(json.at(item + "min_compatible"))};
      if (!fit(theirs, ours))
        return refused(fmt::format(
            "{}version is {} (compatible from {}), this program has {} "
            "(compatible from {}); see docs/upgrade.md",
            item, theirs.version, theirs.min_compatible, ours.version, ours.min_compatible));
    }
    HandOver state;
    state.program = json.at("program").get<std::string>();
    state.run_dir_lock = fd_of(json.at("run_dir_lock"));
    state.session_memory = fd_of(json.at("session_memory"));
    state.gre_guard = fd_of(json.at("gre_guard"));
    // An older supervisor has none.
    if (const auto services = json.find("services"); services != json.end())
      state.services = {.fd = fd_of(services->at("fd"), true),
                        .name = services->at("name").get<std::string>()};
    const Json& ports = list_of(json.at("ports"));
    if (ports.size() != state.ports.size()) return refused("another number of ports");
    for (std::size_t i = 0; i < state.ports.size(); ++i)
      state.ports[i] = {.wire = fd_of(ports[i].at("wire"), true),
                        .twin = fd_of(ports[i].at("twin"), true),
                        .twin_configured = ports[i].at("twin_configured").get<bool>(),
                        .device = ports[i].at("device").get<std::string>(),
                        .twin_name = ports[i].at("twin_name").get<std::string>()};
    for (const Json& listener : list_of(json.at("listeners")))
      state.listeners.push_back({fd_of(listener.at("fd")), address_of(listener.at("local"))});
    for (const Json& c : list_of(json.at("connections")))
      state.connections.push_back({.fd = fd_of(c.at(0)),
                                   .id = ConnectionId(number_of<std::uint64_t>(c.at(1))),
                                   .local = address_of(c.at(2)),
                                   .peer = address_of(c.at(3)),
                                   .tcp_port = number_of<std::uint16_t>(c.at(4))});
    // An older supervisor hands none over.
    const Json configurations = json.value("configurations", Json::array());
    for (const Json& item : list_of(configurations))
      state.configurations.push_back({fd_of(item.at("config")), fd_of(item.at("users"), true)});
    state.configuration = index_of(json, state.configurations.size());
    state.control = plane_from(json.at("control"), state.configurations.size());
    state.dataplane = plane_from(json.at("dataplane"), state.configurations.size());
    state.request = number_of<std::uint32_t>(json.at("request"));
    state.asked = time_of(json.at("asked"));
    auto all = state.descriptors();
    std::ranges::sort(all);
    if (std::ranges::adjacent_find(all) != all.end()) return refused("a descriptor has two uses");
    return state;
  } catch (const std::exception& error) {  // of nlohmann-json, and ours
    return refused(error.what());
  }
}

std::expected<UniqueFd, std::string> seal(std::string_view text) {
  const auto failed = [](const char* what) {
    return std::unexpected(fmt::format("hand-over: {}: {}", what, std::strerror(errno)));
  };
  UniqueFd fd(::memfd_create("pns-handover", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return failed("memfd_create");
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(fd.get(), text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return failed("write");
    done += static_cast<std::size_t>(wrote);
  }
  if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0) return failed("F_ADD_SEALS");
  return fd;
}

std::expected<std::string, std::string> read_sealed(int fd) {
  const auto failed = [](const std::string& why) { return std::unexpected("hand-over: " + why); };
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return failed("no sealed memory");
  struct stat status {};
  if (::fstat(fd, &status) != 0) return failed(std::strerror(errno));
  if (status.st_size > kMostOctets) return failed("too large");
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t got =
        ::pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return failed("cannot be read");
    done += static_cast<std::size_t>(got);
  }
  return text;
}

bool set_inherited(std::span<const int> descriptors, bool inherited) noexcept {
  bool all = true;
  for (const int fd : descriptors)
    all = ::fcntl(fd, F_SETFD, inherited ? 0 : FD_CLOEXEC) == 0 && all;
  return all;
}

}  // namespace pns::supervisor
