// SPDX-License-Identifier: BSD-3-Clause
//
// Realms: the parts of a user's name. `alice@example.com` and `EXAMPLE\alice` are users of a realm
// when the realm is configured (aaa.realms), in letters of either case. RealmAuthenticator notes in
// each question which realm it is of, and the name of the account. No I/O; one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/aaa/authenticator.hpp"

namespace pns::aaa {

// A name as the peer sent it. With a backslash the realm is what stands before the last one (as
// MS-CHAP divides it, RFC 2759 §8.2), else what stands after the last '@' (RFC 7542 §2.2).
struct DividedName {
  std::string_view user;
  std::optional<std::string_view> realm;  // empty: the name has none
};
[[nodiscard]] DividedName divide_name(std::string_view name) noexcept;

struct RealmSettings {
  std::string name;  // as configured
  bool strip = false;
};

class Realms {
 public:
  // Names are distinct in letters of either case. `others`: for each realm that is not listed.
  // `by_default`: the name of the realm of users who give none; it is listed. Empty: there is none.
  Realms() = default;
  Realms(std::vector<RealmSettings> listed, std::optional<RealmSettings> others,
         std::string_view by_default);
  Realms(Realms&&) = default;  // no copy: default_ points into the map
  Realms& operator=(Realms&&) = default;

  // Null: the name is of no realm that is configured.
  [[nodiscard]] const RealmSettings* find(std::string_view user) const;
  // The user's account: without the realm, where that is configured; else the name as it is.
  [[nodiscard]] static std::string_view account_of(std::string_view user,
                                                   const RealmSettings& realm) noexcept;

 private:
  struct AnyCase {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const noexcept;
  };
  std::map<std::string, RealmSettings, AnyCase> listed_;
  std::optional<RealmSettings> others_;
  const RealmSettings* default_ = nullptr;  // in listed_
};

class RealmAuthenticator final : public Authenticator {
 public:
  // `inner` outlives this.
  RealmAuthenticator(Authenticator& inner, Realms realms)
      : inner_(inner), realms_(std::move(realms)) {}

  void authenticate(model::AuthRequest request, Done done) override;

 private:
  Authenticator& inner_;
  Realms realms_;
};

}  // namespace pns::aaa
