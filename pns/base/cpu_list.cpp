// SPDX-License-Identifier: BSD-3-Clause
#include "pns/base/cpu_list.hpp"

#include <charconv>
#include <expected>

namespace pns {
namespace {

constexpr unsigned kMaxCpu = 65'535;

// A number at the front of `text`, taken off. Error: none is there.
std::expected<unsigned, std::errc> take_number(std::string_view& text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::unexpected(error);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

}  // namespace

std::vector<unsigned> parse_cpu_list(std::string_view text) {
  std::vector<unsigned> cpus;
  while (!text.empty()) {
    const auto first = take_number(text);
    if (!first) return {};
    auto last = first;
    if (text.starts_with('-')) {
      text.remove_prefix(1);
      last = take_number(text);
    }
    if (!last || *last < *first || *last > kMaxCpu) return {};
    for (unsigned cpu = *first; cpu <= *last; ++cpu) cpus.push_back(cpu);
    if (text.empty()) break;
    if (!text.starts_with(',')) return {};
    text.remove_prefix(1);
  }
  return cpus;
}

}  // namespace pns
