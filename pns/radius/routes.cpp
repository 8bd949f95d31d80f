// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/routes.hpp"

#include <bit>

#include "pns/radius/text.hpp"

namespace pns::radius {
namespace {

std::optional<std::int32_t> parse_metric(std::string_view text) noexcept {
  std::int32_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end) return std::nullopt;
  return value;
}

// RFC 791 §3.2. Empty: no network has this address.
std::optional<std::uint8_t> class_length(Ipv4Address address) noexcept {
  const std::uint32_t first = address.value >> 24;
  if (first < 128) return 8;
  if (first < 192) return 16;
  if (first < 224) return 24;
  return std::nullopt;
}

// Empty: not ones followed by zeros.
std::optional<std::uint8_t> mask_length(Ipv4Address mask) noexcept {
  const int ones = std::countl_one(mask.value);
  const auto length = static_cast<std::uint8_t>(ones);
  if (Ipv4Prefix{.address = {}, .length = length}.mask() != mask.value) return std::nullopt;
  return length;
}

// Gateway and metrics: what follows the destination. `word`: the first of them, empty at the end.
template <class Route, class Address>
std::optional<Route> finish(Route route, std::string_view word, Words& words) noexcept {
  if (route.destination.network() != route.destination.address) return std::nullopt;
  if (word.empty()) return route;
  const auto gateway = Address::parse(word);
  if (!gateway) return std::nullopt;
  route.gateway = *gateway;
  for (word = words.next(); !word.empty(); word = words.next()) {
    const auto metric = parse_metric(word);
    if (!metric) return std::nullopt;
    if (!route.metric) route.metric = metric;
  }
  return route;
}

enum class Mask { kNever, kPerhaps };

std::optional<FramedRoute> parse_route(std::string_view text, Mask mask) noexcept {
  Words words(text);
  FramedRoute route;
  const std::string_view first = words.next();
  std::string_view word = words.next();
  if (const auto prefix = Ipv4Prefix::parse(first)) {
    route.destination = *prefix;
    return finish<FramedRoute, Ipv4Address>(route, word, words);
  }
  const auto address = Ipv4Address::parse(first);
  if (!address) return std::nullopt;
  route.destination.address = *address;
  std::optional<std::uint8_t> length = class_length(*address);
  if (mask == Mask::kPerhaps) {
    const auto given = Ipv4Address::parse(word);
    // 0.0.0.0 is the gateway that means the subscriber, except behind the default route.
    if (given && (given->value != 0 || address->value == 0) && mask_length(*given)) {
      length = mask_length(*given);
      word = words.next();
    }
  }
  if (!length) return std::nullopt;
  route.destination.length = *length;
  return finish<FramedRoute, Ipv4Address>(route, word, words);
}

}  // namespace

std::optional<FramedRoute> FramedRoute::parse(std::string_view text) noexcept {
  return parse_route(text, Mask::kNever);
}

std::optional<FramedRoute> FramedRoute::parse_with_mask(std::string_view text) noexcept {
  return parse_route(text, Mask::kPerhaps);
}

std::optional<FramedIpv6Route> FramedIpv6Route::parse(std::string_view text) noexcept {
  Words words(text);
  const auto prefix = Ipv6Prefix::parse(words.next());
  if (!prefix) return std::nullopt;
  FramedIpv6Route route{.destination = *prefix, .gateway = {}, .metric = {}};
  const std::string_view word = words.next();
  return finish<FramedIpv6Route, Ipv6Address>(route, word, words);
}

}  // namespace pns::radius
