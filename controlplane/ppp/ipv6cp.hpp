// SPDX-License-Identifier: BSD-3-Clause
//
// IPV6CP (RFC 5072): each side's interface identifier, neither zero nor the other's. Addresses come
// by Router Advertisement afterwards (router_advertiser.hpp). IPv6 is an extra: when it cannot be
// negotiated the link goes on without. Sans-I/O.
#pragma once

#include <array>
#include <cstdint>

#include "controlplane/ppp/control_protocol.hpp"

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

class Ipv6cp final : public ControlProtocol {
 public:
  explicit Ipv6cp(const LinkSettings& settings);

  // Meaningful while open, and while its Ack is about to leave.
  [[nodiscard]] std::uint64_t our_interface_id() const noexcept { return id_.ours(); }
  [[nodiscard]] std::uint64_t peer_interface_id() const noexcept { return id_.peers(); }
  void restore(std::uint64_t ours, std::uint64_t peers, TimePoint now) noexcept;

 private:
  [[nodiscard]] std::span<ConfigOption* const> options() noexcept override { return options_; }
  void before_ack(Context& context) override { context.observer.before_ncp_ack(); }

  InterfaceIdOption id_;
  std::array<ConfigOption*, 1> options_;
};

}  // namespace pns::ppp
