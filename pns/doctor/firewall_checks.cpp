// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <expected>
#include <optional>
#include <sstream>

#include "pns/doctor/checks.hpp"
#include "pns/doctor/ruleset.hpp"
#include "pns/supervisor/kernel_net.hpp"

namespace pns::doctor {
namespace {

constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint8_t kProtocolGre = 47;
constexpr std::uint64_t kFullPercent = 90;

Finding cannot_read(std::string reason) {
  return {Verdict::kWarning, "cannot tell: " + std::move(reason),
          Remedy{.advice = "look at the rules for TCP 1723 by hand"}};
}

// The addresses of the access port, as far as they are known now.
std::vector<Ipv4Address> our_addresses(const config::Config& config, const Host& host) {
  std::vector<Ipv4Address> all = config.pptp.listen;
  if (!all.empty()) return all;
  const config::Port& access = config.ports.access;
  const auto own =
      access.has_twin() ? access.addresses : host.network.addresses_of(interface_of(access));
  for (const Ipv4Prefix& address : own) all.push_back(address.address);
  return all;
}

// The tables of iptables-legacy, which only their own program can list.
std::optional<Finding> legacy_tables(const Host& host) {
  const auto names = host.read("proc/net/ip_tables_names");
  if (!names || names->empty()) return std::nullopt;
  std::string list = *names;
  std::ranges::replace(list, '\n', ' ');
  return Finding{
      Verdict::kWarning,
      fmt::format("cannot tell: iptables-legacy has tables too ({}), which are not judged", list),
      Remedy{.advice = "see them by: iptables-legacy-save"}};
}

// Puts an accepting rule in front of the chain. The words of iptables for a chain of its own.
std::string accepting_rule(const ChainName& chain, const std::string& interface, bool outgoing,
                           bool gre) {
  const bool of_iptables =
      chain.family == "ip" && (chain.chain == "INPUT" || chain.chain == "OUTPUT");
  if (of_iptables)
    return fmt::format("iptables -t {} -I {} {} {} -p {} -j ACCEPT", chain.table, chain.chain,
                       outgoing ? "-o" : "-i", interface,
                       gre        ? "gre"
                       : outgoing ? "tcp --sport 1723"
                                  : "tcp --dport 1723");
  const std::string by = chain.family == "netdev"
                             ? ""
                             : fmt::format("{} {} ", outgoing ? "oifname" : "iifname", interface);
  return fmt::format("nft insert rule {} {}{} accept", chain.to_string(), by,
                     gre        ? "ip protocol gre"
                     : outgoing ? "tcp sport 1723"
                                : "tcp dport 1723");
}

struct Question {
  const char* text;
  FilteredPacket packet;
};

// One finding for the first of the packets that does not surely pass.
std::optional<Finding> blocked(const Ruleset& ruleset, const std::vector<Question>& questions) {
  std::optional<Finding> unclear;
  for (const auto& [text, packet] : questions) {
    const Judgement judgement = ruleset.judge(packet);
    if (judgement.kind == Judgement::Kind::kAccepted) continue;
    const std::string rules = fmt::format("{}", fmt::join(judgement.rules, ", "));
    Remedy remedy;
    for (const ChainName& chain : judgement.chains)
      remedy.run.push_back(accepting_rule(chain, packet.interface, packet.outgoing,
                                          packet.protocol == kProtocolGre));
    if (judgement.kind != Judgement::Kind::kUnclear) {
      remedy.advice = "put the rule into the file of the firewall too";
      return Finding{
          Verdict::kError,
          fmt::format("{} is {}: {}", text,
                      judgement.kind == Judgement::Kind::kRejected ? "rejected" : "dropped", rules),
          std::move(remedy)};
    }
    if (!unclear)
      unclear = Finding{Verdict::kWarning,
                        fmt::format("cannot tell whether {} passes: it depends on {}", text, rules),
                        Remedy{.advice = "accept it for every client: " +
                                         fmt::format("{}", fmt::join(remedy.run, "; "))}};
  }
  return unclear;
}

std::expected<Ruleset, Finding> read_ruleset(const Host& host) {
  if (!host.is_root)
    return std::unexpected(Finding{Verdict::kSkipped, "only root can read the packet filter"});
  if (!host.filter.reason.empty()) return std::unexpected(cannot_read(host.filter.reason));
  auto ruleset = Ruleset::parse(host.filter.json, host.filter.text);
  if (!ruleset) return std::unexpected(cannot_read(ruleset.error()));
  return std::move(*ruleset);
}

std::optional<std::uint64_t> conntrack_value(const Host& host, const char* name) {
  return host.read_number(std::filesystem::path("proc/sys/net/netfilter") / name);
}

bool has_module(const Host& host, const std::string& name) {
  if (host.exists("sys/module/" + name)) return true;
  std::istringstream modules(host.read("proc/modules").value_or(""));
  for (std::string line; std::getline(modules, line);)
    if (line.starts_with(name + " ")) return true;
  return false;
}

}  // namespace

Findings check_firewall(const config::Config& config, const Host& host) {
  Findings out;
  if (auto legacy = legacy_tables(host)) out.push_back(std::move(*legacy));
  const auto ruleset = read_ruleset(host);
  if (!ruleset) {
    out.push_back(ruleset.error());
    return out;
  }
  const std::string& interface = interface_of(config.ports.access);
  FilteredPacket packet{.interface = interface,
                        .protocol = kProtocolTcp,
                        .our_port = supervisor::kPptpPort,
                        .our_addresses = our_addresses(config, host)};
  const FilteredPacket first = packet;
  packet.is_new = false;
  const FilteredPacket later = packet;
  packet.outgoing = true;
  if (auto finding = blocked(*ruleset, {{"the first packet of a client to TCP 1723", first},
                                        {"a later packet of a client to TCP 1723", later},
                                        {"an answer from TCP 1723", packet}}))
    out.push_back(std::move(*finding));
  if (out.empty())
    out.push_back(
        {Verdict::kOk,
         fmt::format("nftables accepts TCP 1723 on {}; firewalls of the path are not seen",
                     interface)});
  return out;
}

// GRE never comes to the packet filter while the dataplane serves. In the moment in which a new
// dataplane changes the XDP program, a firewall that rejects answers with ICMP, on which clients
// hang up; one that drops does no harm.
Findings check_gre(const config::Config& config, const Host& host) {
  const config::Device& device = config.ports.access.device;
  if (device.kind != config::DeviceKind::kXdp)
    return {{Verdict::kOk,
             fmt::format(
                 "the dataplane takes protocol 47 off {} before the packet filter; firewalls of "
                 "the path must pass it both ways",
                 device.text)}};
  const auto ruleset = read_ruleset(host);
  if (!ruleset) return {ruleset.error()};
  const Judgement judgement = ruleset->judge({.interface = device.interface,
                                              .protocol = kProtocolGre,
                                              .our_addresses = our_addresses(config, host)});
  const std::string rules = fmt::format("{}", fmt::join(judgement.rules, ", "));
  Remedy remedy;
  for (const ChainName& chain : judgement.chains)
    remedy.run.push_back(accepting_rule(chain, device.interface, false, true));
  switch (judgement.kind) {
    case Judgement::Kind::kAccepted:
      return {{Verdict::kOk,
               fmt::format(
                   "XDP takes protocol 47 off {}, and the packet filter accepts it; firewalls of "
                   "the path must pass it both ways",
                   device.interface)}};
    case Judgement::Kind::kDropped:
      return {{Verdict::kOk,
               fmt::format(
                   "XDP takes protocol 47 off {} before the packet filter, which drops it ({}): "
                   "no harm; firewalls of the path must pass it both ways",
                   device.interface, rules)}};
    case Judgement::Kind::kRejected:
      return {{Verdict::kWarning,
               fmt::format("the packet filter rejects protocol 47 on {} ({}): clients hang up when "
                           "a packet meets it "
                           "while the dataplane restarts",
                           device.interface, rules),
               std::move(remedy)}};
    case Judgement::Kind::kUnclear:
      break;
  }
  return {{Verdict::kWarning,
           fmt::format(
               "cannot tell what the packet filter does with protocol 47 on {}: it depends on {}",
               device.interface, rules),
           Remedy{.advice = "accept it: " + fmt::format("{}", fmt::join(remedy.run, "; "))}}};
}

Findings check_conntrack(const config::Config&, const Host& host) {
  Findings out;
  const auto count = conntrack_value(host, "nf_conntrack_count");
  const auto max = conntrack_value(host, "nf_conntrack_max");
  if (count && max && *max != 0 && *count * 100 >= *max * kFullPercent)
    out.push_back(
        {Verdict::kError,
         fmt::format("the table of connections is full: {} of {}; the kernel drops new callers",
                     *count, *max),
         Remedy{.run = {fmt::format("sysctl -w net.netfilter.nf_conntrack_max={}", *max * 2)}}});
  if (conntrack_value(host, "nf_conntrack_helper").value_or(0) != 0 &&
      has_module(host, "nf_conntrack_pptp"))
    out.push_back({Verdict::kWarning,
                   "nf_conntrack_helper is 1 and nf_conntrack_pptp is loaded: the helper reads "
                   "each control connection, "
                   "and rewrites Call IDs where this host translates addresses",
                   Remedy{.run = {"sysctl -w net.netfilter.nf_conntrack_helper=0"}}});
  if (const auto ruleset = read_ruleset(host); ruleset) {
    const auto rules = ruleset->rules_with_helper("pptp");
    if (!rules.empty())
      out.push_back({Verdict::kWarning,
                     fmt::format("rules give connections to the PPTP helper: {}; it rewrites Call "
                                 "IDs where this host "
                                 "translates addresses",
                                 fmt::join(rules, ", ")),
                     Remedy{.advice = "except the connections of this server: the helper is for a "
                                      "NAT between a client "
                                      "and its server"}});
  }
  if (out.empty())
    out.push_back(
        {Verdict::kOk,
         count && max
             ? fmt::format("no PPTP helper acts on this host; {} of {} connections", *count, *max)
             : "no PPTP helper acts on this host"});
  return out;
}

}  // namespace pns::doctor
