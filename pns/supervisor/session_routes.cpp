// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/session_routes.hpp"

#include <algorithm>
#include <utility>

namespace pns::supervisor {

std::optional<SessionRoutes::Network> SessionRoutes::parse(std::string_view text) {
  if (const auto ipv4 = Ipv4Prefix::parse(text); ipv4 && may_be_behind_subscriber(*ipv4))
    return *ipv4;
  if (const auto ipv6 = Ipv6Prefix::parse(text); ipv6 && may_be_behind_subscriber(*ipv6))
    return *ipv6;
  return std::nullopt;
}

SessionRoutes::Kernel::Result SessionRoutes::add_to(Kernel& kernel, const Network& network) {
  return std::visit([&kernel](const auto& prefix) { return kernel.add(prefix); }, network);
}

SessionRoutes::Kernel::Result SessionRoutes::add(const Network& network, bool& stands) {
  Kernel::Result result;
  stands = false;
  for (Kernel* const kernel : kernels_)
    if (auto done = add_to(*kernel, network))
      stands = true;
    else
      result = std::move(done);
  return result;
}

SessionRoutes::Kernel::Result SessionRoutes::remove(const Network& network) {
  Kernel::Result result;
  for (Kernel* const kernel : kernels_)
    if (auto done =
            std::visit([kernel](const auto& prefix) { return kernel->remove(prefix); }, network);
        !done)
      result = std::move(done);
  return result;
}

void SessionRoutes::warn(std::string_view network, std::string_view reason, TimePoint now) {
  if (log_.allow(now))
    log::warn("route of a session not set",
              {{"network", network}, {"reason", reason}, {"suppressed", log_.take_suppressed()}});
}

void SessionRoutes::clean() {
  for (Kernel* const kernel : kernels_) {
    const auto left = kernel->list();
    if (!left) continue;
    for (const Ipv4Prefix& network : left->ipv4) (void)kernel->remove(network);
    for (const Ipv6Prefix& network : left->ipv6) (void)kernel->remove(network);
  }
  routes_.clear();
}

void SessionRoutes::adopt() {
  const auto known = kernels_.front()->list();
  if (!known) return;
  for (const Ipv4Prefix& network : known->ipv4) routes_.emplace(network, true);
  for (const Ipv6Prefix& network : known->ipv6) routes_.emplace(network, true);
}

void SessionRoutes::add_place(Kernel& kernel) {
  if (std::ranges::find(kernels_, &kernel) == kernels_.end()) kernels_.push_back(&kernel);
  if (const auto left = kernel.list()) {
    for (const Ipv4Prefix& network : left->ipv4)
      if (!routes_.contains(network)) (void)kernel.remove(network);
    for (const Ipv6Prefix& network : left->ipv6)
      if (!routes_.contains(network)) (void)kernel.remove(network);
  }
  for (const auto& [network, told] : routes_) (void)add_to(kernel, network);
}

void SessionRoutes::remove_place(Kernel& kernel) { std::erase(kernels_, &kernel); }

void SessionRoutes::set(std::string_view network, bool in_force, TimePoint now) {
  const auto parsed = parse(network);
  if (!parsed) return warn("-", "malformed", now);
  if (!in_force) {
    if (routes_.erase(*parsed) == 0) return;
    if (const auto done = remove(*parsed); !done) warn(network, done.error(), now);
    return;
  }
  if (const auto known = routes_.find(*parsed); known != routes_.end()) {
    known->second = true;
    return;
  }
  if (routes_.size() >= most_) return warn(network, "too many", now);
  bool stands = false;
  if (const auto done = add(*parsed, stands); !done) warn(network, done.error(), now);
  if (stands) routes_.emplace(*parsed, true);
}

void SessionRoutes::expect_again() {
  for (auto& [network, told] : routes_) told = false;
}

void SessionRoutes::forget_others() {
  std::erase_if(routes_, [this](const auto& route) {
    if (route.second) return false;
    (void)remove(route.first);
    return true;
  });
}

void SessionRoutes::repeat() {
  for (const auto& [network, told] : routes_)
    for (Kernel* const kernel : kernels_) (void)add_to(*kernel, network);
}

std::expected<void, std::string> NetlinkRoutes::open(netlink::SubscriberRoutes::Place place) {
  auto opened = Routes::open(std::move(place));
  if (!opened) return std::unexpected(std::move(opened.error()));
  routes_.emplace(std::move(*opened));
  return {};
}

std::expected<Networks, std::string> NetlinkRoutes::list() {
  if (!routes_) return std::unexpected(std::string("no netlink socket"));
  return routes_->list();
}

}  // namespace pns::supervisor
