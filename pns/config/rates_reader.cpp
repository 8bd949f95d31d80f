// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/rates_reader.hpp"

#include <fmt/format.h>

namespace pns::config {
namespace {

constexpr std::pair<std::string_view, RateMode> kModes[] = {{"police", RateMode::kPolice},
                                                            {"shape", RateMode::kShape}};

void read_direction(const Section& section, Rates::Direction& out) {
  section.read("mode", out.mode, one_of(kModes));
  section.read("burst", out.burst, duration(kMinShapingDelay, kMaxRateBurst));
  section.read("delay", out.delay, duration(kMinShapingDelay, kMaxShapingDelay));
}

}  // namespace

void read_rates(const Section& top, Rates& out) {
  const Section rates = top.section("rates");
  read_direction(rates.section("up"), out.up);
  read_direction(rates.section("down"), out.down);
}

void read_rate_groups(const Section& top, Document& document,
                      std::map<std::string, RateGroup>& out) {
  for (const auto& [name, section] : top.named_sections("rate_groups")) {
    if (name.empty() || name.size() > kMaxRateGroupName)
      document.error_at(section.path(),
                        fmt::format("a group's name has 1 to {} octets", kMaxRateGroupName));
    RateGroup& group = out[name];
    section.read("up", group.up, parse_rate);
    section.read("down", group.down, parse_rate);
  }
  if (out.size() > kMaxRateGroups)
    document.error_at("rate_groups", fmt::format("has more than {} groups", kMaxRateGroups));
}

}  // namespace pns::config
