// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/start_check.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/port/broadcast_socket.hpp"
#include "dataplane/port/device_check.hpp"
#include "dataplane/start/mppe_start.hpp"
#include "pns/privilege/confinement.hpp"
#include "pns/privilege/identity.hpp"

namespace pns::dataplane {

std::vector<std::string> host_objections(const config::Config& config, const HostFacts& host) {
  std::vector<std::string> out;
  const auto add = [&out](std::string why) {
    if (!why.empty()) out.push_back(std::move(why));
  };
  add(privilege::drop_objection());
  add(mppe_objection(config.dataplane));
  if (auto plan = plan_eal(config, host); !plan)
    add(std::move(plan.error()));
  else
    add(cores_objection(config.dataplane.cores));
  add(device_objection(contract::PortRole::kAccess, config));
  add(device_objection(contract::PortRole::kCore, config));
  const config::Device& core = config.ports.core.device;
  if (config.ppp.broadcast_relay != 0 && core.kind == config::DeviceKind::kXdp)
    if (const auto socket = BroadcastSocket::open(core.interface); !socket)
      add("ppp.broadcast_relay: " + socket.error());
  return out;
}

config::Findings check_start(const config::Source& source, contract::CheckMode mode) {
  config::Findings found;
  const auto config = config::load(source);
  if (!config) {
    found.add(config.error());
    return found;
  }
  if (mode == contract::CheckMode::kConfiguration) return found;
  HostFacts host = read_host_facts();
  // The dataplane that runs gives its pages back before the new one takes any. How many it has, no
  // other user may read.
  if (mode == contract::CheckMode::kRestart)
    host.free_huge_megabytes =
        std::max<std::uint64_t>(host.free_huge_megabytes, config->dataplane.memory.megabytes);
  found.add_host(host_objections(*config, host));
  found.warn_of_host(privilege::missing_user(privilege::find_identity(privilege::kDataplaneUser),
                                             "the dataplane"));
  return found;
}

}  // namespace pns::dataplane
