// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/filter/filter_numbers.hpp"

#include <algorithm>
#include <bitset>

namespace pns::dataplane {
namespace {

using Numbers = std::bitset<256>;

static_assert(config::kMaxFilters == contract::kFilterRoom - 1);

Numbers numbers_in_use(const contract::SessionMemory& memory) {
  Numbers used;
  for (const contract::SessionRecord& session : memory.sessions()) {
    if (session.state.load(std::memory_order_relaxed) != contract::SlotState::kInstalled) continue;
    const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);
    used.set(contract::upstream_filter(flags));
    used.set(contract::downstream_filter(flags));
  }
  used.reset(0);
  return used;
}

}  // namespace

std::expected<FilterNumbers, std::string> assign_filter_numbers(
    contract::SessionMemory& memory, const std::map<std::string, config::Filter>& filters) {
  auto& marks = memory.header().filters;
  const Numbers used = numbers_in_use(memory);
  std::map<std::uint64_t, const std::string*> wanted;
  for (const auto& [name, rules] : filters) wanted.emplace(contract::filter_mark(name), &name);
  FilterNumbers out;
  for (std::size_t number = 1; number < marks.size(); ++number) {
    const std::uint64_t mark = marks[number].load(std::memory_order_relaxed);
    const auto name = wanted.find(mark);
    if (name != wanted.end()) {
      out.by_name.emplace(*name->second, static_cast<std::uint8_t>(number));
      wanted.erase(name);
    } else if (!used.test(number)) {
      marks[number].store(0, std::memory_order_relaxed);
    } else {
      ++out.orphans;
    }
  }
  std::size_t number = 1;
  for (const auto& [mark, name] : wanted) {
    while (number < marks.size() &&
           (marks[number].load(std::memory_order_relaxed) != 0 || used.test(number)))
      ++number;
    if (number == marks.size())
      return std::unexpected(
          "filters: sessions still have filters that the configuration lacks; too few numbers are "
          "free");
    marks[number].store(mark, std::memory_order_relaxed);
    out.by_name.emplace(*name, static_cast<std::uint8_t>(number));
  }
  return out;
}

}  // namespace pns::dataplane
