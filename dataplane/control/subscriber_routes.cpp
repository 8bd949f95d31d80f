// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/control/subscriber_routes.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/routing/mapped_address.hpp"
#include "pns/log/log.hpp"

namespace pns::dataplane {
namespace {

SubscriberPrefixes prefixes_of(const SessionTable::Binding& binding) {
  SubscriberPrefixes all;
  if (binding.prefix != 0)
    all.ipv6.push_back({{binding.prefix, 0}, 64});
  else
    all.ipv4.push_back({binding.address, 32});
  return all;
}

SubscriberPrefixes prefixes_of(const Ipv6Prefix& network) {
  SubscriberPrefixes all;
  if (is_mapped(network.address))
    all.ipv4.push_back(unmapped(network));
  else
    all.ipv6.push_back(network);
  return all;
}

bool is_within(const SubscriberPrefixes& all, const SubscriberPrefixes& one) {
  const auto covers = [](const auto& prefixes, const auto& wanted) {
    return std::ranges::all_of(wanted, [&](const auto& prefix) {
      return std::ranges::any_of(prefixes,
                                 [&](const auto& wide) { return wide.contains(prefix.address); });
    });
  };
  return covers(all.ipv4, one.ipv4) && covers(all.ipv6, one.ipv6);
}

}  // namespace

std::vector<Ipv6Prefix> routes_of(const SubscriberPrefixes& prefixes) {
  std::vector<Ipv6Prefix> all = prefixes.ipv6;
  for (const Ipv4Prefix& prefix : prefixes.ipv4) all.push_back(mapped(prefix));
  return all;
}

SubscriberRoutes::SubscriberRoutes(SubscriberPrefixes pools, std::optional<XdpPrefixes> kernel,
                                   Routes& routes, Tell tell)
    : pools_(std::move(pools)),
      kernel_(std::move(kernel)),
      routes_(routes),
      tell_(std::move(tell)) {}

void SubscriberRoutes::take(const SessionTable::Binding& binding) {
  const SubscriberPrefixes subscriber = prefixes_of(binding);
  if (is_within(pools_, subscriber)) return;
  for (const Ipv6Prefix& route : routes_of(subscriber)) routes_.add_subscriber(route);
  tell_(subscriber, true);
  (void)take_from_kernel(subscriber);
}

void SubscriberRoutes::leave(const SessionTable::Binding& binding) {
  const SubscriberPrefixes subscriber = prefixes_of(binding);
  if (is_within(pools_, subscriber)) return;
  for (const Ipv6Prefix& route : routes_of(subscriber)) routes_.remove_subscriber(route);
  tell_(subscriber, false);
  leave_to_kernel(subscriber);
}

bool SubscriberRoutes::take_network(const Ipv6Prefix& network, SlotId session) {
  if (!routes_.add_network(network, session)) return false;
  if (take_from_kernel(prefixes_of(network))) return true;
  routes_.remove_network(network);
  return false;
}

void SubscriberRoutes::leave_network(const Ipv6Prefix& network) {
  routes_.remove_network(network);
  leave_to_kernel(prefixes_of(network));
}

bool SubscriberRoutes::take_from_kernel(const SubscriberPrefixes& prefixes) const {
  if (!kernel_) return true;
  const auto added = kernel_->add(prefixes);
  if (!added) log::warn("subscriber packets left to the kernel", {{"error", added.error()}});
  return added.has_value();
}

void SubscriberRoutes::leave_to_kernel(const SubscriberPrefixes& prefixes) const {
  if (!kernel_) return;
  if (const auto removed = kernel_->remove(prefixes); !removed)
    log::warn("subscriber packets not left to the kernel", {{"error", removed.error()}});
}

}  // namespace pns::dataplane
