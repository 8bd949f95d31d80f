// SPDX-License-Identifier: BSD-3-Clause
//
// OrderedAuthenticator: several sources of accounts, asked in turn (aaa.order). The next one is
// asked when a source does not know the user, or cannot decide. A conversation of several rounds
// stays with the source that began it: the state that goes out begins with the source's number.
// Event-loop thread.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/aaa/authenticator.hpp"

namespace pns::aaa {

class OrderedAuthenticator final : public Authenticator {
 public:
  struct Source {
    Authenticator& authenticator;  // outlives this
    // Whether it has an account of this name. Empty: only its answer tells.
    std::function<bool(std::string_view user)> knows{};
    bool runs_eap = false;  // it judges EAP messages that are passed on
  };

  // At least one, at most 255.
  explicit OrderedAuthenticator(std::vector<Source> sources) : sources_(std::move(sources)) {}

  void authenticate(model::AuthRequest request, Done done) override;

 private:
  void ask(std::size_t index, model::AuthRequest request, Done done);
  [[nodiscard]] std::size_t next_source(std::size_t from, const model::AuthRequest& request) const;

  std::vector<Source> sources_;
};

}  // namespace pns::aaa
