// SPDX-License-Identifier: BSD-3-Clause
//
// PacketBuilder: writes a RADIUS packet into a buffer of its own, 4,096 octets. A value that does
// not fit makes the builder fail, and it stays failed; ask ok() once, or let the signing functions
// of authenticators.hpp ask. One thread per builder, no allocation, no throw.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/radius/attributes.hpp"
#include "pns/radius/packet.hpp"

namespace pns::radius {

class PacketBuilder {
 public:
  // kFirst: the packet begins with a Message-Authenticator of zeros, which signing fills in. It is
  // the first attribute, so that no chosen prefix precedes it (Blast-RADIUS, CVE-2024-3596).
  enum class MessageAuthenticator : std::uint8_t { kFirst, kNone };

  // `authenticator`: of an Access-Request or a Status-Server, which signing keeps; other kinds of
  // packets get theirs by signing.
  PacketBuilder(Code code, std::uint8_t identifier, const Authenticator& authenticator = {},
                MessageAuthenticator message_authenticator = MessageAuthenticator::kFirst) noexcept;

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  // Octets that are left for attributes, their headers included; 0 after a failure.
  [[nodiscard]] std::size_t remaining() const noexcept {
    return ok_ ? kMaximumPacketSize - size_ : 0;
  }
  [[nodiscard]] Authenticator authenticator() const noexcept;

  // Each adds one attribute. An id with a vendor makes a Vendor-Specific attribute with this one
  // sub-attribute. An empty value adds nothing: RFC 2865 §5 wants such an attribute omitted. At
  // most kMaximumValueSize octets, or kMaximumVendorValueSize with a vendor.
  void add(AttributeId id, Bytes value) noexcept;
  void add_text(AttributeId id, std::string_view text) noexcept { add(id, as_octets(text)); }
  void add_u32(AttributeId id, std::uint32_t value) noexcept;
  void add_ipv4(AttributeId id, Ipv4Address address) noexcept { add_u32(id, address.value); }
  void add_ipv6(AttributeId id, const Ipv6Address& address) noexcept;
  // RFC 3162 §2.3: reserved octet, prefix length, the octets that the length needs. Host bits are
  // left out.
  void add_ipv6_prefix(AttributeId id, const Ipv6Prefix& prefix) noexcept;
  void add_interface_id(AttributeId id, std::uint64_t identifier) noexcept;  // RFC 3162 §2.2
  // RFC 2868 §3.1: the tag, 0 to 31, and 24 bits.
  void add_tagged_u24(AttributeId id, std::uint8_t tag, std::uint32_t value) noexcept;
  // RFC 2868 §3.3: tag 0 is not written, where the text's first octet cannot be taken for one.
  void add_tagged_text(AttributeId id, std::uint8_t tag, std::string_view text) noexcept;
  // EAP-Message attributes of at most 253 octets each (RFC 3579 §3.1). An empty packet makes one
  // without a value: EAP-Start (RFC 3579 §2.1).
  void add_eap_message(Bytes packet) noexcept;

  // The packet with its Length field. Empty after a failure. Valid as long as the builder stays
  // where it is and nothing is added.
  [[nodiscard]] std::optional<MutableBytes> finish() noexcept;

 private:
  // The place for the value of a new attribute; null after a failure.
  std::byte* begin_attribute(AttributeId id, std::size_t value_size) noexcept;

  std::array<std::byte, kMaximumPacketSize> octets_;  // the first size_ are written
  std::size_t size_ = kHeaderSize;
  bool ok_ = true;
};

}  // namespace pns::radius
