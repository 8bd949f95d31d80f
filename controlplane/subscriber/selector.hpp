// SPDX-License-Identifier: BSD-3-Clause
//
// Selector: which sessions an operator means. A word names its kind, as id=, user=, address=
// (of the subscriber inside the tunnel) or peer= (outer address). A bare word is a user name,
// whatever it looks like: a user named `1234` is a user. Pure function.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::subscriber {

struct Selector {
  enum class Kind : std::uint8_t { kId, kUser, kAddress, kPeer };
  Kind kind = Kind::kUser;
  SessionId id{};
  std::string user{};
  Ipv4Address address{};  // of kAddress and kPeer
};

// Error: a sentence for the operator.
[[nodiscard]] std::expected<Selector, std::string> parse_selector(std::string_view word);

}  // namespace pns::subscriber
