// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/address_watch.hpp"

#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/socket.h>

#include <sys/socket.h>
#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "pns/log/log.hpp"
#include "pns/netlink/objects.hpp"

namespace pns::control {
namespace {

[[noreturn]] void fail(const char* what, int code) {
  throw std::runtime_error(std::string("netlink: ") + what + ": " + nl_geterror(code));
}

void check(const char* what, int code) {
  if (code < 0) fail(what, code);
}

netlink::RouteSocket open_socket() {
  auto socket = netlink::open_route_socket();
  if (!socket) throw std::runtime_error(socket.error());
  return std::move(*socket);
}

}  // namespace

HostAddressReader::HostAddressReader() : requests_(open_socket()), events_(open_socket()) {
  check("join IPv4 addresses",
        nl_socket_add_memberships(events_.get(), RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, 0));
  check("non-blocking", nl_socket_set_nonblocking(events_.get()));
}

int HostAddressReader::events() const noexcept { return nl_socket_get_fd(events_.get()); }

void HostAddressReader::take_events() const {
  std::array<std::byte, 8192> buffer;
  for (int i = 0; i < kEventsPerTurn; ++i)
    if (::recv(events(), buffer.data(), buffer.size(), MSG_DONTWAIT) < 0 && errno != ENOBUFS) break;
}

HostAddresses HostAddressReader::read() const {
  nl_cache* cache = nullptr;
  check("RTM_GETADDR", rtnl_addr_alloc_cache(requests_.get(), &cache));
  HostAddresses found;
  for (nl_object* object = nl_cache_get_first(cache); object != nullptr;
       object = nl_cache_get_next(object)) {
    auto* const entry = reinterpret_cast<rtnl_addr*>(object);
    const nl_addr* const local = rtnl_addr_get_local(entry);
    const auto length = static_cast<std::uint8_t>(rtnl_addr_get_prefixlen(entry));
    if (const auto ipv4 = netlink::read_address<Ipv4Address>(local)) {
      if (!ipv4->is_loopback()) found.ipv4.push_back({*ipv4, length});
    } else if (const auto ipv6 = netlink::read_address<Ipv6Address>(local)) {
      if (!ipv6->is_link_local() && !ipv6->is_loopback()) found.ipv6.push_back({*ipv6, length});
    }
  }
  nl_cache_free(cache);
  std::ranges::sort(found.ipv4);
  std::ranges::sort(found.ipv6);
  return found;
}

AddressWatch::AddressWatch(asio::io_context& context, const HostAddressReader& reader,
                           std::function<void(const HostAddresses&)> changed)
    : reader_(reader),
      changed_(std::move(changed)),
      descriptor_(context, reader.events()),
      addresses_(reader.read()) {}

AddressWatch::~AddressWatch() { (void)descriptor_.release(); }

void AddressWatch::start() { wait(); }

void AddressWatch::wait() {
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [this](const asio::error_code& error) {
                           if (error) return;
                           on_events();
                           wait();
                         });
}

// The events say only that something has changed: a full read cannot miss any, also when the
// socket's buffer has overflowed.
void AddressWatch::on_events() {
  reader_.take_events();
  HostAddresses now;
  try {
    now = reader_.read();
  } catch (const std::runtime_error& error) {
    log::warn("host addresses not read", {{"error", error.what()}});
    return;
  }
  if (now == addresses_) return;
  addresses_ = std::move(now);
  changed_(addresses_);
}

}  // namespace pns::control
