// SPDX-License-Identifier: BSD-3-Clause
//
// SessionAccount: the account that has logged in on a session, and all that it was granted: its
// lease, rates and filters. Before that, the name that the peer claims. A value; it frees no lease.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/model/auth.hpp"
#include "controlplane/model/lease.hpp"

namespace pns::subscriber {

class SessionAccount {
 public:
  // The authenticated account; empty until then.
  [[nodiscard]] const std::string& user() const noexcept { return user_; }
  // The name that the peer gave last, proved or not.
  [[nodiscard]] const std::string& claimed_user() const noexcept {
    return claimed_user_ ? *claimed_user_ : user_;
  }
  [[nodiscard]] const std::optional<model::Lease>& lease() const noexcept { return lease_; }
  [[nodiscard]] model::ServiceRates rates() const {
    return service_ ? service_->rates : model::ServiceRates();
  }
  [[nodiscard]] model::ServiceFilters filters() const {
    return service_ ? service_->filters : model::ServiceFilters();
  }

  // Empty for an account of the users file.
  [[nodiscard]] model::AuthOrigin origin() const {
    return origin_ ? *origin_ : model::AuthOrigin();
  }

  // The peer gives a name.
  void claim(const std::string& user) { claimed_user_ = std::make_unique<std::string>(user); }
  // The peer has logged in. Returns the account before; empty: it is the same one.
  std::optional<std::string> log_in(const model::AuthGrant& grant);
  // Class from now on, instead of what was granted.
  void set_classes(const std::vector<std::vector<std::byte>>& classes);
  // Returns the lease before.
  std::optional<model::Lease> set_lease(std::optional<model::Lease> lease) {
    return std::exchange(lease_, std::move(lease));
  }
  // DHCPv6 has brought this much of the lease into force, if there is one.
  void set_bindings(const model::Ipv6Bindings& bindings) {
    if (lease_) lease_->set_bindings(bindings);
  }
  void set_service(const model::ServiceRates& rates, const model::ServiceFilters& filters);
  // The account of a session that an earlier process left.
  void restore(const std::string& user, const model::Lease& lease, const model::ServiceRates& rates,
               const model::ServiceFilters& filters, const model::AuthOrigin& origin);

 private:
  struct Service {
    model::ServiceRates rates;
    model::ServiceFilters filters;
  };

  std::unique_ptr<std::string> claimed_user_;  // null: as user_
  std::string user_;                           // of lease_ too
  std::optional<model::Lease> lease_;
  std::unique_ptr<Service> service_;           // null: no rate and no filter
  std::unique_ptr<model::AuthOrigin> origin_;  // null: the users file
};

}  // namespace pns::subscriber
