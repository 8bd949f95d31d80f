// SPDX-License-Identifier: BSD-3-Clause
//
// The scalar values of the configuration: text → value or a reason. Pure; knows no YAML.
#pragma once

#include <charconv>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "pns/base/ip_address.hpp"
#include "pns/base/secret.hpp"
#include "pns/config/config.hpp"

namespace pns::config {

template <class T>
using Parsed = std::expected<T, std::string>;  // error: the reason, ready to print after the key

// A decimal integer in [min, max], no sign.
[[nodiscard]] Parsed<std::uint64_t> parse_unsigned(std::string_view text, std::uint64_t min,
                                                   std::uint64_t max);

// A number with a unit: us, ms, s, m, h, d. "0" needs none.
[[nodiscard]] Parsed<Microseconds> parse_duration(std::string_view text, Microseconds min,
                                                  Microseconds max);
// Bits per second: a number with bit, kbit, mbit or gbit (powers of 1,000), at least 1kbit.
[[nodiscard]] Parsed<std::uint64_t> parse_rate(std::string_view text);
// Octets: a number with byte, kbyte, mbyte, gbyte or tbyte (powers of 1,000), at least 1.
[[nodiscard]] Parsed<std::uint64_t> parse_volume(std::string_view text);

// A unicast address that a host can have: not 0/8, 127/8 unless `loopback`, 224/4 or 240/4.
[[nodiscard]] Parsed<Ipv4Address> parse_host_address(std::string_view text, bool loopback = false);
// "10.0.0.1/24", host bits kept.
[[nodiscard]] Parsed<Ipv4Prefix> parse_interface_address(std::string_view text);
// "10.0.0.0/24" without host bits; "0.0.0.0/0" is refused (that is what gateway is for).
[[nodiscard]] Parsed<Ipv4Prefix> parse_network(std::string_view text);
// The same for IPv6: unicast, neither unspecified, loopback nor link-local (a next hop may be
// that).
[[nodiscard]] Parsed<Ipv6Address> parse_ipv6_host_address(std::string_view text,
                                                          bool link_local = false);
// "2001:db8::1/64", host bits kept.
[[nodiscard]] Parsed<Ipv6Prefix> parse_ipv6_interface_address(std::string_view text);
// "2001:db8:1::/48" without host bits; "::/0" is refused.
[[nodiscard]] Parsed<Ipv6Prefix> parse_ipv6_network(std::string_view text);

// "10.64.0.2-10.64.0.254" or one address.
[[nodiscard]] Parsed<Ipv4Range> parse_range(std::string_view text);
// "127.0.0.1:9655".
[[nodiscard]] Parsed<Endpoint> parse_endpoint(std::string_view text);

// A name that the kernel takes for an interface: 1..15 octets, no '/', ':' or white space.
[[nodiscard]] Parsed<std::string> parse_interface_name(std::string_view text);
[[nodiscard]] Parsed<Device> parse_device(std::string_view text);
// A device that can be part of a bond: one that reports the state of its link.
[[nodiscard]] Parsed<std::string> parse_bond_member(std::string_view text);

// 32 hexadecimal digits.
[[nodiscard]] Parsed<Secret<16>> parse_nt_hash(std::string_view text);

}  // namespace pns::config
