// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/xdp/xdp_prefixes.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace pns::dataplane {

std::vector<Ipv4Prefix> prefixes_of(const Ipv4Range& range) {
  std::vector<Ipv4Prefix> prefixes;
  std::uint64_t at = range.first.value;
  const std::uint64_t last = range.last.value;
  while (at <= last) {
    // The longest run of addresses that starts here, is aligned and does not pass the end.
    std::uint8_t bits = 0;
    while (bits < 32 && (at & ((std::uint64_t{2} << bits) - 1)) == 0 &&
           at + (std::uint64_t{2} << bits) - 1 <= last)
      ++bits;
    prefixes.push_back(
        {Ipv4Address(static_cast<std::uint32_t>(at)), static_cast<std::uint8_t>(32 - bits)});
    at += std::uint64_t{1} << bits;
  }
  return prefixes;
}

namespace {

// Keys of the program's longest-prefix maps: bits, then the address as on the wire.
template <class Prefix>
bool fill_prefixes(int map, const std::vector<Prefix>& prefixes) {
  for (const Prefix& prefix : prefixes) {
    struct {
      std::uint32_t bits;
      decltype(prefix.address.wire()) address;
    } key{prefix.length, prefix.network().wire()};
    const std::uint8_t present = 1;
    if (bpf_map_update_elem(map, &key, &present, BPF_ANY) != 0) return false;
  }
  return true;
}

std::unexpected<std::string> xdp_error(const std::string& interface, const char* what) {
  return std::unexpected(fmt::format("xdp:{}: {}: {}", interface, what, std::strerror(errno)));
}

}  // namespace

std::expected<void, std::string> XdpPrefixes::add(const SubscriberPrefixes& subscribers) const {
  if (fill_prefixes(ipv4_.get(), subscribers.ipv4) && fill_prefixes(ipv6_.get(), subscribers.ipv6))
    return {};
  return xdp_error(interface_, "bpf_map_update_elem");
}

std::expected<XdpPrefixes, std::string> XdpPrefixes::open(const std::string& interface) {
  const auto error = [&](const char* what) { return xdp_error(interface, what); };
  XdpPrefixes found;
  found.interface_ = interface;
  const auto index = static_cast<int>(::if_nametoindex(interface.c_str()));
  std::uint32_t program_id = 0;
  if (index == 0 || bpf_xdp_query_id(index, 0, &program_id) != 0 || program_id == 0)
    return error("no XDP program is attached");
  const UniqueFd program(bpf_prog_get_fd_by_id(program_id));
  if (!program) return error("bpf_prog_get_fd_by_id");
  std::array<std::uint32_t, 16> map_ids{};
  bpf_prog_info program_info{};
  program_info.nr_map_ids = map_ids.size();
  program_info.map_ids = reinterpret_cast<std::uint64_t>(map_ids.data());
  std::uint32_t length = sizeof(program_info);
  if (bpf_obj_get_info_by_fd(program.get(), &program_info, &length) != 0)
    return error("bpf_obj_get_info_by_fd");
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(program_info.nr_map_ids, 16); ++i) {
    UniqueFd map(bpf_map_get_fd_by_id(map_ids.at(i)));
    bpf_map_info map_info{};
    length = sizeof(map_info);
    if (!map || bpf_obj_get_info_by_fd(map.get(), &map_info, &length) != 0) continue;
    const std::string_view name(map_info.name);
    if (name == "pns_prefixes") found.ipv4_ = std::move(map);
    if (name == "pns_prefixes6") found.ipv6_ = std::move(map);
  }
  if (found.ipv4_ && found.ipv6_) return found;
  errno = ENOENT;
  return error("pns_prefixes");
}

}  // namespace pns::dataplane
