// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusSender: sends accounting records as Accounting-Requests (RFC 2866). Event-loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "controlplane/aaa/radius_call.hpp"
#include "controlplane/aaa/radius_client.hpp"
#include "controlplane/aaa/realm_servers.hpp"
#include "controlplane/accounting/record.hpp"

namespace pns::accounting {

class RadiusSender {
 public:
  // Seconds since 1970.
  using WallClock = std::function<std::uint64_t()>;

  // `client` outlives this. `patience`: for the answer to one record.
  RadiusSender(aaa::RadiusClient& client, aaa::RadiusNas nas, aaa::RealmServers realms,
               Duration patience, WallClock wall)
      : client_(client),
        shared_(std::make_shared<const Shared>(std::move(nas), std::move(realms), std::move(wall))),
        patience_(patience) {}

  // `done` comes once, perhaps before this returns: whether a server has answered.
  void send(const Record& record, std::move_only_function<void(bool answered)> done);

 private:
  struct Shared {
    aaa::RadiusNas nas;
    aaa::RealmServers realms;
    WallClock wall;
  };
  aaa::RadiusClient& client_;
  std::shared_ptr<const Shared> shared_;  // open requests need it too
  Duration patience_;
};

// The attributes of a record that is sent at this time: those of the record and of the server,
// Acct-Status-Type, Event-Timestamp, and Acct-Delay-Time unless it is 0 (RFC 2866 §5.2).
void add_record(radius::PacketBuilder& packet, const Record& record, const aaa::RadiusNas& nas,
                std::uint64_t now);

}  // namespace pns::accounting
