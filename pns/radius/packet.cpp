// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/packet.hpp"

#include <algorithm>

namespace pns::radius {
namespace {

// Type, length and value at the front of `list`, which is taken off. Precondition: it is whole.
Attribute take_front(Bytes& list, std::uint32_t vendor) noexcept {
  const auto length = std::to_integer<std::size_t>(list[1]);
  const Attribute out{.id = {vendor, std::to_integer<std::uint8_t>(list[0])},
                      .value = list.subspan(kAttributeHeaderSize, length - kAttributeHeaderSize)};
  list = list.subspan(length);
  return out;
}

enum class ListFault { kNone, kLength, kPastEnd };

ListFault check_list(Bytes list) noexcept {
  while (!list.empty()) {
    if (list.size() < kAttributeHeaderSize) return ListFault::kPastEnd;
    const auto length = std::to_integer<std::size_t>(list[1]);
    if (length < kAttributeHeaderSize) return ListFault::kLength;
    if (length > list.size()) return ListFault::kPastEnd;
    list = list.subspan(length);
  }
  return ListFault::kNone;
}

}  // namespace

void AttributeIterator::advance() noexcept {
  if (!of_vendor_.empty()) {
    current_ = take_front(of_vendor_, vendor_);
    return;
  }
  if (rest_.empty()) {
    ended_ = true;
    current_ = {};
    return;
  }
  current_ = take_front(rest_, vendor::kIetf);
  constexpr std::size_t kVendorIdSize = 4;
  if (current_.id != attribute::kVendorSpecific || current_.value.size() <= kVendorIdSize) return;
  const auto vendor = load_be<std::uint32_t>(current_.value.data());
  const Bytes list = current_.value.subspan(kVendorIdSize);
  // The high-order octet must be 0 (RFC 2865 §5.26). Vendor 0 must not pass for the IETF: whoever
  // looks for an attribute would find one that no length rule of the packet has seen.
  if (vendor == vendor::kIetf || vendor >> 24 != 0 || check_list(list) != ListFault::kNone) return;
  of_vendor_ = list;
  vendor_ = vendor;
  current_ = take_front(of_vendor_, vendor_);
}

std::expected<PacketView, DecodeError> PacketView::parse(Bytes datagram) noexcept {
  if (datagram.size() < kHeaderSize) return std::unexpected(DecodeError::header_truncated);
  const std::size_t length = load_be<std::uint16_t>(datagram.data() + 2);
  if (length < kHeaderSize) return std::unexpected(DecodeError::length_too_small);
  if (length > kMaximumPacketSize) return std::unexpected(DecodeError::length_too_large);
  if (length > datagram.size()) return std::unexpected(DecodeError::packet_truncated);
  const PacketView packet(datagram.first(length));
  switch (check_list(packet.attributes())) {
    case ListFault::kLength:
      return std::unexpected(DecodeError::attribute_length);
    case ListFault::kPastEnd:
      return std::unexpected(DecodeError::attribute_past_end);
    case ListFault::kNone:
      break;
  }
  return packet;
}

Authenticator PacketView::authenticator() const noexcept {
  Authenticator out;
  std::ranges::copy(whole_.subspan(4, out.size()), out.begin());
  return out;
}

std::optional<Bytes> PacketView::find_first(AttributeId id) const noexcept {
  for (const Bytes value : all(id)) return value;
  return std::nullopt;
}

std::optional<Bytes> PacketView::find_last(AttributeId id) const noexcept {
  std::optional<Bytes> last;
  for (const Bytes value : all(id)) last = value;
  return last;
}

std::size_t PacketView::count(AttributeId id) const noexcept {
  std::size_t found = 0;
  for ([[maybe_unused]] const Bytes value : all(id)) ++found;
  return found;
}

std::optional<Bytes> PacketView::join_eap_message(MutableBytes out) const noexcept {
  Writer writer(out);
  bool found = false;
  for (const Bytes part : all(attribute::kEapMessage)) {
    writer.write_bytes(part);
    found = true;
  }
  if (!found || !writer.ok()) return std::nullopt;
  return writer.written();
}

}  // namespace pns::radius
