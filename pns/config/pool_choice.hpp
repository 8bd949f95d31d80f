// SPDX-License-Identifier: BSD-3-Clause
//
// Which pool serves an account. Pure function, any thread.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pns/config/config.hpp"

namespace pns::config {

// The pool that the account names, else the one of the first of its groups that has any, else the
// one of the address that was dialled (unspecified: not known), else "default". The name may be of
// no pool: an account can name any. Views of the arguments.
[[nodiscard]] inline std::string_view choose_pool(const std::map<std::string, Pool>& pools,
                                                  std::string_view named,
                                                  const std::vector<std::string>& groups,
                                                  Ipv4Address dialled) {
  if (!named.empty()) return named;
  for (const std::string& group : groups)
    for (const auto& [name, pool] : pools)
      if (std::ranges::find(pool.groups, group) != pool.groups.end()) return name;
  for (const auto& [name, pool] : pools)
    if (std::ranges::find(pool.dialled, dialled) != pool.dialled.end()) return name;
  return "default";
}

}  // namespace pns::config
