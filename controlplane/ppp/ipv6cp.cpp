// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/ipv6cp.hpp"

#include <algorithm>

#include "controlplane/ppp/link_state.hpp"
#include "pns/wire/dhcpv6.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::ppp {

using wire::InterfaceIdentifier;

namespace {

// Random, not zero, and not told to be unique in the world (RFC 5072 §4.1: the "u" bit clear).
std::uint64_t random_identifier(RandomSource& random) {
  constexpr std::uint64_t kUniversal = std::uint64_t{0x02} << 56;
  const std::uint64_t high = random.next_u32();
  return (((high << 32) | random.next_u32()) & ~kUniversal) | 2;
}

// IPv6 is not worth a long wait: a peer without it may well say nothing.
RestartSettings restart_settings(const LinkSettings& settings) {
  constexpr unsigned kTries = 4;
  RestartSettings restart(settings);
  restart.max_configure = std::min(restart.max_configure, kTries);
  return restart;
}

}  // namespace

void InterfaceIdOption::restart(Context& context) {
  ours_ = kOurs;
  suggestion_ = random_identifier(context.random);
  pending_ = 0;
  peers_ = 0;
  naks_ = 0;
}

void InterfaceIdOption::on_nak(const wire::Option& option, Context& context) {
  const auto wanted = InterfaceIdentifier::parse(option.data);
  if (++naks_ > kUselessNaks) return fail(EndReason::ncp_no_convergence);
  // The peer's suggestion, unless it is no identifier or the peer's own.
  const bool usable =
      wanted && wanted->value != 0 && wanted->value != peers_ && wanted->value != ours_;
  ours_ = usable ? wanted->value : random_identifier(context.random);
}

Judgement InterfaceIdOption::judge(const wire::Option& option, Writer& nak, Context&) {
  const auto wanted = InterfaceIdentifier::parse(option.data);
  if (wanted && wanted->value != 0 && wanted->value != ours_) {
    pending_ = wanted->value;
    return Judgement::kAck;
  }
  judge_missing(nak);
  return Judgement::kNak;
}

void InterfaceIdOption::judge_missing(Writer& nak) { InterfaceIdentifier{suggestion_}.write(nak); }

void InterfaceIdOption::restore(std::uint64_t ours, std::uint64_t peers) noexcept {
  ours_ = ours;
  peers_ = peers;
}

Ipv6cp::Ipv6cp(const LinkSettings& settings)
    : NetworkProtocol(wire::PppProtocol::kIpv6cp, restart_settings(settings),
                      {EndReason::ncp_no_convergence, EndReason::ncp_no_convergence},
                      Need::kOptional, EndReason::ncp_no_convergence),
      options_{&id_} {}

void Ipv6cp::set_network(const model::NetworkParameters& network) {
  if (network.ipv6) parameters_ = *network.ipv6;
}

// Advertisements leave while both Acks are there, also when they were there before CCP started
// over.
void Ipv6cp::settle(bool possible, std::uint16_t inner_mtu, Context& context) {
  const bool wanted = possible && acknowledged() && id_.peers() != 0;
  if (!wanted || !is_open()) advertiser_.stop();
  std::optional<model::OpenIpv6> open;
  if (wanted) open = {id_.ours(), id_.peers()};
  if (open != open_) {
    if (open_) context.add(model::CloseIpv6{});
    if (open) context.add(*open);
    open_ = open;
    set_flows(open.has_value());
  }
  if (wanted && is_open() && !advertiser_.deadline())
    advertiser_.start(parameters_, dhcpv6_flags(settings().dhcpv6, parameters_), id_.ours(),
                      inner_mtu, context);
}

void Ipv6cp::on_data(Bytes packet, Context& context) {
  const auto header = wire::parse_ipv6(packet);
  if (header && wire::is_for_dhcpv6_server(packet, *header))
    dhcpv6_.on_packet(packet, parameters_, id_.ours(), settings().dhcpv6, context);
  else
    advertiser_.on_packet(packet, context);
}

void Ipv6cp::restore(const LinkSnapshot& snapshot, std::uint16_t inner_mtu, TimePoint now) {
  if (!snapshot.ipv6) return restore_stopped();  // a peer that was asking asks again
  id_.restore(snapshot.ipv6->ours, snapshot.ipv6->peers);
  restore_opened(now);
  open_ = {snapshot.ipv6->ours, snapshot.ipv6->peers};
  set_flows(true);
  advertiser_.resume(parameters_, dhcpv6_flags(settings().dhcpv6, parameters_), snapshot.ipv6->ours,
                     inner_mtu, now);
}

void Ipv6cp::save(LinkSnapshot& snapshot) const {
  snapshot.network.ipv6 = parameters_;
  if (open_)
    snapshot.ipv6 = LinkSnapshot::InterfaceIds{open_->our_interface_id, open_->peer_interface_id};
}

void Ipv6cp::describe(LinkStatus& status) const {
  if (flows() && is_open()) status.ipv6_prefix = parameters_.prefix;
}

}  // namespace pns::ppp
