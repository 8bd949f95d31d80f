// SPDX-License-Identifier: BSD-3-Clause
//
// Which PuntClass a frame for the kernel belongs to. Reads what is there of the frame and trusts
// none of it; whatever is not whole is PuntClass::other. Pure functions, any thread.
#pragma once

#include <cstdint>

#include "pns/base/bytes.hpp"
#include "pns/base/punt_class.hpp"

namespace pns::dataplane {

// `frame`: from the Ethernet header on.
[[nodiscard]] PuntClass punt_class_of(Bytes frame) noexcept;
// `packet`: what follows an Ethernet header with this type (host order).
[[nodiscard]] PuntClass punt_class_of(std::uint16_t ether_type, Bytes packet) noexcept;

}  // namespace pns::dataplane
