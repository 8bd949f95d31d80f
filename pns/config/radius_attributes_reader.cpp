// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/radius_attributes_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "pns/config/words.hpp"

namespace pns::config {
namespace {

constexpr std::size_t kMaxAttributes = 64;
constexpr std::uint64_t kMaxVendor = 0xffffff;  // 24 bits (RFC 2865 §5.26)
// Without a vendor: the numbers that the IETF has left to implementations (RFC 2865 §5), short of
// the extended types (RFC 6929).
constexpr std::uint8_t kFirstFree = 192;
constexpr std::uint8_t kFirstExtended = 241;
constexpr std::uint8_t kLastExtended = 246;
constexpr std::uint32_t kMicrosoft = 311;

// Vendor and type of the attributes that this server reads by itself. All of Microsoft's are.
constexpr auto kOwn = std::to_array<std::pair<std::uint32_t, std::uint8_t>>({{9, 1},
                                                                             {14122, 7},
                                                                             {14122, 8},
                                                                             {14122, 9},
                                                                             {14988, 1},
                                                                             {14988, 2},
                                                                             {14988, 8},
                                                                             {14988, 14},
                                                                             {14988, 15},
                                                                             {14988, 17},
                                                                             {14988, 18}});

bool is_own(const RadiusAttribute& attribute) noexcept {
  return attribute.vendor == kMicrosoft ||
         std::ranges::find(kOwn, std::pair(attribute.vendor, attribute.type)) != kOwn.end();
}

bool is_unit_of(AttributeUnit unit, const RadiusAttribute& attribute) noexcept {
  if (attribute.is_rate()) return unit <= AttributeUnit::kKbyte;
  if (attribute.is_quota()) return unit >= AttributeUnit::kByte && unit <= AttributeUnit::kGbyte;
  return attribute.is_time() && unit >= AttributeUnit::kSecond;
}

void check(const Section& item, Document& document, const RadiusAttribute& attribute) {
  const bool without_vendor = attribute.vendor == 0;
  if (without_vendor && (attribute.type < kFirstFree ||
                         (attribute.type >= kFirstExtended && attribute.type <= kLastExtended)))
    document.error_at(item.path("type"), "without a vendor: 192 to 240 and 247 to 255");
  if (is_own(attribute))
    document.error_at(item.path("type"),
                      fmt::format("this server knows the meaning of {}:{} already",
                                  attribute.vendor, attribute.type));
  if (attribute.unit && !is_unit_of(*attribute.unit, attribute))
    document.error_at(item.path("unit"), fmt::format("{} has no unit {}", name_of(attribute.means),
                                                     name_of(*attribute.unit)));
  if (attribute.is_name() && item.has("format"))
    document.error_at(item.path("format"),
                      fmt::format("{} is always a text", name_of(attribute.means)));
}

}  // namespace

void read_radius_attributes(const Section& radius, Document& document,
                            std::vector<RadiusAttribute>& out) {
  constexpr std::pair<std::string_view, bool> kFormats[] = {{"binary", false}, {"text", true}};
  for (const Section& item : radius.list_sections("attributes")) {
    for (const char* const key : {"vendor", "type", "means"}) item.require(key);
    std::optional<std::uint32_t> vendor;
    std::optional<std::uint8_t> type;
    std::optional<AttributeMeaning> means;
    item.read("vendor", vendor, integer(0, kMaxVendor));
    item.read("type", type, integer(1, 255));
    item.read("means", means, one_of(kAttributeMeanings));
    RadiusAttribute attribute;
    item.read("unit", attribute.unit, one_of(kAttributeUnits));
    item.read("format", attribute.is_text, one_of(kFormats));
    if (!vendor || !type || !means) continue;
    attribute.vendor = *vendor;
    attribute.type = *type;
    attribute.means = *means;
    check(item, document, attribute);
    if (std::ranges::any_of(out, [&attribute](const RadiusAttribute& other) {
          return other.vendor == attribute.vendor && other.type == attribute.type;
        }))
      document.error_at(item.path("type"), fmt::format("{}:{} is in the list already",
                                                       attribute.vendor, attribute.type));
    out.push_back(attribute);
  }
  if (out.size() > kMaxAttributes)
    document.error_at(radius.path("attributes"),
                      fmt::format("more than {} attributes", kMaxAttributes));
}

}  // namespace pns::config
