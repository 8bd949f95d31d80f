// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/packet_builder.hpp"

#include <algorithm>
#include <cstring>

namespace pns::radius {

PacketBuilder::PacketBuilder(Code code, std::uint8_t identifier, const Authenticator& authenticator,
                             MessageAuthenticator message_authenticator) noexcept {
  octets_[0] = static_cast<std::byte>(code);
  octets_[1] = static_cast<std::byte>(identifier);
  store_be<std::uint16_t>(&octets_[2], 0);
  std::ranges::copy(authenticator, &octets_[4]);
  if (message_authenticator == MessageAuthenticator::kFirst)
    add(attribute::kMessageAuthenticator, Authenticator{});
}

Authenticator PacketBuilder::authenticator() const noexcept {
  Authenticator out;
  std::copy_n(&octets_[4], out.size(), out.begin());
  return out;
}

std::byte* PacketBuilder::begin_attribute(AttributeId id, std::size_t value_size) noexcept {
  const bool of_vendor = id.vendor != vendor::kIetf;
  const std::size_t header = kAttributeHeaderSize + (of_vendor ? kVendorHeaderSize : 0);
  const std::size_t limit = of_vendor ? kMaximumVendorValueSize : kMaximumValueSize;
  if (value_size > limit || header + value_size > remaining() || id.vendor >> 24 != 0) {
    ok_ = false;
    return nullptr;
  }
  std::byte* at = &octets_[size_];
  at[0] = static_cast<std::byte>(of_vendor ? attribute::kVendorSpecific.number : id.number);
  at[1] = static_cast<std::byte>(header + value_size);
  if (of_vendor) {
    store_be<std::uint32_t>(at + 2, id.vendor);
    at[6] = static_cast<std::byte>(id.number);
    at[7] = static_cast<std::byte>(kAttributeHeaderSize + value_size);
  }
  size_ += header + value_size;
  return at + header;
}

void PacketBuilder::add(AttributeId id, Bytes value) noexcept {
  if (value.empty()) return;
  if (std::byte* const at = begin_attribute(id, value.size()))
    std::memcpy(at, value.data(), value.size());
}

void PacketBuilder::add_u32(AttributeId id, std::uint32_t value) noexcept {
  if (std::byte* const at = begin_attribute(id, sizeof(value))) store_be(at, value);
}

void PacketBuilder::add_ipv6(AttributeId id, const Ipv6Address& address) noexcept {
  const Ipv6Address::Octets octets = address.wire();
  add(id, std::as_bytes(std::span(octets)));
}

void PacketBuilder::add_ipv6_prefix(AttributeId id, const Ipv6Prefix& prefix) noexcept {
  const Ipv6Address::Octets network = prefix.network().wire();
  const std::size_t used = (prefix.length + 7U) / 8;
  if (used > network.size()) {
    ok_ = false;
    return;
  }
  if (std::byte* const at = begin_attribute(id, 2 + used)) {
    at[0] = std::byte{0};
    at[1] = static_cast<std::byte>(prefix.length);
    std::memcpy(at + 2, network.data(), used);
  }
}

void PacketBuilder::add_interface_id(AttributeId id, std::uint64_t identifier) noexcept {
  if (std::byte* const at = begin_attribute(id, sizeof(identifier))) store_be(at, identifier);
}

void PacketBuilder::add_tagged_u24(AttributeId id, std::uint8_t tag, std::uint32_t value) noexcept {
  if (tag > 0x1f || value >> 24 != 0) {
    ok_ = false;
    return;
  }
  add_u32(id, std::uint32_t{tag} << 24 | value);
}

void PacketBuilder::add_tagged_text(AttributeId id, std::uint8_t tag,
                                    std::string_view text) noexcept {
  if (text.empty()) return;
  if (tag > 0x1f) {
    ok_ = false;
    return;
  }
  if (tag == 0 && static_cast<std::uint8_t>(text.front()) > 0x1f) {
    add_text(id, text);
    return;
  }
  if (std::byte* const at = begin_attribute(id, 1 + text.size())) {
    at[0] = static_cast<std::byte>(tag);
    std::memcpy(at + 1, text.data(), text.size());
  }
}

void PacketBuilder::add_eap_message(Bytes packet) noexcept {
  if (packet.empty()) static_cast<void>(begin_attribute(attribute::kEapMessage, 0));
  while (!packet.empty()) {
    const Bytes part = packet.first(std::min(packet.size(), kMaximumValueSize));
    add(attribute::kEapMessage, part);
    packet = packet.subspan(part.size());
  }
}

std::optional<MutableBytes> PacketBuilder::finish() noexcept {
  if (!ok_) return std::nullopt;
  store_be(&octets_[2], static_cast<std::uint16_t>(size_));
  return MutableBytes(octets_).first(size_);
}

}  // namespace pns::radius
