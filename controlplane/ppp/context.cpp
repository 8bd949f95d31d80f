// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/context.hpp"

#include <utility>
#include <vector>

#include "controlplane/ppp/frame.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

void Context::send(wire::PppProtocol protocol, std::uint8_t code, std::uint8_t identifier,
                   Bytes data) {
  std::vector<std::byte> frame = make_frame(protocol, wire::kControlHeaderLength + data.size());
  if (wire::write_control_packet(information_of(frame), code, identifier, data) == 0)
    return;  // only beyond 65,531 octets of data, which nobody here has
  add(model::SendFrame{std::move(frame)});
}

}  // namespace pns::ppp
