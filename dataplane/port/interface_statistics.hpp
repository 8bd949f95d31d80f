// SPDX-License-Identifier: BSD-3-Clause
//
// InterfaceStatistics asks the kernel by netlink and ethtool what an interface counts. Main thread,
// about once a second; no answer is waited for longer than the kernel takes to make it. Needs
// CAP_NET_ADMIN for an interface in another network namespace, nothing for one in ours.
#pragma once

#include <linux/if_link.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pns/base/unique_fd.hpp"

namespace pns::dataplane {

class InterfaceStatistics {
 public:
  // Opens what it asks with. Where that fails, nothing is ever known.
  InterfaceStatistics();

  // An interface in our network namespace. Empty: there is none of that name.
  [[nodiscard]] std::optional<rtnl_link_stats64> of_interface(const std::string& name);
  // The interface behind a TAP's descriptor, whatever namespace it has been moved to.
  [[nodiscard]] std::optional<rtnl_link_stats64> of_tap(int fd);
  // `ethtool -S`: the driver's own names and numbers. Empty where the driver has none.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> of_driver(
      const std::string& name);

 private:
  [[nodiscard]] std::optional<rtnl_link_stats64> ask_link(const std::string& name,
                                                          std::int32_t namespace_id);
  [[nodiscard]] std::int32_t id_of_namespace(int namespace_fd);
  // The length of an answer in answer_; 0: none came.
  [[nodiscard]] std::size_t ask(std::span<const std::byte> request);

  UniqueFd netlink_;
  UniqueFd ioctl_;
  std::uint32_t sequence_ = 0;
  std::vector<std::byte> answer_;
};

}  // namespace pns::dataplane
