// SPDX-License-Identifier: BSD-3-Clause
//
// Forged MPPE packets against a live session, in every mode. The input is a list of packets, each
// after an octet with its length. Whatever they are, none may cost more than the permitted key
// changes, and the real peer's next packet must still open (stateless; stateful needs its reset).
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "pns/mppe/mppe.hpp"

namespace {

using namespace pns;

void must_open(mppe::DirectionState& sender, mppe::DirectionState& receiver,
               std::span<const unsigned char> inner) {
  std::vector<std::byte> frame(mppe::kHeaderSize + inner.size());
  std::memcpy(frame.data() + mppe::kHeaderSize, inner.data(), inner.size());
  if (!mppe::seal(sender, frame)) std::abort();
  const auto opened = mppe::open(receiver, frame);
  if (!opened || opened->size() != inner.size() ||
      std::memcmp(opened->data(), inner.data(), inner.size()) != 0)
    std::abort();
}

void attack(Bytes input, mppe::Mode mode, unsigned bits) {
  std::array<std::byte, 16> key{};
  key.fill(std::byte{0x42});
  mppe::DirectionState sender;
  mppe::DirectionState receiver;
  mppe::init(sender, key, bits, mode);
  mppe::init(receiver, key, bits, mode);

  while (!input.empty()) {
    const std::size_t size =
        std::min<std::size_t>(std::to_integer<std::size_t>(input[0]), input.size() - 1);
    std::vector<std::byte> packet(input.begin() + 1,
                                  input.begin() + 1 + static_cast<std::ptrdiff_t>(size));
    input = input.subspan(1 + size);
    const auto inner = mppe::open(receiver, packet);
    if (inner && (inner->empty() || inner->data() < packet.data() ||
                  inner->data() + inner->size() != packet.data() + packet.size()))
      std::abort();
    // A forgery that happens to be plausible may cost a packet; then both ends no longer compare.
    if (inner) return;
  }
  // IPv4, 20 octets, checksum right: 10.0.0.1 → 10.0.0.2, UDP.
  constexpr std::array<unsigned char, 22> kIpv4 = {0x00, 0x21, 0x45, 0x00, 0x00, 0x14, 0x00, 0x00,
                                                   0x00, 0x00, 0x40, 0x11, 0x66, 0xd7, 0x0a, 0x00,
                                                   0x00, 0x01, 0x0a, 0x00, 0x00, 0x02};
  // IPv6 without payload: 2001:db8::1 → 2001:db8::2. Both addresses in the rest.
  constexpr std::array<unsigned char, 42> kIpv6 = {
      0x00, 0x57, 0x60, 0, 0, 0, 0, 0, 59, 64, 0x20, 0x01, 0x0d, 0xb8,
      0,    0,    0,    0, 0, 0, 0, 0, 0,  0,  0,    1,    0x20, 0x01,
      0x0d, 0xb8, 0,    0, 0, 0, 0, 0, 0,  0,  0,    0,    0,    2};
  // A protocol that this server rejects: IPX.
  constexpr std::array<unsigned char, 6> kIpx = {0x00, 0x2b, 0xff, 0xff, 0x00, 0x1e};
  if (mode == mppe::Mode::kStateful) mppe::request_flush(sender);
  must_open(sender, receiver, kIpv6);
  must_open(sender, receiver, kIpv4);
  must_open(sender, receiver, kIpx);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Enough for a burst of packets; more only repeats.
  const Bytes input = std::as_bytes(std::span(data, std::min<std::size_t>(size, 4096)));
  attack(input, mppe::Mode::kStateless, 128);
  attack(input, mppe::Mode::kStateless, 40);
  attack(input, mppe::Mode::kStateful, 56);
  return 0;
}
