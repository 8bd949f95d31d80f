// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_authenticator.hpp"

#include <optional>

namespace pns::aaa {

RadiusAuthenticator::RadiusAuthenticator(RadiusClient& client, Settings settings, WallClock wall)
    : client_(client),
      settings_(std::make_shared<const Settings>(std::move(settings))),
      wall_(std::move(wall)) {
  for (const radius::AttributeInfo& info : radius::kAttributes)
    attribute_counts_.emplace_back().name = info.name;
  attribute_counts_.emplace_back().name = "other";
}

void RadiusAuthenticator::count(const IgnoredAttributes& ignored) {
  for (const IgnoredAttribute& attribute : ignored) {
    const radius::AttributeInfo* const info = radius::find_attribute(attribute.id);
    auto& counts =
        info != nullptr
            ? attribute_counts_[static_cast<std::size_t>(info - radius::kAttributes.data())]
            : attribute_counts_.back();
    (attribute.reason == IgnoredAttribute::Reason::kUnreadable ? counts.unreadable
                                                               : counts.unsupported)
        .add();
  }
}

void RadiusAuthenticator::authenticate(model::AuthRequest request, Done done) {
  if (!fits_request(request)) return done(model::AuthDenial{});
  std::optional<std::size_t> server;
  if (const auto* const relayed = std::get_if<model::RelayedCredentials>(&request.credentials))
    if (const auto state = unpack_state(relayed->state)) server = state->server;
  const auto shared = std::make_shared<const model::AuthRequest>(std::move(request));
  client_.ask({.kind = model::RadiusKind::kAuthentication,
               .build =
                   [shared, settings = settings_](radius::PacketBuilder& packet,
                                                  const RadiusAttempt& attempt) {
                     add_login(packet, attempt, *shared, settings->nas);
                   },
               .patience = settings_->patience,
               .server = server,
               .among = settings_->realms.of(shared->realm, model::RadiusKind::kAuthentication)},
              [this, shared,
               done = std::move(done)](std::expected<RadiusAnswer, RadiusFailure> answer) mutable {
                // Nobody looked at the credentials: the peer is not told that they are wrong.
                if (!answer)
                  return done(model::AuthDenial{.reason = EndReason::auth_unavailable,
                                                .is_verdict = false});
                IgnoredAttributes ignored;
                auto result = read_answer(*answer, *shared, wall_(), settings_->meanings, ignored);
                count(ignored);
                done(std::move(result));
              });
}

}  // namespace pns::aaa
