// SPDX-License-Identifier: BSD-3-Clause
//
// DHCPv6 (RFC 8415) as whole IPv6 packets: the messages of clients and servers, with the options of
// addresses (IA_NA, IA_TA), delegated prefixes (IA_PD), name servers and domains (RFC 3646). Relay
// messages are told apart and not read. Options that have no field here are skipped. Pure
// functions, any thread, no allocation.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::wire {

inline constexpr std::uint16_t kDhcpv6ClientPort = 546;
inline constexpr std::uint16_t kDhcpv6ServerPort = 547;
// All_DHCP_Relay_Agents_and_Servers (RFC 8415 §7.1).
inline constexpr Ipv6Address kAllDhcpv6Servers{0xff02'0000'0000'0000, 0x0001'0002};

// RFC 8415 §7.3.
enum class Dhcpv6Type : std::uint8_t {
  kSolicit = 1,
  kAdvertise = 2,
  kRequest = 3,
  kConfirm = 4,
  kRenew = 5,
  kRebind = 6,
  kReply = 7,
  kRelease = 8,
  kDecline = 9,
  kReconfigure = 10,
  kInformationRequest = 11,
  kRelayForward = 12,
  kRelayReply = 13,
};

// RFC 8415 §21; kDnsServers and kDomainList: RFC 3646.
enum class Dhcpv6Option : std::uint16_t {
  kClientIdentifier = 1,
  kServerIdentifier = 2,
  kIaNa = 3,
  kIaTa = 4,
  kIaAddress = 5,
  kOptionRequest = 6,
  kPreference = 7,
  kStatusCode = 13,
  kRapidCommit = 14,
  kDnsServers = 23,
  kDomainList = 24,
  kIaPd = 25,
  kIaPrefix = 26,
  kInformationRefreshTime = 32,
  kSolMaxRt = 82,
  kInfMaxRt = 83,
};

// RFC 8415 §21.13.
enum class Dhcpv6Status : std::uint16_t {
  kSuccess = 0,
  kUnspecFail = 1,
  kNoAddrsAvail = 2,
  kNoBinding = 3,
  kNotOnLink = 4,
  kUseMulticast = 5,
  kNoPrefixAvail = 6,
};

// An address (128 bits) or a prefix inside of an identity association. Lifetimes in seconds.
struct Dhcpv6Lease {
  Ipv6Prefix prefix;  // of a client: without the bits beyond its length
  std::uint32_t preferred = 0;
  std::uint32_t valid = 0;
  friend bool operator==(const Dhcpv6Lease&, const Dhcpv6Lease&) noexcept = default;
};

// Identity association (RFC 8415 §12).
struct Dhcpv6Ia {
  enum class Kind : std::uint8_t { kAddresses, kTemporaryAddresses, kPrefixes };
  static constexpr std::size_t kMaxLeases = 4;

  Kind kind = Kind::kAddresses;
  std::uint32_t iaid = 0;
  std::uint32_t t1 = 0;  // seconds; not of temporary addresses
  std::uint32_t t2 = 0;
  std::uint8_t lease_count = 0;
  std::array<Dhcpv6Lease, kMaxLeases> lease_room{};
  std::optional<Dhcpv6Status> status{};

  [[nodiscard]] std::span<const Dhcpv6Lease> leases() const noexcept {
    return std::span(lease_room).first(lease_count);
  }
  // False: there is no room.
  bool add(const Dhcpv6Lease& lease) noexcept {
    if (lease_count == kMaxLeases) return false;
    lease_room[lease_count++] = lease;
    return true;
  }
  friend bool operator==(const Dhcpv6Ia&, const Dhcpv6Ia&) noexcept = default;
};

struct Dhcpv6Message {
  static constexpr std::size_t kMaxIas = 4;
  static constexpr std::size_t kOptions = 128;  // options from here on cannot be asked for

  Dhcpv6Type type = Dhcpv6Type::kSolicit;
  std::uint32_t transaction = 0;  // 24 bits
  Ipv6Address source;
  Ipv6Address destination;
  Bytes client_identifier;  // DUID (RFC 8415 §11), octets of the packet; empty: none
  Bytes server_identifier;  // likewise
  bool rapid_commit = false;
  std::bitset<kOptions> requested;  // Option Request; none: the client has not said
  std::optional<std::uint8_t> preference{};
  std::optional<Dhcpv6Status> status{};
  std::uint8_t ia_count = 0;
  std::array<Dhcpv6Ia, kMaxIas> ia_room{};
  std::uint8_t dns_count = 0;
  std::array<Ipv6Address, 3> dns_room{};               // the first ones
  Bytes domain_list;                                   // names as in RFC 1035 §3.1; empty: none
  std::optional<std::uint32_t> information_refresh{};  // seconds, as the following
  std::optional<std::uint32_t> sol_max_rt{};
  std::optional<std::uint32_t> inf_max_rt{};

  [[nodiscard]] std::span<const Dhcpv6Ia> ias() const noexcept {
    return std::span(ia_room).first(ia_count);
  }
  // False: there is no room.
  bool add(const Dhcpv6Ia& ia) noexcept {
    if (ia_count == kMaxIas) return false;
    ia_room[ia_count++] = ia;
    return true;
  }
  [[nodiscard]] std::span<const Ipv6Address> dns() const noexcept {
    return std::span(dns_room).first(dns_count);
  }
  [[nodiscard]] bool wants(Dhcpv6Option option) const noexcept {
    return requested.none() || requested.test(static_cast<std::size_t>(option));
  }
};

enum class Dhcpv6Error : std::uint8_t {
  kNoDatagram,    // no whole IPv6 packet with one whole UDP datagram for port 546 or 547
  kChecksum,      // of UDP; IPv6 has no datagram without one
  kRelay,         // Relay-forward or Relay-reply
  kUnknownType,   // of the message
  kBadOption,     // reaches beyond its end, has a wrong length, or is there twice
  kTooManyParts,  // more identity associations than kMaxIas, or leases than kMaxLeases
};

// A datagram for a DHCPv6 server, or for a relay: UDP to port 547, directly behind the IPv6 header.
// `packet`: an IPv6 packet that parse_ipv6() has accepted, as `header`.
[[nodiscard]] bool is_for_dhcpv6_server(Bytes packet, const Ipv6Header& header) noexcept;

// Checks the IPv6 header, UDP with its checksum, and the bounds of every option.
[[nodiscard]] std::expected<Dhcpv6Message, Dhcpv6Error> parse_dhcpv6(Bytes packet) noexcept;

// Longer ones are not written.
inline constexpr std::size_t kMaxDuid = 130;        // octets (RFC 8415 §11.1)
inline constexpr std::size_t kMaxDomainList = 255;  // octets
// Room for the longest message that has all identity associations full, and every option asked
// for. One that asks for none fits into kIpv6MinimumMtu.
inline constexpr std::size_t kLongestDhcpv6 = 1'500;

// A whole IPv6 packet with hop limit 64. The ports follow from the type: Advertise, Reply and
// Reconfigure go to clients. Octets written; 0 when `out` is too small.
[[nodiscard]] std::size_t write_dhcpv6(MutableBytes out, const Dhcpv6Message& message) noexcept;

// The domain in the form of a domain list (RFC 8415 §10). Octets written; 0: `domain` is no name,
// or `out` is too small.
[[nodiscard]] std::size_t write_dhcpv6_domain(MutableBytes out, std::string_view domain) noexcept;

}  // namespace pns::wire
