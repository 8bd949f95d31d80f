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
                      {EndReason::ipcp_timeout, EndReason::ncp_no_convergence}, Need::kPrimary,
                      EndReason::ipcp_refused) {}

void Ipcp::Options::set(const Offer& offer) noexcept {
  address.set(offer.our_address, offer.lease);
  primary_dns.set(offer.dns[0]);
  secondary_dns.set(offer.dns[1]);
  primary_wins.set(offer.wins[0]);
  secondary_wins.set(offer.wins[1]);
}

void Ipcp::set_network(const model::NetworkParameters& network) {
  offer_ = {.our_address = network.our_address,
            .lease = network.subscriber_address,
            .dns = network.dns,
            .wins = network.wins};
  if (options_) options_->set(offer_);
}

std::span<ConfigOption* const> Ipcp::options() {
  if (!options_) {
    options_ = std::make_unique<Options>();
    options_->set(offer_);
  }
  return options_->list;
}

void Ipcp::settle(bool possible, std::uint16_t inner_mtu, Context& context) {
  inner_mtu_ = inner_mtu;
  const bool wanted = possible && acknowledged();
  if (wanted == flows()) return;
  set_flows(wanted);
  if (wanted)
    context.add(model::OpenIpv4{offer_.lease});
  else
    context.add(model::CloseIpv4{});
}

void Ipcp::on_data(Bytes packet, Context& context) {
  const model::NetworkParameters network{.our_address = offer_.our_address,
                                         .subscriber_address = offer_.lease,
                                         .dns = offer_.dns,
                                         .wins = offer_.wins};
  std::vector<std::byte> answer =
      answer_dhcp_inform(packet, network, settings().inform, inner_mtu_);
  if (!answer.empty()) context.add(model::SendFrame{std::move(answer)});
}

void Ipcp::restore(const LinkSnapshot& snapshot, std::uint16_t inner_mtu, TimePoint now) {
  inner_mtu_ = inner_mtu;
  if (!snapshot.ipv4) {
    set_rejected();
    return restore_stopped();
  }
  restore_opened(now);
  set_flows(true);
}

void Ipcp::save(LinkSnapshot& snapshot) const {
  snapshot.ipv4 = !is_rejected();
  snapshot.network.our_address = offer_.our_address;
  snapshot.network.subscriber_address = offer_.lease;
  snapshot.network.dns = offer_.dns;
  snapshot.network.wins = offer_.wins;
}

void Ipcp::describe(LinkStatus& status) const {
  if (flows()) status.address = offer_.lease;
}

}  // namespace pns::ppp
