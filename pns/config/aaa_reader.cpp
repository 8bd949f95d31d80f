// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/aaa_reader.hpp"

#include <algorithm>

#include "pns/config/radius_reader.hpp"
#include "pns/config/realms_reader.hpp"
#include "pns/config/words.hpp"

namespace pns::config {

void read_aaa(const Section& top, const std::string& node_name, Document& document, Aaa& out) {
  const Section aaa = top.section("aaa");
  aaa.read_list("order", out.order, one_of(kAaaSources));
  aaa.read("sessions_per_user", out.sessions_per_user, integer(0, 1'000'000));
  aaa.read("on_limit", out.on_limit, one_of(kOnLimits));
  aaa.read("on_conflict", out.on_conflict, one_of(kOnConflicts));
  if (aaa.is_empty_list("order"))
    document.error_at("aaa.order", "at least one source of users is needed");
  const Section local = aaa.section("local");
  local.read("users_file", out.local.users_file, file_beside(document));
  local.read("password_changes_file", out.local.password_changes_file, file_beside(document));
  if (!out.local.users_file.empty() && out.local.users_file == out.local.password_changes_file)
    document.error_at("aaa.local.password_changes_file",
                      "is the users file: that one is never written");
  if (aaa.has("radius"))
    read_radius(aaa.section("radius"), node_name, document, out.radius.emplace());
  read_realms(aaa, document, out);
  if (out.asks(AaaSource::kLocal) && !local.has("users_file"))
    document.error_at("aaa.local.users_file",
                      "must be given when aaa.order or a realm names local");
  if (out.radius && out.radius->dynamic_authorization && !out.asks(AaaSource::kRadius))
    document.error_at("aaa.radius.dynamic_authorization",
                      "needs radius in aaa.order or in a realm");
  const auto authenticates = [](const RadiusServer& server) {
    return server.does(RadiusKind::kAuthentication);
  };
  if (out.asks(AaaSource::kRadius) &&
      (!out.radius || std::ranges::none_of(out.radius->servers, authenticates)))
    document.error_at(
        "aaa.radius.servers",
        "a server for authentication must be given when aaa.order or a realm names radius");
}

}  // namespace pns::config
