// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/selector.hpp"

#include <optional>

#include "controlplane/subscriber/session_id.hpp"

namespace pns::subscriber {
namespace {

constexpr std::string_view kId = "id=";
constexpr std::string_view kUser = "user=";
constexpr std::string_view kAddress = "address=";
constexpr std::string_view kPeer = "peer=";

std::expected<Selector, std::string> by_address(Selector::Kind kind, std::string_view word,
                                                std::string_view key) {
  const auto address = Ipv4Address::parse(word.substr(key.size()));
  if (!address) return std::unexpected(std::string(key) + " takes an IPv4 address");
  return Selector{.kind = kind, .address = *address};
}

}  // namespace

std::expected<Selector, std::string> parse_selector(std::string_view word) {
  if (word.starts_with(kId)) {
    const auto id = parse_session_id(word.substr(kId.size()));
    if (!id) return std::unexpected("id= takes 16 hexadecimal digits, as `pns show sessions` says");
    return Selector{.kind = Selector::Kind::kId, .id = *id};
  }
  if (word.starts_with(kAddress)) return by_address(Selector::Kind::kAddress, word, kAddress);
  if (word.starts_with(kPeer)) return by_address(Selector::Kind::kPeer, word, kPeer);
  const auto user = word.starts_with(kUser) ? word.substr(kUser.size()) : word;
  if (user.empty()) return std::unexpected("no user is named");
  return Selector{.kind = Selector::Kind::kUser, .user = std::string(user)};
}

}  // namespace pns::subscriber
