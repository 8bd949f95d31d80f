// SPDX-License-Identifier: BSD-3-Clause
//
// The functions of rc4_lanes.S (bytes; AVX) and rc4_words.S (words; AVX2 and BMI1).
#pragma once

#include "dataplane/mppe/kernels.hpp"

namespace pns::dataplane {

[[nodiscard]] const Rc4Kernels& rc4_lanes(Rc4Form form) noexcept;
// MppeKernels::clear_stack.
void clear_stack_lanes(StackLow low) noexcept;

}  // namespace pns::dataplane
