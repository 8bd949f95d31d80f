// SPDX-License-Identifier: BSD-3-Clause
//
// The kernels of CPUs with 256-bit registers; each file that includes this compiles them for an
// instruction set of its own. In an anonymous namespace for the reason that sha1_lanes.hpp gives.
#pragma once

#include "dataplane/mppe/combine_ymm.hpp"
#include "dataplane/mppe/kernels.hpp"
#include "dataplane/mppe/rc4_lanes.hpp"
#include "dataplane/mppe/sha1_lanes.hpp"

namespace pns::dataplane {
namespace {

// MppeKernels::few_octets and fewest_lanes as measured, bytes on Zen 5 and words on Zen 3.
MppeKernels ymm_kernels(Rc4Form form) noexcept {
  const bool bytes = form == Rc4Form::kBytes;
  return {.lanes = kMaxRc4Lanes,
          .running_lanes = kMaxRunningLanes,
          .fewest_lanes = bytes ? 2U : 1U,
          .few_keys = 1,
          .one_is_slow = false,
          .few_octets = bytes ? 256U : 48U,
          .few_new_keys = Sha1Lanes<1>::new_keys,
          .new_keys = Sha1Lanes<8>::new_keys,
          .combine = combine_ymm,
          .clear = clear_ymm,
          .clear_stack = clear_stack_lanes,
          .rc4 = rc4_lanes(form)};
}

}  // namespace
}  // namespace pns::dataplane
