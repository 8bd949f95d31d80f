// SPDX-License-Identifier: BSD-3-Clause
//
// A directory of its own for a test, and records with every field set.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "controlplane/resume/records.hpp"
#include "tests/support/scratch_directory.hpp"

namespace pns::test {

using Directory = ScratchDirectory;

inline std::string every_octet() {
  std::string out;
  for (int octet = 0; octet < 256; ++octet) out += static_cast<char>(octet);
  return out;
}

// An established subscriber's call.
inline pptp::KnownCall known_call(std::uint32_t number) {
  return {.number = number,
          .our_call_id = OurCallId(static_cast<std::uint16_t>(60'000 + number)),
          .peer_call_id = PeerCallId(static_cast<std::uint16_t>(number)),
          .serial_number = static_cast<std::uint16_t>(number + 7),
          .peer_window = 64,
          .maximum_bps = 100'000'000};
}

// A connection with a call of each kind and an unanswered request of each kind.
inline resume::StoredConnection stored_connection(std::uint64_t id) {
  using model::CallKind;
  using pptp::CallState;
  resume::StoredConnection c;
  c.id = ConnectionId(id);
  c.local = Ipv4Address(0xc6336401);
  c.peer = Ipv4Address(0xcb007105);
  c.peer_port = 50'000;
  c.opened_ns = 123'456'789'012'345;
  c.handled_up_to = 0xfedcba9876543210;
  c.machine.peer_host_name = every_octet();
  c.machine.peer_vendor_name = "\xff\xfe";
  c.machine.peer_firmware_revision = 0xffff;
  c.machine.next_echo_identifier = 0xffffffff;
  c.machine.originated = true;
  c.machine.calls = {
      known_call(1),
      {.number = 2,
       .our_call_id = OurCallId(1),
       .serial_number = 301,
       .kind = CallKind::kPlaced,
       .state = CallState::kWaitReply},
      {.number = 3,
       .our_call_id = OurCallId(2),
       .peer_call_id = PeerCallId(0),
       .serial_number = 302,
       .kind = CallKind::kIncoming,
       .state = CallState::kWaitDisconnect},
      {.number = 4,
       .our_call_id = OurCallId(3),
       .peer_call_id = PeerCallId(9),
       .serial_number = 303,
       .kind = CallKind::kAnnounced},
      {.number = 0xfffffff0,
       .peer_call_id = PeerCallId(0xffff),
       .serial_number = 304,
       .state = CallState::kWaitCsAns,
       .peer_window = 0xffff,
       .maximum_bps = 0xffffffff},
      {.number = 0xfffffff1,
       .peer_call_id = PeerCallId(5),
       .serial_number = 305,
       .kind = CallKind::kIncoming,
       .state = CallState::kOffered},
  };
  return c;
}

inline resume::StoredSession stored_session(std::uint32_t slot) {
  resume::StoredSession s;
  s.id = SessionId(0xfedcba9876543210);
  s.slot = SlotId(slot);
  s.generation = 0xfffffffe;
  s.connection = ConnectionId(0xffffffffffff);
  s.our_call_id = OurCallId(65'535);
  s.peer_call_id = PeerCallId(0);
  s.lease = {Ipv4Address(0x0a400005), Ipv4Address(0x0a400001), "default"};
  s.started_ns = 1;
  s.opened_ns = UINT64_MAX;
  s.mtu = 1396;
  s.conditions = {.limits = {.session_time = Seconds(86'400),
                             .idle_time = Seconds(0),
                             .quota = {.upstream = {}, .downstream = UINT64_MAX, .total = 1}},
                  .interim_interval = Seconds(600)};
  s.rates = {.upstream = {20'000'000'000, 9}, .downstream = {UINT64_MAX, 0}, .group = "village"};
  s.filters = {.upstream = "web", .downstream = "all"};
  s.link.lcp = {.our_magic = 0xdeadbeef,
                .peer_magic = 7,
                .peer_mru = 1500,
                .send_pfc = true,
                .send_acfc = false};
  s.link.user = every_octet();
  s.link.auth = model::AuthMethod::kMsChapV2;
  s.link.mppe = ppp::MppeAgreement{128, true};
  s.link.network = {.our_address = Ipv4Address(1),
                    .subscriber_address = Ipv4Address(2),
                    .dns = {Ipv4Address(3), Ipv4Address(4)},
                    .wins = {Ipv4Address(5), Ipv4Address(6)},
                    .mtu = 1300};
  s.lease.ipv6_prefix = Ipv6Prefix::parse("2001:db8:100:7::/64");
  s.lease.networks = std::make_shared<const Networks>(Networks{
      {Ipv4Prefix::parse("192.168.50.0/24").value(), Ipv4Prefix::parse("10.7.0.0/16").value()},
      {Ipv6Prefix::parse("2001:db8:50::/48").value()}});
  s.lease.delegation =
      model::Delegation{.prefix = Ipv6Prefix::parse("2001:db8:200:7f00::/56"),
                        .address = Ipv6Address::parse("2001:db8:77::7"),
                        .bindings = {.prefix = true, .address = true, .declined = 255}};
  s.link.network.ipv6 = model::Ipv6Parameters{
      .prefix = *s.lease.ipv6_prefix,
      .dns = {Ipv6Address::parse("2001:db8::53").value(), Ipv6Address(), Ipv6Address(1, 2)},
      .delegation = s.lease.delegation};
  s.link.ipv6 = ppp::LinkSnapshot::InterfaceIds{1, 0xffffffffffffffff};
  return s;
}

}  // namespace pns::test
