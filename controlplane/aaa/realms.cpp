// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/realms.hpp"

#include <algorithm>

namespace pns::aaa {
namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

DividedName divide_name(std::string_view name) noexcept {
  if (const auto backslash = name.rfind('\\'); backslash != std::string_view::npos)
    return {.user = name.substr(backslash + 1), .realm = name.substr(0, backslash)};
  if (const auto at = name.rfind('@'); at != std::string_view::npos)
    return {.user = name.substr(0, at), .realm = name.substr(at + 1)};
  return {.user = name, .realm = std::nullopt};
}

bool Realms::AnyCase::operator()(std::string_view a, std::string_view b) const noexcept {
  return std::ranges::lexicographical_compare(a, b, {}, lower, lower);
}

Realms::Realms(std::vector<RealmSettings> listed, std::optional<RealmSettings> others,
               std::string_view by_default)
    : others_(std::move(others)) {
  for (RealmSettings& realm : listed) {
    std::string name = realm.name;
    listed_.emplace(std::move(name), std::move(realm));
  }
  if (const auto found = listed_.find(by_default); found != listed_.end())
    default_ = &found->second;
}

const RealmSettings* Realms::find(std::string_view user) const {
  const DividedName name = divide_name(user);
  if (!name.realm) return default_;
  if (const auto found = listed_.find(*name.realm); found != listed_.end()) return &found->second;
  return others_ ? &*others_ : nullptr;
}

// A name that is all realm stays as it is: nobody's account is the empty name.
std::string_view Realms::account_of(std::string_view user, const RealmSettings& realm) noexcept {
  const std::string_view stripped = divide_name(user).user;
  return realm.strip && !stripped.empty() ? stripped : user;
}

void RealmAuthenticator::authenticate(model::AuthRequest request, Done done) {
  if (const RealmSettings* const realm = realms_.find(request.user)) {
    request.realm = realm->name;
    request.account = Realms::account_of(request.user, *realm);
  }
  inner_.authenticate(std::move(request), std::move(done));
}

}  // namespace pns::aaa
