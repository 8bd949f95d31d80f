// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <utility>

namespace pns::config {
namespace {

constexpr std::size_t kLongestInterface = 15;  // IFNAMSIZ - 1

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// "NUMBER UNIT" without a space → number × factor. Empty: no number, unknown unit, or too large.
std::optional<std::uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (number == 0 && unit.empty()) return 0;
  for (const Unit& u : units) {
    if (u.name != unit) continue;
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / u.factor)
      return std::nullopt;
    return number * u.factor;
  }
  return std::nullopt;
}

constexpr std::array<Unit, 6> kTimeUnits = {{{"us", 1},
                                             {"ms", 1'000},
                                             {"s", 1'000'000},
                                             {"m", 60'000'000},
                                             {"h", 3'600'000'000},
                                             {"d", 86'400'000'000}}};
constexpr std::array<Unit, 4> kRateUnits = {
    {{"bit", 1}, {"kbit", 1'000}, {"mbit", 1'000'000}, {"gbit", 1'000'000'000}}};

constexpr std::array<Unit, 5> kVolumeUnits = {{{"byte", 1},
                                               {"kbyte", 1'000},
                                               {"mbyte", 1'000'000},
                                               {"gbyte", 1'000'000'000},
                                               {"tbyte", 1'000'000'000'000}}};

std::string print_duration(Microseconds value) {
  const auto us = static_cast<std::uint64_t>(value.count());
  for (auto unit = kTimeUnits.rbegin(); unit != kTimeUnits.rend(); ++unit)
    if (us >= unit->factor && us % unit->factor == 0)
      return fmt::format("{}{}", us / unit->factor, unit->name);
  return "0";
}

// "[DDDD:]BB:DD.F" as in lspci.
constexpr std::string_view kBondPrefix = "bond:";
constexpr std::string_view kActiveBackup = "active-backup";
constexpr std::string_view kLacp = "802.3ad";

bool is_pci_address(std::string_view text) noexcept {
  constexpr auto matches = [](std::string_view pattern, std::string_view candidate) {
    return std::equal(pattern.begin(), pattern.end(), candidate.begin(), candidate.end(),
                      [](char p, char c) { return p == 'x' ? is_hex(c) : p == c; });
  };
  return matches("xxxx:xx:xx.x", text) || matches("xx:xx.x", text);
}

}  // namespace

Parsed<std::uint64_t> parse_unsigned(std::string_view text, std::uint64_t min, std::uint64_t max) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty() || error == std::errc::invalid_argument)
    return std::unexpected(fmt::format("'{}' is not a whole number", text));
  if (error != std::errc{} || value < min || value > max)
    return std::unexpected(fmt::format("{} is out of range ({} to {})", text, min, max));
  return value;
}

Parsed<Microseconds> parse_duration(std::string_view text, Microseconds min, Microseconds max) {
  const auto value = parse_with_unit(text, kTimeUnits);
  if (!value)
    return std::unexpected(
        fmt::format("'{}' is not a duration (a number with us, ms, s, m, h or d)", text));
  const Microseconds duration(static_cast<std::int64_t>(*value));
  if (duration < min || duration > max)
    return std::unexpected(fmt::format("{} is out of range ({} to {})", text, print_duration(min),
                                       print_duration(max)));
  return duration;
}

Parsed<std::uint64_t> parse_rate(std::string_view text) {
  const auto value = parse_with_unit(text, kRateUnits);
  if (!value)
    return std::unexpected(
        fmt::format("'{}' is not a rate (a number with bit, kbit, mbit or gbit)", text));
  if (*value < 1000)
    return std::unexpected(
        fmt::format("{} is too slow: at least 1kbit (leave it out for no limit)", text));
  return *value;
}

Parsed<std::uint64_t> parse_volume(std::string_view text) {
  const auto value = parse_with_unit(text, kVolumeUnits);
  if (!value)
    return std::unexpected(fmt::format(
        "'{}' is not a volume (a number with byte, kbyte, mbyte, gbyte or tbyte)", text));
  if (*value == 0) return std::unexpected("must be more than 0 (leave it out for no limit)");
  return *value;
}

Parsed<Ipv4Address> parse_host_address(std::string_view text, bool loopback) {
  const auto address = Ipv4Address::parse(text);
  if (!address) return std::unexpected(fmt::format("'{}' is not an IPv4 address", text));
  const std::uint32_t first = address->value >> 24;
  if (first == 0 || first >= 224 || (address->is_loopback() && !loopback))
    return std::unexpected(fmt::format("{} is not a unicast address of a host", text));
  return *address;
}

Parsed<Ipv4Prefix> parse_interface_address(std::string_view text) {
  const auto prefix = Ipv4Prefix::parse(text);
  if (!prefix)
    return std::unexpected(
        fmt::format("'{}' is not an address with its prefix length (10.0.0.1/24)", text));
  if (const auto host = parse_host_address(prefix->address.to_string()); !host)
    return std::unexpected(host.error());
  if (prefix->length == 0) return std::unexpected(fmt::format("{}: a prefix length of 0", text));
  const bool is_network = prefix->address == prefix->network();
  const bool is_broadcast = (prefix->address.value | prefix->mask()) == 0xffffffff;
  if (prefix->has_broadcast() && (is_network || is_broadcast))
    return std::unexpected(fmt::format("{} is the {} address of its network, not a host's", text,
                                       is_network ? "network" : "broadcast"));
  return *prefix;
}

Parsed<Ipv4Prefix> parse_network(std::string_view text) {
  const auto prefix = Ipv4Prefix::parse(text);
  if (!prefix) return std::unexpected(fmt::format("'{}' is not a network (10.1.0.0/16)", text));
  if (prefix->length == 0) return std::unexpected("a default route is what gateway is for");
  if (prefix->address != prefix->network())
    return std::unexpected(fmt::format("{} has host bits set: {}/{} is meant?", text,
                                       prefix->network().to_string(), prefix->length));
  return *prefix;
}

Parsed<Ipv6Address> parse_ipv6_host_address(std::string_view text, bool link_local) {
  const auto address = Ipv6Address::parse(text);
  if (!address) return std::unexpected(fmt::format("'{}' is not an IPv6 address", text));
  if (address->is_unspecified() || address->is_loopback() || address->is_multicast() ||
      (address->is_link_local() && !link_local))
    return std::unexpected(fmt::format("{} is not a unicast address of a host", text));
  return *address;
}

Parsed<Ipv6Prefix> parse_ipv6_interface_address(std::string_view text) {
  const auto prefix = Ipv6Prefix::parse(text);
  if (!prefix)
    return std::unexpected(
        fmt::format("'{}' is not an address with its prefix length (2001:db8::1/64)", text));
  if (const auto host = parse_ipv6_host_address(prefix->address.to_string()); !host)
    return std::unexpected(host.error());
  if (prefix->length == 0) return std::unexpected(fmt::format("{}: a prefix length of 0", text));
  if (prefix->length < 127 && prefix->address == prefix->network())
    return std::unexpected(
        fmt::format("{} is the anycast address of its network, not a host's", text));
  return *prefix;
}

Parsed<Ipv6Prefix> parse_ipv6_network(std::string_view text) {
  const auto prefix = Ipv6Prefix::parse(text);
  if (!prefix) return std::unexpected(fmt::format("'{}' is not a network (2001:db8:1::/48)", text));
  if (prefix->length == 0) return std::unexpected("a default route is what ipv6_gateway is for");
  if (prefix->address != prefix->network())
    return std::unexpected(fmt::format("{} has host bits set: {}/{} is meant?", text,
                                       prefix->network().to_string(), prefix->length));
  return *prefix;
}

Parsed<Ipv4Range> parse_range(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = Ipv4Address::parse(text.substr(0, dash));
  const auto last =
      dash == std::string_view::npos ? first : Ipv4Address::parse(text.substr(dash + 1));
  if (!first || !last)
    return std::unexpected(
        fmt::format("'{}' is not a range of addresses (10.64.0.2-10.64.0.254)", text));
  if (*last < *first) return std::unexpected(fmt::format("{} ends before it starts", text));
  for (const Ipv4Address end : {*first, *last})
    if (const auto host = parse_host_address(end.to_string()); !host)
      return std::unexpected(host.error());
  const Ipv4Range range{*first, *last};
  if (range.contains(Ipv4Address(0x7f000000)))
    return std::unexpected(fmt::format("{} contains 127.0.0.0/8", text));
  return range;
}

Parsed<Endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  const auto address =
      colon == std::string_view::npos ? std::nullopt : Ipv4Address::parse(text.substr(0, colon));
  if (!address)
    return std::unexpected(
        fmt::format("'{}' is not an IPv4 address and a port (127.0.0.1:9655)", text));
  const auto port = parse_unsigned(text.substr(colon + 1), 1, 65535);
  if (!port) return std::unexpected(port.error());
  return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

Parsed<std::string> parse_interface_name(std::string_view text) {
  const bool bad_octet = std::any_of(text.begin(), text.end(), [](char c) {
    return c <= ' ' || c == '/' || c == ':' || c == 0x7f || c == '%';
  });
  if (text.empty() || text.size() > kLongestInterface || bad_octet || text == "." || text == "..")
    return std::unexpected(fmt::format("'{}' is not a name for a network interface", text));
  return std::string(text);
}

Parsed<Device> parse_device(std::string_view text) {
  Device device;
  device.text = text;
  for (const auto& [prefix, kind] : {std::pair{std::string_view("xdp:"), DeviceKind::kXdp},
                                     std::pair{std::string_view("tap:"), DeviceKind::kTap},
                                     std::pair{std::string_view("kernel:"), DeviceKind::kKernel}}) {
    if (!text.starts_with(prefix)) continue;
    auto name = parse_interface_name(text.substr(prefix.size()));
    if (!name) return std::unexpected(name.error());
    if (kind == DeviceKind::kKernel &&
        name->size() + Device::kPeerSuffix.size() > kLongestInterface)
      return std::unexpected(
          fmt::format("'{}' is too long: {}{} is an interface too, and the kernel takes {} octets",
                      *name, *name, Device::kPeerSuffix, kLongestInterface));
    device.kind = kind;
    device.interface = std::move(*name);
    return device;
  }
  if (text.starts_with(kBondPrefix)) {
    const auto mode = text.substr(kBondPrefix.size());
    if (mode != kActiveBackup && mode != kLacp)
      return std::unexpected(fmt::format("'{}' is not a bond: {}{} or {}{}", text, kBondPrefix,
                                         kActiveBackup, kBondPrefix, kLacp));
    device.kind = DeviceKind::kBond;
    device.bond_mode = mode == kLacp ? BondMode::kLacp : BondMode::kActiveBackup;
    return device;
  }
  if (is_pci_address(text)) {
    device.kind = DeviceKind::kPci;
    return device;
  }
  const bool bad_octet = std::any_of(text.begin(), text.end(), [](char c) { return c <= ' '; });
  if (!text.starts_with("net_") || bad_octet)
    return std::unexpected(
        fmt::format("'{}' is not a device: xdp:IFACE, kernel:IFACE, tap:IFACE, a PCI address "
                    "(0000:3b:00.1), bond:MODE or a DPDK device string (net_…)",
                    text));
  device.kind = DeviceKind::kVdev;
  return device;
}

Parsed<std::string> parse_bond_member(std::string_view text) {
  auto device = parse_device(text);
  if (!device) return std::unexpected(device.error());
  // Drivers of kernel interfaces say that their link is up, always.
  const bool tells_its_link = device->kind == DeviceKind::kPci || text.starts_with("net_tap");
  if (!tells_its_link)
    return std::unexpected(
        fmt::format("'{}' cannot be a member: a PCI address can (and net_tap in labs), because its "
                    "driver reports a link that fails",
                    text));
  return std::move(device->text);
}

bool has_pci(const Device& device) {
  return device.kind == DeviceKind::kPci ||
         std::any_of(device.members.begin(), device.members.end(),
                     [](const std::string& member) { return is_pci_address(member); });
}

std::string_view name_of(BondMode value) noexcept {
  return value == BondMode::kLacp ? kLacp : kActiveBackup;
}

Parsed<Secret<16>> parse_nt_hash(std::string_view text) {
  if (text.size() != 32 || !std::all_of(text.begin(), text.end(), is_hex))
    return std::unexpected("must be 32 hexadecimal digits");  // the text is not repeated: a secret
  Secret<16> hash;
  for (std::size_t i = 0; i < 16; ++i) {
    std::uint8_t octet = 0;
    std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, octet, 16);
    hash.bytes()[i] = static_cast<std::byte>(octet);
  }
  return hash;
}

}  // namespace pns::config
