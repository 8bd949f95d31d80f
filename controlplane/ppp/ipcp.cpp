// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/ipcp.hpp"

#include <utility>
#include <vector>

#include "controlplane/ppp/dhcp_responder.hpp"
#include "controlplane/ppp/link_state.hpp"

namespace pns::ppp {

using wire::AddressOption;
using wire::IpcpOption;

// ---- IP-Address

void IpAddressOption::restart(Context&) {
  asked_ = true;
  useless_naks_ = 0;
}

void IpAddressOption::request(Writer& out) {
  if (asked_) AddressOption{IpcpOption::kIpAddress, ours_}.write(out);
}

void IpAddressOption::on_nak(const wire::Option&, Context&) {
  // Our address is ours. A peer that insists on another one is not told any.
  if (++useless_naks_ >= kUselessNaks) asked_ = false;
}

Judgement IpAddressOption::judge(const wire::Option& option, Writer& nak, Context&) {
  const auto wanted = AddressOption::parse(option);
  if (wanted && wanted->address == lease_) return Judgement::kAck;
  AddressOption{IpcpOption::kIpAddress, lease_}.write(nak);
  return Judgement::kNak;
}

void IpAddressOption::judge_missing(Writer& nak) {
  AddressOption{IpcpOption::kIpAddress, lease_}.write(nak);
}

// ---- Name servers

Judgement NameServerOption::judge(const wire::Option& option, Writer& nak, Context&) {
  if (server_.is_unspecified()) return Judgement::kReject;
  const auto wanted = AddressOption::parse(option);
  if (wanted && wanted->address == server_) return Judgement::kAck;
  AddressOption{which_, server_}.write(nak);
  return Judgement::kNak;
}

// ---- IPCP

Ipcp::Ipcp(const LinkSettings& settings)
    : NetworkProtocol(wire::PppProtocol::kIpcp, RestartSettings(settings),
                      {EndReason::ipcp_timeout, EndReason::ncp_no_convergence}, Need::kRequired,
                      EndReason::ipcp_refused),
      inform_(settings.inform),
      options_{&address_, &primary_dns_, &primary_wins_, &secondary_dns_, &secondary_wins_} {}

void Ipcp::set_network(const model::NetworkParameters& network) {
  address_.set(network.our_address, network.subscriber_address);
  primary_dns_.set(network.dns[0]);
  secondary_dns_.set(network.dns[1]);
  primary_wins_.set(network.wins[0]);
  secondary_wins_.set(network.wins[1]);
}

void Ipcp::settle(bool possible, std::uint16_t, Context& context) {
  const bool wanted = possible && acknowledged();
  if (wanted == flows()) return;
  set_flows(wanted);
  if (wanted)
    context.add(model::OpenIpv4{address_.lease()});
  else
    context.add(model::CloseIpv4{});
}

void Ipcp::on_data(Bytes packet, Context& context) {
  const model::NetworkParameters network{
      .our_address = address_.ours(),
      .subscriber_address = address_.lease(),
      .dns = {primary_dns_.server(), secondary_dns_.server()},
      .wins = {primary_wins_.server(), secondary_wins_.server()}};
  std::vector<std::byte> answer = answer_dhcp_inform(packet, network, inform_);
  if (!answer.empty())
    context.actions.emplace_back(std::in_place_type<model::SendFrame>,
                                 model::SendFrame{std::move(answer)});
}

void Ipcp::restore(const LinkSnapshot&, std::uint16_t, TimePoint now) {
  restore_opened(now);
  set_flows(true);
}

void Ipcp::describe(LinkStatus& status) const {
  if (flows()) status.address = address_.lease();
}

}  // namespace pns::ppp
