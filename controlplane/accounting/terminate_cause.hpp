// SPDX-License-Identifier: BSD-3-Clause
//
// Acct-Terminate-Cause (RFC 2866 §5.10) of the reasons for which calls end.
#pragma once

#include <cstdint>

#include "pns/base/end_reason.hpp"

namespace pns::accounting {

enum class TerminateCause : std::uint32_t {
  kUserRequest = 1,
  kLostCarrier = 2,
  kLostService = 3,
  kIdleTimeout = 4,
  kSessionTimeout = 5,
  kAdminReset = 6,
  kAdminReboot = 7,
  kPortError = 8,
  kNasError = 9,
  kNasRequest = 10,
  kNasReboot = 11,
  kServiceUnavailable = 15,
  kUserError = 17,
};

[[nodiscard]] TerminateCause terminate_cause(EndReason reason) noexcept;

}  // namespace pns::accounting
