// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/ordered_authenticator.hpp"

#include <memory>
#include <numeric>
#include <optional>

namespace pns::aaa {

namespace {

bool can_judge(const OrderedAuthenticator::Source& source, const model::AuthRequest& request) {
  return source.runs_eap || !std::holds_alternative<model::RelayedCredentials>(request.credentials);
}

// A challenge goes out with the number of its source in front of its state.
model::AuthResult numbered(model::AuthResult result, std::size_t source) {
  const model::AuthChallenge* const challenge = result.challenge();
  if (challenge == nullptr) return result;
  model::AuthChallenge out = *challenge;
  out.state.insert(out.state.begin(), static_cast<std::byte>(source));
  return out;
}

}  // namespace

OrderedAuthenticator::OrderedAuthenticator(std::vector<Source> sources)
    : sources_(std::move(sources)), order_(sources_.size()) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
}

const OrderedAuthenticator::Order& OrderedAuthenticator::order_of(
    const model::AuthRequest& request) const {
  const auto found = of_realms_.find(request.realm);
  return found == of_realms_.end() ? order_ : found->second;
}

// The last source is asked even when it does not know the user: it takes its time for the refusal.
std::size_t OrderedAuthenticator::next_place(const Order& order, std::size_t from,
                                             const model::AuthRequest& request) const {
  const auto is_passed_over = [&request](const Source& source) {
    return !can_judge(source, request) || (source.knows && !source.knows(request.account_name()));
  };
  while (from + 1 < order.size() && is_passed_over(sources_[order[from]])) ++from;
  return from;
}

void OrderedAuthenticator::authenticate(model::AuthRequest request, Done done) {
  auto* const relayed = std::get_if<model::RelayedCredentials>(&request.credentials);
  if (relayed == nullptr || relayed->state.empty()) {
    const Order& order = order_of(request);
    const std::size_t first = next_place(order, 0, request);
    return ask_from(order, first, std::move(request), std::move(done));
  }
  // A later round: the source that began it alone.
  const auto index = std::to_integer<std::size_t>(relayed->state.front());
  relayed->state.erase(relayed->state.begin());
  if (index >= sources_.size())
    return done(model::AuthDenial{.reason = EndReason::auth_unavailable, .is_verdict = false});
  sources_[index].authenticator.authenticate(
      std::move(request), [index, done = std::move(done)](model::AuthResult result) mutable {
        done(numbered(std::move(result), index));
      });
}

void OrderedAuthenticator::ask_from(const Order& order, std::size_t place,
                                    model::AuthRequest request, Done done) {
  const std::size_t index = order[place];
  // Kept for the next source.
  std::optional<model::AuthRequest> again;
  if (place + 1 < order.size()) again = request;
  sources_[index].authenticator.authenticate(
      std::move(request), [this, &order, place, index, again = std::move(again),
                           done = std::move(done)](model::AuthResult result) mutable {
        const model::AuthDenial* const denial = result.denial();
        if (again && denial != nullptr && denial->reason == EndReason::auth_unavailable) {
          const std::size_t next = next_place(order, place + 1, *again);
          if (can_judge(sources_[order[next]], *again))
            return ask_from(order, next, std::move(*again), std::move(done));
        }
        done(numbered(std::move(result), index));
      });
}

}  // namespace pns::aaa
