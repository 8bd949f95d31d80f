// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/request_memory.hpp"

namespace pns::aaa {

const RequestMemory::Request* RequestMemory::find(
    const radius::Authenticator& authenticator) const {
  const auto found = requests_.find(authenticator);
  return found == requests_.end() ? nullptr : &found->second;
}

void RequestMemory::add(const radius::Authenticator& authenticator, const IpEndpoint& source,
                        std::size_t client, TimePoint until) {
  requests_.emplace(authenticator, Request{.source = source, .client = client, .outcome = {}});
  due_.emplace(until, authenticator);
}

void RequestMemory::finish(const radius::Authenticator& authenticator,
                           const RequestOutcome& outcome) {
  if (const auto found = requests_.find(authenticator); found != requests_.end())
    found->second.outcome = outcome;
}

void RequestMemory::forget(TimePoint now, const std::function<void(std::size_t)>& forgotten) {
  while (!due_.empty() && due_.top().first <= now) {
    if (const auto found = requests_.find(due_.top().second); found != requests_.end()) {
      forgotten(found->second.client);
      requests_.erase(found);
    }
    due_.pop();
  }
}

}  // namespace pns::aaa
