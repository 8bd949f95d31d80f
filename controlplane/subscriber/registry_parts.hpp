// SPDX-License-Identifier: BSD-3-Clause
//
// What Registry keeps of a control connection and of a call. Private to registry*.cpp.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/subscriber/registry.hpp"

namespace pns::subscriber {

// One TCP 1723 connection with its machine.
struct Registry::Connection : std::enable_shared_from_this<Connection> {
  Connection(asio::io_context& context, pptp::ControlConnection the_machine, TimePoint now)
      : machine(std::move(the_machine)), timer(context), opened(now) {}

  ConnectionId id;
  Ipv4Address local;
  Ipv4Address peer;
  std::uint16_t peer_port = 0;
  std::shared_ptr<control::ControlSocket> socket;
  pptp::ControlConnection machine;
  asio::steady_timer timer;
  std::optional<TimePoint> armed;
  TimePoint opened;
  std::unordered_map<OurCallId, SlotId> calls;
  std::unordered_map<std::uint32_t, SlotId> offers;  // calls whose installation is not answered
  bool stored = false;                               // has a record
  std::optional<wire::pptp::Message> kept_start;     // of a collision that we win (§3.1.3)
  bool established_told = false;                     // to the placer
  bool closed = false;
};

// One call: PPTP call, PPP link, lease and dataplane slot.
struct Registry::Session {
  enum class State : std::uint8_t { kDialling, kInstalling, kUp, kRemoving };

  explicit Session(asio::io_context& context) : timer(context) {}

  State state = State::kInstalling;
  model::CallKind kind = model::CallKind::kSubscriber;
  std::uint64_t placed = 0;   // the placer's number; 0: not placed by us
  bool link_started = false;  // PPP runs
  // Frames of an incoming call that overtook its Incoming-Call-Connected: GRE is faster than TCP.
  std::vector<std::vector<std::byte>> early;
  model::WanErrors wan_errors;
  control::SessionHandle handle;
  std::uint64_t serial = 0;      // tells this session from an earlier one in the same slot
  Admission::Ticket set_up = 0;  // while it is in flight
  ConnectionId connection;
  std::uint32_t offer = 0;
  bool withdrawn = false;                      // over before the dataplane answered
  EndReason withdrawn_for = EndReason::kNone;  // kNone: counted already
  OurCallId our_call_id;
  PeerCallId peer_call_id;
  Ipv4Address local;
  Ipv4Address peer;
  std::uint16_t worker = 0;
  std::unique_ptr<ppp::Link> link;
  ppp::Link::Resume stored = ppp::Link::Resume::kNot;  // as it stands in the store
  model::LinkPhase phase = model::LinkPhase::kDead;
  std::optional<model::Lease> lease;
  std::string user;
  std::optional<std::uint64_t> rate_bits_per_second;
  std::uint16_t peer_mru = 1500;
  std::uint16_t mtu = 0;
  std::optional<contract::ConfigureLink> configured;  // while LCP is open
  std::optional<model::OpenIpv6> ipv6;                // while IPV6CP lets data flow
  std::string lease_user;                             // whom the lease was given to
  asio::steady_timer timer;
  std::optional<TimePoint> armed;
  TimePoint started;
  std::optional<TimePoint> opened;
  TimePoint changed{};  // the phase
  std::size_t stage = 0;
  EndReason link_end = EndReason::kNone;  // the link is over, the peer is about to be told
};

template <class Command>
void Registry::when_stored(const Session& session, std::size_t octets, Command command) {
  parts_.journal.when_stored(
      [this, slot = session.handle.slot, serial = session.serial,
       command = std::move(command)]() mutable {
        Session* alive = find(slot, serial);
        if (alive != nullptr && alive->state == Session::State::kUp) command(*alive);
      },
      octets);
}

}  // namespace pns::subscriber
