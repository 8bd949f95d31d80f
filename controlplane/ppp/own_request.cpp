// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/own_request.hpp"

#include <algorithm>
#include <array>

namespace pns::ppp {
namespace {

constexpr std::size_t kCapacity = 128;  // octets

}  // namespace

void OwnRequest::write(std::span<ConfigOption* const> options) {
  std::array<std::byte, kCapacity> buffer;
  Writer writer(buffer);
  for (ConfigOption* option : options) option->request(writer);
  options_.assign(writer.written().begin(), writer.written().end());
  changed_ = false;
}

bool OwnRequest::equals(Bytes options) const noexcept {
  return std::ranges::equal(options, options_);
}

bool OwnRequest::contains(Bytes options) const noexcept {
  wire::OptionReader theirs(options);
  wire::OptionReader ours(options_);
  while (const auto option = theirs.next()) {
    auto own = ours.next();
    while (own && !std::ranges::equal(own->whole, option->whole)) own = ours.next();
    if (!own) return false;
  }
  return true;
}

}  // namespace pns::ppp
