// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/filter/filter_numbers.hpp"

#include <fmt/format.h>

#include <atomic>
#include <bitset>
#include <span>

namespace pns::dataplane {
namespace {

using Numbers = std::bitset<256>;

static_assert(config::kMaxFilters == contract::kFilterRoom - 1);
static_assert(config::kMaxRateGroups == contract::kRateGroupRoom - 1);

// add(Numbers&, const SessionRecord&): the numbers that a session has.
template <class Add>
Numbers numbers_in_use(const contract::SessionMemory& memory, Add add) {
  Numbers used;
  for (const contract::SessionRecord& session : memory.sessions())
    if (session.state.load(std::memory_order_relaxed) == contract::SlotState::kInstalled)
      add(used, session);
  used.reset(0);
  return used;
}

// `wanted`: names by their marks.
std::expected<NameNumbers, std::string> assign(std::span<std::atomic<std::uint64_t>> marks,
                                               const Numbers& used,
                                               std::map<std::uint64_t, const std::string*> wanted,
                                               const char* what) {
  NameNumbers out;
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
          fmt::format("{0}: sessions still have {0} that the configuration lacks; too few numbers "
                      "are free",
                      what));
    marks[number].store(mark, std::memory_order_relaxed);
    out.by_name.emplace(*name, static_cast<std::uint8_t>(number));
  }
  return out;
}

template <class Value>
std::map<std::uint64_t, const std::string*> marks_of(const std::map<std::string, Value>& names) {
  std::map<std::uint64_t, const std::string*> out;
  for (const auto& [name, value] : names) out.emplace(contract::name_mark(name), &name);
  return out;
}

}  // namespace

std::expected<NameNumbers, std::string> assign_filter_numbers(
    contract::SessionMemory& memory, const std::map<std::string, config::Filter>& filters) {
  const Numbers used =
      numbers_in_use(memory, [](Numbers& in_use, const contract::SessionRecord& session) {
        const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);
        in_use.set(contract::upstream_filter(flags));
        in_use.set(contract::downstream_filter(flags));
      });
  return assign(memory.header().filters, used, marks_of(filters), "filters");
}

std::expected<NameNumbers, std::string> assign_group_numbers(
    contract::SessionMemory& memory, const std::map<std::string, config::RateGroup>& groups) {
  const Numbers used =
      numbers_in_use(memory, [](Numbers& in_use, const contract::SessionRecord& session) {
        const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);
        const std::uint16_t group = session.downstream.rate_group;
        if ((flags & contract::kFlagRateGroup) != 0 && group < in_use.size()) in_use.set(group);
      });
  return assign(memory.header().rate_groups, used, marks_of(groups), "rate_groups");
}

}  // namespace pns::dataplane
