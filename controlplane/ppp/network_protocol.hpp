// SPDX-License-Identifier: BSD-3-Clause
//
// NetworkProtocol: a network control protocol of a link (RFC 1661 §2): IPCP, IPV6CP, and whatever
// joins them. NetworkPhase holds a list of these. It knows none of them by name, but for what it
// must know: when each may start, whether the link lives without it, and when its data may flow.
// Sans-I/O, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/control_protocol.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

struct LinkSnapshot;
struct LinkStatus;

class NetworkProtocol : public ControlProtocol {
 public:
  // The link's answer when the protocol cannot be negotiated or the peer closes it.
  enum class Need : std::uint8_t {
    kRequired,  // the link ends; it is open while every required protocol is
    kPrimary,   // the same, but a peer that rejects it may have the link with an optional one alone
    kOptional,  // the link stays while another protocol is open or may be
  };

  virtual ~NetworkProtocol() = default;

  [[nodiscard]] Need need() const noexcept { return need_; }
  // The end of a link whose peer rejects a required protocol, or a code of it.
  [[nodiscard]] EndReason rejected_reason() const noexcept { return rejected_reason_; }
  // Data of this protocol passes: OpenIpv4 or its like was sent.
  [[nodiscard]] bool flows() const noexcept { return flows_; }
  // It is open, or it is being negotiated, or that is yet to begin.
  [[nodiscard]] bool may_open() const noexcept {
    return offered_ && !rejected_ &&
           (state() == State::kInitial || state() == State::kStarting ||
            state() >= State::kReqSent);
  }

  // ---- The network phase. It begins: this is offered to the subscriber.
  void offer(const model::NetworkParameters& network) {
    offered_ = true;
    set_network(network);
  }
  // It ends: the protocol is not offered, nor does a Protocol-Reject count any more.
  void withdraw() noexcept {
    offered_ = rejected_ = false;
    held_request_ = {};
  }
  // In this network phase.
  [[nodiscard]] bool is_offered() const noexcept { return offered_; }
  // The peer has answered it with Protocol-Reject (RFC 1661 §5.7) in this network phase.
  [[nodiscard]] bool is_rejected() const noexcept { return rejected_; }
  void on_rejected(Context& context) {
    rejected_ = true;
    on_protocol_rejected(rejected_reason_, context);
  }
  // The peer asks for what it had rejected: its Protocol-Reject no longer counts. False: it does
  // not ask, or had not rejected it.
  [[nodiscard]] bool take_back_reject() noexcept {
    if (!rejected_ || state() < State::kReqSent) return false;
    rejected_ = false;
    return true;
  }
  // Keeps the peer's latest request until encryption is settled.
  void hold(const wire::ControlPacket& request) {
    held_request_.assign(request.whole.begin(), request.whole.end());
  }
  // Then: opens, and answers the request that was kept.
  void start(Context& context) {
    if (state() == State::kInitial) {
      open(context);
      up(context);
    }
    const std::vector<std::byte> held = std::exchange(held_request_, {});
    if (held.empty()) return;
    if (const auto packet = wire::parse_control_packet(held)) on_packet(*packet, context);
  }

  // Opens or stops the data, whichever is due. `possible`: the peer is authenticated, encryption is
  // settled and the link is not ending. Data flows from the moment our Configure-Ack is about to
  // leave: the peer's Ack and its first packet may come together. `inner_mtu`: Link::inner_mtu().
  virtual void settle(bool possible, std::uint16_t inner_mtu, Context& context) = 0;
  // A data packet that reached the control process while data flows.
  virtual void on_data(Bytes /*packet*/, Context& /*context*/) {}
  // Timers beside the machine's own.
  [[nodiscard]] virtual std::optional<TimePoint> data_deadline() const noexcept {
    return std::nullopt;
  }
  virtual void on_data_timer(Context& /*context*/) {}

  // A link taken over after a restart, after offer(). A protocol of which the snapshot says
  // nothing says nothing of its own accord; it answers a peer that asks.
  virtual void restore(const LinkSnapshot& /*snapshot*/, std::uint16_t /*inner_mtu*/,
                       TimePoint /*now*/) {
    restore_stopped();
  }
  // The facts for restore(), and those that offer() was told.
  virtual void save(LinkSnapshot& /*snapshot*/) const {}
  virtual void describe(LinkStatus& /*status*/) const {}

 protected:
  NetworkProtocol(wire::PppProtocol protocol, const RestartSettings& restart,
                  ProtocolReasons reasons, Need need, EndReason refused) noexcept
      : ControlProtocol(protocol, restart, reasons), need_(need), rejected_reason_(refused) {}
  // The network phase begins: what it offers the subscriber.
  virtual void set_network(const model::NetworkParameters& network) = 0;
  void set_flows(bool flows) noexcept { flows_ = flows; }
  // A link taken over, whose peer had rejected this.
  void set_rejected() noexcept { rejected_ = true; }
  // The data may pass as far as the automaton is concerned.
  [[nodiscard]] bool acknowledged() const noexcept { return state() >= State::kAckSent; }

 private:
  void before_ack(Context& context) override { context.observer.before_ncp_ack(); }

  std::vector<std::byte> held_request_;
  Need need_;
  EndReason rejected_reason_;
  bool offered_ = false;
  bool rejected_ = false;
  bool flows_ = false;
};

// A network control protocol that links may speak.
struct NetworkProtocolKind {
  wire::PppProtocol control;  // 8xxx: its packets
  wire::PppProtocol data;     // 0xxx: what it lets through
  // Whether a link with these parameters speaks it. Where it does not, its packets are rejected.
  bool (*offered)(const model::NetworkParameters& network);
  std::unique_ptr<NetworkProtocol> (*make)(const LinkSettings& settings);
};

}  // namespace pns::ppp
