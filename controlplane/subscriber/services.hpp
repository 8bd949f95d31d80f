// SPDX-License-Identifier: BSD-3-Clause
//
// Services: the parts of the process that sessions and connections use. References only; the
// composition root owns the parts and hands in fakes in tests.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "controlplane/aaa/authenticator.hpp"
#include "controlplane/dataplane_link/dataplane_commands.hpp"
#include "controlplane/model/statistics.hpp"
#include "controlplane/pools/pool_set.hpp"
#include "controlplane/resume/journal.hpp"
#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/runtime/message_transport.hpp"
#include "pns/base/random.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::subscriber {

struct Services {
  control::EventLoop& loop;
  const config::Config& config;
  contract::SessionMemory& memory;
  model::Statistics& statistics;
  control::ConnectionKeeper& keeper;
  control::DataplaneCommands& dataplane;
  aaa::Authenticator& authenticator;
  pools::PoolSet& pools;
  resume::Journal& journal;
  RandomSource& random;
};

}  // namespace pns::subscriber
