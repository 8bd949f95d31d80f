// SPDX-License-Identifier: BSD-3-Clause
//
// The handlers of the management API: which part of the process answers which request.
#pragma once

#include "controlplane/management/server.hpp"
#include "controlplane/model/statistics.hpp"
#include "controlplane/pools/pool_set.hpp"
#include "controlplane/runtime/supervisor_link.hpp"
#include "controlplane/subscriber/service.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::control {

// Everything that the management API shows or changes. All of it outlives the server.
struct ManagedParts {
  subscriber::Service& service;
  const config::Config& config;
  const contract::SessionMemory& memory;
  const model::Statistics& statistics;
  const pools::PoolSet& pools;
  SupervisorLink& supervisor;
};

[[nodiscard]] management::Server::Handlers make_management_handlers(const ManagedParts& parts);

}  // namespace pns::control
