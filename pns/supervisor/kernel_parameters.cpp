// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/kernel_parameters.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "pns/base/unique_fd.hpp"
#include "pns/log/log.hpp"

namespace pns::supervisor {
namespace {

constexpr std::string_view kIpv4 = "net/ipv4/conf/";
constexpr std::string_view kIpv6 = "net/ipv6/conf/";
constexpr std::string_view kNoIpv6 = "the kernel takes no IPv6 there";
constexpr std::string_view kLate = "an IPv6 address is of no use in its first second";

std::string path_of(std::string_view family, const std::string& interface, std::string_view name) {
  return std::string(family).append(interface).append("/").append(name);
}

// Whether a file holds this word, and white space.
bool has_value(const std::filesystem::path& file, std::string_view value) noexcept {
  std::array<char, 64> octets{};
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return false;
  const ssize_t got = ::read(fd.get(), octets.data(), octets.size());
  std::string_view text(octets.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  while (text.ends_with('\n') || text.ends_with(' ')) text.remove_suffix(1);
  return text == value;
}

void append(KernelParameters& all, KernelParameters more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

KernelParameters ipv6_taken(const std::string& interface) {
  return {{path_of(kIpv6, interface, "disable_ipv6"), "0", kNoIpv6}};
}

KernelParameters ipv6_quiet(const std::string& interface) {
  return {
      // Without a link-local address there is nothing to announce.
      {path_of(kIpv6, interface, "addr_gen_mode"), "1",
       "the kernel sends IPv6 packets of its own there"},
      {path_of(kIpv6, interface, "accept_ra"), "0",
       "Router Advertisements give the interface addresses and routes"},
      {path_of(kIpv6, interface, "router_solicitations"), "0",
       "the kernel asks for IPv6 routers there"},
  };
}

KernelParameters ipv6_allowed(const std::string& interface) {
  return {
      {path_of(kIpv6, interface, "dad_transmits"), "0", kLate},
      {path_of(kIpv6, interface, "addr_gen_mode"), "0",
       "the kernel has no link-local address there, and finds no IPv6 neighbour"},
      {path_of(kIpv6, interface, "disable_ipv6"), "0", kNoIpv6},
      {path_of(kIpv6, interface, "accept_ra"), "0",
       "Router Advertisements give the interface addresses and routes"},
      {path_of(kIpv6, interface, "router_solicitations"), "0",
       "the kernel asks for IPv6 routers there"},
      {path_of(kIpv6, interface, "forwarding"), "1",
       "neighbours take this host for no IPv6 router"},
  };
}

KernelParameters ipv6_enabled(const std::string& interface) {
  return {{path_of(kIpv6, interface, "dad_transmits"), "0", kLate},
          {path_of(kIpv6, interface, "disable_ipv6"), "0", kNoIpv6}};
}

KernelParameters own_addresses_accepted(const std::string& interface) {
  return {{path_of(kIpv4, interface, "accept_local"), "1",
           "the kernel drops ICMP errors of the dataplane"}};
}

KernelParameters host_kept_off(const std::string& interface) {
  return {{path_of(kIpv4, interface, "forwarding"), "0",
           "the host forwards packets again that it has for subscribers"},
          {path_of(kIpv4, interface, "rp_filter"), "1",
           "the host takes packets that it has sent to subscribers"},
          {path_of(kIpv6, interface, "disable_ipv6"), "1",
           "the host has IPv6 on the dataplane's end of the port"}};
}

KernelParameters parameters_of(const config::Config& config) {
  KernelParameters all;
  const config::Port& core = config.ports.core;
  for (const config::Port* port : {&config.ports.access, &core})
    if (port->has_twin())
      append(all, port->ipv6_addresses.empty() ? ipv6_quiet(port->twin) : ipv6_allowed(port->twin));
  const bool pools_have_ipv6 = !config::prefixes_of_pools(config).ipv6.empty();
  if (core.leads_to_host()) {
    append(all, host_kept_off(core.device.xdp_interface()));
    append(all, own_addresses_accepted(core.device.interface));
    append(all, ipv6_quiet(core.device.interface));
    if (pools_have_ipv6 || !core.ipv6_addresses.empty())
      append(all, ipv6_enabled(core.device.interface));
  }
  if (core.services.enabled) {
    append(all, ipv6_quiet(core.services.interface));
    append(all, ipv6_taken(core.services.interface));
  }
  return all;
}

std::string set_parameter(const std::filesystem::path& root, const KernelParameter& parameter) {
  const std::filesystem::path file = root / parameter.path;
  if (has_value(file, parameter.value)) return {};
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT && parameter.path.starts_with(kIpv6)) return {};
  if (!fd) return std::strerror(errno);
  const ssize_t wrote = ::write(fd.get(), parameter.value.data(), parameter.value.size());
  if (wrote < 0) return std::strerror(errno);
  return wrote == static_cast<ssize_t>(parameter.value.size()) ? std::string() : "written in part";
}

void set_parameters(const KernelParameters& parameters) {
  for (const KernelParameter& parameter : parameters)
    if (const std::string reason = set_parameter("/proc/sys", parameter); !reason.empty())
      log::warn("kernel parameter not set", {{"path", "/proc/sys/" + parameter.path},
                                             {"value", parameter.value},
                                             {"reason", reason}});
}

}  // namespace pns::supervisor
