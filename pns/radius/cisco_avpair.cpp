// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/cisco_avpair.hpp"

#include "pns/radius/rate_limit.hpp"
#include "pns/radius/text.hpp"

namespace pns::radius {
namespace {

constexpr std::uint64_t kMaximumBurst = std::uint64_t{1} << 40;  // octets

std::optional<CiscoAvPair> parse_interface_config(std::string_view value) noexcept {
  Words words(value);
  if (words.next() != "rate-limit") return CiscoUnknown{};
  CiscoRateLimit limit;
  const std::string_view direction = words.next();
  if (direction != "input" && direction != "output") return std::nullopt;
  if (direction == "output") limit.direction = TrafficDirection::kDownload;
  std::string_view word = words.next();
  if (word == "access-group") return CiscoUnknown{};
  const auto rate = parse_number(word, kMaximumRate);
  const auto normal = parse_number(words.next(), kMaximumBurst);
  const auto maximum = parse_number(words.next(), kMaximumBurst);
  if (!rate || *rate == 0 || !normal || !maximum || *maximum < *normal) return std::nullopt;
  limit.rate = *rate;
  limit.normal_burst = *normal;
  limit.maximum_burst = *maximum;
  if (words.next() != "conform-action") return std::nullopt;
  word = words.next();
  if (word != "transmit" && word != "continue") return std::nullopt;
  if (words.next() != "exceed-action" || words.next() != "drop") return std::nullopt;
  if (!words.next().empty()) return std::nullopt;
  return limit;
}

// One word and nothing else; empty when it is not that.
std::string_view single_word(std::string_view value) noexcept {
  Words words(value);
  const std::string_view word = words.next();
  return words.next().empty() ? word : std::string_view();
}

std::optional<CiscoAvPair> parse_policy(TrafficDirection direction,
                                        std::string_view value) noexcept {
  const std::string_view name = single_word(value);
  if (name.empty()) return std::nullopt;
  return CiscoPolicy{.direction = direction, .name = name};
}

}  // namespace

std::optional<CiscoAvPair> parse_cisco_avpair(std::string_view text) noexcept {
  const std::size_t equals = text.find_first_of("=*");
  if (equals == text.npos || equals == 0) return std::nullopt;
  const std::string_view value = text.substr(equals + 1);
  std::string_view name = text.substr(0, equals);
  if (const std::size_t number = name.find('#'); number != name.npos) {
    if (!parse_number(name.substr(number + 1))) return std::nullopt;
    name = name.substr(0, number);
  }
  if (name == "lcp:interface-config") return parse_interface_config(value);
  if (name == "ip:sub-qos-policy-in") return parse_policy(TrafficDirection::kUpload, value);
  if (name == "ip:sub-qos-policy-out") return parse_policy(TrafficDirection::kDownload, value);
  if (name == "ip:addr-pool") {
    const std::string_view pool = single_word(value);
    if (pool.empty()) return std::nullopt;
    return CiscoAddressPool{.name = pool};
  }
  if (name == "ip:route") {
    const auto route = FramedRoute::parse_with_mask(value);
    if (!route) return std::nullopt;
    return *route;
  }
  return CiscoUnknown{};
}

}  // namespace pns::radius
