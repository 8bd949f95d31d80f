// SPDX-License-Identifier: BSD-3-Clause
//
// SessionIdSource: numbers sessions so that no two of them share an id, over restarts and over
// hosts. An id holds the wall-clock time of its session, the host's node number and a sequence
// number within the millisecond:
//
//   63              23 22        7 6      0
//   | ms since 2025   | node      | seq   |
//
// The time lasts until 2094. The text of an id is 16 hexadecimal digits, as in Acct-Session-Id
// (RFC 2866 §5.5). Event-loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "controlplane/model/session_id_text.hpp"
#include "pns/base/ids.hpp"

namespace pns::subscriber {

class SessionIdSource {
 public:
  // `wall_ms`: milliseconds since 1970. `node` tells this host from others.
  SessionIdSource(std::uint16_t node, std::function<std::uint64_t()> wall_ms);

  // Greater than every id before it, also when the wall clock was set back.
  [[nodiscard]] SessionId next();
  // A session with this id was taken over: later ids are greater.
  void not_below(SessionId id);

 private:
  std::uint16_t node_;
  std::function<std::uint64_t()> wall_ms_;
  std::uint64_t last_ms_ = 0;  // since 2025
  unsigned sequence_ = 0;
};

// A node number from a text that differs between hosts, such as /etc/machine-id.
[[nodiscard]] std::uint16_t node_number(std::string_view machine_id) noexcept;

using model::parse_session_id;
using model::to_text;

}  // namespace pns::subscriber
