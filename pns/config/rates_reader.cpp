// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/rates_reader.hpp"

namespace pns::config {
namespace {

constexpr std::pair<std::string_view, RateMode> kModes[] = {{"police", RateMode::kPolice},
                                                            {"shape", RateMode::kShape}};

void read_direction(const Section& section, Rates::Direction& out) {
  section.read("mode", out.mode, one_of(kModes));
  section.read("delay", out.delay, duration(kMinShapingDelay, kMaxShapingDelay));
}

}  // namespace

void read_rates(const Section& top, Rates& out) {
  const Section rates = top.section("rates");
  read_direction(rates.section("up"), out.up);
  read_direction(rates.section("down"), out.down);
}

}  // namespace pns::config
