// SPDX-License-Identifier: BSD-3-Clause
//
// TCP addresses of this host: one that is taken for a listener, and the owner of one that is in
// use. Start-up only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>

#include "pns/base/ip_address.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::netlink {

struct BindError {
  int number = 0;      // errno
  std::string reason;  // one line
};

// A TCP socket with this address that does not listen yet: non-blocking, SO_REUSEADDR,
// `may_come_later`: IP_FREEBIND, the host need not have the address yet. While it exists the kernel
// answers no caller.
[[nodiscard]] std::expected<UniqueFd, BindError> bind_tcp(Ipv4Address address,
                                                          std::uint16_t tcp_port,
                                                          bool may_come_later);

// The user of the socket that listens there. Empty: none does. `table`: /proc/net/tcp.
[[nodiscard]] std::optional<uid_t> listening_user(
    Ipv4Address address, std::uint16_t tcp_port,
    const std::filesystem::path& table = "/proc/net/tcp");

}  // namespace pns::netlink
