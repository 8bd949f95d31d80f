// SPDX-License-Identifier: BSD-3-Clause
//
// Delegation: the part of a lease that DHCPv6 gives (RFC 8415): a prefix for networks of the
// subscriber and an address of the account, and how much of it is in force. SharedDelegation: the
// same as a value of two pointers, for sessions, most of which have none. Plain values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "pns/base/ip_address.hpp"

namespace pns::model {

// The client has asked for it by DHCPv6, and uses it.
struct Ipv6Bindings {
  bool prefix = false;        // the delegated prefix leads to the session
  bool address = false;       // of IA_NA
  std::uint8_t declined = 0;  // addresses that the client found in use
  friend bool operator==(const Ipv6Bindings&, const Ipv6Bindings&) = default;
};

struct Delegation {
  std::optional<Ipv6Prefix> prefix{};    // absent: none
  std::optional<Ipv6Address> address{};  // of the account; absent: none
  Ipv6Bindings bindings{};
  friend bool operator==(const Delegation&, const Delegation&) = default;
};

class SharedDelegation {
 public:
  SharedDelegation() noexcept = default;
  SharedDelegation(const Delegation& delegation)
      : kept_(delegation == Delegation() ? nullptr
                                         : std::make_shared<const Delegation>(delegation)) {}

  [[nodiscard]] const Delegation& operator*() const noexcept { return kept_ ? *kept_ : none(); }
  [[nodiscard]] const Delegation* operator->() const noexcept { return &**this; }
  friend bool operator==(const SharedDelegation& one, const SharedDelegation& other) noexcept {
    return *one == *other;
  }

 private:
  [[nodiscard]] static const Delegation& none() noexcept {
    static constexpr Delegation kNone;
    return kNone;
  }
  std::shared_ptr<const Delegation> kept_;  // null: nothing of it
};

}  // namespace pns::model
