// SPDX-License-Identifier: BSD-3-Clause
//
// The messages of the planes to each other over a Channel: a closed list of commands (control →
// dataplane) and events (dataplane → control). Each is a MessageHeader, then the body struct that
// its type names, then, for frames, the octets of a PPP frame. Trivially copyable; copied out of
// the ring once and validated before use. Commands of one session are carried out in the order
// sent.
//
// A body grows at its end (ReceivedMessage::body_as). A command that the dataplane does not know is
// answered with kBadMessage where it wants an answer, and counted; an event that control does not
// know is skipped.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"
#include "pns/contract/octet_rate.hpp"

namespace pns::contract {

// Longest PPP frame that crosses, in octets: FF 03, protocol and an MRU of 1,500, with room.
inline constexpr std::size_t kMaxFrame = 1600;
// Commands that may wait for their Reply. The event ring always has room for their answers.
inline constexpr std::uint32_t kCommandCredits = 1024;

enum class MessageType : std::uint16_t {
  // control → dataplane
  kInstallSession = 1,  // body InstallSession; answered
  kRemoveSession = 2,   // no body; answered once no worker can see the session any more
  kConfigureLink = 3,   // body ConfigureLink
  kArmMppe = 4,         // body ArmMppe: both directions; the reader wipes the slot
  kDisarmMppe = 5,      // no body
  kOpenIpv4 = 6,        // body OpenIpv4
  kCloseIpv4 = 7,       // no body
  kInjectFrame = 8,     // payload: PPP frame from the Address field on, in the clear
  kPing = 9,            // answered; shows that the dataplane serves its channel
  kOpenIpv6 = 10,       // body OpenIpv6
  kCloseIpv6 = 11,      // no body
  kSetNetworks = 12,    // body SetNetworks; payload: so many of SessionNetwork; answered
  // body SessionService; answered; holds from the owner's next burst of packets on
  kSetService = 13,
  // dataplane → control
  kReply = 64,  // body Reply; request as in the command
  // payload: PPP frame from the Protocol field on (FF 03 removed): a control frame, or a decrypted
  // packet that is ours to answer (DHCPINFORM, Router Solicitation, DHCPv6)
  kPuntedFrame = 65,
  // body PathDead: encrypted packets of a session arrive and for seconds none could be decrypted
  kPathDead = 66,
};

struct MessageHeader {
  MessageType type{};
  std::uint16_t body_size = 0;     // octets of the body struct
  std::uint32_t payload_size = 0;  // octets after the body
  std::uint32_t request = 0;       // names a command in its Reply; 0: no answer wanted
  SlotId slot;
  std::uint32_t generation = 0;  // of the session meant; a stale one is refused
  std::uint32_t reserved = 0;
};
static_assert(sizeof(MessageHeader) == 24);

struct InstallSession {
  OurCallId our_call_id;
  PeerCallId peer_call_id;
  Ipv4Address local;
  Ipv4Address peer;
  std::uint16_t peer_window = 0;
  bool mppe_required = false;
  std::uint8_t reserved = 0;
};

struct ConfigureLink {
  bool open = false;
  bool send_acfc = false;
  bool send_pfc = false;
  std::uint8_t reserved = 0;
  std::uint32_t our_magic = 0;
  std::uint16_t peer_mru = 1500;
  std::uint16_t reserved2 = 0;
};

struct ArmMppe {
  std::uint8_t key_bits = 128;
  bool stateless = true;
  std::array<std::uint8_t, 2> reserved{};
  // RFC 3079 §3.3 asymmetric start keys: 16 octets for 128 bit, first 8 used for 40 and 56 bit.
  std::array<std::byte, 16> send_start_key{};
  std::array<std::byte, 16> receive_start_key{};
};

// Rates and filters of a session, as they are from now on.
struct SessionRate {
  std::uint64_t bits_per_second = 0;  // of inner IP packets; 0: no limit
  std::uint64_t burst_octets = 0;     // 0: OctetRate::kDefaultBurstNs
  friend bool operator==(const SessionRate&, const SessionRate&) = default;
};

[[nodiscard]] constexpr OctetRate to_octet_rate(const SessionRate& rate) noexcept {
  return {rate.bits_per_second, rate.burst_octets};
}

struct SessionRates {
  SessionRate upstream;
  SessionRate downstream;
  friend bool operator==(const SessionRates&, const SessionRates&) = default;
};

// Numbers in SessionMemoryHeader::filters; 0: none.
struct SessionFilters {
  std::uint8_t upstream = 0;
  std::uint8_t downstream = 0;
  std::array<std::uint8_t, 6> reserved{};
  friend bool operator==(const SessionFilters&, const SessionFilters&) = default;
};

struct SessionService {
  SessionRates rates;
  SessionFilters filters;
  std::uint16_t rate_group = 0;  // number in SessionMemoryHeader::rate_groups; 0: none
  std::array<std::uint8_t, 6> reserved{};
  friend bool operator==(const SessionService&, const SessionService&) = default;
};

// The rates for a program that knows one rate for both directions: the higher one, and 0 (no limit)
// when a direction has none.
[[nodiscard]] constexpr std::uint64_t rate_of_both(const SessionRates& rates) noexcept {
  const std::uint64_t up = rates.upstream.bits_per_second;
  const std::uint64_t down = rates.downstream.bits_per_second;
  return up == 0 || down == 0 ? 0 : std::max(up, down);
}

struct OpenIpv4 {
  Ipv4Address subscriber;
  Ipv4Address gateway;             // our address in IPCP: pings to it are answered
  std::uint16_t inner_mtu = 1400;  // octets of inner IP, MPPE overhead already taken off
  std::uint16_t reserved = 0;
  std::uint32_t reserved2 = 0;
  // rate_of_both() of the SessionService that was sent before. Another number than that comes from
  // an older program, and is the rate of both directions.
  std::uint64_t rate_bits_per_second = 0;
};

struct OpenIpv6 {
  std::uint64_t prefix = 0;                // upper half of the subscriber's /64, host order
  std::uint64_t our_interface_id = 0;      // RFC 5072: fe80:: and this is our address on the link
  std::uint64_t peer_interface_id = 0;     // likewise the subscriber's
  std::uint64_t rate_bits_per_second = 0;  // as OpenIpv4's
  std::uint16_t inner_mtu = 1400;          // octets of inner IP, MPPE overhead already taken off
  std::array<std::uint8_t, 6> reserved{};
};

// The networks behind the subscriber from now on, all of them: none takes the earlier ones away.
struct SetNetworks {
  std::uint16_t count = 0;  // at most kMaxSessionNetworks
  std::array<std::uint8_t, 6> reserved{};
};

struct SessionNetwork {
  Ipv6Address address;      // IPv4: `low` is the address in host order
  std::uint8_t family = 0;  // 4 or 6
  std::uint8_t length = 0;  // bits
  std::array<std::uint8_t, 6> reserved{};
};
static_assert(sizeof(SessionNetwork) == 24);
static_assert(kMaxSessionNetworks * sizeof(SessionNetwork) <= kMaxFrame);

enum class ReplyResult : std::uint32_t {
  kDone = 0,
  kBadSlot = 1,        // out of range or not free
  kBadGeneration = 2,  // the session is another one by now
  kCallIdInUse = 3,
  kAddressInUse = 4,      // or a network
  kTooManyAddresses = 5,  // local addresses
  kBadMessage = 6,
  kNoMemory = 7,
};

[[nodiscard]] constexpr std::string_view name_of(ReplyResult result) noexcept {
  constexpr std::array<std::string_view, 8> kNames = {
      "done",           "bad slot",           "bad generation", "call id in use",
      "address in use", "too many addresses", "bad message",    "no memory"};
  const auto index = static_cast<std::size_t>(result);
  return index < kNames.size() ? kNames[index] : "invalid";
}

struct Reply {
  ReplyResult result = ReplyResult::kDone;
  std::uint32_t generation = 0;  // kInstallSession: the session's generation from now on
};

struct PathDead {
  bool opened_since_armed = false;  // a packet was decrypted with the keys of the last ArmMppe
  std::array<std::uint8_t, 7> reserved{};
};

static_assert(std::is_trivially_copyable_v<PathDead> && std::is_trivially_copyable_v<SetNetworks> &&
              std::is_trivially_copyable_v<SessionNetwork> &&
              std::is_trivially_copyable_v<SessionService>);
static_assert(std::is_trivially_copyable_v<InstallSession> &&
              std::is_trivially_copyable_v<ConfigureLink> &&
              std::is_trivially_copyable_v<ArmMppe> && std::is_trivially_copyable_v<OpenIpv4> &&
              std::is_trivially_copyable_v<OpenIpv6> && std::is_trivially_copyable_v<Reply>);

}  // namespace pns::contract
