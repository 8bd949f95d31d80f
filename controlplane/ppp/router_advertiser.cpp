// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/router_advertiser.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "controlplane/ppp/frame.hpp"
#include "pns/wire/ipv6.hpp"
#include "pns/wire/router_advertisement.hpp"

namespace pns::ppp {
namespace {

// RFC 4861 §6.2.4. Links that came up together do not go on together.
Duration random_interval(RandomSource& random) {
  constexpr auto kSpan = std::chrono::duration_cast<Milliseconds>(
      RouterAdvertiser::kInterval - RouterAdvertiser::kShortestInterval);
  return RouterAdvertiser::kShortestInterval +
         Milliseconds(random.next_u32() % (kSpan.count() + 1));
}

}  // namespace

void RouterAdvertiser::start(const model::Ipv6Parameters& parameters, Dhcpv6Flags flags,
                             std::uint64_t our_interface_id, std::uint16_t mtu, Context& context) {
  resume(parameters, flags, our_interface_id, mtu, context.now);
  sent_ = 0;
  send(context);
}

void RouterAdvertiser::resume(const model::Ipv6Parameters& parameters, Dhcpv6Flags flags,
                              std::uint64_t our_interface_id, std::uint16_t mtu, TimePoint now) {
  parameters_ = &parameters;
  flags_ = flags;
  our_interface_id_ = our_interface_id;
  mtu_ = mtu;
  sent_ = kInitialCount;
  due_ = now + kInterval;
}

void RouterAdvertiser::stop() noexcept { due_.reset(); }

void RouterAdvertiser::on_packet(Bytes packet, Context& context) {
  if (!due_ || !wire::parse_router_solicitation(packet)) return;
  if (context.now - last_sent_ >= kLeastBetween)
    send(context);
  else
    due_ = std::min(*due_, last_sent_ + kLeastBetween);
}

void RouterAdvertiser::on_timer(Context& context) {
  if (due_ && context.now >= *due_) send(context);
}

void RouterAdvertiser::send(Context& context) {
  const wire::RouterAdvertisement ra{.source = wire::link_local(our_interface_id_),
                                     .destination = wire::kAllNodes,
                                     .managed = flags_.managed,
                                     .other = flags_.other,
                                     .router_lifetime = kRouterLifetime,
                                     .prefix = parameters_->prefix,
                                     .valid_lifetime = Dhcpv6Responder::kValidLifetime,
                                     .preferred_lifetime = Dhcpv6Responder::kPreferredLifetime,
                                     .mtu = mtu_,
                                     .dns = parameters_->dns,
                                     .dns_lifetime = kRouterLifetime};
  std::vector<std::byte> frame =
      make_frame(wire::PppProtocol::kIpv6, wire::kLongestRouterAdvertisement);
  frame.resize(wire::kPppFrameHeaderLength +
               wire::write_router_advertisement(information_of(frame), ra));
  context.add(model::SendFrame{std::move(frame)});
  ++sent_;
  last_sent_ = context.now;
  due_ = context.now + (sent_ < kInitialCount ? kInitialInterval : random_interval(context.random));
}

}  // namespace pns::ppp
