// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/gre.hpp"

#include <cstring>

namespace pns::wire {
std::size_t write_gre(MutableBytes out, const GreHeader& header) noexcept {
  if (out.size() < header.size()) return 0;
  GreWireHeader wire{};
  wire.flags = be16::from_host(static_cast<std::uint16_t>(kGreKey | kGreVersionPptp |
                                                          (header.has_sequence ? kGreSequence : 0) |
                                                          (header.has_ack ? kGreAck : 0)));
  wire.protocol = be16::from_host(kGreProtocolPpp);
  wire.payload_length = be16::from_host(header.payload_length);
  wire.call_id = be16::from_host(header.call_id);
  std::memcpy(out.data(), &wire, sizeof(wire));
  std::size_t at = kGreMinimumSize;
  if (header.has_sequence) {
    store_be(out.data() + at, header.sequence);
    at += 4;
  }
  if (header.has_ack) store_be(out.data() + at, header.ack);
  return header.size();
}

}  // namespace pns::wire
