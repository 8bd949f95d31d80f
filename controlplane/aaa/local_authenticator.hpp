// SPDX-License-Identifier: BSD-3-Clause
//
// LocalAuthenticator: accounts held in memory, from users.yaml (read by pns/config). An unknown
// user takes the same path, and so the same time, as a wrong password. No I/O; one thread (the
// event loop).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/aaa/authenticator.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/random.hpp"
#include "pns/base/secret.hpp"

namespace pns::aaa {

struct LocalUser {
  std::string name;
  Secret<16> nt_hash;  // MD4 of the password in UTF-16LE: as good as the password, so a secret
  std::optional<Ipv4Address> address;       // fixed; absent: from the pool
  std::optional<Ipv6Prefix> ipv6_prefix{};  // likewise, a /64
  std::string pool = "default";
  std::optional<std::uint64_t> rate_bits_per_second;
  std::vector<std::string> groups;
};

class LocalAuthenticator final : public Authenticator {
 public:
  // `random` makes the hash that unknown users are checked against. Of two users with one name the
  // first counts (pns/config refuses such a file).
  LocalAuthenticator(std::vector<LocalUser> users, RandomSource& random);

  // Answers from within the call. A user is looked up as sent, then without DOMAIN\.
  void authenticate(model::AuthRequest request, Done done) override;

  // The decision itself.
  [[nodiscard]] model::AuthResult decide(const model::AuthRequest& request) const;

  // A reloaded file. Sessions that are up are not touched.
  void replace_users(std::vector<LocalUser> users);

  [[nodiscard]] std::size_t user_count() const noexcept { return users_.size(); }

 private:
  [[nodiscard]] const LocalUser* find(std::string_view name) const;

  std::map<std::string, LocalUser, std::less<>> users_;
  LocalUser nobody_;
};

}  // namespace pns::aaa
