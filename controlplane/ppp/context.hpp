// SPDX-License-Identifier: BSD-3-Clause
//
// Context: shared by the protocol machines of a link while one event is handled. It has the time,
// randomness, the list of actions, and the observer. Made by Link for each call from outside; no
// machine keeps it. Event-loop thread.
#pragma once

#include <cstdint>
#include <utility>

#include "controlplane/model/auth.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/automaton.hpp"
#include "controlplane/ppp/compression.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/random.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/ppp_protocol.hpp"

namespace pns::ppp {

// Told by the machines, in the middle of their transitions. May call back into any machine. A
// machine is named by its protocol number.
class LayerObserver {
 public:
  // This-Layer-Up, This-Layer-Down (with the event that caused it), This-Layer-Finished.
  virtual void layer_up(wire::PppProtocol layer) = 0;
  virtual void layer_down(wire::PppProtocol layer, Event cause) = 0;
  virtual void layer_finished(wire::PppProtocol layer, EndReason reason) = 0;
  // Negotiation cannot succeed. The machine has stopped where it was; close it or the link.
  virtual void layer_failed(wire::PppProtocol layer, EndReason reason) = 0;
  // A CCP Configure-Ack is about to leave: the peer may encrypt as soon as it is there.
  virtual void before_ccp_ack(const CompressionAgreement& agreed) = 0;
  // A network protocol's Configure-Ack is about to leave: with its own the peer may send data at
  // once.
  virtual void before_ncp_ack() = 0;
  // Credentials are complete.
  virtual void credentials(model::AuthRequest request) = 0;
  // The peer is about to be told of its success: what it sends upon that must be heard.
  virtual void before_auth_success() = 0;
  // It has been told.
  virtual void authenticated() = 0;
  // The peer failed to authenticate; what there was to tell it has been told.
  virtual void auth_failed(EndReason reason) = 0;

 protected:
  ~LayerObserver() = default;
};

// At most so many Code-Rejects and Protocol-Rejects leave per second, so that junk is not answered
// with as much junk.
class RejectLimiter {
 public:
  explicit RejectLimiter(unsigned per_second) noexcept : per_second_(per_second) {}
  [[nodiscard]] bool allow(TimePoint now) noexcept {
    if (sent_ == 0 || now - window_start_ >= Seconds(1)) {
      window_start_ = now;
      sent_ = 0;
    }
    if (sent_ >= per_second_) return false;
    ++sent_;
    return true;
  }

 private:
  unsigned per_second_;
  unsigned sent_ = 0;
  TimePoint window_start_{};
};

struct Context {
  model::LinkActions& actions;
  TimePoint now;
  RandomSource& random;
  LayerObserver& observer;
  RejectLimiter& rejects;
  std::uint16_t peer_mru;  // octets: nothing longer is sent

  template <class Action>
  void add(Action action) {
    actions.emplace_back(std::in_place_type<Action>, std::move(action));
  }
  // Appends SendFrame with FF 03, the protocol and one control packet.
  void send(wire::PppProtocol protocol, std::uint8_t code, std::uint8_t identifier, Bytes data);
};

}  // namespace pns::ppp
