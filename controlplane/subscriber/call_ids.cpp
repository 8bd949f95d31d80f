// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/call_ids.hpp"

#include <algorithm>

namespace pns::subscriber {

CallIds::CallIds(model::Statistics& statistics, RandomSource& random)
    : statistics_(statistics), random_(random), sessions_by_worker_(contract::kMaxWorkers, 0) {}

void CallIds::read_steering(const contract::SessionMemoryHeader& header, pools::PoolSet& pools) {
  steering_.read(header);
  for (std::size_t port = 0; port < contract::kPorts; ++port)
    statistics_.port_steering[port].set(
        static_cast<std::int64_t>(steering_.way(static_cast<contract::PortRole>(port))));
  if (!steering_.same_address_bucket()) pools.set_buckets(steering_.address_bucket());
  std::ranges::fill(sessions_by_worker_, 0);
}

pptp::CallIdAllocator& CallIds::of(Ipv4Address local) {
  return allocators_.try_emplace(local).first->second;
}

std::optional<OurCallId> CallIds::allocate(Ipv4Address local, Ipv4Address peer, TimePoint now) {
  const auto choice = steering_.choose(sessions_by_worker_, local, peer);
  auto& allocator = of(local);
  auto id = allocator.allocate(steering_.call_id_buckets(choice.worker), random_, now);
  if (!id) id = allocator.allocate(random_, now);
  if (id)
    statistics_.calls_steered[static_cast<std::size_t>(choice.by(steering_.owner(*id)))].add();
  return id;
}

bool CallIds::claim(Ipv4Address local, OurCallId id) { return of(local).claim(id); }

void CallIds::release(Ipv4Address local, OurCallId id, bool carried_gre, TimePoint now) {
  of(local).release(id, carried_gre, now);
}

void CallIds::quarantine(Ipv4Address local, OurCallId id, TimePoint until) {
  of(local).rest(id, until);
}

std::vector<CallIds::Quarantined> CallIds::quarantined(TimePoint now) {
  std::vector<Quarantined> out;
  for (auto& [local, allocator] : allocators_)
    for (const auto& id : allocator.resting(now)) out.push_back({local, id.id, id.until});
  return out;
}

std::size_t CallIds::quarantined_count(TimePoint now) const {
  std::size_t count = 0;
  for (const auto& [local, allocator] : allocators_) count += allocator.resting_count(now);
  return count;
}

void CallIds::for_each_local(
    const std::function<void(Ipv4Address, std::size_t in_use)>& visit) const {
  for (const auto& [local, allocator] : allocators_) visit(local, allocator.in_use());
}

}  // namespace pns::subscriber
