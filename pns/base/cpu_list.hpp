// SPDX-License-Identifier: BSD-3-Clause
//
// The kernel's lists of CPUs in sysfs. Pure, any thread.
#pragma once

#include <string_view>
#include <vector>

namespace pns {

// The numbers of a list as "0-3,8". Empty: it is none.
[[nodiscard]] std::vector<unsigned> parse_cpu_list(std::string_view text);

}  // namespace pns
