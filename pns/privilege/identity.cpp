// SPDX-License-Identifier: BSD-3-Clause
#include "pns/privilege/identity.hpp"

#include <fmt/format.h>
#include <pwd.h>

#include <vector>

namespace pns::privilege {

Identity find_identity(const std::string& user) {
  Identity identity{.user = user};
  std::vector<char> text(16 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  // A user with uid 0 would be no restriction: it counts as missing.
  if (::getpwnam_r(user.c_str(), &entry, text.data(), text.size(), &found) != 0 ||
      found == nullptr || found->pw_uid == 0 || found->pw_gid == 0)
    return identity;
  identity.uid = found->pw_uid;
  identity.gid = found->pw_gid;
  identity.exists = true;
  return identity;
}

std::string missing_user(const Identity& identity, std::string_view plane) {
  if (identity.exists) return {};
  return fmt::format("there is no user {} (deploy/pns.sysusers.conf): {} runs as uid {}",
                     identity.user, plane, identity.uid);
}

}  // namespace pns::privilege
