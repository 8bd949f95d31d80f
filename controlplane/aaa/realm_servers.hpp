// SPDX-License-Identifier: BSD-3-Clause
//
// RealmServers: which RADIUS servers decide the logins of a realm, and which take its records.
// Plain values, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "controlplane/aaa/radius_request.hpp"
#include "controlplane/model/radius_counts.hpp"

namespace pns::aaa {

class RealmServers {
 public:
  void add(std::string realm, model::RadiusKind kind, std::size_t server) {
    of_realms_[std::move(realm)][static_cast<std::size_t>(kind)] |= set_of(server);
  }
  // Every server, where the realm has none of its own for this kind of request.
  [[nodiscard]] RadiusServerSet of(std::string_view realm, model::RadiusKind kind) const noexcept {
    const auto found = of_realms_.find(realm);
    if (found == of_realms_.end()) return kEveryRadiusServer;
    const RadiusServerSet own = found->second[static_cast<std::size_t>(kind)];
    return own != 0 ? own : kEveryRadiusServer;
  }

 private:
  using Sets = std::array<RadiusServerSet, model::kRadiusKinds>;
  std::map<std::string, Sets, std::less<>> of_realms_;
};

}  // namespace pns::aaa
