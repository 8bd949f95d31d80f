// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusServers: all servers, and the choice between them. The lowest priority number that has a
// server which answers is used; servers of one priority share by weight. A full window of one
// server leaves the request to the others of its priority. Those of the next priority take over
// only while no server of a lower number is free of doubt. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "controlplane/aaa/radius_server.hpp"

namespace pns::aaa {

class RadiusServers {
 public:
  // Servers keep the order of `settings`, at most kMaxRadiusServers. Endpoints are distinct.
  // `counts` has one entry for each, and outlives this.
  RadiusServers(std::vector<RadiusServerSettings> settings, std::uint16_t ipv4_sockets,
                std::uint16_t ipv6_sockets, RandomSource& random,
                std::deque<model::RadiusServerCounts>& counts);

  [[nodiscard]] std::size_t size() const noexcept { return servers_.size(); }
  [[nodiscard]] RadiusServer& operator[](std::size_t index) noexcept { return servers_[index]; }
  [[nodiscard]] const RadiusServer& operator[](std::size_t index) const noexcept {
    return servers_[index];
  }
  // The server of this address and port.
  [[nodiscard]] std::optional<std::size_t> find(const IpEndpoint& endpoint) const;

  [[nodiscard]] RadiusServerSet of_kind(model::RadiusKind kind) const noexcept;
  // The servers of this set that are alive, and those that are not dead.
  [[nodiscard]] RadiusServerSet alive(RadiusServerSet among) const noexcept;
  [[nodiscard]] RadiusServerSet not_dead(RadiusServerSet among) const noexcept;

  // The server for the next request, with room for it. Empty: it has to wait.
  [[nodiscard]] std::optional<std::size_t> choose(RadiusServerSet allowed, TimePoint now);

 private:
  // The servers are of one priority, and have room.
  [[nodiscard]] std::size_t share(RadiusServerSet candidates);

  std::deque<RadiusServer> servers_;
  std::map<IpEndpoint, std::size_t> by_endpoint_;
  std::vector<std::size_t> by_priority_;  // indices, the lowest number first
  std::vector<std::int64_t> credits_;     // by index: smooth weighted round robin
};

}  // namespace pns::aaa
