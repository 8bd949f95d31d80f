// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <map>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "pns/doctor/checks.hpp"
#include "pns/supervisor/kernel_net.hpp"

namespace pns::doctor {
namespace {

constexpr unsigned kGreProtocol = 47;
constexpr std::array<std::string_view, 5> kOtherServers = {"pptpd", "pptpctrl", "bcrelay",
                                                           "accel-pppd", "poptop"};

struct Socket {
  std::uint32_t address = 0;  // of 32 bits, 0: any
  std::uint64_t inode = 0;
};

// The IPv4 and IPv6 sockets of one of the tables of /proc/net that listen: state 0A of TCP; those
// of raw(7) have a protocol for a port and any state.
std::vector<Socket> sockets_of(const Host& host, const char* table, unsigned port, bool any_state) {
  constexpr unsigned kListen = 10;
  std::vector<Socket> found;
  for (const char* suffix : {"", "6"}) {
    std::istringstream lines(host.read(fmt::format("proc/net/{}{}", table, suffix)).value_or(""));
    for (std::string line; std::getline(lines, line);) {
      std::array<char, 33> address{};
      unsigned local = 0;
      unsigned state = 0;
      unsigned long inode = 0;
      // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
      if (std::sscanf(line.c_str(),
                      " %*d: %32[0-9A-F]:%x %*32[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*d %lu",
                      address.data(), &local, &state, &inode) != 4)
        continue;
      if (local != port || (!any_state && state != kListen)) continue;
      Socket socket{.inode = inode};
      if (const std::string_view text(address.data()); text.size() == 8) {
        std::uint32_t wire = 0;
        (void)std::from_chars(text.data(), text.data() + text.size(), wire, 16);
        socket.address = __builtin_bswap32(wire);
      }
      found.push_back(socket);
    }
  }
  return found;
}

struct Process {
  pid_t pid = -1;
  std::string name;
};

std::vector<Process> processes(const Host& host) {
  std::vector<Process> all;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(host.root / "proc", error)) {
    const std::string text = entry.path().filename().string();
    Process process;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), process.pid);
    if (wrong != std::errc{} || end != text.data() + text.size()) continue;
    process.name = host.read(std::filesystem::path("proc") / text / "comm").value_or("");
    all.push_back(std::move(process));
  }
  std::ranges::sort(all, {}, &Process::pid);
  return all;
}

// The processes that have one of these sockets open.
std::vector<Process> owners_of(const Host& host, const std::vector<Socket>& sockets) {
  std::set<std::string> wanted;
  for (const Socket& socket : sockets) wanted.insert(fmt::format("socket:[{}]", socket.inode));
  std::vector<Process> owners;
  if (wanted.empty()) return owners;
  for (Process& process : processes(host)) {
    std::error_code error;
    for (const auto& fd : std::filesystem::directory_iterator(
             host.root / fmt::format("proc/{}/fd", process.pid), error))
      if (wanted.contains(std::filesystem::read_symlink(fd.path(), error).string())) {
        owners.push_back(std::move(process));
        break;
      }
  }
  return owners;
}

bool is_ours(const Host& host, const Process& process) noexcept {
  return process.pid == host.server.supervisor || process.pid == host.server.control ||
         process.pid == host.server.dataplane;
}

std::string name_of(const Process& process) {
  return fmt::format("{} (pid {})", process.name.empty() ? "a process" : process.name, process.pid);
}

Remedy ending(const std::vector<Process>& list) {
  Remedy remedy;
  for (const Process& process : list)
    if (std::ranges::find(kOtherServers, process.name) != kOtherServers.end())
      remedy.run.push_back(fmt::format("systemctl disable --now {}",
                                       process.name == "accel-pppd" ? "accel-ppp" : "pptpd"));
  const auto doubled = std::ranges::unique(remedy.run);
  remedy.run.erase(doubled.begin(), doubled.end());
  if (remedy.run.empty()) remedy.advice = "end it, or choose other addresses: pptp.listen";
  return remedy;
}

std::string names_of(const std::vector<Process>& list) {
  std::vector<std::string> names;
  for (const Process& process : list) names.push_back(name_of(process));
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

Findings check_listener(const config::Config& config, const Host& host) {
  Findings out;
  const config::Port& access = config.ports.access;
  const std::string& interface = interface_of(access);
  std::vector<Ipv4Prefix> present;
  for (const InterfaceAddress& address : host.network.addresses) present.push_back(address.own);
  std::vector<Ipv4Address> wanted = config.pptp.listen;
  if (access.has_twin()) std::ranges::copy(access.addresses, std::back_inserter(present));
  if (wanted.empty())
    for (const Ipv4Prefix& own :
         access.has_twin() ? access.addresses : host.network.addresses_of(interface))
      wanted.push_back(own.address);
  if (wanted.empty())
    out.push_back(
        {Verdict::kError, fmt::format("{} has no IPv4 address to listen on", interface),
         access.has_twin()
             ? Remedy{.configure = "ports.access.addresses: [ADDRESS/LENGTH]"}
             : Remedy{.run = {fmt::format("ip address add ADDRESS/LENGTH dev {}", interface)}}});
  for (const Ipv4Address address : wanted)
    if (std::ranges::find(present, address, &Ipv4Prefix::address) == present.end())
      // Another program may give a twin more addresses.
      out.push_back(
          {access.has_twin() && host.network.find(interface) == nullptr ? Verdict::kWarning
                                                                        : Verdict::kError,
           fmt::format("pptp.listen: no interface has {}: clients that dial it get no answer",
                       address.to_string()),
           Remedy{.run = {fmt::format("ip address add {}/LENGTH dev {}", address.to_string(),
                                      interface)},
                  .configure = "pptp.listen: addresses of the access port"}});
  auto sockets = sockets_of(host, "tcp", supervisor::kPptpPort, false);
  std::erase_if(sockets, [&](const Socket& socket) {
    return socket.address != 0 &&
           std::ranges::find(wanted, Ipv4Address(socket.address)) == wanted.end();
  });
  auto owners = owners_of(host, sockets);
  const bool ours =
      std::ranges::any_of(owners, [&](const Process& process) { return is_ours(host, process); });
  std::erase_if(owners, [&](const Process& process) { return is_ours(host, process); });
  if (!owners.empty())
    out.push_back({Verdict::kError, fmt::format("TCP 1723 is in use by {}", names_of(owners)),
                   ending(owners)});
  else if (!sockets.empty() && !ours)
    out.push_back(
        {host.server.runs() ? Verdict::kSkipped : Verdict::kError,
         "TCP 1723 is in use, by a process that is not visible from here",
         Remedy{.run = {"ss -ltnp 'sport = :1723'"}, .advice = "as root, it names the process"}});
  else if (host.server.runs() && sockets.empty())
    out.push_back({Verdict::kError, "the server runs, and does not listen on TCP 1723",
                   Remedy{.advice = "look at its log for `server failed`"}});
  if (out.empty())
    out.push_back({Verdict::kOk, ours ? "the server listens on TCP 1723" : "TCP 1723 is free"});
  return out;
}

Findings check_other_servers(const config::Config& config, const Host& host) {
  Findings out;
  std::vector<Process> others;
  for (Process& process : processes(host))
    if (std::ranges::find(kOtherServers, process.name) != kOtherServers.end())
      others.push_back(std::move(process));
  if (!others.empty())
    out.push_back({Verdict::kError, fmt::format("another PPTP server runs: {}", names_of(others)),
                   ending(others)});
  auto raw = owners_of(host, sockets_of(host, "raw", kGreProtocol, true));
  std::erase_if(raw, [&](const Process& process) {
    return is_ours(host, process) ||
           std::ranges::find(kOtherServers, process.name) != kOtherServers.end();
  });
  const bool is_xdp = config.ports.access.device.kind == config::DeviceKind::kXdp;
  const std::string where =
      is_xdp ? config.ports.access.device.interface : config.ports.access.device.text;
  if (!raw.empty())
    out.push_back({Verdict::kWarning,
                   fmt::format("{} has a socket for GRE: it gets none of {} while the server runs",
                               names_of(raw), where),
                   Remedy{.advice = "end it, or let its tunnels use another interface"}});
  // Devices that the module makes by itself carry nothing.
  constexpr std::array<std::string_view, 5> kFallback = {"gre0", "gretap0", "erspan0", "ip6gre0",
                                                         "ip6tnl0"};
  std::vector<std::string> tunnels;
  for (const Link& link : host.network.links)
    if ((link.kind == "gre" || link.kind == "gretap" || link.kind == "erspan") &&
        std::ranges::find(kFallback, link.name) == kFallback.end())
      tunnels.push_back(link.name);
  if (is_xdp && !tunnels.empty())
    out.push_back(
        {Verdict::kWarning,
         fmt::format("GRE tunnels of this host: {}: XDP takes every packet of protocol 47 off {}",
                     fmt::join(tunnels, ", "), where),
         Remedy{.advice = "let the tunnels use another interface"}});
  if (is_xdp &&
      (host.exists("sys/module/pptp") ||
       ("\n" + host.read("proc/modules").value_or("")).find("\npptp ") != std::string::npos))
    out.push_back(
        {Verdict::kWarning,
         fmt::format(
             "the kernel's module pptp is loaded: a PPTP client of this host gets no packets by {}",
             where),
         Remedy{.run = {"modprobe -r pptp"}}});
  if (out.empty()) out.push_back({Verdict::kOk, "none, and no other user of GRE"});
  return out;
}

}  // namespace pns::doctor
