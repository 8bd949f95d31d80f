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

MppeKernels ymm_kernels() noexcept {
  return {kMostRc4Lanes,
          kMostRunningLanes,
          2,
          1,
          false,
          kFewOctets,
          Sha1Lanes<1>::new_keys,
          Sha1Lanes<8>::new_keys,
          set_keys_lanes,
          change_keys_lanes,
          generate_lanes,
          go_on_lanes,
          combine_ymm,
          clear_ymm};
}

}  // namespace
}  // namespace pns::dataplane
