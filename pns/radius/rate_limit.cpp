// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/rate_limit.hpp"

#include "pns/radius/text.hpp"

namespace pns::radius {
namespace {

std::optional<std::uint64_t> parse_rate(std::string_view text) noexcept {
  std::uint64_t unit = 1;
  if (!text.empty()) {
    switch (text.back()) {
      case 'k':
      case 'K':
        unit = 1'000;
        break;
      case 'm':
      case 'M':
        unit = 1'000'000;
        break;
      case 'g':
      case 'G':
        unit = 1'000'000'000;
        break;
      default:
        break;
    }
    if (unit != 1) text.remove_suffix(1);
  }
  const auto number = parse_number(text, kMaximumRate / unit);
  if (!number) return std::nullopt;
  return *number * unit;
}

std::optional<std::uint64_t> parse_time(std::string_view text) noexcept {
  return parse_number(text, static_cast<std::uint64_t>(kMaximumBurstTime.count()));
}

struct Pair {
  std::uint64_t rx = 0;
  std::uint64_t tx = 0;
};

// "rx/tx", or "rx" for both. False: it is neither.
template <class Parse>
bool parse_pair(std::string_view word, Parse parse, Pair& out) noexcept {
  const std::size_t slash = word.find('/');
  const auto rx = parse(word.substr(0, slash));
  const auto tx = slash == word.npos ? rx : parse(word.substr(slash + 1));
  if (!rx || !tx) return false;
  out = {.rx = *rx, .tx = *tx};
  return true;
}

}  // namespace

std::optional<MikrotikRateLimit> MikrotikRateLimit::parse(std::string_view text) noexcept {
  Words words(text);
  MikrotikRateLimit out;

  Pair rates;
  if (!parse_pair(words.next(), parse_rate, rates)) return std::nullopt;
  out.upload.rate = rates.rx;
  out.download.rate = rates.tx;
  std::string_view word = words.next();
  if (word.empty()) return out;

  Pair bursts;
  Pair thresholds = rates;
  Pair times{.rx = 1, .tx = 1};
  if (!parse_pair(word, parse_rate, bursts)) return std::nullopt;
  if (word = words.next(); !word.empty() && !parse_pair(word, parse_rate, thresholds))
    return std::nullopt;
  if (word = words.next(); !word.empty() && !parse_pair(word, parse_time, times))
    return std::nullopt;
  out.upload.burst_rate = bursts.rx;
  out.download.burst_rate = bursts.tx;
  out.upload.burst_threshold = thresholds.rx;
  out.download.burst_threshold = thresholds.tx;
  out.upload.burst_time = Seconds(times.rx);
  out.download.burst_time = Seconds(times.tx);

  if (word = words.next(); !word.empty()) {
    const auto priority = parse_number(word, 8);
    if (!priority || *priority == 0) return std::nullopt;
    out.priority = static_cast<std::uint8_t>(*priority);
  }
  Pair minimum;
  if (word = words.next(); !word.empty() && !parse_pair(word, parse_rate, minimum))
    return std::nullopt;
  out.upload.minimum_rate = minimum.rx;
  out.download.minimum_rate = minimum.tx;
  if (!words.next().empty()) return std::nullopt;
  return out;
}

}  // namespace pns::radius
