// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/mppe/kernels.hpp"
#include "dataplane/mppe/kernels_ymm.hpp"

namespace pns::dataplane {

MppeKernels avx2_kernels(Rc4Form form) noexcept { return ymm_kernels(form); }

}  // namespace pns::dataplane
