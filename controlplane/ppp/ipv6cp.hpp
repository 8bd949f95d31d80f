// SPDX-License-Identifier: BSD-3-Clause
//
// IPV6CP (RFC 5072): each side's interface identifier, neither zero nor the other's. Addresses come
// by Router Advertisement afterwards (router_advertiser.hpp), prefixes for networks of the peer by
// DHCPv6 (dhcpv6_responder.hpp). Both leave while both Acks are there.
// IPv6 is optional: when it cannot be negotiated the link stays without it. Sans-I/O.
#pragma once

#include <array>
#include <cstdint>

#include "controlplane/ppp/dhcpv6_responder.hpp"
#include "controlplane/ppp/network_protocol.hpp"
#include "controlplane/ppp/router_advertiser.hpp"

namespace pns::ppp {

class InterfaceIdOption final : public ConfigOption {
 public:
  // Ours unless the peer has the same: fe80::1 inside every tunnel.
  static constexpr std::uint64_t kOurs = 1;

  InterfaceIdOption() noexcept : ConfigOption(wire::InterfaceIdentifier::kType) {}

  void restart(Context&) override;
  void request(Writer& out) override { wire::InterfaceIdentifier{ours_}.write(out); }
  void on_nak(const wire::Option& option, Context& context) override;
  void on_reject(Context&) override { fail(EndReason::ncp_no_convergence); }
  void begin_judging() override { pending_ = 0; }
  [[nodiscard]] Judgement judge(const wire::Option& option, Writer& nak, Context&) override;
  void judge_missing(Writer& nak) override;
  void commit() override { peers_ = pending_; }
  [[nodiscard]] EndReason on_unresolved() override { return EndReason::ncp_no_convergence; }

  // Host order. The peer's is 0 until its request was good.
  [[nodiscard]] std::uint64_t ours() const noexcept { return ours_; }
  [[nodiscard]] std::uint64_t peers() const noexcept { return peers_; }
  void restore(std::uint64_t ours, std::uint64_t peers) noexcept;

 private:
  static constexpr unsigned kUselessNaks = 3;

  std::uint64_t ours_ = kOurs;
  std::uint64_t suggestion_ = 0;  // for a peer that has none
  std::uint64_t pending_ = 0;
  std::uint64_t peers_ = 0;
  unsigned naks_ = 0;
};

class Ipv6cp final : public NetworkProtocol {
 public:
  explicit Ipv6cp(const LinkSettings& settings);

  void set_network(const model::NetworkParameters& network) override;
  void settle(bool possible, std::uint16_t inner_mtu, Context& context) override;
  // Router Solicitations and DHCPv6 are answered; the dataplane forwards every other packet.
  void on_data(Bytes packet, Context& context) override;
  [[nodiscard]] std::optional<TimePoint> data_deadline() const noexcept override {
    return advertiser_.deadline();
  }
  void on_data_timer(Context& context) override { advertiser_.on_timer(context); }
  void restore(const LinkSnapshot& snapshot, std::uint16_t inner_mtu, TimePoint now) override;
  void save(LinkSnapshot& snapshot) const override;
  void describe(LinkStatus& status) const override;

 private:
  [[nodiscard]] std::span<ConfigOption* const> options() override { return options_; }

  InterfaceIdOption id_;
  RouterAdvertiser advertiser_;
  Dhcpv6Responder dhcpv6_;
  model::Ipv6Parameters parameters_;
  std::optional<model::OpenIpv6> open_;  // as it was sent; empty: no data flows
  std::array<ConfigOption*, 1> options_;
};

}  // namespace pns::ppp
