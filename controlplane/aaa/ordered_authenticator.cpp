// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/ordered_authenticator.hpp"

#include <memory>
#include <optional>

namespace pns::aaa {

namespace {

bool can_judge(const OrderedAuthenticator::Source& source, const model::AuthRequest& request) {
  return source.runs_eap || !std::holds_alternative<model::RelayedCredentials>(request.credentials);
}

}  // namespace

// The last source is asked even when it does not know the user: it takes its time for the refusal.
std::size_t OrderedAuthenticator::next_source(std::size_t from,
                                              const model::AuthRequest& request) const {
  const auto is_passed_over = [&request](const Source& source) {
    return !can_judge(source, request) || (source.knows && !source.knows(request.user));
  };
  while (from + 1 < sources_.size() && is_passed_over(sources_[from])) ++from;
  return from;
}

void OrderedAuthenticator::authenticate(model::AuthRequest request, Done done) {
  auto* const relayed = std::get_if<model::RelayedCredentials>(&request.credentials);
  if (relayed == nullptr || relayed->state.empty()) {
    const std::size_t first = next_source(0, request);
    return ask(first, std::move(request), std::move(done));
  }
  const auto index = std::to_integer<std::size_t>(relayed->state.front());
  relayed->state.erase(relayed->state.begin());
  if (index >= sources_.size())
    return done(model::AuthDenial{.reason = EndReason::auth_unavailable, .is_verdict = false});
  ask(index, std::move(request), std::move(done));
}

void OrderedAuthenticator::ask(std::size_t index, model::AuthRequest request, Done done) {
  const auto* const relayed = std::get_if<model::RelayedCredentials>(&request.credentials);
  const bool begins = relayed == nullptr || relayed->state.empty();
  // Kept for the next source.
  std::optional<model::AuthRequest> again;
  if (begins && index + 1 < sources_.size()) again = request;
  sources_[index].authenticator.authenticate(
      std::move(request), [this, index, again = std::move(again),
                           done = std::move(done)](model::AuthResult result) mutable {
        const model::AuthDenial* const denial = result.denial();
        if (again && denial != nullptr && denial->reason == EndReason::auth_unavailable) {
          const std::size_t next = next_source(index + 1, *again);
          if (can_judge(sources_[next], *again))
            return ask(next, std::move(*again), std::move(done));
        }
        if (const model::AuthChallenge* const challenge = result.challenge()) {
          model::AuthChallenge numbered = *challenge;
          numbered.state.insert(numbered.state.begin(), static_cast<std::byte>(index));
          return done(std::move(numbered));
        }
        done(std::move(result));
      });
}

}  // namespace pns::aaa
