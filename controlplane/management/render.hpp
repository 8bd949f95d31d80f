// SPDX-License-Identifier: BSD-3-Clause
//
// JSON of the management API, from views and counters. Pure functions; strings that came from a
// peer are made valid UTF-8.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/model/statistics.hpp"
#include "controlplane/pools/pool_set.hpp"
#include "controlplane/subscriber/call_placer.hpp"
#include "controlplane/subscriber/source_limits.hpp"
#include "controlplane/subscriber/views.hpp"
#include "pns/base/time.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::management {

// Joins the arrays of several pages into one.
class JsonArray {
 public:
  void append(std::string_view array);
  [[nodiscard]] std::string take() { return std::move(text_.append(1, ']')); }
  [[nodiscard]] bool empty() const noexcept { return text_.size() == 1; }

 private:
  std::string text_ = "[";
};

[[nodiscard]] std::string render_sessions(const std::vector<subscriber::SessionView>& sessions);
[[nodiscard]] std::string render_sources(
    const std::vector<subscriber::SourceLimits::View>& sources);
[[nodiscard]] std::string render_connections(
    const std::vector<subscriber::ConnectionView>& connections);
// {"pac": "192.0.2.1", "number": "…", "subaddress": "…", "timeout_s": 60}; all but pac may be left
// out. Error: what is wrong with it.
[[nodiscard]] std::expected<subscriber::PlaceRequest, std::string> read_place_request(
    std::string_view json);
// {"deadline_s": 1800}; null, or left out: none. Error: what is wrong with it.
[[nodiscard]] std::expected<std::optional<Seconds>, std::string> read_drain_request(
    std::string_view json);
[[nodiscard]] std::string render_drain(const subscriber::DrainView& drain);
struct RestartRequest {
  contract::Process process{};
  Seconds within{0};          // how long the asker waits; 0: not told
  Seconds confirm_within{0};  // 0: the new configuration stays
};
// {"process": …, "timeout_s": 30, "confirm_within_s": 120}; the second and the third, which is for
// control alone, may be left out. Error: one line.
[[nodiscard]] std::expected<RestartRequest, std::string> read_restart_request(
    std::string_view text);
// {"error": why}
[[nodiscard]] std::string render_error(std::string_view why);
// {"session", "user", "address", "took_ms"}, or {"error", "reason", …}.
[[nodiscard]] std::string render_placed(const subscriber::PlacedCall& call);
[[nodiscard]] std::string render_pools(const std::vector<pools::PoolStatus>& pools);
[[nodiscard]] std::string render_audit(const subscriber::AuditView& audit);
// One object for each counter of a port outside the workers (docs/packet-loss.md).
[[nodiscard]] std::string render_ports(const contract::SessionMemory& memory);
[[nodiscard]] std::string render_workers(const contract::SessionMemory& memory);
[[nodiscard]] std::string render_stats(const model::Statistics& statistics,
                                       const contract::SessionMemory& memory,
                                       const std::vector<subscriber::EndView>& last_ends);

}  // namespace pns::management
