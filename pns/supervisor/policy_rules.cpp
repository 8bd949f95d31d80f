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

std::expected<void, std::string> add_services_rules(const config::Services& services,
                                                    bool keep_listener, bool need_ipv6) {
  const auto socket = netlink::open_route_socket();
  if (!socket) return std::unexpected(socket.error());
  std::string failure;
  const auto add = [&](const Rule& rule, std::string_view what, bool needed) {
    const int error = rtnl_rule_add(socket->get(), rule.get(), NLM_F_EXCL);
    if (error < 0 && error != -NLE_EXIST && needed && failure.empty())
      failure = fmt::format("{}: rule {} table {}: {}", services.interface, what,
                            rtnl_rule_get_table(rule.get()), nl_geterror(error));
  };
  for (const int family : {AF_INET, AF_INET6}) {
    const bool needed = family == AF_INET || need_ipv6;
    const Rule out = make_rule(family, kOifPriority, services.table);
    rtnl_rule_set_oif(out.get(), services.interface.c_str());
    add(out, "oif " + services.interface, needed);
    const Rule rest = make_rule(family, kServicesPriority, services.table);
    rtnl_rule_set_iif(rest.get(), "lo");
    add(rest, "iif lo", needed);
  }
  if (keep_listener) {
    const Rule listener = make_rule(AF_INET, kListenerPriority, RT_TABLE_MAIN);
    rtnl_rule_set_iif(listener.get(), "lo");
    rtnl_rule_set_ipproto(listener.get(), IPPROTO_TCP);
    rtnl_rule_set_sport(listener.get(), kPptpPort);
    add(listener, "TCP port 1723", true);
  }
  if (!failure.empty()) return std::unexpected(failure);
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
