// SPDX-License-Identifier: BSD-3-Clause
//
// RouterAdvertiser: tells the subscriber its prefix, our link-local address as its default router,
// the MTU and the name servers (RFC 4861 §6.2, RFC 8106). Thrice at first, then from time to time,
// and when it asks. Sans-I/O, one thread.
#pragma once

#include <cstdint>
#include <optional>

#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/context.hpp"
#include "controlplane/ppp/dhcpv6_responder.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/time.hpp"

namespace pns::ppp {

class RouterAdvertiser {
 public:
  static constexpr Duration kInitialInterval = Seconds(16);    // MAX_INITIAL_RTR_ADVERT_INTERVAL
  static constexpr unsigned kInitialCount = 3;                 // MAX_INITIAL_RTR_ADVERTISEMENTS
  static constexpr Duration kInterval = Seconds(600);          // MaxRtrAdvInterval
  static constexpr Duration kShortestInterval = Seconds(450);  // MinRtrAdvInterval
  static constexpr Duration kLeastBetween = Seconds(3);        // MIN_DELAY_BETWEEN_RAS
  static constexpr std::uint16_t kRouterLifetime = 1800;       // seconds: 3 × MaxRtrAdvInterval

  // IPV6CP is open: the first one leaves now. `parameters` outlive this.
  void start(const model::Ipv6Parameters& parameters, Dhcpv6Flags flags,
             std::uint64_t our_interface_id, std::uint16_t mtu, Context& context);
  // The same after a restart: the next one is due an interval from now.
  void resume(const model::Ipv6Parameters& parameters, Dhcpv6Flags flags,
              std::uint64_t our_interface_id, std::uint16_t mtu, TimePoint now);
  void stop() noexcept;

  // An IPv6 packet from the peer; anything but a valid Router Solicitation is ignored. Answered at
  // once, or when kLeastBetween has passed since the last one.
  void on_packet(Bytes packet, Context& context);

  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept { return due_; }
  void on_timer(Context& context);

 private:
  void send(Context& context);

  const model::Ipv6Parameters* parameters_ = nullptr;
  Dhcpv6Flags flags_;
  std::uint64_t our_interface_id_ = 0;
  std::uint16_t mtu_ = 0;
  unsigned sent_ = 0;
  TimePoint last_sent_{};
  std::optional<TimePoint> due_;  // empty: stopped
};

}  // namespace pns::ppp
