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
  rate_bits_per_second_ = grant.rate_bits_per_second.value_or(0);
  origin_ = kept(grant.origin);
  return before;
}

void SessionAccount::set_classes(const std::vector<std::vector<std::byte>>& classes) {
  model::AuthOrigin changed = origin();
  changed.classes = classes;
  origin_ = kept(changed);
}

void SessionAccount::restore(const std::string& user, const model::Lease& lease,
                             const std::optional<std::uint64_t>& rate_bits_per_second,
                             const model::AuthOrigin& origin) {
  user_ = user;
  lease_ = lease;
  rate_bits_per_second_ = rate_bits_per_second.value_or(0);
  origin_ = kept(origin);
}

}  // namespace pns::subscriber
