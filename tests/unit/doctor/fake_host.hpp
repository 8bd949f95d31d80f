// SPDX-License-Identifier: BSD-3-Clause
//
// FakeHost: a host on which every check finds nothing, as a tree of files and a snapshot of its
// network. A test changes one thing.
#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <string_view>

#include "pns/doctor/finding.hpp"
#include "pns/doctor/host.hpp"
#include "tests/support/scratch_directory.hpp"

namespace pns::doctor {

inline std::ostream& operator<<(std::ostream& out, Verdict verdict) {
  return out << name_of(verdict);
}

}  // namespace pns::doctor

namespace pns::test {

inline Ipv4Prefix prefix(std::string_view text) { return *Ipv4Prefix::parse(text); }
inline Ipv4Address address(std::string_view text) { return *Ipv4Address::parse(text); }

// Two xdp: ports, one pool beyond the core network.
struct FakeHost {
  FakeHost() {
    config.file = "/etc/pns/pns.yaml";
    config.dataplane.cores = {.main = 0, .workers = {1}};
    config.dataplane.max_sessions = 4000;
    config.ports.access.device = {config::DeviceKind::kXdp, "xdp:access0", "access0"};
    config.ports.core.device = {config::DeviceKind::kXdp, "xdp:core0", "core0"};
    config.ports.access.twin = "pns-access";
    config.ports.core.twin = "pns-core";
    config.pools["default"].ranges = {{address("10.64.0.2"), address("10.64.63.254")}};

    host.root = scratch_.path;
    host.run_dir = "/run/pns";
    host.network = {
        .links = {{.name = "lo", .up = true, .carrier = true, .mtu = 65536},
                  {.name = "access0", .up = true, .carrier = true, .mtu = 1500, .kind = "veth"},
                  {.name = "core0", .up = true, .carrier = true, .mtu = 1500, .kind = "veth"}},
        .addresses = {{"access0", prefix("198.51.100.1/24")}, {"core0", prefix("10.0.0.1/24")}},
        .routes = {{prefix("0.0.0.0/0"), "access0"},
                   {prefix("198.51.100.0/24"), "access0"},
                   {prefix("10.0.0.0/24"), "core0"}}};
    host.filter.json = R"({"nftables": []})";
    host.clock = {.synchronized = true, .now = 2'000'000'000, .executable_from = 1'900'000'000};

    write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "320\n");
    write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "320\n");
    write("sys/devices/system/cpu/online", "0-3\n");
    write("sys/devices/system/cpu/isolated", "1-2\n");
    for (const char* interface : {"access0", "core0"}) {
      make_directory(std::string("sys/class/net/") + interface + "/queues/rx-0");
      for (const char* name : {"rp_filter", "proxy_arp", "forwarding"})
        write(std::string("proc/sys/net/ipv4/conf/") + interface + "/" + name, "0\n");
    }
    for (const char* whose : {"all", "default"})
      for (const char* name : {"rp_filter", "proxy_arp", "forwarding"})
        write(std::string("proc/sys/net/ipv4/conf/") + whose + "/" + name, "0\n");
    write("proc/sys/net/ipv4/ip_forward", "0\n");
    write("proc/sys/net/core/somaxconn", "4096\n");
    write("proc/sys/net/ipv4/tcp_max_syn_backlog", "4096\n");
    write("proc/sys/fs/nr_open", "1048576\n");
    write("proc/self/limits",
          "Limit                     Soft Limit           Hard Limit           Units     \n"
          "Max open files            1024                 1048576              files     \n"
          "Max locked memory         8388608              8388608              bytes     \n");
  }

  void write(const std::string& file, const std::string& text) const {
    const auto path = scratch_.path / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  void make_directory(const std::string& name) const {
    std::filesystem::create_directories(scratch_.path / name);
  }
  void link(const std::string& file, const std::string& target) const {
    const auto path = scratch_.path / file;
    std::filesystem::create_directories(path.parent_path());
    std::filesystem::create_symlink(target, path);
  }
  void remove(const std::string& file) const { std::filesystem::remove_all(scratch_.path / file); }
  // A process with one open socket.
  void add_process(int pid, const std::string& name, unsigned inode) const {
    const std::string directory = "proc/" + std::to_string(pid);
    write(directory + "/comm", name + "\n");
    link(directory + "/fd/3", "socket:[" + std::to_string(inode) + "]");
  }
  [[nodiscard]] doctor::Link& link_of(std::string_view name) {
    for (doctor::Link& each : host.network.links)
      if (each.name == name) return each;
    throw std::out_of_range(std::string(name));
  }
  // A TAP and its twin for each port, which are there while the server runs.
  void use_taps() {
    config.ports.access.device = {config::DeviceKind::kTap, "tap:wire0", "wire0"};
    config.ports.core.device = {config::DeviceKind::kTap, "tap:wire1", "wire1"};
    config.ports.access.addresses = {prefix("198.51.100.1/24")};
    config.ports.core.addresses = {prefix("10.0.0.1/24")};
    write("dev/net/tun", "");
  }

  // A core port into this host's own stack, which routes.
  void use_kernel_core() {
    config.ports.core.device = {config::DeviceKind::kKernel, "kernel:pns0", "pns0"};
    config.ports.core.twin.clear();
    config.ports.core.addresses = {prefix("10.64.0.1/32")};
    write("proc/sys/net/ipv4/ip_forward", "1\n");
  }

  config::Config config;
  doctor::Host host;

 private:
  ScratchDirectory scratch_;
};

// The only finding of a check.
inline doctor::Finding only(const doctor::Findings& findings) {
  REQUIRE(findings.size() == 1);
  return findings.front();
}

// The finding that has these words; fails without one.
inline doctor::Finding with(const doctor::Findings& findings, std::string_view words) {
  std::string all;
  for (const auto& finding : findings) {
    if (finding.text.find(words) != std::string::npos) return finding;
    all += finding.text + "\n";
  }
  FAIL("no finding has \"" << words << "\":\n" << all);
  return {};
}

inline void check_ok(const doctor::Findings& findings) {
  CHECK_FALSE(findings.empty());
  for (const auto& finding : findings) {
    INFO(finding.text);
    CHECK(finding.verdict == doctor::Verdict::kOk);
    CHECK(finding.remedy.empty());
  }
}

using Commands = std::vector<std::string>;

}  // namespace pns::test
