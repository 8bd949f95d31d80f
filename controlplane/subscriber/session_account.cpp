// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/session_account.hpp"

namespace pns::subscriber {

std::optional<std::string> SessionAccount::log_in(const model::AuthGrant& grant) {
  std::optional<std::string> before;
  if (user_ != grant.user) before = std::exchange(user_, grant.user);
  if (claimed_user_ && *claimed_user_ == user_) claimed_user_.reset();
  rate_bits_per_second_ = grant.rate_bits_per_second;
  return before;
}

void SessionAccount::restore(const std::string& user, const model::Lease& lease,
                             const std::optional<std::uint64_t>& rate_bits_per_second) {
  user_ = user;
  lease_ = lease;
  rate_bits_per_second_ = rate_bits_per_second;
}

}  // namespace pns::subscriber
