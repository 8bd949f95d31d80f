// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/interface_statistics.hpp"

#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/net_namespace.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace pns::dataplane {
namespace {

constexpr std::int32_t kOurNamespace = -1;
constexpr std::size_t kAnswerSize = 64 * 1024;  // a NIC with many virtual functions says much
constexpr std::size_t kMaxDriverCounters = 8192;

// A request of rtnetlink: a header, a fixed part, attributes.
class Request {
 public:
  template <class Fixed>
  Request(std::uint16_t type, std::uint32_t sequence, const Fixed& fixed) {
    header_.nlmsg_type = type;
    header_.nlmsg_flags = NLM_F_REQUEST;
    header_.nlmsg_seq = sequence;
    size_ = NLMSG_HDRLEN;
    append(&fixed, sizeof(fixed));
  }
  void add(std::uint16_t type, const void* value, std::size_t size) {
    const rtattr head{static_cast<std::uint16_t>(RTA_LENGTH(size)), type};
    append(&head, sizeof(head));
    append(value, size);
  }
  // With the length filled in.
  [[nodiscard]] std::span<const std::byte> finish() noexcept {
    header_.nlmsg_len = static_cast<std::uint32_t>(size_);
    std::memcpy(octets_.data(), &header_, sizeof(header_));
    return std::span(octets_).first(size_);
  }

 private:
  // Everything here is aligned to four octets.
  void append(const void* value, std::size_t size) {
    const std::size_t end = size_ + (size + 3) / 4 * 4;
    if (end > octets_.size()) return;
    std::memcpy(octets_.data() + size_, value, size);
    size_ = end;
  }

  nlmsghdr header_{};
  std::array<std::byte, 256> octets_{};
  std::size_t size_ = 0;
};

// The attribute of one type in an answer, copied into a plain value. Empty: not there, or too
// short.
template <class Value>
std::optional<Value> attribute(const std::vector<std::byte>& answer, std::size_t size,
                               std::size_t fixed_size, std::uint16_t type) {
  std::size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(fixed_size);
  while (at + sizeof(rtattr) <= size) {
    rtattr head;
    std::memcpy(&head, answer.data() + at, sizeof(head));
    if (head.rta_len < sizeof(head) || at + head.rta_len > size) return std::nullopt;
    if ((head.rta_type & NLA_TYPE_MASK) == type) {
      // An older kernel tells fewer counters, a newer one more.
      Value value{};
      std::memcpy(&value, answer.data() + at + RTA_LENGTH(0),
                  std::min<std::size_t>(sizeof(value), head.rta_len - RTA_LENGTH(0)));
      return value;
    }
    at += RTA_ALIGN(head.rta_len);
  }
  return std::nullopt;
}

bool is_our_namespace(int fd) {
  struct stat theirs {};
  struct stat ours {};
  return ::fstat(fd, &theirs) == 0 && ::stat("/proc/thread-self/ns/net", &ours) == 0 &&
         theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

}  // namespace

InterfaceStatistics::InterfaceStatistics()
    : netlink_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)),
      ioctl_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
      answer_(kAnswerSize) {}

std::size_t InterfaceStatistics::ask(std::span<const std::byte> request) {
  if (!netlink_ || ::send(netlink_.get(), request.data(), request.size(), 0) !=
                       static_cast<ssize_t>(request.size()))
    return 0;
  // The kernel answers inside send(2): what is not there now never comes.
  for (;;) {
    const auto got = ::recv(netlink_.get(), answer_.data(), answer_.size(), MSG_DONTWAIT);
    if (got < static_cast<ssize_t>(sizeof(nlmsghdr))) return 0;
    nlmsghdr header;
    std::memcpy(&header, answer_.data(), sizeof(header));
    if (header.nlmsg_seq != sequence_) continue;  // a late one
    if (header.nlmsg_type == NLMSG_ERROR) return 0;
    return std::min<std::size_t>(header.nlmsg_len, static_cast<std::size_t>(got));
  }
}

std::optional<rtnl_link_stats64> InterfaceStatistics::ask_link(const std::string& name,
                                                               std::int32_t namespace_id) {
  if (name.empty() || name.size() >= IFNAMSIZ) return std::nullopt;
  Request request(RTM_GETLINK, ++sequence_, ifinfomsg{});
  request.add(IFLA_IFNAME, name.c_str(), name.size() + 1);
  if (namespace_id != kOurNamespace)
    request.add(IFLA_TARGET_NETNSID, &namespace_id, sizeof(namespace_id));
  const std::size_t size = ask(request.finish());
  return size == 0 ? std::nullopt
                   : attribute<rtnl_link_stats64>(answer_, size, sizeof(ifinfomsg), IFLA_STATS64);
}

std::int32_t InterfaceStatistics::id_of_namespace(int namespace_fd) {
  const auto known = [&]() -> std::int32_t {
    Request request(RTM_GETNSID, ++sequence_, rtgenmsg{});
    request.add(NETNSA_FD, &namespace_fd, sizeof(namespace_fd));
    const std::size_t size = ask(request.finish());
    return size == 0 ? NETNSA_NSID_NOT_ASSIGNED
                     : attribute<std::int32_t>(answer_, size, sizeof(rtgenmsg), NETNSA_NSID)
                           .value_or(NETNSA_NSID_NOT_ASSIGNED);
  };
  if (const std::int32_t id = known(); id != NETNSA_NSID_NOT_ASSIGNED) return id;
  Request request(RTM_NEWNSID, ++sequence_, rtgenmsg{});
  const std::int32_t any = -1;
  request.add(NETNSA_FD, &namespace_fd, sizeof(namespace_fd));
  request.add(NETNSA_NSID, &any, sizeof(any));
  (void)ask(request.finish());
  return known();
}

std::optional<rtnl_link_stats64> InterfaceStatistics::of_interface(const std::string& name) {
  return ask_link(name, kOurNamespace);
}

std::optional<rtnl_link_stats64> InterfaceStatistics::of_tap(int fd) {
  ifreq interface {};
  if (::ioctl(fd, TUNGETIFF, &interface) != 0) return std::nullopt;
  const std::string name(interface.ifr_name, ::strnlen(interface.ifr_name, IFNAMSIZ));
  const UniqueFd home(::ioctl(fd, TUNGETDEVNETNS));
  if (!home || is_our_namespace(home.get())) return ask_link(name, kOurNamespace);
  const std::int32_t id = id_of_namespace(home.get());
  return id == NETNSA_NSID_NOT_ASSIGNED ? std::nullopt : ask_link(name, id);
}

std::vector<std::pair<std::string, std::uint64_t>> InterfaceStatistics::of_driver(
    const std::string& name) {
  std::vector<std::pair<std::string, std::uint64_t>> out;
  if (name.size() >= IFNAMSIZ) return out;
  ifreq request{};
  std::copy(name.begin(), name.end(), request.ifr_name);
  const auto done = [&](void* data) {
    request.ifr_data = static_cast<char*>(data);
    return ::ioctl(ioctl_.get(), SIOCETHTOOL, &request) == 0;
  };
  alignas(ethtool_sset_info) std::array<std::byte, sizeof(ethtool_sset_info) + 4> counted{};
  ethtool_sset_info asked{};
  asked.cmd = ETHTOOL_GSSET_INFO;
  asked.sset_mask = std::uint64_t{1} << ETH_SS_STATS;
  std::memcpy(counted.data(), &asked, sizeof(asked));
  if (!done(counted.data())) return out;
  std::memcpy(&asked, counted.data(), sizeof(asked));
  std::uint32_t count = 0;
  std::memcpy(&count, counted.data() + offsetof(ethtool_sset_info, data), sizeof(count));
  if (asked.sset_mask == 0 || count == 0 || count > kMaxDriverCounters) return out;

  // Room for twice as many: the driver fills what it has now, whatever it had a moment ago.
  std::vector<std::uint64_t> names((sizeof(ethtool_gstrings) + 2UL * count * ETH_GSTRING_LEN) / 8 +
                                   1);
  ethtool_gstrings strings{};
  strings.cmd = ETHTOOL_GSTRINGS;
  strings.string_set = ETH_SS_STATS;
  strings.len = count;
  std::memcpy(names.data(), &strings, sizeof(strings));
  std::vector<std::uint64_t> values(sizeof(ethtool_stats) / 8 + 2UL * count + 1);
  ethtool_stats statistics{};
  statistics.cmd = ETHTOOL_GSTATS;
  statistics.n_stats = count;
  std::memcpy(values.data(), &statistics, sizeof(statistics));
  if (!done(names.data()) || !done(values.data())) return out;
  std::memcpy(&strings, names.data(), sizeof(strings));
  std::memcpy(&statistics, values.data(), sizeof(statistics));
  if (strings.len != count || statistics.n_stats != count) return out;  // it changed: next time
  const auto* text = reinterpret_cast<const char*>(names.data()) + sizeof(strings);
  const auto* number = reinterpret_cast<const std::byte*>(values.data()) + sizeof(statistics);
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint64_t value = 0;
    std::memcpy(&value, number + i * sizeof(value), sizeof(value));
    const char* own = text + std::size_t{i} * ETH_GSTRING_LEN;
    out.emplace_back(std::string(own, ::strnlen(own, ETH_GSTRING_LEN)), value);
  }
  return out;
}

}  // namespace pns::dataplane
