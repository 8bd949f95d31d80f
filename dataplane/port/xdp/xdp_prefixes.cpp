// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/xdp/xdp_prefixes.hpp"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

namespace pns::dataplane {

namespace {

// Calls `change` with the key of each prefix in the program's longest-prefix maps: bits, then the
// address as on the wire. False: it failed for one.
template <class Prefix>
bool for_each_key(const std::vector<Prefix>& prefixes, auto change) {
  return std::ranges::all_of(prefixes, [&change](const Prefix& prefix) {
    struct {
      std::uint32_t bits;
      decltype(prefix.address.wire()) address;
    } const key{prefix.length, prefix.network().wire()};
    return change(&key);
  });
}

bool put(int map, const void* key) {
  const std::uint8_t present = 1;
  return bpf_map_update_elem(map, key, &present, BPF_ANY) == 0;
}

bool erase(int map, const void* key) {
  return bpf_map_delete_elem(map, key) == 0 || errno == ENOENT;
}

std::unexpected<std::string> xdp_error(const std::string& interface, const char* what) {
  return std::unexpected(fmt::format("xdp:{}: {}: {}", interface, what, std::strerror(errno)));
}

}  // namespace

std::expected<void, std::string> XdpPrefixes::add(const SubscriberPrefixes& subscribers) const {
  if (for_each_key(subscribers.ipv4, [this](const void* key) { return put(ipv4_.get(), key); }) &&
      for_each_key(subscribers.ipv6, [this](const void* key) { return put(ipv6_.get(), key); }))
    return {};
  return xdp_error(interface_, "bpf_map_update_elem");
}

std::expected<void, std::string> XdpPrefixes::remove(const SubscriberPrefixes& subscribers) const {
  if (for_each_key(subscribers.ipv4, [this](const void* key) { return erase(ipv4_.get(), key); }) &&
      for_each_key(subscribers.ipv6, [this](const void* key) { return erase(ipv6_.get(), key); }))
    return {};
  return xdp_error(interface_, "bpf_map_delete_elem");
}

// The driver has loaded the program and keeps its maps open. To look for them among this process's
// descriptors needs no privilege; to ask the kernel for the maps of a program needs CAP_SYS_ADMIN.
std::expected<XdpPrefixes, std::string> XdpPrefixes::open(const std::string& interface) {
  XdpPrefixes found;
  found.interface_ = interface;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    if (std::filesystem::read_symlink(entry, error) != "anon_inode:bpf-map") continue;
    const int fd = std::atoi(entry.path().filename().c_str());
    bpf_map_info info{};
    std::uint32_t length = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) continue;
    const std::string_view name(info.name);
    if (name == "pns_prefixes") found.ipv4_.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (name == "pns_prefixes6") found.ipv6_.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  }
  if (found.ipv4_ && found.ipv6_) return found;
  errno = ENOENT;
  return xdp_error(interface, "the XDP program has no pns_prefixes");
}

}  // namespace pns::dataplane
