// SPDX-License-Identifier: BSD-3-Clause
//
// Changes from one configuration to another, key by key, and when each takes effect. Every key has
// one Effect; tests/unit/config holds the list to known_keys().
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "pns/config/config.hpp"

namespace pns::config {

enum class Effect : std::uint8_t {
  kNow,         // a reload puts it into force, for the calls that there are too
  kNewCalls,    // a reload puts it into force for calls, or connections, that begin afterwards
  kDataplane,   // needs a restart of the dataplane; calls live
  kSupervisor,  // needs a restart of the supervisor, then of the dataplane; calls live
  kServer,      // keeps its value until the server is stopped and started: calls hang on it
};
// One word: now, new_calls, dataplane, supervisor, server.
[[nodiscard]] std::string_view name_of(Effect effect) noexcept;

// `key`: dotted, with names and indices, or with `*` for them, as known_keys() has it. Empty: there
// is no such key.
[[nodiscard]] std::expected<Effect, std::string> effect_of(std::string_view key);

struct Difference {
  std::string key;     // ppp.mtu, pools.default.ranges
  std::string before;  // as JSON; empty: the key was absent
  std::string after;   // likewise
  Effect effect{};
  friend bool operator==(const Difference&, const Difference&) = default;
};

// By key. Lists are compared whole. Values that are files (secrets, users) count by their names.
[[nodiscard]] std::vector<Difference> differences(const Config& before, const Config& after);

}  // namespace pns::config
