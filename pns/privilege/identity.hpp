// SPDX-License-Identifier: BSD-3-Clause
//
// Identity: the user and group that a process becomes. Each plane has a user of its own, made by
// deploy/pns.sysusers.conf. Start of a process only: the lookup reads the host's user database.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace pns::privilege {

inline constexpr const char* kControlUser = "pns";
inline constexpr const char* kDataplaneUser = "pns-dp";
inline constexpr uid_t kNobody = 65534;  // where the user does not exist: uid and gid

struct Identity {
  std::string user;
  uid_t uid = kNobody;
  gid_t gid = kNobody;
  bool exists = false;  // false: the host has no such user, uid and gid are kNobody
};

[[nodiscard]] Identity find_identity(const std::string& user);

// A warning about the plane that is to have this user; empty: the user exists.
[[nodiscard]] std::string missing_user(const Identity& identity, std::string_view plane);

}  // namespace pns::privilege
