// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/source_limits_reader.hpp"

#include <algorithm>

namespace pns::config {
namespace {

constexpr std::uint32_t kHighestRate = 1'000'000;
constexpr std::uint32_t kSmallestDefaultShare = 64;  // connections
// The lists are searched from front to back for each accepted connection.
constexpr std::size_t kLongestList = 1024;

void read_rate(const Section& section, Rate& out) {
  section.read("rate", out.rate, integer(0, kHighestRate));
  section.read("burst", out.burst, integer(1, kHighestRate));
}

// A duration in [1 s, max], or 0.
auto duration_or_off(Milliseconds max) {
  return [max](std::string_view text) -> Parsed<Milliseconds> {
    const auto value = duration(Milliseconds(0), max)(text);
    if (value && *value != Milliseconds(0) && *value < Milliseconds(1'000))
      return std::unexpected("'" + std::string(text) + "' is neither 0 nor at least 1s");
    return value;
  };
}

}  // namespace

void read_source_limits(const Section& section, std::uint32_t max_connections, Document& document,
                        SourceLimits& out) {
  out.connections = std::min(max_connections, std::max(max_connections / 8, kSmallestDefaultShare));
  section.read("connections", out.connections, integer(1, 1'000'000));
  if (out.connections > max_connections)
    document.error_at(section.path("connections"), "above pptp.max_connections");
  read_rate(section.section("new_calls"), out.new_calls);
  read_rate(section.section("messages"), out.messages);
  section.read("idle_connection_time", out.idle_connection_time,
               duration_or_off(Milliseconds(86'400'000)));
  section.read("set_up_deadline", out.set_up_deadline, duration_or_off(Milliseconds(3'600'000)));
  const Section failed = section.section("failed_logins");
  failed.read("per_account", out.failed_logins_per_account, integer(0, 1'000'000));
  failed.read("per_source", out.failed_logins_per_source, integer(0, 1'000'000));
  for (const auto& [key, list] :
       {std::pair{"allow", &out.allow}, {"deny", &out.deny}, {"exempt", &out.exempt}}) {
    section.read_list(key, *list, parse_network);
    if (list->size() > kLongestList)
      document.error_at(section.path(key), "holds more than 1024 networks");
  }
}

}  // namespace pns::config
