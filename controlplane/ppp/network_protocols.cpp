// SPDX-License-Identifier: BSD-3-Clause
//
// The network control protocols of this server.
#include <array>
#include <memory>

#include "controlplane/ppp/ipcp.hpp"
#include "controlplane/ppp/ipv6cp.hpp"
#include "controlplane/ppp/network_protocol.hpp"
#include "controlplane/ppp/settings.hpp"

namespace pns::ppp {
namespace {

template <class Protocol>
std::unique_ptr<NetworkProtocol> make(const LinkSettings& settings) {
  return std::make_unique<Protocol>(settings);
}

constexpr std::array<NetworkProtocolKind, 2> kKinds = {
    {{wire::PppProtocol::kIpcp, wire::PppProtocol::kIpv4,
      [](const model::NetworkParameters&) { return true; }, make<Ipcp>},
     {wire::PppProtocol::kIpv6cp, wire::PppProtocol::kIpv6,
      [](const model::NetworkParameters& network) { return network.ipv6.has_value(); },
      make<Ipv6cp>}}};

}  // namespace

std::span<const NetworkProtocolKind> standard_network_protocols() noexcept { return kKinds; }

}  // namespace pns::ppp
