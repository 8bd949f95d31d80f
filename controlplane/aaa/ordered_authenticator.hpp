// SPDX-License-Identifier: BSD-3-Clause
//
// OrderedAuthenticator: several sources of accounts, asked in turn (aaa.order, or the order of the
// user's realm). The next one is asked when a source does not know the user, or cannot decide. A
// conversation of several rounds stays with the source that began it: the state that goes out
// begins with the source's number. Event-loop thread.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
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
  // Indices of sources, at least one.
  using Order = std::vector<std::size_t>;
  using RealmOrders = std::map<std::string, Order, std::less<>>;

  // At least one source, at most 255, asked as they stand.
  explicit OrderedAuthenticator(std::vector<Source> sources);
  // `order`: for users of every realm that is not in `of_realms`.
  OrderedAuthenticator(std::vector<Source> sources, Order order, RealmOrders of_realms)
      : sources_(std::move(sources)), order_(std::move(order)), of_realms_(std::move(of_realms)) {}

  void authenticate(model::AuthRequest request, Done done) override;

 private:
  [[nodiscard]] const Order& order_of(const model::AuthRequest& request) const;
  // Asks the source at this place of the order, and those behind it when it cannot decide.
  void ask_from(const Order& order, std::size_t place, model::AuthRequest request, Done done);
  [[nodiscard]] std::size_t next_place(const Order& order, std::size_t from,
                                       const model::AuthRequest& request) const;

  std::vector<Source> sources_;
  Order order_;
  RealmOrders of_realms_;
};

}  // namespace pns::aaa
