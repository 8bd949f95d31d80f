// SPDX-License-Identifier: BSD-3-Clause
//
// DeferredAuthenticator: keeps questions until the authenticator that answers them exists. A
// control process reads its users while it already serves the calls of the process before it.
// Bounded by the set-ups that admission lets in at once. Event-loop thread only.
#pragma once

#include <utility>
#include <vector>

#include "controlplane/aaa/authenticator.hpp"

namespace pns::aaa {

class DeferredAuthenticator final : public Authenticator {
 public:
  void authenticate(model::AuthRequest request, Done done) override {
    if (inner_ != nullptr) return inner_->authenticate(std::move(request), std::move(done));
    waiting_.emplace_back(std::move(request), std::move(done));
  }

  // Asks `inner`, which outlives this, from now on, beginning with the questions that wait.
  void open(Authenticator& inner) {
    inner_ = &inner;
    for (auto& [request, done] : std::exchange(waiting_, {}))
      inner.authenticate(std::move(request), std::move(done));
  }

  [[nodiscard]] std::size_t waiting_count() const noexcept { return waiting_.size(); }

 private:
  Authenticator* inner_ = nullptr;
  std::vector<std::pair<model::AuthRequest, Done>> waiting_;
};

}  // namespace pns::aaa
