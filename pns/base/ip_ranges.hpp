// SPDX-License-Identifier: BSD-3-Clause
//
// Ranges of addresses as prefixes. Pure functions, any thread.
#pragma once

#include <vector>

#include "pns/base/ip_address.hpp"

namespace pns {

// The fewest prefixes that cover a range exactly.
[[nodiscard]] std::vector<Ipv4Prefix> prefixes_of(const Ipv4Range& range);

// The longest prefix that holds the whole range.
[[nodiscard]] Ipv4Prefix prefix_around(const Ipv4Range& range) noexcept;

}  // namespace pns
