// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/frame.hpp"

#include "pns/wire/ppp.hpp"

namespace pns::ppp {

std::vector<std::byte> make_frame(wire::PppProtocol protocol, std::size_t room) {
  std::vector<std::byte> frame(wire::kPppFrameHeaderLength + room);
  (void)wire::write_ppp(frame,
                        wire::ppp_header_for(static_cast<std::uint16_t>(protocol), false, false));
  return frame;
}

}  // namespace pns::ppp
