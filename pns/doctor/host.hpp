// SPDX-License-Identifier: BSD-3-Clause
//
// Host: everything that the checks see of a host. The files of /proc and /sys are read below
// `root`, so that a test gives its own; the rest are values, which read_host() fills in. Nothing
// here changes the host.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "pns/base/ip_address.hpp"
#include "pns/config/config.hpp"
#include "pns/config/findings.hpp"

namespace pns::doctor {

struct Link {
  std::string name;
  bool up = false;       // IFF_UP
  bool carrier = false;  // IFF_RUNNING
  unsigned mtu = 0;
  std::string kind{};  // "veth", "dummy", "gre"; empty: hardware
};

struct InterfaceAddress {
  std::string interface;
  Ipv4Prefix own;
};

// The kernel's number of its table "main" (RT_TABLE_MAIN).
inline constexpr std::uint32_t kMainTable = 254;

// A route of any table but "local". One with several next hops is several of these.
struct KernelRoute {
  Ipv4Prefix to;
  std::string interface;
  std::uint32_t metric = 0;
  std::uint32_t table = kMainTable;
};

// IPv4 of one network namespace, at one moment.
struct Network {
  std::vector<Link> links{};
  std::vector<InterfaceAddress> addresses{};
  std::vector<KernelRoute> routes{};

  [[nodiscard]] const Link* find(std::string_view interface) const noexcept;
  [[nodiscard]] std::vector<Ipv4Prefix> addresses_of(std::string_view interface) const;
};

// The rules of nftables, those of iptables-nft included.
struct PacketFilter {
  std::string json{};    // of `nft -j list ruleset`
  std::string text{};    // of `nft -a list ruleset`; for messages
  std::string reason{};  // why they could not be read; empty: they were
};

struct Clock {
  bool synchronized = true;          // by NTP, as the kernel knows it
  std::int64_t now = 0;              // seconds since 1970
  std::int64_t executable_from = 0;  // when the executable was written
};

// The server of this run directory; -1: the process does not run.
struct Server {
  pid_t supervisor = -1;
  pid_t control = -1;
  pid_t dataplane = -1;
  // /v1/stats of its management socket. Error: why there is none.
  std::expected<std::string, std::string> stats = std::unexpected(std::string());

  [[nodiscard]] bool runs() const noexcept { return supervisor > 0; }
};

// Parts of a host that read_host() asks for, beside the files below `root`.
enum class Part : std::uint8_t { kNetwork, kStart, kUsers, kClock, kProcesses };

struct Host {
  std::filesystem::path root = "/";  // of /proc, /sys and /dev
  std::filesystem::path run_dir{};
  bool is_root = true;
  Network network{};
  PacketFilter filter{};
  Clock clock{};
  bool has_control_user = true;
  bool has_dataplane_user = true;
  bool parameters_writable = true;  // /proc/sys/net
  config::Findings start{};         // of `pns check`
  Server server{};
  std::set<Part> unread{};  // that gave no answer in time

  [[nodiscard]] std::filesystem::path sys() const { return root / "sys"; }
  // A file below root, without the white space at its end. Empty: it cannot be read.
  [[nodiscard]] std::optional<std::string> read(const std::filesystem::path& file) const;
  [[nodiscard]] std::optional<std::uint64_t> read_number(const std::filesystem::path& file) const;
  [[nodiscard]] bool exists(const std::filesystem::path& file) const;
};

// The interface that carries a port's addresses: the device, or the twin.
[[nodiscard]] const std::string& interface_of(const config::Port& port) noexcept;

}  // namespace pns::doctor
