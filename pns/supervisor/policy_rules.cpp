// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/policy_rules.hpp"

#include <fmt/format.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/netlink.h>
#include <netlink/route/rule.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "pns/netlink/cache.hpp"
#include "pns/netlink/objects.hpp"
#include "pns/netlink/route_socket.hpp"
#include "pns/supervisor/kernel_net.hpp"

namespace pns::supervisor {
namespace {

constexpr std::uint32_t kCoreServicesPriority = 17'230;
constexpr std::uint32_t kFromPriority = 17'231;
constexpr std::uint32_t kOifPriority = 17'232;
constexpr std::uint32_t kListenerPriority = 17'233;
constexpr std::uint32_t kServicesPriority = 17'234;
constexpr std::uint32_t kCorePriority = 32'801;  // behind main (32766) and default (32767)
constexpr std::uint32_t kAccessPriority = 32'802;

struct FreeRule {
  void operator()(rtnl_rule* rule) const noexcept { rtnl_rule_put(rule); }
};
using Rule = std::unique_ptr<rtnl_rule, FreeRule>;

Rule make_rule(int family, std::uint32_t priority, std::uint32_t table) {
  Rule rule(rtnl_rule_alloc());
  rtnl_rule_set_family(rule.get(), family);
  rtnl_rule_set_prio(rule.get(), priority);
  rtnl_rule_set_table(rule.get(), table);
  rtnl_rule_set_action(rule.get(), FR_ACT_TO_TBL);
  rtnl_rule_set_protocol(rule.get(), kRuleProtocol);
  return rule;
}

bool is_ours(rtnl_rule* rule) noexcept {
  std::uint8_t protocol = 0;
  return rtnl_rule_get_protocol(rule, &protocol) == 0 && protocol == kRuleProtocol;
}

template <class Visit>
void for_each_of_ours(nl_cache* cache, Visit visit) {
  netlink::for_each<rtnl_rule>(cache, [&visit](rtnl_rule* rule) {
    if (is_ours(rule)) visit(rule);
  });
}

// Tables of other servers that run here: the interface of each is there. The main one is common to
// all.
std::set<std::uint32_t> tables_of_others(nl_cache* cache, const std::vector<std::string>& ours) {
  std::set<std::uint32_t> tables;
  for_each_of_ours(cache, [&](rtnl_rule* rule) {
    const char* const interface = rtnl_rule_get_oif(rule);
    if (interface != nullptr && *interface != '\0' && ::if_nametoindex(interface) != 0 &&
        std::ranges::find(ours, std::string_view(interface)) == ours.end())
      tables.insert({rtnl_rule_get_table(rule), RT_TABLE_MAIN});
  });
  return tables;
}

}  // namespace

std::expected<void, std::string> add_rules(const config::Port& port, contract::PortRole role) {
  const auto socket = netlink::open_route_socket();
  if (!socket) return std::unexpected(socket.error());
  std::string failure;
  const auto add = [&](const Rule& rule, std::string_view what) {
    const int error = rtnl_rule_add(socket->get(), rule.get(), NLM_F_EXCL);
    if (error < 0 && error != -NLE_EXIST && failure.empty())
      failure =
          fmt::format("{}: rule {} table {}: {}", port.twin, what, port.table, nl_geterror(error));
  };
  const auto from = [&](int family, const auto& own, int bits) {
    const Rule rule = make_rule(family, kFromPriority, port.table);
    const netlink::Address source = netlink::make_address(own.address, bits);
    rtnl_rule_set_src(rule.get(), source.get());
    add(rule, "from " + own.address.to_string());
  };
  for (const Ipv4Prefix& own : port.addresses) from(AF_INET, own, 32);
  for (const Ipv6Prefix& own : port.ipv6_addresses)
    if (!own.address.is_link_local()) from(AF_INET6, own, 128);
  std::vector<int> families;
  if (!port.addresses.empty()) families.push_back(AF_INET);
  if (!port.ipv6_addresses.empty()) families.push_back(AF_INET6);
  for (const int family : families) {
    const Rule out = make_rule(family, kOifPriority, port.table);
    rtnl_rule_set_oif(out.get(), port.twin.c_str());
    add(out, "oif " + port.twin);
    const bool core = role == contract::PortRole::kCore;
    const Rule rest = make_rule(family, core ? kCorePriority : kAccessPriority, port.table);
    rtnl_rule_set_iif(rest.get(), "lo");
    add(rest, "iif lo");
  }
  if (!failure.empty()) return std::unexpected(failure);
  return {};
}

namespace {

// A rule of services, by all that tells it from the others.
struct ServicesRule {
  int family = AF_INET;
  std::uint32_t priority = 0;
  std::uint32_t table = 0;
  std::string source{};  // one address; empty: any
  std::string oif{};     // empty: `iif lo`
  friend bool operator==(const ServicesRule&, const ServicesRule&) = default;

  [[nodiscard]] std::string to_string() const {
    return fmt::format("{}{} table {}", source.empty() ? "" : "from " + source + " ",
                       oif.empty() ? "iif lo" : "oif " + oif, table);
  }
};

std::vector<ServicesRule> services_rules(const config::Ports& ports) {
  const config::Services& services = ports.core.services;
  std::vector<ServicesRule> rules;
  if (!services.enabled) return rules;
  for (const int family : {AF_INET, AF_INET6}) {
    rules.push_back({family, kOifPriority, services.table, {}, services.interface});
    rules.push_back({family, kServicesPriority, services.table});
  }
  if (!ports.access.has_twin()) rules.push_back({AF_INET, kListenerPriority, RT_TABLE_MAIN});
  if (!ports.core.has_twin()) return rules;
  // On one link an address may be the one that clients dial, whose answers must reach the peer.
  const auto is_dialled = [&](const auto& own, const auto& addresses) {
    return std::ranges::any_of(addresses,
                               [&](const auto& other) { return other.address == own.address; });
  };
  for (const Ipv4Prefix& own : ports.core.addresses)
    if (!is_dialled(own, ports.access.addresses))
      rules.push_back({AF_INET, kCoreServicesPriority, services.table, own.address.to_string()});
  for (const Ipv6Prefix& own : ports.core.ipv6_addresses)
    if (!own.address.is_link_local())
      rules.push_back({AF_INET6, kCoreServicesPriority, services.table, own.address.to_string()});
  return rules;
}

Rule make_rule(const ServicesRule& wanted) {
  Rule rule = make_rule(wanted.family, wanted.priority, wanted.table);
  if (wanted.oif.empty())
    rtnl_rule_set_iif(rule.get(), "lo");
  else
    rtnl_rule_set_oif(rule.get(), wanted.oif.c_str());
  if (wanted.priority == kListenerPriority) {
    rtnl_rule_set_ipproto(rule.get(), IPPROTO_TCP);
    rtnl_rule_set_sport(rule.get(), kPptpPort);
  }
  if (wanted.source.empty()) return rule;
  if (const auto ipv4 = Ipv4Address::parse(wanted.source))
    rtnl_rule_set_src(rule.get(), netlink::make_address(*ipv4, 32).get());
  else if (const auto ipv6 = Ipv6Address::parse(wanted.source))
    rtnl_rule_set_src(rule.get(), netlink::make_address(*ipv6, 128).get());
  return rule;
}

// As one of services; its priority tells whether it is one.
ServicesRule read_rule(rtnl_rule* rule) {
  ServicesRule found{rtnl_rule_get_family(rule), rtnl_rule_get_prio(rule),
                     rtnl_rule_get_table(rule)};
  if (const char* const oif = rtnl_rule_get_oif(rule); oif != nullptr) found.oif = oif;
  nl_addr* const source = rtnl_rule_get_src(rule);
  if (const auto ipv4 = netlink::read_address<Ipv4Address>(source))
    found.source = ipv4->to_string();
  else if (const auto ipv6 = netlink::read_address<Ipv6Address>(source))
    found.source = ipv6->to_string();
  return found;
}

// Those that are not wanted and that no other server of this host uses.
void remove_other_services_rules(nl_sock* socket, const std::vector<ServicesRule>& wanted,
                                 const config::Ports& ports) {
  nl_cache* found = nullptr;
  if (rtnl_rule_alloc_cache(socket, AF_UNSPEC, &found) < 0) return;
  const netlink::Cache cache(found);
  const std::string& interface = ports.core.services.interface;
  const std::set<std::uint32_t> others =
      tables_of_others(cache.get(), {ports.access.twin, ports.core.twin, interface});
  for_each_of_ours(cache.get(), [&](rtnl_rule* rule) {
    const ServicesRule is = read_rule(rule);
    const bool of_services = is.priority == kCoreServicesPriority ||
                             is.priority == kListenerPriority || is.priority == kServicesPriority ||
                             (is.priority == kOifPriority && is.oif == interface);
    if (of_services && !others.contains(is.table) && std::ranges::find(wanted, is) == wanted.end())
      (void)rtnl_rule_delete(socket, rule, 0);
  });
}

}  // namespace

std::expected<void, std::string> set_services_rules(const config::Ports& ports, bool need_ipv6) {
  const auto socket = netlink::open_route_socket();
  if (!socket) return std::unexpected(socket.error());
  const std::vector<ServicesRule> wanted = services_rules(ports);
  for (const ServicesRule& each : wanted) {
    const int error = rtnl_rule_add(socket->get(), make_rule(each).get(), NLM_F_EXCL);
    const bool needed = each.family == AF_INET || need_ipv6;
    if (error < 0 && error != -NLE_EXIST && needed)
      return std::unexpected(fmt::format("{}: rule {}: {}", ports.core.services.interface,
                                         each.to_string(), nl_geterror(error)));
  }
  remove_other_services_rules(socket->get(), wanted, ports);
  return {};
}

void remove_rules(const std::vector<std::string>& our_interfaces) noexcept {
  const auto socket = netlink::open_route_socket();
  if (!socket) return;
  nl_cache* found = nullptr;
  if (rtnl_rule_alloc_cache(socket->get(), AF_UNSPEC, &found) < 0) return;
  const netlink::Cache cache(found);
  const std::set<std::uint32_t> kept = tables_of_others(cache.get(), our_interfaces);
  for_each_of_ours(cache.get(), [&](rtnl_rule* rule) {
    if (!kept.contains(rtnl_rule_get_table(rule))) (void)rtnl_rule_delete(socket->get(), rule, 0);
  });
}

}  // namespace pns::supervisor
