// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/context.hpp"

#include <utility>
#include <vector>

#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

void Context::send(wire::PppProtocol protocol, std::uint8_t code, std::uint8_t identifier,
                   Bytes data) {
  std::vector<std::byte> frame(wire::kPppFrameHeaderLength + wire::kControlHeaderLength +
                               data.size());
  Writer header(frame);
  header.write_u8(wire::kPppAddress);
  header.write_u8(wire::kPppControl);
  header.write_u16(static_cast<std::uint16_t>(protocol));
  if (wire::write_control_packet(MutableBytes(frame).subspan(wire::kPppFrameHeaderLength), code,
                                 identifier, data) == 0)
    return;  // only beyond 65,531 octets of data, which nobody here has
  actions.emplace_back(std::in_place_type<model::SendFrame>, model::SendFrame{std::move(frame)});
}

}  // namespace pns::ppp
