// SPDX-License-Identifier: BSD-3-Clause
//
// IPCP (RFC 1332, RFC 1877): the subscriber gets the address that was leased and no other, and is
// told of DNS and WINS servers when it asks. Header compression and the obsolete option 1 are
// rejected. Sans-I/O.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/network_protocol.hpp"

namespace pns::ppp {

class IpAddressOption final : public ConfigOption {
 public:
  IpAddressOption() noexcept
      : ConfigOption(static_cast<std::uint8_t>(wire::IpcpOption::kIpAddress)) {}
  void set(Ipv4Address ours, Ipv4Address lease) noexcept {
    ours_ = ours;
    lease_ = lease;
  }
  void restart(Context&) override;
  void request(Writer& out) override;
  void on_nak(const wire::Option&, Context&) override;
  void on_reject(Context&) override { asked_ = false; }
  [[nodiscard]] Judgement judge(const wire::Option& option, Writer& nak, Context&) override;
  void judge_missing(Writer& nak) override;

 private:
  static constexpr unsigned kUselessNaks = 3;
  Ipv4Address ours_;
  Ipv4Address lease_;
  bool asked_ = true;  // the peer can live without knowing our address
  unsigned useless_naks_ = 0;
};

// One of the four name servers of RFC 1877.
class NameServerOption final : public ConfigOption {
 public:
  explicit NameServerOption(wire::IpcpOption which) noexcept
      : ConfigOption(static_cast<std::uint8_t>(which)), which_(which) {}
  void set(Ipv4Address server) noexcept { server_ = server; }
  [[nodiscard]] Judgement judge(const wire::Option& option, Writer& nak, Context&) override;

 private:
  wire::IpcpOption which_;
  Ipv4Address server_;  // unspecified: rejected
};

class Ipcp final : public NetworkProtocol {
 public:
  explicit Ipcp(const LinkSettings& settings);

  void set_network(const model::NetworkParameters& network) override;
  void settle(bool possible, std::uint16_t inner_mtu, Context& context) override;
  // DHCPINFORM is answered; the dataplane forwards every other packet.
  void on_data(Bytes packet, Context& context) override;
  // The layers below IPCP are agreed: a peer that misses an answer of it asks again
  // (docs/decisions/0013).
  void restore(const LinkSnapshot&, std::uint16_t, TimePoint now) override;
  void save(LinkSnapshot& snapshot) const override;
  void describe(LinkStatus& status) const override;

 private:
  // The addresses for the subscriber.
  struct Offer {
    Ipv4Address our_address;
    Ipv4Address lease;
    std::array<Ipv4Address, 2> dns{};
    std::array<Ipv4Address, 2> wins{};
  };
  struct Options {
    IpAddressOption address;
    NameServerOption primary_dns{wire::IpcpOption::kPrimaryDns};
    NameServerOption primary_wins{wire::IpcpOption::kPrimaryWins};
    NameServerOption secondary_dns{wire::IpcpOption::kSecondaryDns};
    NameServerOption secondary_wins{wire::IpcpOption::kSecondaryWins};
    std::array<ConfigOption*, 5> list{&address, &primary_dns, &primary_wins, &secondary_dns,
                                      &secondary_wins};
    void set(const Offer& offer) noexcept;
  };

  [[nodiscard]] std::span<ConfigOption* const> options() override;
  void forget_options() noexcept override { options_.reset(); }

  Offer offer_;
  std::uint16_t inner_mtu_ = 0;       // octets of IP
  std::unique_ptr<Options> options_;  // null: at rest, or not asked for yet
};

}  // namespace pns::ppp
