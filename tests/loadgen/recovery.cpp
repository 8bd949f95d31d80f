// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/recovery.hpp"

#include <algorithm>

namespace pns::loadgen {

void Recovery::on_answered(std::uint64_t number, TimePoint now) noexcept {
  if (number >= first_ && number - first_ < answers_.size())
    answers_[number - first_] = now - *over_;
}

std::uint64_t Recovery::lost() const noexcept {
  return static_cast<std::uint64_t>(std::ranges::count(answers_, kNone));
}

std::optional<Duration> Recovery::first_answer() const noexcept {
  std::optional<Duration> first;
  for (const Duration answer : answers_)
    if (answer != kNone && (!first || answer < *first)) first = answer;
  return first;
}

std::optional<Duration> Recovery::back() const noexcept {
  const auto is_answered = [this](std::size_t i) { return answers_[i] != kNone ? 1U : 0U; };
  std::size_t end = 0;       // of the window
  std::size_t answered = 0;  // in the window
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    for (; end < std::min(i + kWindow, answers_.size()); ++end) answered += is_answered(end);
    if (is_answered(i) != 0 && answered * kWindow >= (end - i) * kAnswered) return answers_[i];
    answered -= is_answered(i);
  }
  return std::nullopt;
}

}  // namespace pns::loadgen
