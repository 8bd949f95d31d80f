// SPDX-License-Identifier: BSD-3-Clause
//
// NetworkPhase: the network control protocols of one link (RFC 1661 §3.6): which of them are
// offered, when they start, when their data may flow, and whether the link lives without one of
// them. It keeps a machine for each protocol that was offered in some network phase. The machines
// stay when LCP starts over, so that no Identifier is used again for another request.
//
// A part of Link, which knows whether data may flow at all and ends the link. Sans-I/O, one thread;
// memory is bounded by the list of protocols in the settings.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/context.hpp"
#include "controlplane/ppp/link_state.hpp"
#include "controlplane/ppp/network_protocol.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

class NetworkPhase {
 public:
  // ---- The phase.
  // It begins: makes the machines that it needs and has not had before, and tells them what to
  // offer.
  void begin(const model::NetworkParameters& network, const LinkSettings& settings);
  // begin() was called, and withdraw() was not since.
  [[nodiscard]] bool has_begun() const noexcept { return begun_; }
  // Encryption is settled: the protocols that are offered open.
  void start(Context& context);
  // The phase ends, in two steps: the machines are back in Initial; their data has been stopped,
  // and nothing is offered any more.
  void reset() noexcept;
  void withdraw() noexcept;

  // ---- Data. Each lets it flow or stops it: the protocols that the link needs first, then the
  // optional ones. `possible`, `inner_mtu`: see NetworkProtocol::settle().
  // Returns whether the link is open: while every required protocol is. The optional ones have a
  // part in that only where the peer has rejected the primary one: then one of them must be open.
  [[nodiscard]] bool settle_needed(bool possible, std::uint16_t inner_mtu, Context& context);
  void settle_optional(bool possible, std::uint16_t inner_mtu, Context& context);
  // Ever: from then on the peer may count the link as up.
  [[nodiscard]] bool was_established() const noexcept { return established_; }
  [[nodiscard]] bool ipv4_flows() const noexcept;

  // ---- One protocol of those that are offered; null: none.
  [[nodiscard]] NetworkProtocol* offered(wire::PppProtocol control) noexcept;
  [[nodiscard]] NetworkProtocol* offered_for_data(std::uint16_t data,
                                                  const LinkSettings& settings) noexcept;
  // Whether the link stays when a protocol that is offered is not, or no longer, to be had.
  [[nodiscard]] bool link_lives_without(const NetworkProtocol& ncp) const noexcept;
  // The end of a link that does not: with the primary protocol rejected, that one's reason.
  [[nodiscard]] EndReason end_reason_without(const NetworkProtocol& ncp,
                                             EndReason reason) const noexcept;

  // ---- All machines.
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept;
  void on_timer(Context& context);
  // The link is open; see ControlProtocol::rest().
  void rest() noexcept;
  // A link that was taken over, whose peer may count it as up. Unless it is to begin with LCP,
  // begin() was called with snapshot.network.
  void restore(const LinkSnapshot& snapshot, std::uint16_t inner_mtu, TimePoint now);
  void save(LinkSnapshot& snapshot) const;
  void describe(LinkStatus& status) const;

 private:
  [[nodiscard]] bool needed_one_is_rejected() const noexcept;

  std::vector<std::unique_ptr<NetworkProtocol>> protocols_;
  bool begun_ = false;
  bool established_ = false;
};

// Whether the settings name a protocol whose control packets have this number.
[[nodiscard]] bool is_network_control(std::uint16_t control, const LinkSettings& settings) noexcept;

}  // namespace pns::ppp
