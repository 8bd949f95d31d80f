// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_account.hpp"

namespace pns::subscriber {
namespace {

std::unique_ptr<model::AuthOrigin> kept(const model::AuthOrigin& origin) {
  return origin == model::AuthOrigin() ? nullptr : std::make_unique<model::AuthOrigin>(origin);
}

}  // namespace

std::optional<std::string> SessionAccount::log_in(const model::AuthGrant& grant) {
  std::optional<std::string> before;
  if (user_ != grant.user) before = std::exchange(user_, grant.user);
  if (claimed_user_ && *claimed_user_ == user_) claimed_user_.reset();
  set_service(grant.terms.rates, grant.terms.filters);
  origin_ = kept(grant.origin);
  return before;
}

void SessionAccount::set_classes(const std::vector<std::vector<std::byte>>& classes) {
  model::AuthOrigin changed = origin();
  changed.classes = classes;
  origin_ = kept(changed);
}

void SessionAccount::restore(const std::string& user, const model::Lease& lease,
                             const model::ServiceRates& rates, const model::ServiceFilters& filters,
                             const model::AuthOrigin& origin) {
  user_ = user;
  lease_ = lease;
  set_service(rates, filters);
  origin_ = kept(origin);
}

void SessionAccount::set_service(const model::ServiceRates& rates,
                                 const model::ServiceFilters& filters) {
  const bool is_free = rates == model::ServiceRates() && filters == model::ServiceFilters();
  service_ = is_free ? nullptr : std::make_unique<Service>(Service{rates, filters});
}

}  // namespace pns::subscriber
