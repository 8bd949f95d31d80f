// SPDX-License-Identifier: BSD-3-Clause
//
// How a step of the start fails: by an exception with one line, which main() prints.
#pragma once

#include <expected>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace pns::dataplane {

[[noreturn]] inline void fail(const std::string& reason) { throw std::runtime_error(reason); }

template <class T>
T need(std::expected<T, std::string> value) {
  if (!value) fail(value.error());
  if constexpr (!std::is_void_v<T>) return std::move(*value);
}

}  // namespace pns::dataplane
