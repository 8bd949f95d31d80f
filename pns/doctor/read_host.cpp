// SPDX-License-Identifier: BSD-3-Clause
#include "pns/doctor/read_host.hpp"

#include <fmt/format.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "pns/doctor/time_limit.hpp"
#include "pns/netlink/cache.hpp"
#include "pns/netlink/objects.hpp"
#include "pns/netlink/route_socket.hpp"
#include "pns/privilege/identity.hpp"
#include "pns/supervisor/preflight.hpp"
#include "pns/supervisor/run_directory.hpp"

namespace pns::doctor {
namespace {

// Empty: there is no netlink socket.
std::optional<Network> read_network() {
  Network network;
  const auto socket = netlink::open_route_socket();
  if (!socket) return std::nullopt;
  std::map<int, std::string> names;
  nl_cache* raw = nullptr;
  if (rtnl_link_alloc_cache(socket->get(), AF_UNSPEC, &raw) == 0)
    netlink::for_each<rtnl_link>(netlink::Cache(raw).get(), [&](rtnl_link* link) {
      const char* name = rtnl_link_get_name(link);
      const char* kind = rtnl_link_get_type(link);
      if (name == nullptr) return;
      const unsigned flags = rtnl_link_get_flags(link);
      names[rtnl_link_get_ifindex(link)] = name;
      network.links.push_back({.name = name,
                               .up = (flags & IFF_UP) != 0,
                               .carrier = (flags & IFF_RUNNING) != 0,
                               .mtu = rtnl_link_get_mtu(link),
                               .kind = kind == nullptr ? "" : kind});
    });
  raw = nullptr;
  if (rtnl_addr_alloc_cache(socket->get(), &raw) == 0)
    netlink::for_each<rtnl_addr>(netlink::Cache(raw).get(), [&](rtnl_addr* address) {
      if (const auto own = netlink::read_prefix<Ipv4Prefix>(rtnl_addr_get_local(address)))
        network.addresses.push_back({names[rtnl_addr_get_ifindex(address)], *own});
    });
  raw = nullptr;
  if (rtnl_route_alloc_cache(socket->get(), AF_INET, 0, &raw) == 0)
    netlink::for_each<rtnl_route>(netlink::Cache(raw).get(), [&](rtnl_route* route) {
      const auto to = netlink::read_prefix<Ipv4Prefix>(rtnl_route_get_dst(route));
      if (!to || rtnl_route_get_table(route) == RT_TABLE_LOCAL ||
          rtnl_route_get_type(route) != RTN_UNICAST)
        return;
      for (int i = 0; i < rtnl_route_get_nnexthops(route); ++i)
        network.routes.push_back({*to,
                                  names[rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, i))],
                                  rtnl_route_get_priority(route), rtnl_route_get_table(route)});
    });
  return network;
}

// The output of a command without untrusted words. Error: why there is none.
std::expected<std::string, std::string> output_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "re");
  if (pipe == nullptr) return std::unexpected(fmt::format("{}: {}", command, std::strerror(errno)));
  std::string output;
  std::array<char, 4096> chunk{};
  while (const std::size_t got = std::fread(chunk.data(), 1, chunk.size(), pipe))
    output.append(chunk.data(), got);
  const int status = ::pclose(pipe);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return std::unexpected(
        fmt::format("{}: exit status {}", command, WIFEXITED(status) ? WEXITSTATUS(status) : -1));
  return output;
}

PacketFilter read_packet_filter() {
  PacketFilter filter;
  const char* program = nullptr;
  for (const char* path : {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"})
    if (program == nullptr && ::access(path, X_OK) == 0) program = path;
  if (program == nullptr) {
    filter.reason = "there is no nft to read the rules with (Debian package nftables)";
    return filter;
  }
  auto json = output_of(fmt::format("{} -j list ruleset 2>/dev/null", program));
  if (!json) {
    filter.reason = json.error();
    return filter;
  }
  filter.json = std::move(*json);
  filter.text = output_of(fmt::format("{} -a list ruleset 2>/dev/null", program)).value_or("");
  return filter;
}

Clock read_clock() {
  Clock clock;
  timex state{};
  clock.synchronized = ::adjtimex(&state) >= 0 && (state.status & STA_UNSYNC) == 0;
  clock.now = std::time(nullptr);
  struct stat executable {};
  if (::stat("/proc/self/exe", &executable) == 0) clock.executable_from = executable.st_mtim.tv_sec;
  return clock;
}

pid_t living(const supervisor::RunDirectory& run_dir, std::string_view name) {
  const pid_t pid = run_dir.read_pid(name);
  return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM) ? pid : -1;
}

}  // namespace

Host read_host(const std::filesystem::path& config_file, const std::filesystem::path& run_dir) {
  Host host;
  host.run_dir = run_dir;
  host.is_root = ::geteuid() == 0;
  // Each part has a time of its own; the others are seen whatever one does.
  const auto read = [&host](Part part, std::chrono::milliseconds limit, auto function, auto& out) {
    if (auto answer = within(limit, std::move(function)))
      out = std::move(*answer);
    else
      host.unread.insert(part);
  };
  std::optional<Network> network;
  read(Part::kNetwork, kCheckLimit, read_network, network);
  if (network)
    host.network = std::move(*network);
  else
    host.unread.insert(Part::kNetwork);
  read(Part::kClock, kCheckLimit, read_clock, host.clock);
  std::pair<bool, bool> users{true, true};
  read(
      Part::kUsers, kCheckLimit,
      [] {
        return std::pair{privilege::find_identity(privilege::kControlUser).exists,
                         privilege::find_identity(privilege::kDataplaneUser).exists};
      },
      users);
  std::tie(host.has_control_user, host.has_dataplane_user) = users;
  host.parameters_writable =
      within(kCheckLimit, [] {
        return ::access("/proc/sys/net/ipv4/conf/default/forwarding", W_OK) == 0;
      }).value_or(false);
  read(
      Part::kProcesses, kCheckLimit,
      [run_dir] {
        const auto directory = supervisor::RunDirectory::adopt(run_dir, UniqueFd());
        Server server;
        server.supervisor = living(directory, "supervisor");
        server.control = living(directory, "control");
        server.dataplane = living(directory, "dataplane");
        return server;
      },
      host.server);
  if (host.is_root) {
    auto filter = within(kCheckLimit, read_packet_filter);
    if (filter)
      host.filter = std::move(*filter);
    else
      host.filter.reason = "nft gave no answer in time";
    read(
        Part::kStart, kStartLimit,
        [config_file, run_dir] {
          return supervisor::check_start(
              {.config_file = config_file, .run_dir = run_dir, .process = {}});
        },
        host.start);
  }
  return host;
}

}  // namespace pns::doctor
