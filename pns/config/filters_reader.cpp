// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/filters_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <variant>

namespace pns::config {
namespace {

constexpr std::size_t kMaxRules = 256;  // of a filter
constexpr std::size_t kMaxAllRules = 4096;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

constexpr std::pair<std::string_view, bool> kActions[] = {{"deny", false}, {"permit", true}};

struct NamedProtocol {
  std::string_view name;
  std::uint8_t number;
  std::uint8_t family;  // 0: both
};
constexpr NamedProtocol kProtocols[] = {{"tcp", kTcp, 0},  {"udp", kUdp, 0}, {"icmp", 1, 4},
                                        {"icmpv6", 58, 6}, {"gre", 47, 0},   {"esp", 50, 0}};

Parsed<NamedProtocol> parse_protocol(std::string_view text) {
  for (const NamedProtocol& known : kProtocols)
    if (known.name == text) return known;
  const auto number = parse_unsigned(text, 0, 255);
  if (number) return NamedProtocol{text, static_cast<std::uint8_t>(*number), 0};
  return std::unexpected(fmt::format(
      "'{}' is neither a number from 0 to 255 nor tcp, udp, icmp, icmpv6, gre or esp", text));
}

Parsed<FilterRule::Ports> parse_ports(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_unsigned(text.substr(0, dash), 0, 65'535);
  const auto last =
      dash == std::string_view::npos ? first : parse_unsigned(text.substr(dash + 1), 0, 65'535);
  if (!first || !last || *first > *last)
    return std::unexpected(fmt::format("'{}' is neither a port nor a range of ports", text));
  return FilterRule::Ports{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

// One rule, whose keys may contradict each other about the family.
class RuleReader {
 public:
  RuleReader(const Section& section, Document& document) : section_(section), document_(document) {}

  FilterRule read() {
    section_.require("action");
    section_.read("action", rule_.permit, one_of(kActions));
    std::optional<NamedProtocol> protocol;
    section_.read("protocol", protocol, parse_protocol);
    if (protocol) {
      rule_.protocol = protocol->number;
      take_family("protocol", protocol->family);
    }
    read_address("source", rule_.ipv4_source, rule_.ipv6_source);
    read_address("destination", rule_.ipv4_destination, rule_.ipv6_destination);
    section_.read("source_ports", rule_.source_ports, parse_ports);
    section_.read("destination_ports", rule_.destination_ports, parse_ports);
    const bool ports = rule_.source_ports || rule_.destination_ports;
    if (ports && rule_.protocol != kTcp && rule_.protocol != kUdp)
      document_.error_at(section_.path(rule_.source_ports ? "source_ports" : "destination_ports"),
                         "needs protocol tcp or udp");
    return rule_;
  }

 private:
  void take_family(const std::string& key, std::uint8_t family) {
    if (family == 0) return;
    if (rule_.family != 0 && rule_.family != family)
      document_.error_at(section_.path(key), "is of another family than the rest of the rule");
    rule_.family = family;
  }
  void read_address(const std::string& key, std::optional<Ipv4Prefix>& ipv4,
                    std::optional<Ipv6Prefix>& ipv6) {
    std::optional<std::variant<Ipv4Prefix, Ipv6Prefix>> network;
    section_.read(key, network, of_either_family(parse_network, parse_ipv6_network));
    if (!network) return;
    if (const auto* const of4 = std::get_if<Ipv4Prefix>(&*network)) ipv4 = *of4;
    if (const auto* const of6 = std::get_if<Ipv6Prefix>(&*network)) ipv6 = *of6;
    take_family(key, ipv4 ? 4 : 6);
  }

  const Section& section_;
  Document& document_;
  FilterRule rule_;
};

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxFilterName && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

}  // namespace

void read_filters(const Section& top, Document& document, std::map<std::string, Filter>& out) {
  std::size_t all = 0;
  for (const auto& [name, section] : top.named_sections("filters")) {
    if (!is_name(name))
      document.error_at(section.path(),
                        "a filter's name has 1 to 64 letters, digits, hyphens and underscores");
    section.require("rules");
    Filter filter;
    for (const Section& rule : section.list_sections("rules"))
      filter.push_back(RuleReader(rule, document).read());
    all += filter.size();
    if (filter.size() > kMaxRules)
      document.error_at(section.path("rules"), fmt::format("has more than {} rules", kMaxRules));
    out.emplace(name, std::move(filter));
  }
  if (out.size() > kMaxFilters)
    document.error_at("filters", fmt::format("has more than {} filters", kMaxFilters));
  if (all > kMaxAllRules)
    document.error_at("filters", fmt::format("has more than {} rules in all", kMaxAllRules));
}

}  // namespace pns::config
