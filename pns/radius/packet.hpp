// SPDX-License-Identifier: BSD-3-Clause
//
// PacketView: a received RADIUS packet (RFC 2865 §3) as a view of the datagram, and the walk over
// its attributes and vendor attributes. Not here: whether its authenticators are right
// (authenticators.hpp), and what values mean (values.hpp). Pure functions, any thread, no
// allocation, no throw.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <iterator>
#include <optional>

#include "pns/base/bytes.hpp"
#include "pns/radius/attributes.hpp"
#include "pns/radius/errors.hpp"

namespace pns::radius {

// RFC 2865 §4, RFC 2866 §4, RFC 5176 §3. A number from the wire may be any other.
enum class Code : std::uint8_t {
  kAccessRequest = 1,
  kAccessAccept = 2,
  kAccessReject = 3,
  kAccountingRequest = 4,
  kAccountingResponse = 5,
  kAccessChallenge = 11,
  kStatusServer = 12,  // RFC 5997
  kDisconnectRequest = 40,
  kDisconnectAck = 41,
  kDisconnectNak = 42,
  kCoaRequest = 43,
  kCoaAck = 44,
  kCoaNak = 45,
};

using Authenticator = std::array<std::byte, 16>;

inline constexpr std::size_t kHeaderSize = 20;
inline constexpr std::size_t kMaximumPacketSize = 4096;
inline constexpr std::size_t kAttributeHeaderSize = 2;
inline constexpr std::size_t kMaximumValueSize = 253;
// Vendor-Id, and type and length of the sub-attribute, precede its value.
inline constexpr std::size_t kVendorHeaderSize = 6;
inline constexpr std::size_t kMaximumVendorValueSize = kMaximumValueSize - kVendorHeaderSize;

struct Attribute {
  AttributeId id;
  Bytes value;
};

// Walks attributes in their order. A Vendor-Specific attribute gives its sub-attributes, each with
// the vendor in its id. One whose content is not a list of sub-attributes (RFC 2865 §5.26 lets it
// have any) is given whole, as attribute::kVendorSpecific; so is one of vendor 0.
class AttributeIterator {
 public:
  using value_type = Attribute;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::input_iterator_tag;

  AttributeIterator() noexcept = default;
  // `attributes`: those of a parsed packet.
  explicit AttributeIterator(Bytes attributes) noexcept : rest_(attributes) { advance(); }

  [[nodiscard]] const Attribute& operator*() const noexcept { return current_; }
  [[nodiscard]] const Attribute* operator->() const noexcept { return &current_; }
  AttributeIterator& operator++() noexcept {
    advance();
    return *this;
  }
  void operator++(int) noexcept { advance(); }
  [[nodiscard]] friend bool operator==(const AttributeIterator& at,
                                       std::default_sentinel_t) noexcept {
    return at.ended_;
  }

 private:
  void advance() noexcept;

  Bytes rest_;                // attributes that were not begun
  Bytes of_vendor_;           // sub-attributes that are left of the current Vendor-Specific
  std::uint32_t vendor_ = 0;  // theirs
  Attribute current_;
  bool ended_ = false;
};

// The values of one attribute, in the packet's order.
class AttributeValues {
 public:
  class Iterator {
   public:
    using value_type = Bytes;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    Iterator() noexcept = default;
    Iterator(Bytes attributes, AttributeId id) noexcept : at_(attributes), id_(id) { settle(); }
    [[nodiscard]] Bytes operator*() const noexcept { return at_->value; }
    Iterator& operator++() noexcept {
      ++at_;
      settle();
      return *this;
    }
    void operator++(int) noexcept { ++*this; }
    [[nodiscard]] friend bool operator==(const Iterator& at, std::default_sentinel_t end) noexcept {
      return at.at_ == end;
    }

   private:
    void settle() noexcept {
      while (at_ != std::default_sentinel && at_->id != id_) ++at_;
    }
    AttributeIterator at_;
    AttributeId id_;
  };

  AttributeValues(Bytes attributes, AttributeId id) noexcept : attributes_(attributes), id_(id) {}
  [[nodiscard]] Iterator begin() const noexcept { return {attributes_, id_}; }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  Bytes attributes_;
  AttributeId id_;
};

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |     Code      |  Identifier   |            Length             |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                   Authenticator, 16 octets                    |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |  Attributes: Type, Length (with these two octets), Value …    |
// +-+-+-+-+-+-+-+-+-+-+-+-+-
class PacketView {
 public:
  // The packet at the front of a datagram; octets past its Length are padding (RFC 2865 §3). All
  // attributes are within it. Valid as long as the datagram's octets stay.
  [[nodiscard]] static std::expected<PacketView, DecodeError> parse(Bytes datagram) noexcept;

  [[nodiscard]] Code code() const noexcept { return static_cast<Code>(whole_[0]); }
  [[nodiscard]] std::uint8_t identifier() const noexcept {
    return std::to_integer<std::uint8_t>(whole_[1]);
  }
  [[nodiscard]] Authenticator authenticator() const noexcept;
  // Header and attributes, without padding.
  [[nodiscard]] Bytes whole() const noexcept { return whole_; }
  [[nodiscard]] Bytes attributes() const noexcept { return whole_.subspan(kHeaderSize); }

  [[nodiscard]] AttributeIterator begin() const noexcept { return AttributeIterator(attributes()); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  [[nodiscard]] AttributeValues all(AttributeId id) const noexcept { return {attributes(), id}; }
  [[nodiscard]] std::optional<Bytes> find_first(AttributeId id) const noexcept;
  [[nodiscard]] std::optional<Bytes> find_last(AttributeId id) const noexcept;
  [[nodiscard]] bool has(AttributeId id) const noexcept { return find_first(id).has_value(); }
  [[nodiscard]] std::size_t count(AttributeId id) const noexcept;

  // Vendor-Specific attributes whose content is not a list of sub-attributes. They do not refuse
  // the packet; the caller counts them.
  [[nodiscard]] std::size_t malformed_vendor_attributes() const noexcept {
    return count(attribute::kVendorSpecific);
  }

  // The EAP packet that the EAP-Message attributes make together, in their order (RFC 3579 §3.1),
  // in the front of `out`; kMaximumPacketSize octets hold any. Empty: there is no EAP-Message, or
  // it does not fit.
  [[nodiscard]] std::optional<Bytes> join_eap_message(MutableBytes out) const noexcept;

 private:
  explicit PacketView(Bytes whole) noexcept : whole_(whole) {}
  Bytes whole_;
};

}  // namespace pns::radius
