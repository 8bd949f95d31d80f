// SPDX-License-Identifier: BSD-3-Clause
//
// Which destinations are subscribers: what the XDP program of a core port takes out of the kernel's
// way. Main thread only.
#pragma once

#include <expected>
#include <string>

#include "pns/base/networks.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::dataplane {

using SubscriberPrefixes = Networks;

// The prefixes that the XDP program of a core port takes for subscribers. Errors: libbpf's reason.
class XdpPrefixes {
 public:
  // The prefixes of the program that this process has loaded for the interface. add() and remove()
  // need no privilege, but a kernel from 5.19 on.
  [[nodiscard]] static std::expected<XdpPrefixes, std::string> open(const std::string& interface);
  [[nodiscard]] std::expected<void, std::string> add(const SubscriberPrefixes& subscribers) const;
  // Removes these very prefixes: a wider one stays, and covers what it covers. One that is not
  // there is no error.
  [[nodiscard]] std::expected<void, std::string> remove(
      const SubscriberPrefixes& subscribers) const;

 private:
  std::string interface_;
  UniqueFd ipv4_;
  UniqueFd ipv6_;
};

}  // namespace pns::dataplane
