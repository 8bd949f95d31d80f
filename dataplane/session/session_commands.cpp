// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session/session_commands.hpp"

#include "dataplane/session/shared_fields.hpp"
#include "pns/mppe/mppe.hpp"

namespace pns::dataplane {

using contract::SessionRecord;

namespace {

void set_flags(SessionRecord& session, std::uint32_t set, std::uint32_t clear) noexcept {
  const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);
  session.flags.store((flags & ~clear) | set, std::memory_order_relaxed);
}

// Another burst leaves what is paid for as it is: packets that wait keep their place before others,
// and a longer burst has to fill first.
void set_rate(contract::OctetRate& rate, std::uint64_t& spent_until_ns,
              const contract::SessionRate& wanted) noexcept {
  const contract::OctetRate before = rate;
  rate = to_octet_rate(wanted);
  if (before && rate) spent_until_ns += rate.burst_ns() - before.burst_ns();
}

void set_rates(SessionRecord& session, const contract::SessionRates& rates) noexcept {
  set_rate(session.upstream_rate, session.upstream.rate_spent_ns, rates.upstream);
  set_rate(session.downstream.rate, session.downstream.rate_spent_ns, rates.downstream);
  session.rate_bits_per_second = contract::rate_of_both(rates);
  const bool limited = session.upstream_rate || session.downstream.rate;
  set_flags(session, limited ? contract::kFlagRates : 0, contract::kFlagRates);
}

// An older control process sends one rate for both directions, and no SessionService before it.
void take_rate_of_both(SessionRecord& session, std::uint64_t bits_per_second) noexcept {
  if (bits_per_second == session.rate_bits_per_second) return;
  set_rates(session, {.upstream = {.bits_per_second = bits_per_second},
                      .downstream = {.bits_per_second = bits_per_second}});
}

}  // namespace

void configure_link(SessionRecord& session, const contract::ConfigureLink& link) noexcept {
  session.our_magic = link.our_magic;
  session.peer_mru = link.peer_mru;
  const std::uint32_t set = (link.open ? contract::kFlagLcpOpen : 0) |
                            (link.send_acfc ? contract::kFlagSendAcfc : 0) |
                            (link.send_pfc ? contract::kFlagSendPfc : 0);
  set_flags(session, set,
            contract::kFlagLcpOpen | contract::kFlagSendAcfc | contract::kFlagSendPfc);
}

void arm_mppe(SessionRecord& session, const contract::ArmMppe& arm) noexcept {
  if (arm.key_bits != 40 && arm.key_bits != 56 && arm.key_bits != 128) return;
  const mppe::Mode mode = arm.stateless ? mppe::Mode::kStateless : mppe::Mode::kStateful;
  mppe::init(session.upstream.mppe, arm.receive_start_key, arm.key_bits, mode);
  mppe::init(session.downstream.mppe, arm.send_start_key, arm.key_bits, mode);
  session.upstream.mppe.gre_sequence =
      session.upstream.highest_sequence.load(std::memory_order_relaxed);
  set_flags(session, contract::kFlagMppe, 0);
}

void disarm_mppe(SessionRecord& session) noexcept {
  mppe::forget(session.upstream.mppe);
  mppe::forget(session.downstream.mppe);
  set_flags(session, 0, contract::kFlagMppe);
}

void open_ipv4(SessionRecord& session, const contract::OpenIpv4& open) noexcept {
  store_shared(session.subscriber, open.subscriber);
  session.gateway = open.gateway;
  session.inner_mtu = open.inner_mtu;
  take_rate_of_both(session, open.rate_bits_per_second);
  set_flags(session, contract::kFlagIpv4Open, 0);
}

void close_ipv4(SessionRecord& session) noexcept {
  set_flags(session, 0, contract::kFlagIpv4Open);
  store_shared(session.subscriber, Ipv4Address{});
}

void open_ipv6(SessionRecord& session, const contract::OpenIpv6& open) noexcept {
  store_shared(session.ipv6_prefix, open.prefix);
  session.our_interface_id = open.our_interface_id;
  session.peer_interface_id = open.peer_interface_id;
  session.inner_mtu = open.inner_mtu;
  take_rate_of_both(session, open.rate_bits_per_second);
  set_flags(session, contract::kFlagIpv6Open, 0);
}

void close_ipv6(SessionRecord& session) noexcept {
  set_flags(session, 0, contract::kFlagIpv6Open);
  store_shared(session.ipv6_prefix, std::uint64_t{0});
}

void set_networks(SessionRecord& session, const contract::SetNetworks& networks) noexcept {
  set_flags(session, networks.count != 0 ? contract::kFlagNetworks : 0, contract::kFlagNetworks);
}

void set_service(SessionRecord& session, const contract::SessionService& service) noexcept {
  set_rates(session, service.rates);
  set_flags(session,
            std::uint32_t{service.filters.upstream} << contract::kUpstreamFilterAt |
                std::uint32_t{service.filters.downstream} << contract::kDownstreamFilterAt,
            contract::kFiltersMask);
  session.downstream.rate_group = service.rate_group;
  set_flags(session, service.rate_group != 0 ? contract::kFlagRateGroup : 0,
            contract::kFlagRateGroup);
}

void adopt_rates(SessionRecord& session) noexcept {
  const bool known = (session.flags.load(std::memory_order_relaxed) & contract::kFlagRates) != 0;
  const std::uint64_t both = session.rate_bits_per_second;
  if (known || both == 0) return;
  set_rates(session,
            {.upstream = {.bits_per_second = both}, .downstream = {.bits_per_second = both}});
}

}  // namespace pns::dataplane
