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
  constexpr std::array<unsigned char, 22> kGood = {0x00, 0x21, 0x45, 0x00, 0x00, 0x14, 0x00, 0x00,
                                                   0x00, 0x00, 0x40, 0x11, 0x66, 0xd7, 0x0a, 0x00,
                                                   0x00, 0x01, 0x0a, 0x00, 0x00, 0x02};
  std::array<std::byte, 24> frame{};
  std::memcpy(frame.data() + 2, kGood.data(), kGood.size());
  if (mode == mppe::Mode::kStateful) mppe::request_flush(sender);
  if (!mppe::seal(sender, frame)) std::abort();
  const auto opened = mppe::open(receiver, frame);
  if (!opened || std::memcmp(opened->data(), kGood.data(), kGood.size()) != 0) std::abort();
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
