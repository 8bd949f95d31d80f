// SPDX-License-Identifier: BSD-3-Clause
//
// SessionAccount: the account that has logged in on a session, and all that it was granted: its
// lease and its rate. Before that, the name that the peer claims. A value; it frees no lease.
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
  // Empty: no limit.
  [[nodiscard]] std::optional<std::uint64_t> rate_bits_per_second() const noexcept {
    return rate_bits_per_second_ == 0 ? std::nullopt : std::optional(rate_bits_per_second_);
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
  // The account of a session that an earlier process left.
  void restore(const std::string& user, const model::Lease& lease,
               const std::optional<std::uint64_t>& rate_bits_per_second,
               const model::AuthOrigin& origin);

 private:
  std::unique_ptr<std::string> claimed_user_;  // null: as user_
  std::string user_;                           // of lease_ too
  std::optional<model::Lease> lease_;
  std::uint64_t rate_bits_per_second_ = 0;     // 0: no limit
  std::unique_ptr<model::AuthOrigin> origin_;  // null: the users file
};

}  // namespace pns::subscriber
