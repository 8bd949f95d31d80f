// SPDX-License-Identifier: BSD-3-Clause
//
// Authenticator: decides whether a subscriber may come in, and with what. Local users, RADIUS and
// whatever follows stand behind it. Called and answering on the event loop's thread.
#pragma once

#include <functional>

#include "controlplane/model/auth.hpp"

namespace pns::aaa {

class Authenticator {
 public:
  using Done = std::move_only_function<void(model::AuthResult)>;

  Authenticator() = default;
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;
  virtual ~Authenticator() = default;

  // Calls `done` exactly once, from within this call or later on the same thread: with a grant, a
  // denial or a challenge. The peer's answer to a challenge comes as another request, which carries
  // the challenge's state. A decision that cannot be made is a denial with
  // EndReason::auth_unavailable. An authenticator that is destroyed drops its open questions
  // without calling.
  virtual void authenticate(model::AuthRequest request, Done done) = 0;
};

}  // namespace pns::aaa
