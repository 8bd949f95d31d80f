// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/network_phase.hpp"

#include <algorithm>
#include <iterator>

namespace pns::ppp {
namespace {

using Need = NetworkProtocol::Need;
using wire::PppProtocol;

}  // namespace

bool is_network_control(std::uint16_t control, const LinkSettings& settings) noexcept {
  return std::ranges::any_of(settings.network_protocols, [control](const auto& kind) {
    return wire::is(control, kind.control);
  });
}

// ---- The phase

void NetworkPhase::begin(const model::NetworkParameters& network, const LinkSettings& settings) {
  begun_ = true;
  for (const NetworkProtocolKind& kind : settings.network_protocols) {
    if (!kind.offered(network)) continue;
    auto found = std::ranges::find(protocols_, kind.control,
                                   [](const auto& ncp) { return ncp->protocol(); });
    if (found == protocols_.end()) {
      protocols_.push_back(kind.make(settings));
      found = std::prev(protocols_.end());
    }
    (*found)->offer(network);
  }
}

void NetworkPhase::start(Context& context) {
  for (const auto& ncp : protocols_)
    if (ncp->is_offered()) ncp->start(context);  // none is any more once the link ends
}

void NetworkPhase::reset() noexcept {
  for (const auto& ncp : protocols_) ncp->reset();
}

void NetworkPhase::withdraw() noexcept {
  for (const auto& ncp : protocols_) ncp->withdraw();
  begun_ = false;
}

// ---- Data

bool NetworkPhase::settle_needed(bool possible, std::uint16_t inner_mtu, Context& context) {
  bool open = possible;
  bool other_open = false;
  for (const auto& ncp : protocols_) {
    if (ncp->need() == Need::kOptional) {
      other_open |= ncp->is_offered() && ncp->is_open();
      continue;
    }
    ncp->settle(possible, inner_mtu, context);
    established_ |= ncp->flows();
    open &= ncp->is_open() || ncp->is_rejected();
  }
  return open && (!needed_one_is_rejected() || other_open);
}

void NetworkPhase::settle_optional(bool possible, std::uint16_t inner_mtu, Context& context) {
  const bool alone = needed_one_is_rejected();
  for (const auto& ncp : protocols_) {
    if (ncp->need() != Need::kOptional) continue;
    ncp->settle(possible, inner_mtu, context);
    established_ |= alone && ncp->flows();
  }
}

bool NetworkPhase::needed_one_is_rejected() const noexcept {
  return std::ranges::any_of(protocols_, [](const auto& ncp) {
    return ncp->need() != Need::kOptional && ncp->is_rejected();
  });
}

bool NetworkPhase::ipv4_flows() const noexcept {
  return std::ranges::any_of(
      protocols_, [](const auto& ncp) { return ncp->need() == Need::kPrimary && ncp->flows(); });
}

// ---- One protocol

NetworkProtocol* NetworkPhase::offered(PppProtocol control) noexcept {
  for (const auto& ncp : protocols_)
    if (ncp->is_offered() && ncp->protocol() == control) return ncp.get();
  return nullptr;
}

NetworkProtocol* NetworkPhase::offered_for_data(std::uint16_t data,
                                                const LinkSettings& settings) noexcept {
  for (const NetworkProtocolKind& kind : settings.network_protocols)
    if (is(data, kind.data)) return offered(kind.control);
  return nullptr;
}

bool NetworkPhase::link_lives_without(const NetworkProtocol& ncp) const noexcept {
  const auto others = [&](auto condition) {
    return std::ranges::any_of(protocols_, [&](const auto& other) {
      return other.get() != &ncp && other->is_offered() && condition(*other);
    });
  };
  const auto may_open = [](const NetworkProtocol& other) { return other.may_open(); };
  switch (ncp.need()) {
    case Need::kRequired:
      return false;
    case Need::kPrimary:
      return ncp.is_rejected() && others(may_open);
    case Need::kOptional:
      break;
  }
  return others(may_open) ||
         !others([](const NetworkProtocol& other) { return other.is_rejected(); });
}

EndReason NetworkPhase::end_reason_without(const NetworkProtocol& ncp,
                                           EndReason reason) const noexcept {
  if (ncp.need() != Need::kOptional) return reason;
  for (const auto& other : protocols_)
    if (other->need() == Need::kPrimary && other->is_rejected()) return other->rejected_reason();
  return reason;
}

// ---- All machines

std::optional<TimePoint> NetworkPhase::deadline() const noexcept {
  std::optional<TimePoint> earliest;
  for (const auto& ncp : protocols_)
    for (const std::optional<TimePoint>& at : {ncp->deadline(), ncp->data_deadline()})
      if (at && (!earliest || *at < *earliest)) earliest = at;
  return earliest;
}

void NetworkPhase::on_timer(Context& context) {
  for (const auto& ncp : protocols_) {
    ncp->on_timer(context);
    ncp->on_data_timer(context);
  }
}

void NetworkPhase::rest() noexcept {
  for (const auto& ncp : protocols_) ncp->rest();
}

void NetworkPhase::restore(const LinkSnapshot& snapshot, std::uint16_t inner_mtu, TimePoint now) {
  established_ = true;
  for (const auto& ncp : protocols_) ncp->restore(snapshot, inner_mtu, now);
}

void NetworkPhase::save(LinkSnapshot& snapshot) const {
  for (const auto& ncp : protocols_)
    if (ncp->is_offered()) ncp->save(snapshot);
}

void NetworkPhase::describe(LinkStatus& status) const {
  for (const auto& ncp : protocols_) ncp->describe(status);
}

}  // namespace pns::ppp
