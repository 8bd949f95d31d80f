// SPDX-License-Identifier: BSD-3-Clause
//
// Readers of attribute values, one for each kind (AttributeKind). Each is empty when the value has
// not the form of its kind. Texts are views of the packet. Pure functions, any thread, no
// allocation, no throw.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::radius {

[[nodiscard]] std::optional<std::uint32_t> read_u32(Bytes value) noexcept;
[[nodiscard]] std::optional<Ipv4Address> read_ipv4(Bytes value) noexcept;
[[nodiscard]] std::optional<Ipv6Address> read_ipv6(Bytes value) noexcept;

// RFC 3162 §2.3, RFC 4818 §3: all octets that the prefix length needs, at most 16, and no bit
// outside of the prefix.
[[nodiscard]] std::optional<Ipv6Prefix> read_ipv6_prefix(Bytes value) noexcept;

// RFC 3162 §2.2: the interface identifier, lower half of an address.
[[nodiscard]] std::optional<std::uint64_t> read_interface_id(Bytes value) noexcept;

// RFC 2865 §5: UTF-8, at least one octet. A NUL is refused: names go into C interfaces and logs.
[[nodiscard]] std::optional<std::string_view> read_text(Bytes value) noexcept;

// The octets as they came, as a string_view.
[[nodiscard]] std::string_view as_text(Bytes value) noexcept;

// RFC 2868 §3.1: tag 0 means that there is none.
struct TaggedU24 {
  std::uint8_t tag = 0;
  std::uint32_t value = 0;  // 24 bits
  friend bool operator==(const TaggedU24&, const TaggedU24&) noexcept = default;
};
[[nodiscard]] std::optional<TaggedU24> read_tagged_u24(Bytes value) noexcept;

// RFC 2868 §3.3: a first octet above 31 belongs to the text, and the tag is 0.
struct TaggedText {
  std::uint8_t tag = 0;
  std::string_view text;
  friend bool operator==(const TaggedText&, const TaggedText&) noexcept = default;
};
[[nodiscard]] std::optional<TaggedText> read_tagged_text(Bytes value) noexcept;

}  // namespace pns::radius
