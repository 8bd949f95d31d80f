// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/impairment.hpp"

#include <algorithm>

namespace pns::loadgen {
namespace {

// Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
std::uint64_t splitmix64(std::uint64_t& state) noexcept {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double unit_interval(std::uint64_t& state) noexcept {
  return static_cast<double>(splitmix64(state) >> 11) * 0x1p-53;
}

}  // namespace

ImpairmentCounts& ImpairmentCounts::operator+=(const ImpairmentCounts& other) noexcept {
  passed += other.passed;
  lost += other.lost;
  duplicated += other.duplicated;
  reordered += other.reordered;
  cut += other.cut;
  return *this;
}

// Always as many draws, so that one probability does not shift what another does.
ImpairedLine::Fate ImpairedLine::next_fate() noexcept {
  Fate fate;
  fate.lost = unit_interval(state_) < impairments_.loss;
  const bool twice = unit_interval(state_) < impairments_.duplicate;
  const bool hold = unit_interval(state_) < impairments_.reorder;
  const auto overtakers = static_cast<unsigned>(1 + splitmix64(state_) % kOvertakers);
  if (fate.lost) {
    ++counts_.lost;
  } else if (hold) {
    fate.hold = overtakers;
  } else if (twice) {
    fate.twice = true;
    ++counts_.duplicated;
  }
  return fate;
}

void ImpairedLine::overtake() noexcept {
  for (Held& held : held_) {
    held.overtaken = true;
    if (held.overtakers_left != 0) --held.overtakers_left;
  }
}

std::optional<TimePoint> ImpairedLine::deadline() const noexcept {
  if (held_.empty()) return std::nullopt;
  return std::ranges::min_element(held_, {}, &Held::until)->until;
}

}  // namespace pns::loadgen
