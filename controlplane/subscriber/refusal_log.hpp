// SPDX-License-Identifier: BSD-3-Clause
//
// RefusalLog: rate limits for log lines that a peer can cause at will, one for each reason, so that
// one reason does not silence another. Event-loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pns/base/end_reason.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {

class RefusalLog {
 public:
  // The limit of one reason: 20 lines a second.
  [[nodiscard]] log::RateLimit& of(EndReason reason) noexcept {
    return limits_[static_cast<std::size_t>(reason)];
  }

 private:
  std::vector<log::RateLimit> limits_ =
      std::vector<log::RateLimit>(kEndReasonCount, log::RateLimit(20, Seconds(1)));
};

}  // namespace pns::subscriber
