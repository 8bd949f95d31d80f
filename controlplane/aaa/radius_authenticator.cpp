// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_authenticator.hpp"

#include <optional>

namespace pns::aaa {

void RadiusAuthenticator::authenticate(model::AuthRequest request, Done done) {
  if (!fits_request(request)) return done(model::AuthDenial{});
  std::optional<std::size_t> server;
  if (const auto* const relayed = std::get_if<model::RelayedCredentials>(&request.credentials))
    if (const auto state = unpack_state(relayed->state)) server = state->server;
  const auto shared = std::make_shared<const model::AuthRequest>(std::move(request));
  client_.ask(
      {.kind = model::RadiusKind::kAuthentication,
       .build = [shared, nas = nas_](
                    radius::PacketBuilder& packet,
                    const RadiusAttempt& attempt) { add_login(packet, attempt, *shared, *nas); },
       .patience = patience_,
       .server = server},
      [shared, done = std::move(done)](std::expected<RadiusAnswer, RadiusFailure> answer) mutable {
        // Nobody looked at the credentials: the peer is not told that they are wrong.
        if (!answer)
          return done(
              model::AuthDenial{.reason = EndReason::auth_unavailable, .is_verdict = false});
        done(read_answer(*answer, *shared));
      });
}

}  // namespace pns::aaa
