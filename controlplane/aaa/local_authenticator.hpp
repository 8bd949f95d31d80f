// SPDX-License-Identifier: BSD-3-Clause
//
// LocalAuthenticator: accounts held in memory, from users.yaml (read by pns/config). It judges
// every method; an unknown user takes the same path, and so the same time, as a wrong password, and
// what else stands against an account (disabled, expired) is told only to who knows its password.
// No I/O; one thread (the event loop).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/aaa/authenticator.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"
#include "pns/base/random.hpp"
#include "pns/base/secret.hpp"

namespace pns::aaa {

struct LocalUser {
  std::string name;
  Secret<16> nt_hash;   // MD4 of the password in UTF-16LE: as good as the password, so a secret
  SecretText password;  // in the clear, for CHAP with MD5; empty: not kept, or not known
  std::optional<Secret<16>> lm_hash;  // for MS-CHAPv1 keys of 40 and 56 bit only
  bool disabled = false;
  bool password_expired = false;
  std::optional<Ipv4Address> address;       // fixed; absent: from the pool
  std::optional<Ipv6Prefix> ipv6_prefix{};  // likewise, a /64
  std::optional<Ipv6Prefix> delegated_prefix{};
  NetworksPointer networks{};  // behind this user
  std::string pool{};          // empty: as the group or the dialled address says
  model::ServiceTerms terms{};
  model::LinkTerms link{};
  std::optional<std::uint32_t> sessions{};    // at once; absent: aaa.sessions_per_user; 0: any
  std::optional<Seconds> interim_interval{};  // of accounting; absent: as configured; 0: none
  std::vector<std::string> groups;
};

class LocalAuthenticator final : public Authenticator {
 public:
  // `random` makes the hash that unknown users are checked against. If two users have one name, the
  // first counts (pns/config refuses such a file).
  LocalAuthenticator(std::vector<LocalUser> users, RandomSource& random);

  // Keeps a changed password where it is found after a restart. Calls `done` once, at once or later
  // on this thread. False: it could not be kept.
  using SavePassword = std::function<void(const std::string& name, const Secret<16>& nt_hash,
                                          std::move_only_function<void(bool kept)> done)>;
  // Without this, nobody is let to change an expired password.
  void allow_password_changes(SavePassword save) { save_password_ = std::move(save); }

  // Answers from within the call; after a change of password when it has been kept. A user is
  // looked up by the account's name, then by that without DOMAIN\. One change of an account at a
  // time.
  void authenticate(model::AuthRequest request, Done done) override;

  // The answer of authenticate() where SavePassword calls `done` at once. auth_unavailable: it has
  // not.
  [[nodiscard]] model::AuthResult decide(const model::AuthRequest& request);

  // Whether there is an account of this name, looked up as authenticate() does.
  [[nodiscard]] bool knows(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] std::size_t user_count() const noexcept { return users_.size(); }

 private:
  [[nodiscard]] LocalUser* find(std::string_view name);
  [[nodiscard]] const LocalUser* find(std::string_view name) const {
    return const_cast<LocalAuthenticator*>(this)->find(name);
  }
  void change_password(LocalUser& user, const Secret<16>& changed_to, model::AuthGrant grant,
                       Done done);

  std::map<std::string, LocalUser, std::less<>> users_;
  std::set<const LocalUser*> changing_;  // accounts whose new password is being kept
  // A change that is kept after this object has gone concerns nobody.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  LocalUser nobody_;  // whom unknown users are checked against
  SavePassword save_password_;
};

}  // namespace pns::aaa
