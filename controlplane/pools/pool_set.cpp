// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pools/pool_set.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace pns::pools {
namespace {

bool can_be_leased(Ipv4Address address) noexcept {
  return !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() &&
         address.value < 0xe0000000;
}

}  // namespace

PoolSet::PoolSet(const std::vector<PoolConfig>& configs) {
  for (std::size_t i = 0; i < configs.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (configs[i].name == configs[k].name)
        throw std::invalid_argument("pool " + configs[i].name + " is there twice");
      for (const Ipv4Range& a : configs[i].ranges)
        for (const Ipv4Range& b : configs[k].ranges)
          if (a.overlaps(b))
            throw std::invalid_argument("pools " + configs[i].name + " and " + configs[k].name +
                                        " overlap");
    }
    pools_.emplace_back(configs[i]);
    next_.push_back(configs[i].next);
    prefixes_.emplace_back(configs[i].ipv6_prefixes);
    delegated_.emplace_back(configs[i].delegated_prefixes, configs[i].delegated_length);
    pool_ranges_.insert(pool_ranges_.end(), configs[i].ranges.begin(), configs[i].ranges.end());
    pool_prefixes_.insert(pool_prefixes_.end(), configs[i].ipv6_prefixes.begin(),
                          configs[i].ipv6_prefixes.end());
    pool_prefixes_.insert(pool_prefixes_.end(), configs[i].delegated_prefixes.begin(),
                          configs[i].delegated_prefixes.end());
  }
  set_own({}, {});
}

void PoolSet::set_own(const std::vector<Ipv4Address>& addresses,
                      const std::vector<Ipv6Prefix>& prefixes) {
  std::vector<Ipv4Address> own = addresses;
  for (const AddressPool& pool : pools_) own.push_back(pool.gateway());
  withhold(own_, own, AddressPool::Withheld::kOwn);
  own_prefixes_ = prefixes;
  withhold_prefixes();
}

void PoolSet::set_fixed(const std::vector<Ipv4Address>& addresses,
                        const std::vector<Ipv6Prefix>& prefixes) {
  withhold(fixed_, addresses, AddressPool::Withheld::kFixed);
  fixed_prefixes_ = prefixes;
  withhold_prefixes();
}

void PoolSet::withhold(std::unordered_set<Ipv4Address>& known,
                       const std::vector<Ipv4Address>& addresses, AddressPool::Withheld why) {
  const auto before =
      std::exchange(known, std::unordered_set<Ipv4Address>(addresses.begin(), addresses.end()));
  for (const Ipv4Address address : before)
    if (AddressPool* const pool = known.contains(address) ? nullptr : containing(address))
      pool->stop_withholding(address, why);
  for (const Ipv4Address address : known)
    if (AddressPool* const pool = containing(address)) pool->withhold(address, why);
}

void PoolSet::withhold_prefixes() {
  for (PrefixPool& pool : prefixes_) pool.withhold(own_prefixes_, fixed_prefixes_);
  for (PrefixPool& pool : delegated_) pool.withhold(own_prefixes_, fixed_prefixes_);
}

std::expected<model::Lease, PoolError> PoolSet::allocate(std::string_view pool,
                                                         const BucketMask& preferred) {
  AddressPool* found = find(pool);
  if (found == nullptr) return std::unexpected(PoolError::kUnknownPool);
  for (std::size_t tried = 0; found != nullptr && tried < pools_.size(); ++tried) {
    if (const auto address = found->allocate(preferred))
      return model::Lease{*address, found->gateway(), found->name()};
    found = find(next_[static_cast<std::size_t>(found - pools_.data())]);
  }
  return std::unexpected(PoolError::kExhausted);
}

void PoolSet::set_buckets(const AddressBucket& bucket) {
  for (AddressPool& pool : pools_) pool.set_buckets(bucket);
}

std::expected<model::Lease, PoolError> PoolSet::claim(Ipv4Address address, std::string_view pool) {
  if (!can_be_leased(address) || own_.contains(address))
    return std::unexpected(PoolError::kNotLeasable);
  if (AddressPool* const inside = containing(address)) {
    if (!inside->claim(address)) return std::unexpected(PoolError::kTaken);
    return model::Lease{address, inside->gateway(), inside->name()};
  }
  const AddressPool* const named = find(pool);
  if (named == nullptr) return std::unexpected(PoolError::kUnknownPool);
  if (!outside_.insert(address).second) return std::unexpected(PoolError::kTaken);
  return model::Lease{address, named->gateway(), ""};
}

void PoolSet::add_ipv6(model::Lease& lease, std::string_view pool,
                       const std::optional<Ipv6Prefix>& fixed) {
  if (fixed) {
    PrefixPool* const inside = containing(*fixed);
    if (inside != nullptr ? inside->claim(*fixed) : outside_prefixes_.insert(fixed->address).second)
      lease.ipv6_prefix = *fixed;
    return;
  }
  if (const AddressPool* const named = find(pool))
    lease.ipv6_prefix = prefixes_[static_cast<std::size_t>(named - pools_.data())].allocate();
}

bool PoolSet::is_not_behind_anybody(const Networks& networks) const {
  const auto has_own = [this](const Ipv4Prefix& network) {
    const Ipv4Range range{network.network(), network.last()};
    return std::ranges::any_of(own_, [&](Ipv4Address own) { return network.contains(own); }) ||
           std::ranges::any_of(pool_ranges_,
                               [&](const Ipv4Range& leased) { return leased.overlaps(range); });
  };
  const auto has_own6 = [this](const Ipv6Prefix& network) {
    const auto touches = [&](const Ipv6Prefix& other) { return overlap(network, other); };
    return std::ranges::any_of(own_prefixes_, touches) ||
           std::ranges::any_of(pool_prefixes_, touches);
  };
  return std::ranges::any_of(networks.ipv4, has_own) ||
         std::ranges::any_of(networks.ipv6, has_own6);
}

std::expected<void, PoolError> PoolSet::add_networks(model::Lease& lease,
                                                     const NetworksPointer& networks) {
  if (!networks) return {};
  if (is_not_behind_anybody(*networks)) return std::unexpected(PoolError::kNotLeasable);
  if (!networks_.add(*networks)) return std::unexpected(PoolError::kTaken);
  lease.networks = networks;
  return {};
}

std::expected<void, PoolError> PoolSet::add_delegation(model::Lease& lease, std::string_view pool,
                                                       const std::optional<Ipv6Prefix>& fixed,
                                                       const std::optional<Ipv6Address>& address) {
  if (!lease.ipv6_prefix) return {};
  model::Delegation delegation{.address = address};
  model::Lease wanted = lease;
  wanted.delegation = delegation;
  if (wanted.has_address_elsewhere()) {
    const Ipv6Prefix host{*address, 128};
    if (is_not_behind_anybody({{}, {host}})) return std::unexpected(PoolError::kNotLeasable);
    if (!networks_.add(host)) return std::unexpected(PoolError::kTaken);
  }
  if (fixed) {
    if (const auto claimed = claim_delegated(*fixed); !claimed) {
      if (wanted.has_address_elsewhere()) networks_.remove({*address, 128});
      return claimed;
    }
    delegation.prefix = fixed;
  } else if (const AddressPool* const named = find(pool)) {
    delegation.prefix =
        allocate_delegated(delegated_[static_cast<std::size_t>(named - pools_.data())]);
  }
  lease.delegation = delegation;
  return {};
}

std::expected<void, PoolError> PoolSet::claim_delegated(const Ipv6Prefix& prefix) {
  PrefixPool* const inside = delegating(prefix);
  if (inside == nullptr && is_not_behind_anybody({{}, {prefix}}))
    return std::unexpected(PoolError::kNotLeasable);
  if (!networks_.add(prefix)) return std::unexpected(PoolError::kTaken);
  if (inside == nullptr || inside->claim(prefix)) return {};
  networks_.remove(prefix);
  return std::unexpected(PoolError::kNotLeasable);  // it holds an address of ours
}

// One that overlaps a network of a session that an earlier configuration served is passed over.
std::optional<Ipv6Prefix> PoolSet::allocate_delegated(PrefixPool& pool) {
  constexpr std::size_t kMaxPassedOver = 4'096;
  std::vector<Ipv6Prefix> passed_over;
  std::optional<Ipv6Prefix> found;
  while (passed_over.size() < kMaxPassedOver && (found = pool.allocate()) &&
         !networks_.add(*found)) {
    passed_over.push_back(*found);
    found.reset();
  }
  for (const Ipv6Prefix& prefix : passed_over) pool.release(prefix);
  return found;
}

bool PoolSet::restore(const model::Lease& lease) {
  if (!restore_networks(lease)) return false;
  model::Lease addresses = lease;
  addresses.networks.reset();
  addresses.delegation = {};
  if (restore_addresses(addresses)) return true;
  release_networks(lease);
  return false;
}

bool PoolSet::restore_networks(const model::Lease& lease) {
  const model::Delegation& delegation = *lease.delegation;
  if (lease.networks && !networks_.add(*lease.networks)) return false;
  model::Lease again;
  again.ipv6_prefix = lease.ipv6_prefix;
  again.networks = lease.networks;
  if (lease.has_address_elsewhere() && !networks_.add(Ipv6Prefix{*delegation.address, 128})) {
    release_networks(again);
    return false;
  }
  again.delegation = model::Delegation{.address = delegation.address};
  if (!delegation.prefix) return true;
  if (networks_.add(*delegation.prefix)) {
    PrefixPool* const inside = delegating(*delegation.prefix);
    if (inside == nullptr || inside->claim(*delegation.prefix)) return true;
    networks_.remove(*delegation.prefix);
  }
  release_networks(again);
  return false;
}

void PoolSet::release_networks(const model::Lease& lease) {
  const model::Delegation& delegation = *lease.delegation;
  if (lease.networks) networks_.remove(*lease.networks);
  if (lease.has_address_elsewhere()) networks_.remove({*delegation.address, 128});
  if (!delegation.prefix) return;
  networks_.remove(*delegation.prefix);
  if (PrefixPool* const pool = delegating(*delegation.prefix)) pool->release(*delegation.prefix);
}

bool PoolSet::restore_addresses(const model::Lease& lease) {
  AddressPool* const inside = containing(lease.address);
  if (inside != nullptr ? !inside->claim(lease.address) : !outside_.insert(lease.address).second)
    return false;
  if (!lease.ipv6_prefix) return true;
  model::Lease again = lease;
  again.ipv6_prefix.reset();
  add_ipv6(again, "", lease.ipv6_prefix);
  if (again.ipv6_prefix) return true;
  release(again);
  return false;
}

void PoolSet::release(const model::Lease& lease) {
  release_networks(lease);
  if (lease.ipv6_prefix) {
    if (PrefixPool* const pool = containing(*lease.ipv6_prefix))
      pool->release(*lease.ipv6_prefix);
    else
      outside_prefixes_.erase(lease.ipv6_prefix->address);
  }
  if (AddressPool* const inside = containing(lease.address))
    inside->release(lease.address);
  else
    outside_.erase(lease.address);
}

std::vector<PoolStatus> PoolSet::status() const {
  std::vector<PoolStatus> out;
  out.reserve(pools_.size());
  for (std::size_t i = 0; i < pools_.size(); ++i)
    out.push_back({pools_[i].name(), pools_[i].gateway(), pools_[i].size(), pools_[i].in_use(),
                   prefixes_[i].size(), prefixes_[i].in_use(), delegated_[i].size(),
                   delegated_[i].in_use()});
  return out;
}

std::size_t PoolSet::leased() const noexcept {
  std::size_t count = outside_.size();
  for (const AddressPool& pool : pools_) count += pool.in_use();
  return count;
}

AddressPool* PoolSet::find(std::string_view name) noexcept {
  const auto pool = std::find_if(pools_.begin(), pools_.end(),
                                 [name](const AddressPool& p) { return p.name() == name; });
  return pool == pools_.end() ? nullptr : &*pool;
}

AddressPool* PoolSet::containing(Ipv4Address address) noexcept {
  const auto pool = std::find_if(pools_.begin(), pools_.end(),
                                 [address](const AddressPool& p) { return p.contains(address); });
  return pool == pools_.end() ? nullptr : &*pool;
}

PrefixPool* PoolSet::containing(const Ipv6Prefix& prefix) noexcept {
  const auto pool = std::find_if(prefixes_.begin(), prefixes_.end(),
                                 [&](const PrefixPool& p) { return p.contains(prefix); });
  return pool == prefixes_.end() ? nullptr : &*pool;
}

PrefixPool* PoolSet::delegating(const Ipv6Prefix& prefix) noexcept {
  const auto pool = std::find_if(delegated_.begin(), delegated_.end(),
                                 [&](const PrefixPool& p) { return p.contains(prefix); });
  return pool == delegated_.end() ? nullptr : &*pool;
}

}  // namespace pns::pools
