// SPDX-License-Identifier: BSD-3-Clause
//
// AttributeId, the constants of the attributes that this server knows, and their table. Made from
// attributes.def. Other attributes are used by number. Pure values and functions, any thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pns::radius {

// An attribute, or a sub-attribute of a Vendor-Specific attribute (RFC 2865 §5.26).
struct AttributeId {
  std::uint32_t vendor = 0;  // IANA enterprise number, 24 bits; 0: an attribute of the IETF
  std::uint8_t number = 0;
  friend constexpr auto operator<=>(const AttributeId&, const AttributeId&) noexcept = default;
};

namespace vendor {
inline constexpr std::uint32_t kIetf = 0;
inline constexpr std::uint32_t kCisco = 9;
inline constexpr std::uint32_t kMicrosoft = 311;
inline constexpr std::uint32_t kWispr = 14122;
inline constexpr std::uint32_t kMikrotik = 14988;
}  // namespace vendor

namespace attribute {
#define PNS_RADIUS_ATTRIBUTE(name, constant, vendor_constant, number, kind) \
  inline constexpr AttributeId constant{vendor::vendor_constant, number};
#include "pns/radius/attributes.def"
#undef PNS_RADIUS_ATTRIBUTE
}  // namespace attribute

// The form of an attribute's value; pns/radius/values.hpp reads each.
enum class AttributeKind : std::uint8_t {
  octets,
  text,  // UTF-8
  u32,
  ipv4,
  ipv6,
  ipv6_prefix,
  interface_id,
  tagged_u24,   // RFC 2868
  tagged_text,  // RFC 2868
  hidden,       // by the method of User-Password
  salted,       // by the method of MS-MPPE-Send-Key
};

struct AttributeInfo {
  std::string_view name;
  AttributeId id;
  AttributeKind kind;
};

// Sorted by id.
inline constexpr std::array kAttributes = {
#define PNS_RADIUS_ATTRIBUTE(name, constant, vendor_constant, number, kind) \
  AttributeInfo{name, attribute::constant, AttributeKind::kind},
#include "pns/radius/attributes.def"
#undef PNS_RADIUS_ATTRIBUTE
};

// Null: this server has no name for it.
[[nodiscard]] const AttributeInfo* find_attribute(AttributeId id) noexcept;
// The name's letters count in either case.
[[nodiscard]] const AttributeInfo* find_attribute(std::string_view name) noexcept;

}  // namespace pns::radius
