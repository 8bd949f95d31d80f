// SPDX-License-Identifier: BSD-3-Clause
//
// Counters of dynamic authorization (RFC 5176): for each client, and for datagrams of no client.
// The event loop writes them; the metrics thread reads them at scrape time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/model/statistics.hpp"

namespace pns::model {

enum class AuthorizationRefusal : std::uint8_t {
#define PNS_AUTHORIZATION_REFUSAL(name, cause, help, reference) name,
#include "controlplane/model/authorization_refusals.def"
#undef PNS_AUTHORIZATION_REFUSAL
  kCount
};
inline constexpr std::size_t kAuthorizationRefusals =
    static_cast<std::size_t>(AuthorizationRefusal::kCount);

struct AuthorizationRefusalInfo {
  std::string_view name;
  std::uint32_t cause;  // Error-Cause of the NAK (RFC 5176 §3.5); 0: there is no answer
};

// Indexed by AuthorizationRefusal.
inline constexpr std::array<AuthorizationRefusalInfo, kAuthorizationRefusals>
    kAuthorizationRefusalInfos = {{
#define PNS_AUTHORIZATION_REFUSAL(name, cause, help, reference) {#name, cause},
#include "controlplane/model/authorization_refusals.def"
#undef PNS_AUTHORIZATION_REFUSAL
    }};

[[nodiscard]] constexpr const AuthorizationRefusalInfo& info_of(
    AuthorizationRefusal refusal) noexcept {
  return kAuthorizationRefusalInfos[static_cast<std::size_t>(refusal)];
}
[[nodiscard]] constexpr std::string_view name_of(AuthorizationRefusal refusal) noexcept {
  return info_of(refusal).name;
}

struct AuthorizationClientCounts {
  std::string name;     // address or network, for the label
  Count disconnects;    // Disconnect-Requests that were acknowledged
  Count changes;        // CoA-Requests that were acknowledged
  Count sessions;       // that those ended or changed
  Count repeated;       // answers that were sent again, to a retransmission
  Count send_failures;  // answers that the kernel did not take
  Count in_flight;      // requests in progress, now
  Count remembered;     // requests that a replay is known by, now
  std::array<Count, kAuthorizationRefusals> refusals;
};

struct AuthorizationCounts {
  Count unknown_client;  // AuthorizationRefusal::unknown_client: of no client
};

}  // namespace pns::model
