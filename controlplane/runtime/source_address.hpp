// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>

#include "pns/base/ip_endpoint.hpp"

namespace pns::control {

// The address that the kernel would send from; empty when there is no route. Sends nothing.
[[nodiscard]] std::optional<IpAddress> source_towards(const IpEndpoint& remote);
[[nodiscard]] std::optional<Ipv4Address> source_towards(Ipv4Address remote);

}  // namespace pns::control
